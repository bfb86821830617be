"""Signals, files and small separators for the tests of audio, streaming and files."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import torch

from soli.audio import AudioWriter
from soli.separator import Separator


def noise(n_channels: int, n_samples: int, seed: int = 0, scale: float = 0.1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(n_channels, n_samples, generator=generator) * scale).clamp(-0.99, 0.99)


def tones(n_samples: int, rate: int) -> torch.Tensor:
    time = torch.arange(n_samples, dtype=torch.float64) / rate
    return (0.3 * torch.stack([torch.sin(2 * np.pi * 440 * time), torch.sin(2 * np.pi * 331 * time)])).float()


def on_grid(waveform: torch.Tensor, bits: int) -> torch.Tensor:
    return ((waveform.double() * 2 ** (bits - 1)).round() / 2 ** (bits - 1)).float()


def snr(reference: torch.Tensor, estimate: torch.Tensor) -> float:
    return float(10 * torch.log10(reference.square().sum() / (reference - estimate).square().sum()))


def save(path: Path, waveform: torch.Tensor, rate: int = 44100, subtype: str | None = None) -> Path:
    with AudioWriter(path, rate, waveform.shape[0], subtype) as writer:
        writer.write(waveform)
    return path


def save_container(path: Path, waveforms: list[torch.Tensor], codec: str, rate: int = 44100, **options: str) -> Path:
    with av.open(str(path), "w", options=options) as container:
        layout = "stereo" if waveforms[0].shape[0] == 2 else "mono"
        streams = [container.add_stream(codec, rate=rate, layout=layout) for _ in waveforms]
        for stream, waveform in zip(streams, waveforms, strict=True):
            for start in range(0, waveform.shape[1], 1024):
                block = np.ascontiguousarray(waveform[:, start : start + 1024].numpy())
                frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
                frame.sample_rate, frame.pts = rate, start
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


class Splitter(Separator):
    """Gives each source a fixed share of the mixture; shares that sum to one leave no residual."""

    def __init__(self, rate: int = 8000, **shares: float) -> None:
        super().__init__()
        self.sample_rate = rate
        self.shares = shares or {"left": 0.5, "right": 0.5}
        self.sources = tuple(self.shares)
        self.segment_seconds, self.context_seconds = 0.5, 0.1
        self.calls: list[tuple[int, ...]] = []

    def _separate(self, mixture: torch.Tensor) -> torch.Tensor:
        self.calls.append(tuple(mixture.shape))
        return torch.stack([mixture * share for share in self.shares.values()], dim=1)


class Crossover(Separator):
    """A low-pass filter of known reach, and what it leaves."""

    sources = ("low", "high")

    def __init__(self, rate: int = 8000, reach: int = 400) -> None:
        super().__init__()
        self.sample_rate = rate
        self.segment_seconds, self.context_seconds = 0.5, reach / rate
        self.kernel = torch.nn.Parameter(torch.hann_window(2 * reach + 1, periodic=False) / reach)

    @torch.inference_mode()
    def _separate(self, mixture: torch.Tensor) -> torch.Tensor:
        flat = mixture.reshape(-1, 1, mixture.shape[-1])
        low = torch.nn.functional.conv1d(flat, self.kernel[None, None], padding=len(self.kernel) // 2)
        low = low.reshape(mixture.shape)
        return torch.stack([low, mixture - low], dim=1)


class SpectralGate(Separator):
    """Loud bins against quiet bins of an STFT: not linear, and sensitive to where the frames lie."""

    sources = ("loud", "quiet")

    def __init__(self, rate: int = 8000, n_fft: int = 512) -> None:
        super().__init__()
        self.sample_rate = rate
        self.segment_seconds, self.context_seconds = 2.0, 2 * n_fft / rate
        self.n_fft = n_fft
        self.register_buffer("window", torch.hann_window(n_fft))

    @torch.inference_mode()
    def _separate(self, mixture: torch.Tensor) -> torch.Tensor:
        flat = mixture.reshape(-1, mixture.shape[-1])
        options = {"n_fft": self.n_fft, "hop_length": self.n_fft // 4, "window": self.window}
        spectrogram = torch.stft(flat, **options, return_complex=True)
        mask = spectrogram.abs() > 0.5
        loud = torch.istft(spectrogram * mask, **options, length=mixture.shape[-1]).reshape(mixture.shape)
        return torch.stack([loud, mixture - loud], dim=1)
