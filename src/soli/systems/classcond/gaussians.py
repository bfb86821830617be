"""Class-conditional Gaussians over the embedding: the M step is a network, the E step a mask (section 3, eq. 5).

Variances broadcast: `[S D]` diagonal, `[S 1]` spherical, `[1 D]` tied diagonal, `[1 1]` tied
spherical. The shape tells the functions below which terms they can leave out, so a caller
that expands a tied variance to `[S D]` gets the same numbers, only slower.

Squares are expanded into matrix products, so that nothing of size S x D per bin is ever made,
and everything runs in single precision whatever autocast says.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from soli.errors import SoliError

Covariance = Literal["diagonal", "diagonal_tied", "spherical", "spherical_tied"]
VarianceFunction = Literal["square", "softplus"]

SQUARE_FLOOR = 1e-6
SOFTPLUS_FLOOR = 1e-2


class Gaussians(NamedTuple):
    """A Gaussian mixture with one component for each class.

    Attributes:
        means: `[S D]`.
        variances: `[S D]`, or 1 in place of S (tied) or of D (spherical).
        log_priors: `[S]`, log probabilities.
    """

    means: Tensor
    variances: Tensor
    log_priors: Tensor


class AuxiliaryNet(nn.Module):
    """One linear layer without bias from a one-hot class to the parameters of its Gaussian (section 3).

    The output of size 2 D + 1 is split into mean, variance parameter and prior logit. With
    one-hot inputs the layer is a table with one column for each class.

    Args:
        n_classes: S.
        embedding_size: D.
        covariance: which variances are shared, over classes (tied) or features (spherical).
        variance_function: `square` is the paper's v**2; `softplus` keeps a gradient at zero
            and a larger floor.

    Raises:
        SoliError: for an unknown covariance or variance function.
    """

    def __init__(
        self,
        n_classes: int,
        embedding_size: int,
        covariance: Covariance = "spherical_tied",
        variance_function: VarianceFunction = "square",
    ) -> None:
        super().__init__()
        _check_choice("covariance", covariance, get_args(Covariance))
        _check_choice("variance_function", variance_function, get_args(VarianceFunction))
        self.embedding_size = embedding_size
        self.covariance = covariance
        self.variance_function = variance_function
        self.linear = nn.Linear(n_classes, 2 * embedding_size + 1, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Means and prior logits Xavier-normal, every variance one."""
        square = self.variance_function == "square"
        unit_variance = 1.0 if square else math.log(math.expm1(1.0 - SOFTPLUS_FLOOR))
        nn.init.xavier_normal_(self.linear.weight)
        with torch.no_grad():
            self.linear.weight[self.embedding_size : -1] = unit_variance

    def forward(self, one_hot: Tensor | None = None) -> Gaussians:
        """Make the Gaussians of some classes; tying and the prior are over the classes given.

        Args:
            one_hot: `[S n_classes]`, a row for each class that is present; by default all of them.

        Returns:
            Gaussians in single precision.
        """
        weight = self.linear.weight.float()
        table = weight.T if one_hot is None else one_hot.float() @ weight.T
        means, spread, logits = table.split([self.embedding_size, self.embedding_size, 1], dim=-1)
        return Gaussians(means, self._variances(spread), logits[:, 0].log_softmax(dim=0))

    def _variances(self, spread: Tensor) -> Tensor:
        """Positive variances `[S D]`, averaged over the axes that share one value."""
        if self.variance_function == "square":
            variances = spread.square() + SQUARE_FLOOR
        else:
            variances = F.softplus(spread) + SOFTPLUS_FLOOR
        if self.covariance.startswith("spherical"):
            variances = variances.mean(dim=1, keepdim=True)
        if self.covariance.endswith("tied"):
            variances = variances.mean(dim=0, keepdim=True)
        return variances


def log_likelihoods(embedding: Tensor, means: Tensor, variances: Tensor) -> Tensor:
    """Log density of every embedding under every Gaussian, without the priors.

    Args:
        embedding: `[... D]`.
        means: `[S D]`.
        variances: `[S D]`, or 1 in place of S or D.

    Returns:
        `[... S]`, at least single precision.
    """
    with torch.autocast(embedding.device.type, enabled=False):
        bins, means, variances = _flat(embedding, means, variances)
        return _unflat(_log_likelihoods(bins, means, variances), embedding)


def posteriors(embedding: Tensor, means: Tensor, variances: Tensor, log_priors: Tensor) -> Tensor:
    """E step: the probability of each class for every embedding, which is the mask (eq. 5).

    With a tied covariance the squares of the embedding cancel, and what is left is a linear
    softmax classifier: softmax_k(x' Var^-1 mu_k - mu_k' Var^-1 mu_k / 2 + log prior_k).

    Args:
        embedding: `[... D]`.
        means: `[S D]`.
        variances: `[S D]`, or 1 in place of S or D.
        log_priors: `[S]`.

    Returns:
        `[... S]`, non-negative, sums to one over the last axis.
    """
    with torch.autocast(embedding.device.type, enabled=False):
        bins, means, variances, log_priors = _flat(embedding, means, variances, log_priors)
        if variances.shape[0] == 1:
            offset = log_priors - 0.5 * (means.square() / variances).sum(dim=1)
            scores = (means / variances) @ bins.T + offset[:, None]
        else:
            scores = _log_likelihoods(bins, means, variances) + log_priors[:, None]
        return _unflat(scores.softmax(dim=0), embedding)


def _log_likelihoods(bins: Tensor, means: Tensor, variances: Tensor) -> Tensor:
    """`[bins D]` -> `[S bins]`."""
    log_volume = (2 * math.pi * variances).log().expand_as(means).sum(dim=1)
    offset = -0.5 * ((means.square() / variances).sum(dim=1) + log_volume)
    scores = (means / variances) @ bins.T + offset[:, None]
    if variances.shape[1] == 1:
        return scores - 0.5 / variances * torch.linalg.vecdot(bins, bins)
    return scores - (0.5 / variances) @ bins.square().T


def _flat(embedding: Tensor, *parameters: Tensor) -> list[Tensor]:
    """The embedding as `[bins D]` and the parameters, in its precision but at least single."""
    dtype = torch.promote_types(embedding.dtype, torch.float32)
    tensors = (embedding.reshape(-1, embedding.shape[-1]), *parameters)
    return [tensor.to(dtype).contiguous() for tensor in tensors]  # skinny products are slow with a transposed factor


def _unflat(scores: Tensor, embedding: Tensor) -> Tensor:
    """`[S bins]` -> `[... S]`, a view: the class axis is the slow one in memory, which the softmax needs."""
    return scores.reshape(-1, *embedding.shape[:-1]).movedim(0, -1)


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SoliError(f"{name}={value!r}; allowed: {', '.join(allowed)}")
