"""Open-Unmix (Stöter et al. 2019): one recurrent mask network per source, then a spatial Wiener filter.

Parameters have the names of the published state dicts; `open_unmix_weights` reads those. Departures: signals are padded
with zeros instead of their mirror image, which changes the first and last two frames, and channels come in pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from soli.baselines.expectation_maximisation import wiener_em
from soli.baselines.stereo import in_pairs
from soli.dsp.stft import istft, stft
from soli.separator import Separator

CHANNELS = 2


@dataclass(frozen=True, kw_only=True)
class OpenUnmixConfig:
    """Sizes of the networks; every default is that of the released `umxhq`.

    Attributes:
        sources: a network for each.
        sample_rate: in Hz.
        n_fft: window in samples.
        hop_length: in samples.
        bandwidth: highest frequency the networks hear, in Hz; masks reach up to half the rate.
        hidden_size: width of the networks, even; 1024 in `umxl`.
        n_layers: LSTM layers.
        dropout: between LSTM layers.
        em_iterations: of the Wiener filter; 0 leaves the mixture's phase as it is.
        em_frames: frames that share a spatial covariance.
    """

    sources: tuple[str, ...] = ("vocals", "drums", "bass", "other")
    sample_rate: int = 44100
    n_fft: int = 4096
    hop_length: int = 1024
    bandwidth: float = 16000.0
    hidden_size: int = 512
    n_layers: int = 3
    dropout: float = 0.4
    em_iterations: int = 1
    em_frames: int = 300

    @property
    def n_bins(self) -> int:
        """Frequencies of the spectrogram."""
        return self.n_fft // 2 + 1

    @property
    def n_heard(self) -> int:
        """Frequencies up to the bandwidth."""
        return min(int(self.bandwidth * self.n_fft / self.sample_rate) + 1, self.n_bins)


class TargetNetwork(nn.Module):
    """Magnitudes of one source from those of a stereo mixture.

    Args:
        config: sizes.
    """

    def __init__(self, config: OpenUnmixConfig) -> None:
        super().__init__()
        width, n_bins, n_heard = config.hidden_size, config.n_bins, config.n_heard
        dropout = config.dropout if config.n_layers > 1 else 0.0
        self.input_mean = nn.Parameter(torch.zeros(n_heard))
        self.input_scale = nn.Parameter(torch.ones(n_heard))
        self.fc1 = nn.Linear(CHANNELS * n_heard, width, bias=False)
        self.bn1 = nn.BatchNorm1d(width)
        self.lstm = nn.LSTM(width, width // 2, config.n_layers, batch_first=True, bidirectional=True, dropout=dropout)
        self.fc2 = nn.Linear(2 * width, width, bias=False)
        self.bn2 = nn.BatchNorm1d(width)
        self.fc3 = nn.Linear(width, CHANNELS * n_bins, bias=False)
        self.bn3 = nn.BatchNorm1d(CHANNELS * n_bins)
        self.output_scale = nn.Parameter(torch.ones(n_bins))
        self.output_mean = nn.Parameter(torch.ones(n_bins))

    def forward(self, magnitude: Tensor) -> Tensor:
        """`[B 2 F N]` -> `[B 2 F N]`."""
        mixture = magnitude.permute(0, 3, 1, 2)  # [B N 2 F]
        batch, n_frames = mixture.shape[:2]
        heard = (mixture[..., : len(self.input_mean)] + self.input_mean) * self.input_scale
        x = self.bn1(self.fc1(heard.flatten(2).flatten(0, 1)))  # [BN D]
        x = torch.tanh(x).unflatten(0, (batch, n_frames))  # [B N D]
        with torch.autocast(x.device.type, enabled=False):  # half precision slows an LSTM down on CPUs
            x = torch.cat((x.float(), self.lstm(x.float())[0]), dim=-1)  # [B N 2D]
        x = self.bn2(self.fc2(x.flatten(0, 1))).relu()
        x = self.bn3(self.fc3(x)).view(batch, n_frames, CHANNELS, -1)  # [B N 2 F]
        mask = (x * self.output_scale + self.output_mean).relu()
        return (mask * mixture).permute(0, 2, 3, 1)


class OpenUnmix(Separator):
    """The networks of all sources and the filter that makes them agree.

    Args:
        config: sizes.
    """

    Config: ClassVar[type[OpenUnmixConfig]] = OpenUnmixConfig
    segment_seconds = 60.0  # the released tool takes a whole song
    context_seconds = 3.0

    def __init__(self, config: OpenUnmixConfig) -> None:
        super().__init__()
        self.config = config
        self.sample_rate, self.sources = config.sample_rate, config.sources
        self.targets = nn.ModuleDict({name: TargetNetwork(config) for name in config.sources})

    def magnitudes(self, mixture: Tensor) -> Tensor:
        """What the networks say, before the filter.

        Args:
            mixture: magnitudes `[B 2 F N]`.

        Returns:
            `[B S 2 F N]`, 0 or more; they need not sum to the mixture.
        """
        return torch.stack([network(mixture) for network in self.targets.values()], dim=1)

    @torch.inference_mode()
    def _separate(self, mixture: Tensor) -> Tensor:
        """`[B C T]` -> `[B S C T]`; one item at a time keeps the memory of a long track down."""
        return torch.cat([in_pairs(self._separate_pair, item[None]) for item in mixture])

    def _separate_pair(self, mixture: Tensor) -> Tensor:
        """`[1 2 T]` -> `[1 S 2 T]`."""
        config = self.config
        spectrogram = stft(mixture.float(), config.n_fft, config.hop_length)  # [1 2 F N]
        magnitudes = self.magnitudes(spectrogram.abs())[0]
        estimates = wiener_em(magnitudes, spectrogram[0], iterations=config.em_iterations, window=config.em_frames)
        return istft(estimates, config.n_fft, config.hop_length, mixture.shape[-1])[None]
