"""What every normalising flow promises, run on yours by `check_flow`."""

from __future__ import annotations

import copy
from typing import Protocol

import torch
from torch import Tensor

from soli.testing.common import distance, require, run_checks

TOLERANCE = 1e-4
_LARGEST_JACOBIAN = 256


class Flow(Protocol):
    """What is needed of a flow: both directions, each with its log-determinant."""

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`[B C N]` -> latents of that shape and the log-determinant `[B]`."""
        ...

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """The way back, and its log-determinant `[B]`."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """Everything learned."""
        ...


def check_flow(flow: Flow, data: Tensor) -> tuple[str, ...]:
    """Run every contract check on a flow.

    Args:
        flow: in evaluation mode, initialised on data like these.
        data: `[B C N]`, two items or more; the Jacobian is compared when C N is at most 256.

    Returns:
        The names of the checks, all of which passed.

    Raises:
        AssertionError: the first check that failed, with what was expected and what was seen.
    """
    return run_checks(CHECKS, flow, data)


def check_state_kept(flow: Flow, data: Tensor) -> None:
    """In evaluation mode nothing is learned, and the input is left alone."""
    state, before = copy.deepcopy(flow.state_dict()), data.clone()
    flow.inverse(flow(data)[0])
    changed = [name for name, value in flow.state_dict().items() if not torch.equal(value, state[name])]
    require(not changed, f"running the flow changed {', '.join(changed[:3])}")
    require(torch.equal(data, before), "the data were modified in place")


def check_inverse(flow: Flow, data: Tensor) -> None:
    """There and back, in both orders, is the identity, and the log-determinants cancel."""
    latents, there = flow(data)
    require(latents.shape == data.shape, f"latents {list(latents.shape)} of data {list(data.shape)}")
    require(there.shape == data.shape[:1], f"log-determinants {list(there.shape)} for a batch of {len(data)}")
    restored, back = flow.inverse(latents)
    scale = float(data.abs().max())
    require(distance(restored, data) <= TOLERANCE * scale, f"data come back off by {distance(restored, data):.3g}")
    limit = TOLERANCE * max(float(there.detach().abs().max()), 1.0)
    require(distance(there, -back) <= limit, f"the two log-determinants differ by {distance(there, -back):.3g}")
    again, _ = flow(flow.inverse(torch.randn_like(latents))[0])
    require(bool(torch.isfinite(again).all()), "random latents give data that are not finite")


def check_log_det(flow: Flow, data: Tensor) -> None:
    """The log-determinant is that of the Jacobian, by automatic differentiation."""
    item = data[:1]
    if item.numel() > _LARGEST_JACOBIAN:
        return
    jacobian = torch.autograd.functional.jacobian(lambda x: flow(x)[0].flatten(), item)
    assert isinstance(jacobian, Tensor)
    due = torch.linalg.slogdet(jacobian.view(item.numel(), item.numel()).double()).logabsdet
    found = flow(item)[1].detach().double()
    limit = 1e-3 * max(abs(float(due)), 1.0)
    require(abs(float(found - due)) <= limit, f"log-determinant {float(found):.5g}; the Jacobian's is {float(due):.5g}")


def check_batch(flow: Flow, data: Tensor) -> None:
    """A batch gives what its items give one by one."""
    latents, log_dets = flow(data)
    for index, item in enumerate(data):
        latent, log_det = flow(item[None])
        gap = distance(latents[index], latent[0])
        require(gap <= TOLERANCE * float(latent.detach().abs().max()), f"item {index} differs by {gap:.3g}")
        gap = distance(log_dets[index], log_det[0])
        limit = TOLERANCE * max(float(log_det.detach().abs().max()), 1.0)
        require(gap <= limit, f"the log-determinant of item {index} differs by {gap:.3g}")


CHECKS = (check_state_kept, check_inverse, check_log_det, check_batch)
