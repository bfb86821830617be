"""How many clusters there are: three answers that can be compared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from soli.nn.silhouette import silhouette
from soli.systems.latentcluster.config import Selection
from soli.systems.latentcluster.soft import SoftClusters, fit_soft

_SILHOUETTE_POINTS = 1500


class Choice(NamedTuple):
    """What was chosen.

    Attributes:
        clusters: the fit with the chosen number.
        scores: number of clusters -> score, the higher the better.
    """

    clusters: SoftClusters
    scores: Mapping[int, float]


def choose(
    points: Tensor, numbers: Sequence[int], how: Selection, generator: torch.Generator, *, independent: float = 0.05
) -> Choice:
    """Fit every number of clusters and keep the best one; of equals the smallest.

    Args:
        points: directions `[P E]`.
        numbers: to choose from, rising.
        how: `silhouette`, `stability` or `bic`.
        generator: of the draws.
        independent: see `bic`.

    Returns:
        The best fit and all scores.
    """
    possible = [number for number in numbers if number <= len(points)] or [len(points)]
    fits = {number: fit_soft(points, number, generator) for number in possible}
    if len(fits) == 1:
        return Choice(next(iter(fits.values())), {})
    scores = {number: score(points, fit, how, generator, independent) for number, fit in fits.items()}
    return Choice(fits[max(scores, key=lambda number: scores[number])], scores)


def score(points: Tensor, fit: SoftClusters, how: Selection, generator: torch.Generator, independent: float) -> float:
    """How good a fit is.

    Args:
        points: `[P E]`.
        fit: of these.
        how: by which measure.
        generator: of the draws.
        independent: see `bic`.

    Returns:
        The higher the better; not comparable between measures.
    """
    if how == "silhouette":
        some = points[torch.randperm(len(points), generator=generator)[:_SILHOUETTE_POINTS].to(points.device)]
        value = float(silhouette(some, fit.responsibilities(some).argmax(dim=1)))
        return -1.0 if math.isnan(value) else value
    if how == "stability":
        return stability(points, len(fit.shares), generator)
    return -bic(fit, points, independent)


def bic(fit: SoftClusters, points: Tensor, independent: float) -> float:
    """Bayesian information criterion (Schwarz 1978), for as many points as say something of their own.

    Args:
        fit: of these points.
        points: `[P E]`.
        independent: share of such points; neighbours in time and band say nearly the same.

    Returns:
        The lower the better.
    """
    n_points = max(independent * len(points), 2.0)
    return -2 * n_points * float(fit.log_likelihood(points)) + fit.n_parameters * math.log(n_points)


def stability(points: Tensor, n_clusters: int, generator: torch.Generator) -> float:
    """How alike two fits to halves of the points sort all of them (after Ben-Hur et al. 2002).

    Args:
        points: `[P E]`.
        n_clusters: S, at least 2 to mean anything.
        generator: of the draw of the halves.

    Returns:
        `alignment` of the two sets of responsibilities.
    """
    order = torch.randperm(len(points), generator=generator).to(points.device)
    halves = order.chunk(2)
    if min(map(len, halves)) < n_clusters:
        return 0.0
    first, second = (fit_soft(points[half], n_clusters, generator).responsibilities(points) for half in halves)
    return alignment(first, second)


def alignment(first: Tensor, second: Tensor) -> float:
    """Correlation of who is together with whom, whatever the clusters are called (Kornblith et al. 2019, eq. 2).

    Args:
        first: responsibilities `[P S]`.
        second: responsibilities `[P S']`.

    Returns:
        From 0 to 1; 1 for equal clusters in any order.
    """
    first, second = (x.double() - x.double().mean(dim=0) for x in (first, second))
    shared = (first.T @ second).square().sum()
    own = (first.T @ first).square().sum() * (second.T @ second).square().sum()
    return float(shared / (own.sqrt() + 1e-12))
