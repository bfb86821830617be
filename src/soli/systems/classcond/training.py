"""What the modern preset learns from."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from soli.dsp.frames import synthesise
from soli.losses import Task, soft_snr_loss, spectral_l1
from soli.systems.classcond.separator import ClassCond


class ClassCondTask(Task[ClassCond]):
    """Waveform SNR, complex spectrogram distance and a little deep clustering on the embedding.

    Args:
        separator: to be trained.
        spectral_weight: of the spectrogram loss.
        clustering_weight: of the deep-clustering loss on a sample of bins.
    """

    def __init__(self, separator: ClassCond, *, spectral_weight: float = 2.0, clustering_weight: float = 1.0) -> None:
        super().__init__()
        self.separator = separator
        self.spectral_weight, self.clustering_weight = spectral_weight, clustering_weight

    def losses(self, stems: Tensor) -> dict[str, Tensor]:
        """Losses of one batch.

        Args:
            stems: `[B S 2 T]`.

        Returns:
            `snr` (dB), `spectrum` and `clustering`, weighted.
        """
        separator, config = self.separator, self.separator.config
        references = separator.transform(stems)  # [B S C N F]
        found = separator.network(references.sum(dim=1))
        with torch.autocast(stems.device.type, enabled=False):
            waveforms = synthesise(found.estimates, config.n_fft, config.hop_length, stems.shape[-1])
            return {
                "snr": soft_snr_loss(stems, waveforms),
                "spectrum": self.spectral_weight * spectral_l1(references, found.estimates),
                "clustering": self.clustering_weight * sampled_clustering(found.embedding, references),
            }


def sampled_clustering(
    embedding: Tensor, references: Tensor, *, n_candidates: int = 16384, n_bins: int = 2048
) -> Tensor:
    """Deep clustering on bins drawn in proportion to their magnitude, both channels together.

    Unit-norm embeddings V and ideal ratio assignments Y of the drawn bins; the loss is
    ||V V' - Y Y'||^2 over the number of pairs, by its Gram matrices (section 2, eq. 2).

    Args:
        embedding: `[B D N F]`, without the Nyquist bin.
        references: complex `[B S C N F']` with F' = F + 1.
        n_candidates: bins drawn uniformly first, so that magnitudes are needed only there.
        n_bins: bins kept for each item.

    Returns:
        Scalar.
    """
    batch, _, n_frames, n_bins_all = embedding.shape
    with torch.no_grad():
        frame = torch.randint(n_frames, (batch, n_candidates), device=embedding.device)
        bin_ = torch.randint(n_bins_all, (batch, n_candidates), device=embedding.device)
        places = frame * (n_bins_all + 1) + bin_
        labels = _at(references[:, :, 0], places).abs() + _at(references[:, :, -1], places).abs()  # [B S M]
        chosen = torch.multinomial(labels.sum(dim=1) + 1e-8, n_bins, replacement=True)
        labels = nn.functional.normalize(_at(labels, chosen), dim=1)
        positions = (frame * n_bins_all + bin_).gather(1, chosen)
    vectors = nn.functional.normalize(_at(embedding, positions), dim=1)

    def affinity(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.mT).square().sum(dim=(1, 2))

    pairs = affinity(vectors, vectors) - 2 * affinity(vectors, labels) + affinity(labels, labels)
    return pairs.mean() / n_bins**2


def _at(planes: Tensor, positions: Tensor) -> Tensor:
    """Values of `[B V ...]` at flat positions `[B M]`, `[B V M]`."""
    flat = planes.flatten(2)
    return flat.gather(2, positions[:, None].expand(-1, flat.shape[1], -1))
