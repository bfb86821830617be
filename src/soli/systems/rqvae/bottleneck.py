"""What lies between encoder and decoder: residual codes for each source, or the Gaussian of the VAE ablation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from soli.errors import SoliError
from soli.nn.quantize import Learning, ResidualQuantizer, Usage


class Bottlenecked(NamedTuple):
    """What passes the bottleneck.

    Attributes:
        latents: `[B S D N]`, for the decoder.
        losses: unweighted scalars by name.
    """

    latents: Tensor
    losses: dict[str, Tensor]


class StemQuantizer(nn.Module):
    """One residual quantiser for each source.

    Until its codebooks are initialised (`ready`), latents pass unchanged: an encoder that has learned nothing yet has
    nothing worth a code.

    Args:
        n_stems: S; 1 for one sequence of codes for all sources.
        n_codebooks: K.
        codebook_size: V.
        n_features: D.
        learning: of the codebooks.
        dropout: probability that an item keeps only its first levels while training.
    """

    ready: Tensor

    def __init__(
        self, n_stems: int, n_codebooks: int, codebook_size: int, n_features: int, learning: Learning, dropout: float
    ) -> None:
        super().__init__()
        self.n_codebooks, self.codebook_size, self.learning = n_codebooks, codebook_size, learning
        self.stems: Sequence[ResidualQuantizer] = nn.ModuleList(  # type: ignore[assignment]
            ResidualQuantizer(n_codebooks, codebook_size, n_features, learning=learning, dropout=dropout)
            for _ in range(n_stems)
        )
        self.register_buffer("ready", torch.zeros((), dtype=torch.bool))

    def forward(self, latents: Tensor) -> Bottlenecked:
        """Quantise; in training mode the codebooks learn.

        Args:
            latents: `[B S D N]`.

        Returns:
            Quantised latents; `commitment`, the sum over levels of the latents' mean squared error, the first level
            twice (equation 3, second and third term); `codebook` (its first term) if the entries learn by gradient.
        """
        if not self.ready:
            zero = latents.new_zeros((), dtype=torch.float32)
            return Bottlenecked(latents.float(), {"commitment": zero})
        found = [quantizer(part) for quantizer, part in zip(self.stems, latents.unbind(dim=1), strict=True)]
        commitment = torch.stack([part.commitment.sum() + part.commitment[0] for part in found]).mean()
        losses = {"commitment": commitment}
        if self.learning == "gradient":
            losses["codebook"] = torch.stack([part.codebook.sum() for part in found]).mean()
        return Bottlenecked(torch.stack([part.quantized for part in found], dim=1), losses)

    def encode(self, latents: Tensor) -> Tensor:
        """Codes of latents.

        Args:
            latents: `[B S D N]`.

        Returns:
            `[B S K N]`.

        Raises:
            SoliError: before the codebooks are initialised.
        """
        if not self.ready:
            raise SoliError("the codebooks of this model are not initialised; it needs training before it has codes")
        parts = zip(self.stems, latents.unbind(dim=1), strict=True)
        return torch.stack([quantizer.encode(part) for quantizer, part in parts], dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """What codes stand for.

        Args:
            codes: `[B S K' N]` of the first levels.

        Returns:
            `[B S D N]`.

        Raises:
            SoliError: for codes of another number of sources, or that no codebook has.
        """
        if codes.shape[1] != len(self.stems):
            raise SoliError(f"codes of {codes.shape[1]} sources; this model has {len(self.stems)}")
        parts = zip(self.stems, codes.unbind(dim=1), strict=True)
        return torch.stack([quantizer.decode(part) for quantizer, part in parts], dim=1)

    def initialise(self, latents: Tensor, *, n_iterations: int) -> None:
        """Start all codebooks by residual k-means.

        Args:
            latents: of several batches, `[S M D]`.
            n_iterations: of k-means, at most.
        """
        for quantizer, vectors in zip(self.stems, latents, strict=True):
            quantizer.initialise(vectors.mT[None], n_iterations=n_iterations)
        self.ready.fill_(True)

    def usage(self) -> list[Usage]:
        """How evenly codes are used, for each source."""
        return [quantizer.usage() for quantizer in self.stems]


class GaussianBottleneck(nn.Module):
    """A Gaussian for each frame, sampled while training and its mean otherwise.

    Args:
        n_features: D.
    """

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.moments = nn.Conv1d(n_features, 2 * n_features, 1)

    def forward(self, latents: Tensor) -> Bottlenecked:
        """Sample.

        Args:
            latents: `[B 1 D N]`.

        Returns:
            Samples or means; `kl`, the divergence from the standard normal, mean over features and frames.
        """
        mean, log_variance = self.moments(latents[:, 0]).float().chunk(2, dim=1)
        log_variance = log_variance.clamp(-10, 4)
        divergence = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).mean()
        if self.training:
            mean = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        return Bottlenecked(mean[:, None], {"kl": divergence})

    def encode(self, latents: Tensor) -> Tensor:
        """Raises a SoliError: a Gaussian has no codes."""
        raise SoliError('bottleneck = "vae" has no codes; allowed for encoding: "rq"')

    def decode(self, codes: Tensor) -> Tensor:
        """Raises a SoliError: a Gaussian has no codes."""
        raise SoliError('bottleneck = "vae" has no codes; allowed for decoding: "rq"')


def n_learned(separator: nn.Module) -> int:
    """Numbers learned: all parameters, and the entries of codebooks that follow a moving average instead.

    Args:
        separator: with or without quantisers.

    Returns:
        How many.
    """
    averaged = [entries for name, entries in separator.named_buffers() if name.endswith(".vectors")]
    return sum(numbers.numel() for numbers in (*separator.parameters(), *averaged))
