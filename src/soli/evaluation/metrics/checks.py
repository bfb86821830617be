"""What every metric asks of its input, and how powers become decibels."""

from __future__ import annotations

from torch import Tensor

from soli.errors import SoliError


def check_same_shape(references: Tensor, estimates: Tensor, axes: str) -> None:
    """Refuse signals that cannot be compared.

    Args:
        references: the truth.
        estimates: what is judged.
        axes: the shape to name in the message, such as `[... C T]`; axes after the dots must be there, not empty.

    Raises:
        SoliError: the shapes differ, or an axis is missing or empty.
    """
    n_axes = len(axes.strip("[]").replace("...", "").split())
    exact = "..." not in axes
    wrong = references.ndim != n_axes if exact else references.ndim < n_axes
    if references.shape != estimates.shape or wrong or 0 in references.shape:
        shapes = f"references {list(references.shape)}, estimates {list(estimates.shape)}"
        raise SoliError(f"{shapes}; a metric needs one shape {axes} for both, no axis empty")


def decibels(signal: Tensor, distortion: Tensor) -> Tensor:
    """Ratio of two powers in dB: infinite without distortion, NaN where both are zero."""
    return 10 * (signal / distortion).log10()
