"""What the paper preset is trained on: masked magnitudes plus deep clustering, weighted equally (section 2)."""

from __future__ import annotations

from torch import Tensor

from soli.dsp.truncated_magnitude import truncated_magnitude_l1
from soli.losses import Task
from soli.systems.classcond.deep_clustering import Scaling, deep_clustering_loss
from soli.systems.classcond.features import ideal_binary_masks
from soli.systems.classcond.paper import ClassCondPaper


class PaperTask(Task[ClassCondPaper]):
    """Losses of the paper preset. Both act on the same embedding.

    Args:
        separator: to train.
        deep_clustering_weight: of the affinity loss; 0 trains on the masks alone.
        deep_clustering_scaling: `item` is the usual normalisation; `batch` is the released
            code's, smaller by the batch size.
        per_source_reference: the released code's way to find the loudest source; see
            `features.ideal_binary_masks`.
    """

    def __init__(
        self,
        separator: ClassCondPaper,
        *,
        deep_clustering_weight: float = 1.0,
        deep_clustering_scaling: Scaling = "item",
        per_source_reference: bool = False,
    ) -> None:
        super().__init__()
        self.separator = separator
        self.deep_clustering_weight = deep_clustering_weight
        self.deep_clustering_scaling: Scaling = deep_clustering_scaling
        self.per_source_reference = per_source_reference

    def losses(self, stems: Tensor) -> dict[str, Tensor]:
        """Terms whose sum is minimised.

        Args:
            stems: `[B S C T]`, in the order of `separator.sources`; mixed down to mono.

        Returns:
            `magnitude` (eq. 4) and `deep_clustering` (eq. 3), scalars.
        """
        front_end = self.separator.front_end
        mixture, sources = front_end.mono_magnitudes(stems)
        embedding = self.separator.embed(mixture)
        mel_masks = self.separator.mel_masks(embedding)
        binary = ideal_binary_masks(sources, mixture, per_source_reference=self.per_source_reference)
        assignments = front_end.project(binary).clamp(0.0, 1.0).movedim(1, -1)  # [B N K S]
        clustering = deep_clustering_loss(embedding, assignments, scaling=self.deep_clustering_scaling)
        return {
            "magnitude": truncated_magnitude_l1(mel_masks, front_end.inverse, mixture, sources),
            "deep_clustering": self.deep_clustering_weight * clustering,
        }
