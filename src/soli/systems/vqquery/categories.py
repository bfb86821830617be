"""The categories: a codebook of directions, found by k-means and kept in balance."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from soli.nn.balance import balanced_assignment
from soli.nn.quantize import ResidualQuantizer
from soli.systems.vqquery.config import VQQueryConfig

_RESTART = 8.0  # accumulated uses below which a code starts anew: one in three hundred
_STARTS = 20


class Categories(nn.Module):
    """N codes of stems; with two levels each code of the first is divided by the second.

    Args:
        config: of the modern preset.
        decay: of the accumulated use of each code.
    """

    ready: Tensor

    def __init__(self, config: VQQueryConfig, *, decay: float = 0.99) -> None:
        super().__init__()
        self.size = config.codebook_size
        self.quantizer = ResidualQuantizer(
            config.levels,
            config.codebook_size,
            config.code_size,
            distance="cosine" if config.levels == 1 else "euclidean",
            decay=decay,
            threshold=_RESTART,
        )
        self.register_buffer("ready", torch.zeros((), dtype=torch.bool))

    def vectors(self) -> Tensor:
        """What the codes stand for, `[N D]`."""
        codes = torch.cartesian_prod(*[torch.arange(self.size, device=self.ready.device)] * len(self.levels))
        return self.quantizer.decode(codes.view(-1, len(self.levels), 1))[..., 0]

    @property
    def levels(self) -> tuple[nn.Module, ...]:
        """The codebooks."""
        return tuple(self.quantizer.codebooks)  # type: ignore[arg-type]

    @torch.no_grad()
    def assign(self, embeddings: Tensor) -> Tensor:
        """The nearest code of each embedding.

        Args:
            embeddings: `[M D]`.

        Returns:
            `[M]`, 0 to N - 1.
        """
        return self._joined(self.quantizer.encode(embeddings[..., None])[..., 0])

    @torch.no_grad()
    def start(self, embeddings: Tensor, *, n_iterations: int = 50) -> None:
        """Begin from the k-means centres of embeddings `[M D]`, level by level."""
        self.quantizer.initialise(embeddings[..., None], n_iterations=n_iterations, n_starts=_STARTS)
        self.ready.fill_(True)

    @torch.no_grad()
    def learn(self, embeddings: Tensor, remembered: Tensor, *, balance: float) -> Tensor:
        """Assign embeddings, move the codes towards what they got, and restart those nobody uses.

        Args:
            embeddings: of a batch, `[M D]`.
            remembered: of earlier batches, `[P D]`; the balance is struck over both.
            balance: how strongly all codes are to be used alike, 0 to 1.

        Returns:
            Codes of the batch, `[M]`.
        """
        residual, known = embeddings, remembered
        codes = []
        for codebook in self.quantizer.codebooks:
            found = codebook.nearest(residual)
            if balance and len(residual):
                found = _balanced(torch.cat((residual, known)), codebook.entries(), balance)[: len(residual)]
            codes.append(found)
            codebook.learn(residual, found, known if len(known) else None)
            entries = codebook.entries()
            residual, known = residual - entries[found], known - entries[codebook.nearest(known)]
        return self._joined(torch.stack(codes, dim=1))

    def _joined(self, codes: Tensor) -> Tensor:
        """`[M K]` of each level -> `[M]`."""
        total = torch.zeros_like(codes[:, 0])
        for level in codes.unbind(dim=1):
            total = total * self.size + level
        return total


def _balanced(rows: Tensor, entries: Tensor, strength: float) -> Tensor:
    """Codes of rows `[M D]`, used more or less alike; among entries of one length the score is the cosine."""
    scores = rows @ entries.T - 0.5 * entries.square().sum(dim=-1)
    return balanced_assignment(scores, strength=strength).argmax(dim=-1)
