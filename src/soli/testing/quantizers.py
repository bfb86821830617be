"""What every vector quantiser promises, run on yours by `check_quantizer`."""

from __future__ import annotations

import copy
import itertools
from typing import Protocol

import torch
from torch import Tensor

from soli.testing.common import distance, require, run_checks

TOLERANCE = 1e-4


class _Quantized(Protocol):
    @property
    def quantized(self) -> Tensor: ...
    @property
    def codes(self) -> Tensor: ...


class Quantizer(Protocol):
    """What is needed of a quantiser: calling it gives `quantized` and `codes`; `encode` and `decode` are its halves."""

    def __call__(self, latents: Tensor) -> _Quantized:
        """Quantise `[B D N]`."""
        ...

    def encode(self, latents: Tensor) -> Tensor:
        """`[B D N]` -> codes `[B K N]`."""
        ...

    def decode(self, codes: Tensor) -> Tensor:
        """Codes of the first levels `[B K' N]` -> `[B D N]`."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """Everything learned."""
        ...


def check_quantizer(quantizer: Quantizer, latents: Tensor) -> tuple[str, ...]:
    """Run every contract check on a quantiser.

    Args:
        quantizer: in evaluation mode, initialised on latents like these.
        latents: `[B D N]`, two items or more.

    Returns:
        The names of the checks, all of which passed.

    Raises:
        AssertionError: the first check that failed, with what was expected and what was seen.
    """
    return run_checks(CHECKS, quantizer, latents)


def check_state_kept(quantizer: Quantizer, latents: Tensor) -> None:
    """In evaluation mode nothing is learned, and the input is left alone."""
    state, before = copy.deepcopy(quantizer.state_dict()), latents.clone()
    quantizer(latents)
    quantizer.decode(quantizer.encode(latents))
    changed = [name for name, value in quantizer.state_dict().items() if not torch.equal(value, state[name])]
    require(not changed, f"quantising changed {', '.join(changed[:3])}")
    require(torch.equal(latents, before), "the latents were modified in place")


def check_halves(quantizer: Quantizer, latents: Tensor) -> None:
    """Encoding and decoding give what quantising gives, and the codes survive another round trip."""
    found, codes = quantizer(latents), quantizer.encode(latents)
    require(torch.equal(found.codes, codes), "encode() gives other codes than quantising")
    gap = distance(quantizer.decode(codes), found.quantized)
    require(gap <= TOLERANCE, f"decode(encode()) differs from quantising by up to {gap:.3g}")
    require(codes.dtype == torch.int64 and int(codes.min()) >= 0, f"codes are {codes.dtype} from {int(codes.min())}")


def check_levels(quantizer: Quantizer, latents: Tensor) -> None:
    """Each level lowers the error on latents like those it was made for."""
    codes = quantizer.encode(latents)
    errors = [
        float((quantizer.decode(codes[:, :k]).detach() - latents).square().mean()) for k in range(1, codes.shape[1] + 1)
    ]
    errors = [float(latents.square().mean()), *errors]
    falling = all(later < earlier for earlier, later in itertools.pairwise(errors))
    require(falling, f"mean squared error by level: {', '.join(f'{error:.4g}' for error in errors)}")


def check_straight_through(quantizer: Quantizer, latents: Tensor) -> None:
    """The gradient of the quantised latents reaches the latents unchanged, once."""
    latents.requires_grad_()
    weights = torch.randn(latents.shape, generator=torch.Generator().manual_seed(0))
    (quantizer(latents).quantized * weights).sum().backward()
    gradient = latents.grad
    require(gradient is not None, "no gradient reaches the latents")
    assert gradient is not None
    gap = distance(gradient, weights)
    require(gap <= TOLERANCE, f"the gradient of the latents is off by up to {gap:.3g}")


def check_batch(quantizer: Quantizer, latents: Tensor) -> None:
    """A batch gives what its items give one by one."""
    together = quantizer.encode(latents)
    alone = torch.cat([quantizer.encode(item[None]) for item in latents])
    require(torch.equal(together, alone), f"{int((together != alone).sum())} codes differ from those of single items")


CHECKS = (check_state_kept, check_halves, check_levels, check_straight_through, check_batch)
