from __future__ import annotations

import torch
from torch import Tensor

from soli.baselines.repet import Repet, RepetConfig, beat_spectrum
from soli.evaluation.metrics import sdr_global, si_sdr_improvement
from soli.testing import check_separator

RATE = 8000
SMALL = RepetConfig(sample_rate=RATE, n_fft=512, hop_length=128, shortest_seconds=0.3, longest_seconds=2.0)


def loop_and_voice(seconds: int = 10) -> tuple[Tensor, Tensor]:
    """A loop of noise, half a second long (a whole number of frames), and a tone that glides over it."""
    generator = torch.Generator().manual_seed(0)
    bar = 0.1 * torch.randn(2, 4096, generator=generator) * torch.linspace(1, 0, 4096) ** 2
    loop = bar.repeat(1, -(-seconds * RATE // 4096))[:, : seconds * RATE]
    time = torch.arange(seconds * RATE) / RATE
    voice = 0.1 * torch.sin(2 * torch.pi * (300 * time + 150 * time.square())).expand(2, -1)
    return loop, voice


def test_it_keeps_the_contract() -> None:
    check_separator(Repet(SMALL), longest_seconds=5.0)


def test_the_beat_spectrum_peaks_at_the_period() -> None:
    loop, voice = loop_and_voice()
    window = torch.hann_window(512)
    magnitude = torch.stft(loop + voice, 512, 128, window=window, return_complex=True).abs()
    beats = beat_spectrum(magnitude)
    assert int(beats[20:200].argmax()) + 20 in {32 * k for k in range(1, 7)}  # 4096 / 128 frames
    assert beats[32] > 1.5 * beats[16]


def test_what_repeats_is_told_from_what_does_not() -> None:
    loop, voice = loop_and_voice()
    estimates = Repet(SMALL).separate(loop + voice, RATE)
    assert si_sdr_improvement(voice, estimates["vocals"], loop + voice) > 3
    assert sdr_global(loop, estimates["accompaniment"]) > 3 + sdr_global(loop, loop + voice)


def test_a_clip_too_short_to_repeat_is_background() -> None:
    short = 0.1 * torch.randn(2, RATE // 2, generator=torch.Generator().manual_seed(0))
    assert Repet(SMALL).separate(short, RATE)["vocals"].abs().max() < 1e-6
