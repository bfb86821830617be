"""Assignments that use every class alike: optimal transport by Sinkhorn's iterations (Cuturi 2013)."""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def balanced_assignment(
    scores: Tensor, *, temperature: float = 0.05, n_iterations: int = 3, strength: float = 1.0
) -> Tensor:
    """Soft assignments of items to classes that score high and give every class the same number of items.

    Maximises the scores plus `temperature` times the entropy; after the last iteration each item's row sums to one, and
    the columns are as equal as the iterations have made them.

    Args:
        scores: `[M V]`, such as cosines; the higher, the better an item fits a class.
        temperature: the lower, the harder the assignment.
        n_iterations: of Sinkhorn; 0 gives the softmax of the scores, which balances nothing.
        strength: exponent of the correction of the columns, 0 to 1. Less than 1 is slower to balance, and with few
            iterations lets common classes keep more items.

    Returns:
        `[M V]`, rows sum to one.
    """
    logs = scores.double() / temperature
    logs = logs - logs.logsumexp(dim=1, keepdim=True)
    for _ in range(n_iterations):
        logs = logs - strength * logs.logsumexp(dim=0, keepdim=True)
        logs = logs - logs.logsumexp(dim=1, keepdim=True)
    return logs.exp().to(scores.dtype)
