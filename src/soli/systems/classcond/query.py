"""Query by an isolated example: one Gaussian fitted to the example's embedding (section 4.3).

The functions know nothing of the network: they take embeddings of any layout with the
features last. Two masks can be made from the fitted Gaussian:

- `likelihood`, the paper's: the density divided by the largest one in the mixture. A
  single component has a posterior of one everywhere, hence the likelihood.
- `posterior`: the contrastive posterior of the query against other Gaussians, usually those of
  the classes. It is the E step again, with one more component.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Literal, get_args

import torch
from torch import Tensor

from soli.errors import SoliError
from soli.systems.classcond.gaussians import Gaussians, log_likelihoods, posteriors

QueryMode = Literal["likelihood", "posterior"]
QueryCovariance = Literal["diagonal", "spherical"]
ACTIVE_DB = -40.0
RELATIVE_FLOOR = 1e-3
ABSOLUTE_FLOOR = 1e-6


def active_weights(magnitude: Tensor, threshold_db: float = ACTIVE_DB) -> Tensor:
    """How much each bin says about what an example sounds like.

    Weights follow the magnitude: most of an example's bins hold little more than the skirts
    of its loud ones, and counted equally they would decide where the Gaussian lies.

    Args:
        magnitude: `[...]` of the whole example, of bins or of bands.
        threshold_db: bins this far below the loudest one count for nothing, in dB.

    Returns:
        `[...]`, the magnitude or zero.
    """
    return magnitude * (magnitude > magnitude.amax() * 10 ** (threshold_db / 20))


def fit_gaussian(embedding: Tensor, weights: Tensor, covariance: QueryCovariance = "diagonal") -> Gaussians:
    """Fit one Gaussian to an isolated example.

    Args:
        embedding: `[... D]`.
        weights: `[...]`, non-negative; a boolean mask counts its bins equally.
        covariance: one variance for each feature, or one for all.

    Returns:
        Gaussians with S = 1 and prior one; no variance is below a thousandth of their mean.

    Raises:
        SoliError: if all weights are zero or the covariance is unknown.
    """
    if covariance not in get_args(QueryCovariance):
        raise SoliError(f"covariance={covariance!r} of a query; allowed: {', '.join(get_args(QueryCovariance))}")
    samples, shares = _weighted_samples(embedding, weights)
    means = shares @ samples  # [1 D]
    variances = shares @ (samples - means).square()
    average = variances.mean(dim=1, keepdim=True)
    floor = (RELATIVE_FLOOR * average).clamp(min=ABSOLUTE_FLOOR)
    variances = average if covariance == "spherical" else variances
    return Gaussians(means, torch.maximum(variances, floor), means.new_zeros(1))


def contrastive_mask(embedding: Tensor, query: Gaussians, contrast: Gaussians, temperature: float = 1.0) -> Tensor:
    """Posterior of the query against other Gaussians: q / (q + sum_k prior_k N_k).

    Unlike the likelihood it does not depend on the rest of the mixture, so a long recording
    may be masked piece by piece.

    Args:
        embedding: `[... D]`.
        query: as `fit_gaussian` returns it.
        contrast: what the query competes with; see `competitors`.
        temperature: above one softens the decision, below one hardens it.

    Returns:
        `[...]` between 0 and 1.

    Raises:
        SoliError: if the temperature is not positive.
    """
    _check_temperature(temperature)
    log_query = log_likelihoods(embedding, query.means, query.variances)[..., 0] + query.log_priors[0]
    log_others = log_likelihoods(embedding, contrast.means, contrast.variances) + contrast.log_priors
    return ((log_query - log_others.logsumexp(dim=-1)) / temperature).sigmoid()


def competitors(embedding: Tensor, weights: Tensor, classes: Gaussians) -> Gaussians:
    """The class Gaussians with the example's own class taken out of the prior.

    A drum example would otherwise compete with the class drums, and lose part of every drum.
    Each prior is multiplied by the share of the example that the class does not explain.

    Args:
        embedding: `[... D]` of the example.
        weights: `[...]`, as for `fit_gaussian`.
        classes: the learned Gaussians.

    Returns:
        The same Gaussians with other priors, which sum to less than one.

    Raises:
        SoliError: if all weights are zero.
    """
    samples, shares = _weighted_samples(embedding, weights)
    unexplained = 1 - (shares @ posteriors(samples, *classes))[0]  # [S]
    smallest = torch.finfo(unexplained.dtype).eps
    return classes._replace(log_priors=classes.log_priors + unexplained.clamp(min=smallest).log())


def mask_function(
    example: Tensor,
    weights: Tensor,
    classes: Gaussians,
    mode: QueryMode = "likelihood",
    temperature: float = 1.0,
) -> Callable[[Iterable[Tensor]], list[Tensor]]:
    """Fit the example once; the result masks a mixture that comes in pieces.

    Args:
        example: `[... D]`, the embedding of the example.
        weights: the example's layout without features; see `active_weights`.
        classes: the learned Gaussians, for the mode `posterior`.
        mode: `likelihood` is the paper's; `posterior` is contrastive.
        temperature: softness of the mask.

    Returns:
        A function from the embeddings `[... D]` of all pieces of one mixture to their masks `[...]`.

    Raises:
        SoliError: for an unknown mode, a silent example or a temperature that is not positive.
    """
    if mode not in get_args(QueryMode):
        raise SoliError(f"mode={mode!r}; allowed: {', '.join(get_args(QueryMode))}")
    _check_temperature(temperature)
    query = fit_gaussian(example, weights)
    contrast = competitors(example, weights, classes)

    def likelihood(pieces: Iterable[Tensor]) -> list[Tensor]:
        densities = [log_likelihoods(piece, query.means, query.variances)[..., 0] for piece in pieces]
        largest = torch.stack([density.amax() for density in densities]).amax()
        return [((density - largest) / temperature).exp() for density in densities]

    def posterior(pieces: Iterable[Tensor]) -> list[Tensor]:
        return [contrastive_mask(piece, query, contrast, temperature) for piece in pieces]

    return likelihood if mode == "likelihood" else posterior


def query_mask(
    embedding: Tensor,
    example: Tensor,
    weights: Tensor,
    classes: Gaussians,
    mode: QueryMode = "likelihood",
    temperature: float = 1.0,
) -> Tensor:
    """Fit the example and mask a mixture that fits in memory.

    Args:
        embedding: `[... D]` of one whole mixture.
        example: see `mask_function`.
        weights: see `mask_function`.
        classes: see `mask_function`.
        mode: see `mask_function`.
        temperature: see `mask_function`.

    Returns:
        `[...]` between 0 and 1, the layout of the mixture's embedding.
    """
    return mask_function(example, weights, classes, mode, temperature)([embedding])[0]


def _weighted_samples(embedding: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Bins that count `[bins D]` and their shares `[1 bins]`, which sum to one."""
    active = weights > 0
    if not active.any():
        raise SoliError("the example is silent; there is nothing to look for")
    shares = weights[active].float()[None]
    return embedding[active].float(), shares / shares.sum()


def _check_temperature(temperature: float) -> None:
    if not (temperature > 0 and math.isfinite(temperature)):
        raise SoliError(f"temperature={temperature}; a positive number is needed")
