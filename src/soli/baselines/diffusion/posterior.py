"""The derivative of sources given their mixture, from a denoiser of the sources (Mariani et al. 2023, section 4)."""

from __future__ import annotations

from torch import Tensor

from soli.baselines.diffusion.karras import Denoiser, Derivative, unconditional


def dirac(denoise: Denoiser, mixture: Tensor, source_id: int) -> Derivative:
    """The constrained source is what the others leave; the others follow their score minus its score (equation 12).

    Args:
        denoise: of the sources.
        mixture: `[B T]`.
        source_id: index of the constrained source.

    Returns:
        dx / dsigma, zero for the constrained source.
    """
    prior = unconditional(denoise)

    def derivative(x: Tensor, sigma: float) -> Tensor:
        change = prior(constrained(x, mixture, source_id), sigma)
        return change - change[:, source_id, None]

    return derivative


def constrained(x: Tensor, mixture: Tensor, source_id: int) -> Tensor:
    """Make sources sum to the mixture by what one of them is.

    Args:
        x: `[B S T]`.
        mixture: `[B T]`.
        source_id: index of that source.

    Returns:
        `[B S T]`.
    """
    x = x.clone()
    x[:, source_id] = 0
    x[:, source_id] = mixture - x.sum(dim=1)
    return x


def gaussian(denoise: Denoiser, mixture: Tensor, gamma: float) -> Derivative:
    """All sources are pulled so that they sum to the mixture.

    The likelihood of the mixture is N(sum of the sources, 2 (gamma sigma)^2): the two is not in the paper's equation
    but in the code released with it, whose gamma = 0.75 stands in its tables.

    Args:
        denoise: of the sources.
        mixture: `[B T]`.
        gamma: in units of the noise level.

    Returns:
        dx / dsigma.
    """
    prior = unconditional(denoise)

    def derivative(x: Tensor, sigma: float) -> Tensor:
        missing = mixture[:, None] - x.sum(dim=1, keepdim=True)
        return prior(x, sigma) - missing / (2 * gamma**2 * sigma)

    return derivative
