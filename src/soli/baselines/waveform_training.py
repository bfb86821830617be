"""What waveform networks are trained on: the waveforms of the sources."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from soli.errors import SoliError
from soli.losses import Task
from soli.separator import Separator

_LOSSES = {"l1": F.l1_loss, "mse": F.mse_loss}


class WaveformTask(Task[Separator]):
    """Mean error of the samples.

    Args:
        separator: a module that maps `[B C T]` to `[B S C T']`; what is shorter stands for the middle.
        loss: `mse` as in Wave-U-Net (Stoller et al. 2018), `l1` as in Conv-TasNet for music (Défossez et al. 2019).
    """

    def __init__(self, separator: Separator, loss: Literal["l1", "mse"] = "l1") -> None:
        super().__init__()
        if loss not in _LOSSES:
            raise SoliError(f"task.loss = {loss!r}; allowed: {', '.join(_LOSSES)}")
        self.separator = separator
        self._distance = _LOSSES[loss]

    def losses(self, stems: Tensor) -> dict[str, Tensor]:
        """Terms whose sum is minimised.

        Args:
            stems: `[B S C T]`, in the order of `separator.sources`.

        Returns:
            `waveform`, a scalar.
        """
        estimates = self.separator(stems.sum(dim=1)).float()
        start = (stems.shape[-1] - estimates.shape[-1]) // 2
        return {"waveform": self._distance(estimates, stems[..., start : start + estimates.shape[-1]])}
