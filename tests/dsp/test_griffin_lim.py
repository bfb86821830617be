from __future__ import annotations

import itertools

import torch

from soli.dsp.frames import analyse
from soli.dsp.griffin_lim import griffin_lim


def tones(n_samples: int = 4096) -> torch.Tensor:
    time = torch.arange(n_samples) / 8000
    return torch.stack([torch.sin(2 * torch.pi * pitch * time) for pitch in (300.0, 700.0)]) * 0.3


def gap(waveform: torch.Tensor, magnitude: torch.Tensor) -> float:
    """Spectral convergence in dB."""
    found = analyse(waveform, 256, 64).abs()
    return float(20 * torch.log10((found - magnitude).norm() / magnitude.norm()))


def test_magnitudes_of_a_waveform_are_found_again() -> None:
    magnitude = analyse(tones(), 256, 64).abs()
    few, many = (griffin_lim(magnitude, 256, 64, 4096, n_iterations=n) for n in (2, 60))
    assert many.shape == (2, 4096)
    assert gap(many, magnitude) < min(-20.0, gap(few, magnitude) - 6)


def test_the_plain_algorithm_never_gets_worse() -> None:
    magnitude = analyse(torch.randn(1, 2048, generator=torch.Generator().manual_seed(0)), 256, 64).abs()
    gaps = [gap(griffin_lim(magnitude, 256, 64, 2048, n_iterations=n, momentum=0.0), magnitude) for n in range(1, 8)]
    assert all(later <= earlier + 1e-4 for earlier, later in itertools.pairwise(gaps))


def test_it_is_the_same_every_time_and_for_every_batch() -> None:
    magnitude = analyse(tones(), 256, 64).abs()
    torch.manual_seed(1)
    both = griffin_lim(magnitude, 256, 64, 4096, n_iterations=3)
    torch.manual_seed(2)
    torch.testing.assert_close(griffin_lim(magnitude[1:], 256, 64, 4096, n_iterations=3)[0], both[1])
