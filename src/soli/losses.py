"""What every training task has in common, and the losses that more than one system uses."""

from __future__ import annotations

import abc
from typing import ClassVar, Generic, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from soli.dsp.stft import stft
from soli.separator import Separator

S = TypeVar("S", bound=Separator)


class Task(nn.Module, abc.ABC, Generic[S]):
    """A separator and what it learns from: all that the training loop knows of a system.

    Attributes:
        separator: the model whose weights are exported.
        takes_multitracks: whether it is given unlabelled stems and an example of each, `[B 2 S C T]`.
        takes_bank: whether the stems may have more classes than the separator, behind those: a bank of interference.
        finds_sources: whether the separator finds sources by itself, so that the classes of the mixtures are not its
            own, and no labelled song can choose a checkpoint.
    """

    separator: S
    takes_multitracks: ClassVar[bool] = False
    takes_bank: ClassVar[bool] = False
    finds_sources: ClassVar[bool] = False

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


def magnitudes(waveform: Tensor, length: int, hop_length: int, *, n_fft: int | None = None) -> Tensor:
    """Magnitudes through a Hann window of unit energy.

    Args:
        waveform: `[... T]`.
        length: of the window.
        hop_length: between frames.
        n_fft: length of the transform, the window's by default.

    Returns:
        `[... N F]`.
    """
    window = torch.hann_window(length, device=waveform.device)
    window = window / torch.linalg.vector_norm(window)
    padded = F.pad(waveform, (length // 2, length // 2))
    spectrum = torch.fft.rfft(padded.unfold(-1, length, hop_length) * window, n=n_fft)
    return (spectrum.real.square() + spectrum.imag.square() + 1e-12).sqrt()


def magnitude_distance(references: Tensor, estimates: Tensor, windows: tuple[int, ...]) -> Tensor:
    """Spectral convergence of square roots of magnitudes at several resolutions: errors relative to each source's own.

    Where a source is silent, errors are relative to -30 dB of the mixture.

    Args:
        references: `[B S T]`.
        estimates: `[B S T]`.
        windows: window lengths in samples; frames overlap by half.

    Returns:
        Mean over items, sources and resolutions.
    """
    distances = []
    for length in windows:
        truth, guess = (magnitudes(x, length, length // 2) for x in (references, estimates))
        mixture = magnitudes(references.sum(dim=1, keepdim=True), length, length // 2)
        level = torch.maximum(truth.mean(dim=(-2, -1)), 0.03 * mixture.mean(dim=(-2, -1))) + 1e-4
        error = (truth.sqrt() - guess.sqrt()).square().mean(dim=(-2, -1))
        distances.append((error / level).sqrt().mean())
    return torch.stack(distances).mean()


def spectral_mse(references: Tensor, estimates: Tensor, n_fft: int = 2048, hop_length: int = 512) -> Tensor:
    """Mean squared difference of magnitudes through an unnormalised Hann window.

    Args:
        references: `[... T]`.
        estimates: the same shape.
        n_fft: window in samples.
        hop_length: between frames.

    Returns:
        Scalar.
    """
    truth, guess = (stft(x, n_fft, hop_length) for x in (references, estimates))
    sizes = [(x.real.square() + x.imag.square() + 1e-12).sqrt() for x in (truth, guess)]
    return (sizes[0] - sizes[1]).square().mean()
