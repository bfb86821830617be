"""What the paper preset is trained on: errors of waveform and spectrum, and the divergence."""

from __future__ import annotations

from torch import Tensor

from soli.losses import Task, spectral_mse
from soli.systems.latentcluster.paper import LatentClusterPaper


class LatentClusterPaperTask(Task[LatentClusterPaper]):
    """Losses of the paper preset, on waveforms as they are.

    Args:
        separator: to train.
        spectral_weight: of the mean squared error of magnitudes; at most 0.0131 fits the published final loss.
        kl_weight: of the divergence; 0 is the training that collapses.
        n_fft: of the spectrum, windows not normalised.
        hop_length: of the spectrum.
    """

    finds_sources = True

    def __init__(
        self,
        separator: LatentClusterPaper,
        *,
        spectral_weight: float = 0.01,
        kl_weight: float = 1e-3,
        n_fft: int = 2048,
        hop_length: int = 512,
    ) -> None:
        super().__init__()
        self.separator = separator
        self.spectral_weight, self.kl_weight = spectral_weight, kl_weight
        self.n_fft, self.hop_length = n_fft, hop_length

    def losses(self, stems: Tensor) -> dict[str, Tensor]:
        """Terms whose sum is minimised.

        Args:
            stems: `[B S C T]`; only their sum is looked at, mixed down to mono.

        Returns:
            `waveform`, `spectral` and, where it has a weight, `kl`: mean over latents of
            -(1 + log s^2 - m^2 - s^2) / 2.
        """
        model = self.separator
        mixture = stems.mean(dim=2).sum(dim=1)
        found = model.encode(mixture)
        latents = found.sample() if self.training and self.kl_weight else found.mean
        made = model.decode(latents, mixture.shape[-1])
        losses = {
            "waveform": (mixture - made).square().mean(),
            "spectral": self.spectral_weight * spectral_mse(mixture, made, self.n_fft, self.hop_length),
        }
        return losses | ({"kl": self.kl_weight * found.divergence().mean()} if self.kl_weight else {})
