"""What every training task has in common, and the losses that more than one system uses."""

from __future__ import annotations

import abc
from typing import ClassVar, Generic, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from soli.separator import Separator

S = TypeVar("S", bound=Separator)


class Task(nn.Module, abc.ABC, Generic[S]):
    """A separator and what it learns from: all that the training loop knows of a system.

    Attributes:
        separator: the model whose weights are exported.
        takes_multitracks: whether it is given unlabelled stems and an example of each, `[B 2 S C T]`.
        takes_bank: whether the stems may have more classes than the separator, behind those: a bank of interference.
    """

    separator: S
    takes_multitracks: ClassVar[bool] = False
    takes_bank: ClassVar[bool] = False

    @property
    def parts(self) -> tuple[nn.Module, ...]:
        """What learns by itself, so that gradients are clipped apart; by default all is one."""
        return (self,)

    @abc.abstractmethod
    def losses(self, stems: Tensor) -> dict[str, Tensor]:
        """Named, weighted scalar losses of a batch of stems `[B S C T]`; their sum is minimised."""

    def forward(self, stems: Tensor) -> dict[str, Tensor]:
        """The losses, so that wrappers for devices and precision can step in.

        Args:
            stems: `[B S C T]`.

        Returns:
            Named scalars.
        """
        return self.losses(stems)


def soft_snr_loss(references: Tensor, estimates: Tensor, *, floor_db: float = -25.0) -> Tensor:
    """Negative signal-to-noise ratio against the mixture, bounded so that silent sources do no harm.

    For each source 10 log10(error / mixture energy + floor), averaged over batch and sources: the
    gradient of a source fades once its error is `floor_db` below the mixture.

    Args:
        references: `[B S C T]`.
        estimates: `[B S C T]`.
        floor_db: level relative to the mixture below which errors no longer count.

    Returns:
        Scalar, in dB.
    """
    mixture = references.sum(dim=1, keepdim=True).square().mean(dim=(-2, -1)) + 1e-8
    error = (references - estimates).square().mean(dim=(-2, -1))
    return 10 * torch.log10(error / mixture + 10 ** (floor_db / 10)).mean()


def spectral_l1(references: Tensor, estimates: Tensor) -> Tensor:
    """Mean absolute error of real and imaginary parts, relative to the references' own mean magnitude.

    Args:
        references: complex `[B S ...]`.
        estimates: complex, the same shape.

    Returns:
        Scalar.
    """
    truth, guess = torch.view_as_real(references), torch.view_as_real(estimates)
    # a Huber loss with a tiny quadratic part is the one absolute error torch computes in a single pass
    return F.smooth_l1_loss(guess, truth, beta=1e-6) / (torch.linalg.vector_norm(truth, 1) / truth.numel() + 1e-6)
