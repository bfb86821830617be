"""What the generator sees and makes: mel levels in normalised dB; and the way back, with phases by Griffin-Lim."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from soli.dsp.frames import analyse
from soli.dsp.griffin_lim import griffin_lim
from soli.dsp.mel import hz_to_mel, mel_filterbank
from soli.dsp.scale import power
from soli.systems.vqquery.paper_config import VQQueryPaperConfig

_MEAN_DB, _RANGE_DB = -25.0, 75.0
_FLOOR = 1e-10
_FINER = 8


class MelLevels(nn.Module):
    """10 log10 |X|^2, shifted by 25 dB and divided by 75, then averaged into mel bands.

    Where bands are narrower than bins, a band takes the levels between its neighbours' bins: the filters are those of a
    transform that is fine enough, on levels interpolated to it.

    Args:
        config: of the paper preset.
    """

    to_mel: Tensor
    to_bins: Tensor

    def __init__(self, config: VQQueryPaperConfig) -> None:
        super().__init__()
        self.config = config
        nyquist, n_bins = config.sample_rate / 2, config.n_fft // 2 + 1
        fine = _FINER * config.n_fft
        filters = mel_filterbank(config.sample_rate, fine, config.n_mels)
        bins = torch.linspace(0, nyquist, n_bins, dtype=torch.float64)
        between = _interpolation(torch.linspace(0, nyquist, fine // 2 + 1, dtype=torch.float64), bins)
        top = hz_to_mel(torch.tensor(nyquist, dtype=torch.float64))
        centres = torch.linspace(0, float(top), config.n_mels + 2, dtype=torch.float64)[1:-1]
        self.register_buffer("to_mel", (filters @ between).T.float().contiguous(), persistent=False)
        self.register_buffer(
            "to_bins", _interpolation(hz_to_mel(bins), centres).T.float().contiguous(), persistent=False
        )

    def forward(self, waveform: Tensor) -> Tensor:
        """`[... T]` -> `[... N K]`, about -1 for silence to 1."""
        energy = power(analyse(waveform, self.config.n_fft, self.config.hop_length))
        return self.normalised(energy.clamp(min=_FLOOR)) @ self.to_mel

    @staticmethod
    def normalised(energy: Tensor) -> Tensor:
        """Power -> normalised dB."""
        return (10 * energy.log10() - _MEAN_DB) / _RANGE_DB

    def waveform(self, levels: Tensor, n_samples: int) -> Tensor:
        """Invert: levels of bins by interpolation over bands, phases by Griffin-Lim.

        Args:
            levels: `[... N K]`.
            n_samples: T, as long as N frames allow.

        Returns:
            `[... T]`.
        """
        decibels = (levels @ self.to_bins) * _RANGE_DB + _MEAN_DB
        magnitude = 10 ** (decibels / 20)
        magnitude = magnitude * (magnitude > 2 * _FLOOR**0.5)  # the floor is silence
        config = self.config
        return griffin_lim(magnitude, config.n_fft, config.hop_length, n_samples, n_iterations=config.griffin_lim)


def _interpolation(at: Tensor, points: Tensor) -> Tensor:
    """Matrix that interpolates linearly from values at rising `points` `[P]` to places `at` `[A]`: `[A P]`."""
    right = torch.searchsorted(points, at.contiguous()).clamp(1, len(points) - 1)
    low, high = points[right - 1], points[right]
    share = ((at - low) / (high - low)).clamp(0, 1)
    matrix = torch.zeros(len(at), len(points), dtype=at.dtype)
    matrix.scatter_(1, (right - 1)[:, None], (1 - share)[:, None])
    return matrix.scatter_add_(1, right[:, None], share[:, None])
