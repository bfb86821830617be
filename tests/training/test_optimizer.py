from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from soli.training.optimizer import make_optimizer, orthogonalise


class Parts(nn.Module):
    """A matrix, a kernel, a stack of matrices and a gain."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        shapes = {"matrix": (6, 9), "kernel": (8, 4, 3, 3), "stack": (3, 5, 7), "gain": (6,), "row": (4, 1, 5)}
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.randn(*shape, generator=generator)))


def steps(name: str, *, weight_decay: float = 0.0, count: int = 3) -> dict[str, tuple[Tensor, Tensor]]:
    """Each parameter before and after some steps down a fixed slope."""
    torch.manual_seed(0)
    module = Parts()
    before = {key: value.detach().clone() for key, value in module.named_parameters()}
    optimizer = make_optimizer(module, name, learning_rate=0.01, weight_decay=weight_decay)
    for _ in range(count):
        for parameter in module.parameters():
            parameter.grad = torch.randn_like(parameter)
        optimizer.step()
    return {key: (before[key], value.detach()) for key, value in module.named_parameters()}


@pytest.mark.parametrize("shape", [(6, 9), (9, 6), (3, 5, 5)])
def test_singular_values_become_about_one(shape: tuple[int, ...]) -> None:
    matrices = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalise(matrices))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_muon_leaves_gains_to_adam() -> None:
    muon, adam = steps("muon"), steps("adamw")
    for key in ("gain", "row"):
        torch.testing.assert_close(muon[key][1], adam[key][1])
    for key in ("matrix", "kernel", "stack"):
        assert (muon[key][1] - adam[key][1]).abs().max() > 1e-3


@pytest.mark.parametrize("kind", ["plain", "weight_norm", "transposed"])
def test_muon_takes_a_one_dimensional_kernel_for_one_matrix(kind: str) -> None:
    torch.manual_seed(0)
    convolution = nn.ConvTranspose1d(6, 4, 3) if kind == "transposed" else nn.Conv1d(4, 6, 3)
    if kind == "weight_norm":
        convolution = weight_norm(convolution)
    kernel = next(parameter for parameter in convolution.parameters() if parameter.shape[1:] == (4, 3))
    matrix = nn.ParameterList([kernel.detach().flatten(1).clone()])
    for module, parameter in ((convolution, kernel), (matrix, matrix[0])):
        optimizer = make_optimizer(module, "muon", learning_rate=0.01, weight_decay=0.1)
        for step in range(3):
            gradient = torch.randn(6, 12, generator=torch.Generator().manual_seed(step))
            parameter.grad = gradient.view_as(parameter)
            optimizer.step()
    torch.testing.assert_close(kernel.flatten(1), matrix[0])


def test_both_optimisers_take_steps_of_one_size() -> None:
    muon, adam = steps("muon", count=1), steps("adamw", count=1)
    for key in ("matrix", "kernel", "stack"):
        sizes = [(after - before).square().mean().sqrt() for before, after in (muon[key], adam[key])]
        assert 0.1 < sizes[0] / sizes[1] < 1


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_only_matrices_decay(name: str) -> None:
    with_decay, without = steps(name, weight_decay=1.0), steps(name)
    changed = {key for key in with_decay if not torch.equal(with_decay[key][1], without[key][1])}
    assert changed == {"matrix", "kernel", "stack"}


def test_the_betas_asked_for_reach_both_optimisers() -> None:
    for name in ("adamw", "muon"):
        optimizer = make_optimizer(nn.Linear(3, 2), name, learning_rate=1e-2, weight_decay=0.0, betas=(0.5, 0.9))
        assert {group["betas"] for group in optimizer.param_groups} == {(0.5, 0.9)}
