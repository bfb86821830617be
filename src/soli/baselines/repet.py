"""REPET (Rafii and Pardo 2013): what repeats is the background, what does not is the voice.

Nothing is learned. The period is read from the autocorrelation of the energies over time (the beat spectrum); the
median over the periods is the repeating part, and no bin of the background may be louder than the mixture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from soli.dsp.stft import istft, stft
from soli.separator import Separator


@dataclass(frozen=True, kw_only=True)
class RepetConfig:
    """What counts as a repetition.

    Attributes:
        sources: names of the two estimates, foreground first.
        sample_rate: in Hz.
        n_fft: window in samples.
        hop_length: in samples.
        shortest_seconds: of the periods looked for.
        longest_seconds: of the periods looked for; never more than a third of what is heard.
        high_pass_hz: below it everything is background, as in the paper: voices do not go there.
    """

    sources: tuple[str, ...] = ("vocals", "accompaniment")
    sample_rate: int = 44100
    n_fft: int = 2048
    hop_length: int = 512
    shortest_seconds: float = 0.8
    longest_seconds: float = 8.0
    high_pass_hz: float = 100.0


class Repet(Separator):
    """Foreground and repeating background that sum to the mixture.

    The period is sought anew in every segment of a long file.

    Args:
        config: what counts as a repetition.
    """

    Config: ClassVar[type[RepetConfig]] = RepetConfig
    segment_seconds = 24.0

    def __init__(self, config: RepetConfig) -> None:
        super().__init__()
        self.config = config
        self.sample_rate, self.sources = config.sample_rate, config.sources

    @torch.inference_mode()
    def _separate(self, mixture: Tensor) -> Tensor:
        """`[B C T]` -> `[B 2 C T]`."""
        config = self.config
        spectrogram = stft(mixture.float(), config.n_fft, config.hop_length)  # [B C F N]
        masks = torch.stack([self._background(item.abs()) for item in spectrogram])
        masks[..., : round(config.high_pass_hz * config.n_fft / config.sample_rate) + 1, :] = 1.0
        masked = torch.stack(((1 - masks) * spectrogram, masks * spectrogram), dim=1)
        return istft(masked, config.n_fft, config.hop_length, mixture.shape[-1])

    def _background(self, magnitude: Tensor) -> Tensor:
        """Soft mask of the repeating part, `[C F N]` -> `[C F N]` (sections II-B and II-C)."""
        rate = self.config.sample_rate / self.config.hop_length
        n_frames = magnitude.shape[-1]
        shortest = max(round(self.config.shortest_seconds * rate), 1)
        longest = min(round(self.config.longest_seconds * rate), n_frames // 3)
        if longest <= shortest:  # too short to repeat: all of it is background
            return torch.ones_like(magnitude)
        period = shortest + int(beat_spectrum(magnitude)[shortest : longest + 1].argmax())
        n_periods = -(-n_frames // period)
        padded = F.pad(magnitude, (0, n_periods * period - n_frames), value=float("nan"))
        repeating = padded.unflatten(-1, (n_periods, period)).nanmedian(dim=-2).values
        model = repeating.repeat(1, 1, n_periods)[..., :n_frames].minimum(magnitude)
        return (model + 1e-10) / (magnitude + 1e-10)


def beat_spectrum(magnitude: Tensor) -> Tensor:
    """How alike the energies are to themselves some frames later (section II-A).

    Args:
        magnitude: `[C F N]`.

    Returns:
        Unbiased autocorrelation over frames, mean over bins, `[N]`; 1 at lag 0.
    """
    energy = magnitude.square().mean(dim=0)  # [F N]
    n_frames = energy.shape[-1]
    spectrum = torch.fft.rfft(energy, n=2 * n_frames).abs().square()
    correlation = torch.fft.irfft(spectrum)[:, :n_frames].mean(dim=0)
    correlation = correlation / torch.arange(n_frames, 0, -1, device=magnitude.device)
    return correlation / correlation[0].clamp(min=1e-20)
