"""When and from what the codebooks start: k-means on the latents of several batches, a while into the training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from soli.systems.rqvae.bottleneck import StemQuantizer


class CodebookStart(nn.Module):
    """Collects latents until the codebooks start from them.

    Everything it remembers is a buffer, so that a resumed training starts its codebooks at the same step and from the
    same latents.

    Args:
        quantizer: that it starts.
        vectors_per_code: latents collected for each entry.
        after: steps before the start, more if fewer latents have been seen by then.
        n_iterations: of k-means, at most.
    """

    pool: Tensor
    seen: Tensor
    steps: Tensor

    def __init__(self, quantizer: StemQuantizer, *, vectors_per_code: int, after: int, n_iterations: int) -> None:
        super().__init__()
        self.after, self.n_iterations = after, n_iterations
        n_vectors = max(vectors_per_code, 1) * quantizer.codebook_size
        n_features = quantizer.stems[0].n_features
        self.register_buffer("pool", torch.zeros(len(quantizer.stems), n_vectors, n_features, dtype=torch.bfloat16))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def observe(self, quantizer: StemQuantizer, latents: Tensor) -> None:
        """Note the latents of a step, and start the codebooks when it is time.

        Args:
            quantizer: unchanged unless it is time.
            latents: `[B S D N]`, before quantisation.
        """
        if quantizer.ready:
            return
        rows = latents.permute(1, 0, 3, 2).flatten(1, 2)  # [S M D]
        size = self.pool.shape[1]
        places = (self.seen + torch.arange(min(rows.shape[1], size), device=rows.device)) % size
        self.pool[:, places] = rows[:, : len(places)].to(self.pool.dtype)
        self.seen += len(places)
        self.steps += 1
        if int(self.steps) >= self.after and int(self.seen) >= size:
            quantizer.initialise(self.pool.float(), n_iterations=self.n_iterations)
