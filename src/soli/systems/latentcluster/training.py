"""What the modern preset learns from: mixtures, and mixtures of mixtures whose parts are told apart."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from soli.dsp.frames import analyse, synthesise
from soli.losses import Task, magnitude_distance
from soli.systems.latentcluster.contrast import contrast, draw_points
from soli.systems.latentcluster.grouping import invariance, ownership
from soli.systems.latentcluster.network import band_energies, repainted, roots
from soli.systems.latentcluster.parts import Parts, check_parts, parts_of
from soli.systems.latentcluster.separator import LatentCluster
from soli.systems.latentcluster.spectral import View
from soli.systems.latentcluster.variational import free_divergence, warmed

_SOUNDS = 1e-3  # of the loudest part's energy


class LatentClusterTask(Task[LatentCluster]):
    """Losses of the modern preset.

    Args:
        separator: to train.
        parts: `songs` adds two mixtures; `stems` has single instruments as parts.
        spectral_weight: of the distance of the waveforms' magnitudes at several resolutions.
        windows: those resolutions, in samples.
        gate_weight: of what a part decodes to when the others are turned down in the latents.
        grouping_weight: of what makes clusters sources: with `stems` their `ownership` of points, in nats, with `songs`
            the `invariance` of mixtures, in units of ten decibels.
        n_clusters: into which mixtures of songs are divided in training.
        contrast_weight: of the contrast of points.
        contrast_reach: steps within which points of one part are drawn together; 0 for all of the segment.
        contrast_temperature: of their similarities.
        n_points: points of each item that are compared.
        kl_weight: of the divergence, in the end.
        kl_warmup: steps in which it rises from nothing.
        free_nats: of each latent channel, which cost nothing.
    """

    finds_sources = True

    def __init__(
        self,
        separator: LatentCluster,
        *,
        parts: Parts = "songs",
        spectral_weight: float = 0.5,
        windows: tuple[int, ...] | list[int] = (512, 1024, 4096),
        gate_weight: float = 1.0,
        grouping_weight: float = 1.0,
        n_clusters: int = 6,
        contrast_weight: float = 0.1,
        contrast_reach: int = 8,
        contrast_temperature: float = 0.1,
        n_points: int = 384,
        kl_weight: float = 3e-3,
        kl_warmup: int = 500,
        free_nats: float = 0.05,
    ) -> None:
        super().__init__()
        self.separator = separator
        self.kind: Parts = check_parts(parts)
        self.weights = {"spectral": spectral_weight, "gated": gate_weight, "contrast": contrast_weight}
        self.grouping_weight, self.n_clusters = grouping_weight, n_clusters
        self.windows, self.n_points = tuple(windows), n_points
        self.reach, self.temperature = contrast_reach or None, contrast_temperature
        self.kl_weight, self.kl_warmup, self.free_nats = kl_weight, kl_warmup, free_nats
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def losses(self, stems: Tensor) -> dict[str, Tensor]:
        """Terms whose sum is minimised.

        Args:
            stems: `[B S C T]`; of any classes, their names do not matter.

        Returns:
            `reconstruction` and `spectral` of the whole, `gated` of one part, `grouping`, `contrast` and `kl`.
        """
        model, config = self.separator, self.separator.config
        parts = parts_of(stems, self.kind)
        whole = parts.sum(dim=1)
        view = model.view(whole)
        found = model.encoder(view.planes)
        latents = (found.sample() if self.training else found.mean)[:, 0]
        apart = analyse(F.pad(parts, (0, -parts.shape[-1] % config.hop_length)), config.n_fft, config.hop_length)
        energies = band_energies(apart.abs().square(), config)  # [B P K M]
        directions = model.embed(found.mean[:, 0], energies.sum(dim=1))
        points = draw_points(directions, energies, self.n_points)
        made = model.decoder(latents, view.spectrogram.shape[1])
        weight = warmed(self.kl_weight, int(self.step), self.kl_warmup)
        if self.training:
            self.step += 1
        losses = {
            "reconstruction": self._distance(made, view.spectrogram),
            "spectral": self._spectral(made, view, whole),
            "gated": self._gated(latents, apart, energies),
            "grouping": self.grouping_weight * self._grouping(directions, apart, energies),
            "contrast": contrast(points, temperature=self.temperature, reach=self.reach),
        }
        losses = {name: self.weights.get(name, 1.0) * value for name, value in losses.items()}
        divergence = found.divergence()[:, 0].flatten(0, 2)  # [B*K*M L]
        return losses | {"kl": weight * free_divergence(divergence, self.free_nats)}

    def _distance(self, made: Tensor, spectrogram: Tensor) -> Tensor:
        """Of square roots of magnitudes, relative to the true ones."""
        truth = roots(spectrogram, self.separator.config.n_fft)
        return (made - truth).abs().mean() / (truth.mean() + 1e-3)

    def _gated(self, latents: Tensor, apart: Tensor, energies: Tensor) -> Tensor:
        """Turn every latent down to the share of one part that sounds, and decode that part."""
        loudness = energies.sum(dim=(2, 3))
        chosen = torch.multinomial((loudness >= _SOUNDS * loudness.amax(dim=1, keepdim=True)).float(), 1)[:, 0]
        rows = torch.arange(len(chosen), device=chosen.device)
        share = energies[rows, chosen] / (energies.sum(dim=1) + 1e-8)
        made = self.separator.decoder(share[..., None] * latents, apart.shape[2])
        return self._distance(made, apart[rows, chosen])

    def _grouping(self, directions: Tensor, apart: Tensor, energies: Tensor) -> Tensor:
        """Of soft clusters; `apart` are the parts' spectrograms, `[B P N F]`."""
        config = self.separator.config
        rows, total = directions.flatten(1, 2), energies.sum(dim=1).flatten(1)
        if self.kind == "stems":
            return ownership(rows, energies.flatten(2) / (total[:, None] + 1e-9), total.sqrt())
        whole = apart.sum(dim=1)
        power = band_energies(whole.abs().square(), config).flatten(1)
        toward = band_energies((whole.conj()[:, None] * apart).real, config).flatten(2)
        return 0.1 * invariance(rows, power, toward, energies.flatten(2), self.n_clusters)

    def _spectral(self, made: Tensor, view: View, whole: Tensor) -> Tensor:
        """Of waveforms, with the mixture's phases."""
        config = self.separator.config
        repaint = repainted(made, view.spectrogram, config.n_fft)
        guess = synthesise(repaint, config.n_fft, config.hop_length, whole.shape[-1])
        return magnitude_distance((whole / view.level)[:, None], guess[:, None], self.windows)
