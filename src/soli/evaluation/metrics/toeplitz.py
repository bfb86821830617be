"""Fast solution of symmetric block Toeplitz systems.

A dense factorisation of `n` blocks of `p` takes `(n p)^3 / 3` operations. This one uses that a block Toeplitz matrix
differs from itself, moved down by a block, by a matrix of rank `2 p` only, and takes about `4 n^2 p^3`: the generalised
Schur algorithm (Kailath and Sayed 1995), with hyperbolic rotations in the mixed form that keeps them stable
(Bojanczyk, Brent, de Hoog and Sweet 1995).
"""

from __future__ import annotations

import torch
from torch import Tensor

_FIRST_RIDGE, _LAST_RIDGE = 1e-15, 1e-6
_BLOCK_SIZE = 16  # smaller blocks are taken together: the number of steps falls, the work in each is still small


def solve_block_toeplitz(column: Tensor, right: Tensor) -> Tensor:
    """Solve `T x = right` for a positive semi-definite block Toeplitz matrix T.

    Block `(k, l)` of T is `column[k - l]` for `k >= l` and `column[l - k]` transposed above the diagonal. Where T is
    singular to working precision, the smallest sufficient power of ten, from 1e-15 on, is added to its diagonal:
    scale the unknowns so that the diagonal is about one.

    Args:
        column: first block column, double precision, `[... L P P]`.
        right: right-hand sides, `[... L P Q]`.

    Returns:
        `[... L P Q]`; NaN where no ridge up to 1e-6 makes T positive definite.
    """
    shape = right.shape
    column = _group(column.reshape(-1, *column.shape[-3:]))
    right = right.reshape(-1, *column.shape[1:3], shape[-1])
    ridge = 0.0
    identity = torch.eye(column.shape[-1], dtype=column.dtype, device=column.device)
    while ridge <= _LAST_RIDGE:
        ridged = column.clone()
        ridged[:, 0] += ridge * identity
        factor = _factor(ridged)
        if factor is not None:
            return _substitute(factor, right).reshape(shape)
        ridge = 10 * ridge or _FIRST_RIDGE
    return torch.full(shape, float("nan"), dtype=right.dtype, device=right.device)


def _group(column: Tensor) -> Tensor:
    """Take neighbouring blocks together: `[B L P P]` -> `[B L/g g*P g*P]`, the first column of the same matrix."""
    _, length, size, _ = column.shape
    together = max(g for g in range(1, max(_BLOCK_SIZE // size, 1) + 1) if length % g == 0)
    lags = torch.cat([column[:, 1:together].flip(1).mT, column], dim=1)  # from -(g-1) to L-1
    within = torch.arange(together, device=column.device)
    starts = torch.arange(together - 1, length + together - 1, together, device=column.device)
    blocks = lags[:, starts[:, None, None] + within[:, None] - within]  # [B L/g g g P P]
    return blocks.transpose(3, 4).reshape(-1, length // together, together * size, together * size)


def _factor(column: Tensor) -> list[Tensor] | None:
    """Block rows of F with `T = F^T F`: row k, from the diagonal on, is `[B P (L-k) P]`; None if T is not definite."""
    size = column.shape[-1]
    root, failed = torch.linalg.cholesky_ex(column[:, 0])
    if failed.any():
        return None
    # T minus T moved down by a block = plus^T plus - minus^T minus
    plus = torch.linalg.solve_triangular(root, column.permute(0, 3, 1, 2).flatten(2), upper=False)
    minus = plus.clone()
    minus[..., :size] = 0
    rows = [plus]
    for _ in range(column.shape[1] - 1):
        plus, minus = plus[..., :-size], minus[..., size:]
        try:
            ratio = torch.linalg.solve(plus[..., :size], minus[..., :size], left=False)
            left, sine, right = torch.linalg.svd(ratio)
        except torch.linalg.LinAlgError:  # pyright: ignore[reportPrivateImportUsage]
            return None
        if not (sine[..., 0] < 1).all():
            return None
        sine = sine[..., None]
        cosine = ((1 - sine) * (1 + sine)).sqrt()
        plus, minus = right @ plus, left.mT @ minus
        plus = torch.addcmul(plus, sine, minus, value=-1).div_(cosine)
        minus = minus.mul_(cosine).addcmul_(sine, plus, value=-1)
        rows.append(plus)
    return rows


def _substitute(rows: list[Tensor], right: Tensor) -> Tensor:
    """Solve `F^T F x = right` by forward, then backward substitution."""
    size = right.shape[-2]
    inverses = torch.linalg.inv(torch.stack([row[..., :size] for row in rows], dim=1))
    rest = right.flatten(1, 2).clone()
    for k, row in enumerate(rows):
        done = slice(k * size, (k + 1) * size)
        rest[:, done] = inverses[:, k].mT @ rest[:, done]
        rest[:, done.stop :].baddbmm_(row[..., size:].mT, rest[:, done], alpha=-1)
    for k, row in reversed(list(enumerate(rows))):
        done = slice(k * size, (k + 1) * size)
        known = rest[:, done] - row[..., size:] @ rest[:, done.stop :]
        rest[:, done] = inverses[:, k] @ known
    return rest.view_as(right)
