"""What the mask-inference baseline is trained on: masked magnitudes alone."""

from __future__ import annotations

from torch import Tensor

from soli.baselines.mask_inference import MaskInference
from soli.dsp.truncated_magnitude import truncated_magnitude_l1
from soli.losses import Task


class MaskInferenceTask(Task[MaskInference]):
    """Loss of the baseline.

    Args:
        separator: to train.
    """

    def __init__(self, separator: MaskInference) -> None:
        super().__init__()
        self.separator = separator

    def losses(self, stems: Tensor) -> dict[str, Tensor]:
        """Terms whose sum is minimised.

        Args:
            stems: `[B S C T]`, in the order of `separator.sources`; mixed down to mono.

        Returns:
            `magnitude` (eq. 4), a scalar.
        """
        front_end = self.separator.front_end
        mixture, sources = front_end.mono_magnitudes(stems)
        mel_masks = self.separator.mel_masks(mixture)
        return {"magnitude": truncated_magnitude_l1(mel_masks, front_end.inverse, mixture, sources)}
