"""Sample-rate conversion by soxr: no delay, and an output length that is known beforehand."""

from __future__ import annotations

import numpy as np
import soxr
import torch
from torch import Tensor

_QUALITY = "HQ"  # 20-bit: its noise, below -120 dBFS, is under that of the 16-bit files most songs come from


def resampled_length(n_samples: int, from_rate: int, to_rate: int) -> int:
    """Length after resampling: rounded half up, but never 0 for a signal that has samples.

    Args:
        n_samples: before.
        from_rate: in Hz.
        to_rate: in Hz.

    Returns:
        The number of samples after.
    """
    if not n_samples:
        return 0
    return max(1, (2 * n_samples * to_rate + from_rate) // (2 * from_rate))


class Resampler:
    """Streaming resampler; all blocks together give exactly what one call for the whole signal gives.

    Args:
        from_rate: of what goes in, in Hz.
        to_rate: of what comes out, in Hz.
        n_channels: of both.
    """

    def __init__(self, from_rate: int, to_rate: int, n_channels: int) -> None:
        self.from_rate = from_rate
        self.to_rate = to_rate
        self.n_channels = n_channels
        self._n_in = 0
        self._n_out = 0
        self._stream = soxr.ResampleStream(from_rate, to_rate, n_channels, dtype="float32", quality=_QUALITY)

    def process(self, block: Tensor) -> Tensor:
        """Feed a block.

        Args:
            block: `[C T]`.

        Returns:
            As much as is ready, `[C T']`; T' may be 0.
        """
        self._n_in += block.shape[-1]
        return self._run(block, last=False)

    def flush(self) -> Tensor:
        """End the signal.

        Returns:
            The rest of the output, `[C T']`, that completes `resampled_length(...)` samples.
        """
        due = resampled_length(self._n_in, self.from_rate, self.to_rate) - self._n_out
        rest = self._run(torch.zeros(self.n_channels, 0), last=True)[:, :due]
        return torch.nn.functional.pad(rest, (0, due - rest.shape[-1]))

    def _run(self, block: Tensor, last: bool) -> Tensor:
        """One call of soxr, whose arrays are time first."""
        samples = np.ascontiguousarray(block.detach().cpu().float().numpy().T)
        done = self._stream.resample_chunk(samples, last=last)
        self._n_out += len(done)
        return torch.from_numpy(np.ascontiguousarray(done.T))


def resample(waveform: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """Resample a whole signal with zero delay.

    Args:
        waveform: `[... T]`.
        from_rate: in Hz.
        to_rate: in Hz.

    Returns:
        A tensor `[... T']` with `T' = resampled_length(T, from_rate, to_rate)`; the input itself when the rates agree.
    """
    if from_rate == to_rate:
        return waveform
    flat = waveform.reshape(-1, waveform.shape[-1])
    resampler = Resampler(from_rate, to_rate, flat.shape[0])
    done = torch.cat([resampler.process(flat), resampler.flush()], dim=-1)
    return done.reshape(*waveform.shape[:-1], -1).to(waveform)
