"""Vector quantisation and residual vector quantisation (van den Oord et al. 2017; Lee et al. 2022).

    r_1 = z        code_k = the entry e_k of codebook k nearest to r_k        r_(k+1) = r_k - e_k

The quantised vector is the sum of all e_k. Every level works on detached residuals and the gradient passes once, from
the sum straight to z, so that no level can pull the encoder through another one's mistakes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from soli.errors import SoliError
from soli.nn.kmeans import kmeans, nearest

Distance = Literal["euclidean", "cosine"]
Learning = Literal["ema", "gradient"]
_GRACE = 2.0  # times the threshold: where entries from a reserve begin
DROPPED = -1
"""The code of a level that quantiser dropout left out."""


class Quantized(NamedTuple):
    """What a quantiser makes of latents.

    Attributes:
        quantized: `[B D N]`; its gradient goes to the latents unchanged.
        codes: `[B K N]`, `DROPPED` where a level was left out.
        commitment: `[K]`, mean squared error of the latents after each level, pulling the latents.
        codebook: `[K]`, mean squared distance of each level's entries to its residuals, pulling the entries; without
            gradient when they follow a moving average.
    """

    quantized: Tensor
    codes: Tensor
    commitment: Tensor
    codebook: Tensor


class Usage(NamedTuple):
    """How evenly codes are used, by the accumulated statistic.

    Attributes:
        perplexity: `[K]`, from 1 (one code for everything) to V (all alike).
        dead: `[K]`, entries below the restart threshold.
    """

    perplexity: Tensor
    dead: Tensor


class Codebook(nn.Module):
    """One level: entries, how often each was used of late, and how they learn.

    The usage is accumulated, s <- decay s + n, not averaged: n hits a batch settle at n / (1 - decay), and a
    threshold counts hits whatever the batch. Entries below it restart as random inputs.

    Args:
        size: V.
        n_features: D.
        distance: `cosine` compares directions; entries then have length one.
        learning: `ema` moves entries to the running mean of what they stand for, `gradient` leaves them to the loss.
        decay: of the accumulated usage and sums.
        threshold: usage below which an entry restarts; 0 never.
    """

    usage: Tensor
    sums: Tensor

    def __init__(
        self, size: int, n_features: int, *, distance: Distance, learning: Learning, decay: float, threshold: float
    ) -> None:
        super().__init__()
        self.distance, self.learning, self.decay, self.threshold = distance, learning, decay, threshold
        vectors = nn.init.xavier_normal_(torch.empty(size, n_features))
        vectors = F.normalize(vectors, dim=-1) if distance == "cosine" else vectors
        if learning == "gradient":
            self.vectors = nn.Parameter(vectors)
        else:
            self.register_buffer("vectors", vectors)
        self.register_buffer("usage", torch.full((size,), max(threshold, 1.0)))
        self.register_buffer("sums", vectors.clone() * self.usage[:, None])

    def entries(self) -> Tensor:
        """The vectors codes stand for, `[V D]`."""
        return F.normalize(self.vectors, dim=-1) if self.distance == "cosine" else self.vectors

    @torch.no_grad()
    def nearest(self, rows: Tensor) -> Tensor:
        """`[M D]` -> codes `[M]`; lengths of the rows do not change the nearest direction."""
        return nearest(rows, self.entries())

    @torch.no_grad()
    def initialise(self, rows: Tensor, *, n_iterations: int, n_starts: int = 1) -> None:
        """Start from the k-means centres of rows `[M D]`."""
        cosine = self.distance == "cosine"
        centres, clusters = kmeans(rows, len(self.vectors), n_iterations=n_iterations, n_starts=n_starts, cosine=cosine)
        counts = torch.bincount(clusters, minlength=len(centres)).to(self.usage.dtype)
        self._place(torch.ones_like(counts, dtype=torch.bool), centres, counts.clamp(min=max(self.threshold, 1.0)))

    @torch.no_grad()
    def learn(self, rows: Tensor, codes: Tensor, reserve: Tensor | None = None) -> None:
        """Take note of what codes `[M]` were used for, move the entries there, restart those nobody uses.

        Restarts are drawn from the rows, or from a reserve `[P D]`: there those far from all entries more often, and
        they live on for a while without a use.
        """
        rows = F.normalize(rows, dim=-1) if self.distance == "cosine" else rows
        self.usage.mul_(self.decay).add_(torch.bincount(codes, minlength=len(self.usage)))
        if self.learning == "ema":
            self.sums.mul_(self.decay).index_add_(0, codes, rows)
            known = self.usage[:, None] > 1e-3  # without restarts, an entry nobody uses stays where it was
            self.vectors.copy_(torch.where(known, self.sums / self.usage[:, None], self.vectors))
        dead = self.usage < self.threshold
        if dead.any() and len(rows):
            grace = 1.0 if reserve is None else _GRACE
            self._place(dead, self._restarts(int(dead.sum()), rows, reserve), grace * self.threshold)

    def _restarts(self, count: int, rows: Tensor, reserve: Tensor | None) -> Tensor:
        """`[count D]`."""
        if reserve is None:
            return rows[torch.randint(len(rows), (count,), device=rows.device)]
        entries = self.entries()
        odds = (reserve - entries[nearest(reserve, entries)]).square().sum(dim=-1) + 1e-9
        return reserve[torch.multinomial(odds, count, replacement=count > len(reserve))]

    def _place(self, where: Tensor, vectors: Tensor, usage: Tensor | float) -> None:
        self.vectors.data[where] = vectors.to(self.vectors.dtype)  # a graph that has read them is still to be walked
        self.usage[where] = usage
        self.sums[where] = vectors * self.usage[where][:, None]


class ResidualQuantizer(nn.Module):
    """A stack of codebooks, each for what the ones before it left over; with one of them, plain vector quantisation.

    Args:
        n_codebooks: K.
        codebook_size: V, entries of each.
        n_features: D.
        distance: of every level.
        learning: of every level.
        decay: of the accumulated usage.
        threshold: usage below which an entry restarts while training; 0 never.
        dropout: probability that an item keeps only its first levels, as many as a uniform draw says.

    Raises:
        SoliError: for an unknown distance or learning.
    """

    def __init__(
        self,
        n_codebooks: int,
        codebook_size: int,
        n_features: int,
        *,
        distance: Distance = "euclidean",
        learning: Learning = "ema",
        decay: float = 0.97,
        threshold: float = 2.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        for name, value, allowed in (("distance", distance, Distance), ("learning", learning, Learning)):
            if value not in get_args(allowed):
                raise SoliError(f"{name}={value!r}; allowed: {', '.join(get_args(allowed))}")
        self.n_features, self.dropout = n_features, dropout
        self.codebooks: Sequence[Codebook] = nn.ModuleList(  # type: ignore[assignment]
            Codebook(codebook_size, n_features, distance=distance, learning=learning, decay=decay, threshold=threshold)
            for _ in range(n_codebooks)
        )

    def forward(self, latents: Tensor) -> Quantized:
        """Quantise; in training mode the codebooks also learn from what they see.

        Args:
            latents: `[B D N]`.

        Returns:
            Quantised latents, codes and losses, in single precision.
        """
        with torch.autocast(latents.device.type, enabled=False):
            return self._quantize(latents.float())

    def _quantize(self, latents: Tensor) -> Quantized:
        rows = self._rows(latents)  # [M D]
        kept = self._kept_levels(len(latents), latents.device).repeat_interleave(latents.shape[-1])  # [M]
        total = torch.zeros_like(rows)
        codes, commitment, codebook_loss = [], [], []
        for level, codebook in enumerate(self.codebooks):
            on = kept > level
            residual = (rows.detach() - total)[on]
            found = codebook.nearest(residual)
            chosen = codebook.entries()[found]
            codes.append(found.new_full((len(rows),), DROPPED).masked_scatter(on, found))
            codebook_loss.append(F.mse_loss(chosen, residual) if len(found) else rows.new_zeros(()))
            total = total.index_add(0, on.nonzero()[:, 0], chosen.detach())
            commitment.append(F.mse_loss(rows[on], total[on]) if len(found) else rows.new_zeros(()))
            if self.training:
                codebook.learn(residual, found)
        straight = rows + (total - rows).detach()
        return Quantized(
            self._latents(straight, latents),
            torch.stack([level.view(len(latents), -1) for level in codes], dim=1),
            torch.stack(commitment),
            torch.stack(codebook_loss),
        )

    @torch.no_grad()
    def encode(self, latents: Tensor) -> Tensor:
        """Codes of latents; nothing is dropped and nothing learned.

        Args:
            latents: `[B D N]`.

        Returns:
            `[B K N]`.
        """
        residual = self._rows(latents.float())
        codes = []
        for codebook in self.codebooks:
            codes.append(codebook.nearest(residual))
            residual = residual - codebook.entries()[codes[-1]]
        return torch.stack([level.view(len(latents), -1) for level in codes], dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """What codes stand for.

        Args:
            codes: `[B K' N]` of the first K' levels; `DROPPED` adds nothing.

        Returns:
            Latents `[B D N]`.

        Raises:
            SoliError: too many levels, or a code that no codebook has.
        """
        size = len(self.codebooks[0].vectors)
        if codes.ndim != 3 or codes.shape[1] > len(self.codebooks):
            raise SoliError(f"codes {list(codes.shape)}; allowed: [B K N] with K up to {len(self.codebooks)}")
        if codes.numel() and not (int(codes.min()) >= DROPPED and int(codes.max()) < size):
            raise SoliError(f"codes from {int(codes.min())} to {int(codes.max())}; allowed: {DROPPED} to {size - 1}")
        total = torch.zeros((), device=codes.device)
        for level, codebook in zip(codes.unbind(dim=1), self.codebooks, strict=False):
            total = total + codebook.entries()[level.clamp(min=0)] * (level != DROPPED)[..., None]
        return total.movedim(-1, 1)

    @torch.no_grad()
    def initialise(self, latents: Tensor, *, n_iterations: int = 50, n_starts: int = 1) -> None:
        """Residual k-means: each codebook starts from the centres of what the ones before it leave over.

        Args:
            latents: of several batches together, `[B D N]`, eight vectors or more for each entry if there are.
            n_iterations: of k-means, at most.
            n_starts: of k-means; the best is kept.

        Raises:
            SoliError: fewer vectors than entries.
        """
        residual = self._rows(latents.float())
        for codebook in self.codebooks:
            codebook.initialise(residual, n_iterations=n_iterations, n_starts=n_starts)
            residual = residual - codebook.entries()[codebook.nearest(residual)]

    def usage(self) -> Usage:
        """Perplexity and dead entries of each level."""
        shares = torch.stack([codebook.usage for codebook in self.codebooks])
        dead = torch.stack([codebook.usage < codebook.threshold for codebook in self.codebooks]).sum(dim=-1)
        return Usage(torch.distributions.Categorical(probs=shares).entropy().exp(), dead)

    def _kept_levels(self, n_items: int, device: torch.device) -> Tensor:
        """How many levels each item keeps, `[B]`."""
        n_codebooks = len(self.codebooks)
        everything = torch.full((n_items,), n_codebooks, device=device)
        if not (self.training and self.dropout > 0):
            return everything
        fewer = torch.randint(1, n_codebooks + 1, (n_items,), device=device)
        return torch.where(torch.rand(n_items, device=device) < self.dropout, fewer, everything)

    def _rows(self, latents: Tensor) -> Tensor:
        """`[B D N]` -> `[B*N D]`."""
        if latents.ndim != 3 or latents.shape[1] != self.n_features:
            raise SoliError(f"latents {list(latents.shape)}; allowed: [B {self.n_features} N]")
        return latents.movedim(1, -1).reshape(-1, self.n_features)

    @staticmethod
    def _latents(rows: Tensor, like: Tensor) -> Tensor:
        """`[B*N D]` -> `[B D N]`."""
        return rows.view(like.shape[0], like.shape[2], -1).movedim(-1, 1)
