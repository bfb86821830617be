"""Do discrete codes mean anything? Scores of a histogram that counts classes by codes, `[... classes codes]`.

What has no answer is NaN: an empty histogram; agreement of one class with one code; completeness where all items share
one code, homogeneity where they are all of one class. Some libraries return 1 there, which would praise a collapsed
codebook. Several histograms are scored at once, each on its own.
"""

from __future__ import annotations

import torch
from torch import Tensor

from soli.errors import SoliError


def class_code_histogram(classes: Tensor, codes: Tensor, *, n_classes: int, n_codes: int) -> Tensor:
    """Count how often each code was given to each class.

    Args:
        classes: integers from 0 to n_classes - 1, `[... items]`.
        codes: integers from 0 to n_codes - 1, `[... items]`.
        n_classes: number of rows.
        n_codes: number of columns.

    Returns:
        Integers `[... classes codes]`.

    Raises:
        SoliError: the shapes differ, or a number lies outside its range.
    """
    if classes.shape != codes.shape or classes.ndim < 1:
        raise SoliError(f"classes {list(classes.shape)}, codes {list(codes.shape)}; one shape [... items] is needed")
    for name, values, size in (("class", classes, n_classes), ("code", codes, n_codes)):
        if values.is_floating_point() or ((values < 0) | (values >= size)).any():
            raise SoliError(f"{name} numbers of type {values.dtype}; allowed: integers from 0 to {size - 1}")
    cells = (classes.long() * n_codes + codes.long()).reshape(-1, classes.shape[-1])
    counts = cells.new_zeros(len(cells), n_classes * n_codes).scatter_add_(1, cells, torch.ones_like(cells))
    return counts.view(*classes.shape[:-1], n_classes, n_codes)


def purity(histogram: Tensor) -> Tensor:
    """Share of the items that belong to the most frequent class of their code.

    Args:
        histogram: counts `[... classes codes]`.

    Returns:
        `[...]` from 0 to 1; NaN for an empty histogram. It rises with the number of codes: compare equal ones.
    """
    counts = _counts(histogram)
    return counts.amax(-2).sum(-1) / counts.sum((-2, -1))


def homogeneity(histogram: Tensor) -> Tensor:
    """How much of the class a code tells: 1 - H(class | code) / H(class) (Rosenberg and Hirschberg 2007).

    Args:
        histogram: counts `[... classes codes]`.

    Returns:
        `[...]` from 0 to 1; NaN where there is only one class, or no item.
    """
    counts = _counts(histogram)
    return _information(counts) / _entropy(counts.sum(-1))


def completeness(histogram: Tensor) -> Tensor:
    """How much of the code a class tells: 1 - H(code | class) / H(code) (Rosenberg and Hirschberg 2007).

    Args:
        histogram: counts `[... classes codes]`.

    Returns:
        `[...]` from 0 to 1; NaN where only one code is used, or there is no item.
    """
    counts = _counts(histogram)
    return _information(counts) / _entropy(counts.sum(-2))


def normalized_mutual_information(histogram: Tensor) -> Tensor:
    """Mutual information of class and code over the arithmetic mean of their entropies.

    Args:
        histogram: counts `[... classes codes]`.

    Returns:
        `[...]` from 0 to 1; NaN for one class with one code, or no item.
    """
    counts = _counts(histogram)
    return 2 * _information(counts) / (_entropy(counts.sum(-1)) + _entropy(counts.sum(-2)))


def adjusted_rand_index(histogram: Tensor) -> Tensor:
    """Pairs of items on which class and code agree, corrected for chance (Hubert and Arabie 1985).

    Args:
        histogram: counts `[... classes codes]`.

    Returns:
        `[...]`, 0 for chance and 1 for agreement; NaN where every grouping agrees: fewer than two items, one class
        with one code, or all items apart in both.
    """
    counts = _counts(histogram)
    pairs, by_class, by_code = _pairs(counts), _pairs(counts.sum(-1)), _pairs(counts.sum(-2))
    pairs, total = pairs.sum((-2, -1)), _pairs(counts.sum((-2, -1)))
    by_class, by_code = by_class.sum(-1), by_code.sum(-1)
    expected = by_class * by_code / total
    return (pairs - expected) / ((by_class + by_code) / 2 - expected)


def perplexity(counts: Tensor) -> Tensor:
    """Number of codes that would be in use if all were used equally: e to the entropy of their use.

    Args:
        counts: uses of each code, `[... codes]`; of a histogram, its sum over classes.

    Returns:
        `[...]` from 1 to the number of codes; NaN where no code was used.
    """
    counts = counts.double()
    return _entropy(counts).exp()


def dead_codes(counts: Tensor, *, below: float = 0.01) -> Tensor:
    """Which codes are used for less than a share of the items?

    Args:
        counts: uses of each code, `[... codes]`.
        below: the share.

    Returns:
        Booleans `[... codes]`; all true where no code was used.
    """
    counts = counts.double()
    return counts / counts.sum(-1, keepdim=True).clamp(min=1) < below


def _counts(histogram: Tensor) -> Tensor:
    """Double precision, after a look at the shape."""
    if histogram.ndim < 2 or (histogram < 0).any():
        raise SoliError(f"histogram {list(histogram.shape)}; counts of 0 or more, [... classes codes], are needed")
    return histogram.double()


def _entropy(counts: Tensor) -> Tensor:
    """Entropy of the last axis in nats; NaN without items."""
    share = counts / counts.sum(-1, keepdim=True)
    return -torch.xlogy(share, share).sum(-1)


def _information(counts: Tensor) -> Tensor:
    """Mutual information of the last two axes in nats."""
    return (_entropy(counts.sum(-1)) + _entropy(counts.sum(-2)) - _entropy(counts.flatten(-2))).clamp(min=0)


def _pairs(counts: Tensor) -> Tensor:
    """How many pairs can be drawn?"""
    return counts * (counts - 1) / 2
