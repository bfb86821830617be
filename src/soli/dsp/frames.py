"""The STFT with frames before frequencies, `[... N F]`: no transposed copies, for code where time is tight.

`analyse(x)` equals `stft(x).mT`, `synthesise(s)` equals `istft(s.mT)` of `soli.dsp.stft`.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def analyse(waveform: Tensor, n_fft: int, hop_length: int) -> Tensor:
    """Short-time Fourier transform, frame by frame.

    Args:
        waveform: `[... T]`, real.
        n_fft: window and transform length; a multiple of `hop_length`.
        hop_length: distance between frames.

    Returns:
        Complex `[... N F]` with N = ceil(T / hop_length) + 1.
    """
    n_samples = waveform.shape[-1]
    padded = F.pad(waveform, (n_fft // 2, n_fft // 2 + -n_samples % hop_length))
    return torch.fft.rfft(padded.unfold(-1, n_fft, hop_length) * _window(waveform, n_fft))


def synthesise(spectrogram: Tensor, n_fft: int, hop_length: int, n_samples: int) -> Tensor:
    """Inverse of `analyse` by weighted overlap-add.

    Args:
        spectrogram: complex `[... N F]`.
        n_fft: as given to `analyse`.
        hop_length: as given to `analyse`.
        n_samples: T.

    Returns:
        `[... T]`.
    """
    window = _window(spectrogram.real, n_fft)
    inside = slice(n_fft // 2, n_fft // 2 + n_samples)
    weight = _overlap_add(window.expand(spectrogram.shape[-2], -1), window, hop_length)
    summed = _OverlapAdd.apply(torch.fft.irfft(spectrogram, n=n_fft), window, hop_length)
    return summed[..., inside] / weight[inside]


class _OverlapAdd(torch.autograd.Function):
    """Windowed overlap-add; its gradient is cutting into windowed frames."""

    @staticmethod
    def forward(ctx: Any, frames: Tensor, window: Tensor, hop_length: int) -> Tensor:
        ctx.save_for_backward(window)
        ctx.hop_length = hop_length
        return _overlap_add(frames, window, hop_length)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (window,) = ctx.saved_tensors
        return gradient.unfold(-1, window.shape[0], ctx.hop_length) * window, None, None


def _overlap_add(frames: Tensor, window: Tensor, hop_length: int) -> Tensor:
    """`[... N n_fft]` -> `[... (N + overlap - 1) hop]`: one shifted sum for each hop of a frame."""
    n_frames, overlap = frames.shape[-2], frames.shape[-1] // hop_length
    parts, weights = frames.unflatten(-1, (overlap, hop_length)), window.view(overlap, hop_length)
    out = frames.new_zeros(*frames.shape[:-2], n_frames + overlap - 1, hop_length)
    for shift in range(overlap):
        out[..., shift : shift + n_frames, :].addcmul_(parts[..., shift, :], weights[shift])
    return out.flatten(-2)


def _window(like: Tensor, n_fft: int) -> Tensor:
    return torch.hann_window(n_fft, dtype=like.dtype, device=like.device)
