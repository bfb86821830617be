"""From an example to its place among the sources: a point on a sphere (E of the query-based training)."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from soli.dsp.frames import analyse
from soli.dsp.mel import mel_filterbank
from soli.dsp.scale import power
from soli.systems.vqquery.config import VQQueryConfig

_FLOOR = 1e-6  # of a band's power relative to the loudest frame's mean
_SMALLEST = 1e-10
_LEAST = -1.0  # less than any GELU
_TILT, _MOST_BANDS = 0.35, 2
_SOUNDS = -1.0  # of `features`: frames whose loudest band is above this, 40 dB below the loudest frame, are listened to


class QueryEncoder(nn.Module):
    """Strided convolutions over mel levels, then mean and maximum over the frames that sound.

    Loudness does not matter: levels are relative to the example's loudest frame.

    Args:
        config: of the modern preset.
    """

    filterbank: Tensor

    def __init__(self, config: VQQueryConfig) -> None:
        super().__init__()
        self.n_fft = config.query_fft
        filterbank = mel_filterbank(config.sample_rate, config.query_fft, config.query_mels).float()
        self.register_buffer("filterbank", filterbank.T.contiguous(), persistent=False)
        widths = (1, *config.query_widths)
        self.levels = nn.ModuleList(nn.Conv2d(n_in, n_out, 3, 2, 1) for n_in, n_out in pairwise(widths))
        self.norms = nn.ModuleList(nn.GroupNorm(1, width) for width in config.query_widths)
        n_bands = config.query_mels
        for _ in config.query_widths:
            n_bands = -(-n_bands // 2)
        self.collapse = nn.Linear(widths[-1] * n_bands, 2 * widths[-1])
        self.out = nn.Linear(4 * widths[-1], config.code_size)

    def forward(self, examples: Tensor) -> Tensor:
        """Embed examples; in training mode they are first recoloured at random.

        Args:
            examples: `[M T]`.

        Returns:
            `[M D]`, of length one.
        """
        with torch.autocast(examples.device.type, enabled=False):
            features = self.features(examples.float())
        x = (recoloured(features) if self.training else features)[:, None]
        for level, norm in zip(self.levels, self.norms, strict=True):
            x = F.gelu(norm(level(x)))
        x = F.gelu(self.collapse(x.permute(0, 2, 1, 3).flatten(2)))  # [M N D']
        sounds = F.adaptive_max_pool1d(features.amax(dim=-1)[:, None], x.shape[1]).mT > _SOUNDS  # [M N 1]
        mean = (x * sounds).sum(dim=1) / sounds.sum(dim=1).clamp(min=1)
        pooled = torch.cat((mean, x.masked_fill(~sounds, _LEAST).amax(dim=1)), dim=-1)
        return F.normalize(self.out(pooled).float(), dim=-1)

    @torch.no_grad()
    def features(self, examples: Tensor) -> Tensor:
        """Mel levels of each frame, `[M T]` -> `[M N K]`, about -3 to 1."""
        bands = power(analyse(examples, self.n_fft, self.n_fft // 2)) @ self.filterbank
        loudest = bands.mean(dim=-1, keepdim=True).amax(dim=1, keepdim=True) + _SMALLEST
        return (bands / loudest + _FLOOR).log10().mul_(0.5).add_(1.0)


def recoloured(features: Tensor) -> Tensor:
    """As through another microphone and at another pitch, so that neither tells sources apart.

    Args:
        features: `[M N K]`.

    Returns:
        Tilted over the bands and moved by up to two of them, the same shape.
    """
    n_items, _, n_bands = features.shape
    device = features.device
    slopes = (2 * torch.rand(n_items, 1, 1, device=device) - 1) * _TILT
    tilted = features + slopes * torch.linspace(-1, 1, n_bands, device=device)
    shifts = torch.randint(-_MOST_BANDS, _MOST_BANDS + 1, (n_items, 1, 1), device=device)
    places = (torch.arange(n_bands, device=device) + shifts).clamp(0, n_bands - 1)
    return tilted.gather(-1, places.expand_as(tilted))
