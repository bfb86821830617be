from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.signal
import torch
from torch import Tensor

from soli.baselines.htdemucs_onnx import (
    HOP,
    N_FFT,
    SAMPLE_RATE,
    SOURCES,
    HTDemucsOnnx,
    load_htdemucs_onnx,
    spectrogram,
    waveform,
)
from soli.errors import SoliError
from soli.evaluation.metrics import sdr_global
from soli.testing import check_separator

LENGTH = 16384
SHARES = np.array([0.1, 0.2, 0.3, 0.4], dtype=np.float32)


class Shares:
    """A session in whose place every source is a share of the mixture, part of it in either branch."""

    def __init__(self, spectral: float = 0.75) -> None:
        self.spectral = spectral
        self.levels: list[float] = []

    def get_inputs(self) -> list[Any]:
        frames = -(-LENGTH // HOP)
        return [
            SimpleNamespace(name="wave", shape=[1, 2, LENGTH]),
            SimpleNamespace(name="spectrum", shape=[1, 4, N_FFT // 2, frames]),
        ]

    def run(self, output_names: None, input_feed: dict[str, Any]) -> list[np.ndarray]:
        wave, spectrum = input_feed["wave"], input_feed["spectrum"]
        assert [wave.dtype, spectrum.dtype] == [np.float32, np.float32]
        assert [list(wave.shape), list(spectrum.shape)] == [entry.shape for entry in self.get_inputs()]
        self.levels.append(float(wave.std()))
        return [
            self.spectral * SHARES[None, :, None, None, None] * spectrum[:, None],
            (1 - self.spectral) * SHARES[None, :, None, None] * wave[:, None],
        ]


def music(seconds: float = 1.5) -> Tensor:
    """Noise without the highest frequencies, which the spectral branch does not have."""
    noise = np.random.default_rng(0).standard_normal((2, round(seconds * SAMPLE_RATE)))
    taps = scipy.signal.firwin(101, 0.8)
    return torch.from_numpy(0.1 * scipy.signal.lfilter(taps, 1, noise)).float()


def test_it_keeps_the_contract() -> None:
    check_separator(HTDemucsOnnx(Shares()), seconds=0.5, longest_seconds=2.0)


@pytest.mark.parametrize(("spectral", "seconds"), [(0.0, 1.5), (0.0, 0.2), (0.75, 0.2), (1.0, 0.2)])
def test_shares_of_the_mixture_come_back_as_shares(spectral: float, seconds: float) -> None:
    """Normalisation and overlapping segments add nothing of their own, the transform nothing inside a segment."""
    mixture = music(seconds)
    stems = HTDemucsOnnx(Shares(spectral)).separate(mixture, SAMPLE_RATE).stems
    due = torch.from_numpy(SHARES)[:, None, None] * (mixture - mixture.mean())
    assert sdr_global(due, stems).min() > 60


def test_the_network_hears_every_level_alike() -> None:
    loud, quiet = Shares(), Shares()
    HTDemucsOnnx(loud).separate(music(0.3), SAMPLE_RATE)
    HTDemucsOnnx(quiet).separate(0.01 * music(0.3), SAMPLE_RATE)
    assert quiet.levels == pytest.approx(loud.levels, rel=1e-3)
    assert 0.5 < loud.levels[0] < 2


def test_the_transform_is_scipys() -> None:
    wave = music(LENGTH / SAMPLE_RATE)
    window = scipy.signal.get_window("hann", N_FFT)
    margin = HOP // 2 * 3
    padded = np.pad(wave.numpy(), ((0, 0), (margin, margin)), mode="reflect")  # Demucs mirrors twice
    padded = np.pad(padded, ((0, 0), (N_FFT // 2, N_FFT // 2)), mode="reflect")
    starts = range(2 * HOP, 2 * HOP + LENGTH, HOP)
    frames = np.stack([padded[:, start : start + N_FFT] for start in starts], axis=1)
    due = np.fft.rfft(frames * window, axis=-1)[..., :-1].swapaxes(1, 2) / np.sqrt(N_FFT)
    np.testing.assert_allclose(spectrogram(wave).numpy(), due, atol=1e-5)


def test_the_transform_can_be_inverted() -> None:
    wave = music(LENGTH / SAMPLE_RATE)
    inside = slice(N_FFT // 2, -N_FFT // 2)  # Demucs drops the frames before the first and after the last
    assert sdr_global(wave[:, inside], waveform(spectrogram(wave)[None], LENGTH)[0][:, inside]) > 60


def test_a_missing_file_and_no_model_are_refused(tmp_path) -> None:
    with pytest.raises(SoliError, match=r"nothing\.onnx: there is no such file"):
        load_htdemucs_onnx(tmp_path / "nothing.onnx")
    pytest.importorskip("onnxruntime")
    (tmp_path / "damaged.onnx").write_bytes(b"no graph")
    with pytest.raises(SoliError, match=r"damaged\.onnx: cannot be read as ONNX") as caught:
        load_htdemucs_onnx(tmp_path / "damaged.onnx")
    assert "\n" not in str(caught.value)


def test_without_onnxruntime_the_extra_is_named(tmp_path, monkeypatch) -> None:
    (tmp_path / "model.onnx").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(SoliError, match=r"pip install 'soli\[onnx\]'"):
        load_htdemucs_onnx(tmp_path / "model.onnx")


@pytest.mark.skipif("SOLI_HTDEMUCS_ONNX" not in os.environ, reason="SOLI_HTDEMUCS_ONNX names no file")
def test_the_published_file_separates_a_beat_from_a_bass() -> None:
    pytest.importorskip("onnxruntime")
    separator = load_htdemucs_onnx(os.environ["SOLI_HTDEMUCS_ONNX"])
    assert separator.length == 343980
    time = torch.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
    bass = sum(torch.sin(2 * torch.pi * 55 * k * time) / k**2 for k in range(1, 8))
    bass = 0.2 * bass * torch.exp(-3 * (time % 0.5))
    noise = torch.randn(len(time), generator=torch.Generator().manual_seed(0))
    beat = 0.2 * noise * torch.exp(-40 * ((time + 0.25) % 0.5))
    estimates = separator.separate((bass + beat).expand(2, -1), SAMPLE_RATE)
    assert estimates.sources == SOURCES
    assert sdr_global(beat.expand(2, -1), estimates["drums"]) > 10
    assert sdr_global(bass.expand(2, -1), estimates["bass"]) > 5
    one = separator.separate(torch.full((2, 1), 0.1), SAMPLE_RATE)
    assert one.stems.isfinite().all()
