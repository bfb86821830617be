from __future__ import annotations

import pytest
import torch

from soli.errors import SoliError
from soli.systems.classcond.deep_clustering import deep_clustering_loss


def explicit_loss(embedding, assignments, scaling):
    """The affinity matrices written out, bins by bins."""
    y = assignments.flatten(1, -2)
    v = y.sum(-1, keepdim=True) * embedding.flatten(1, -2)
    shares = y.sum((0, 1)) / y.sum()
    weights = (y / (shares.sqrt() + 1e-7)).sum(-1, keepdim=True)
    v, y = weights * v, weights * y
    distance = (v @ v.mT - y @ y.mT).square().sum((1, 2))
    norms = weights.square().sum((1, 2))
    return (distance / norms.square()).mean() if scaling == "item" else distance.sum() / norms.sum().square()


def random_problem(dtype=torch.float32):
    torch.manual_seed(0)
    embedding = torch.randn(3, 5, 6, 4, dtype=dtype, requires_grad=True)
    assignments = torch.rand(3, 5, 6, 2).softmax(-1) * (torch.rand(3, 5, 6, 1) > 0.3)
    return embedding, assignments


@pytest.mark.parametrize("scaling", ["item", "batch"])
def test_value_and_gradient_equal_the_written_out_affinity_matrices(scaling):
    embedding, assignments = random_problem()
    expected = explicit_loss(embedding, assignments, scaling)
    loss = deep_clustering_loss(embedding, assignments, scaling=scaling)
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=0)
    (due,) = torch.autograd.grad(3 * expected, embedding)
    (found,) = torch.autograd.grad(3 * loss, embedding)
    torch.testing.assert_close(found, due, rtol=1e-3, atol=1e-7)


def test_scaling_of_the_released_code_is_smaller_by_the_batch_size():
    embedding = torch.randn(6, 40, 4)
    assignments = torch.eye(2)[torch.arange(40) % 2].expand(6, 40, 2)  # equal weights in every item
    item = deep_clustering_loss(embedding, assignments)
    batch = deep_clustering_loss(embedding, assignments, scaling="batch")
    torch.testing.assert_close(batch, item / 6)


def test_a_perfect_embedding_costs_nothing():
    labels = torch.randint(3, (2, 50))
    rotation = torch.linalg.qr(torch.randn(5, 5)).Q[:3]
    torch.testing.assert_close(
        deep_clustering_loss(rotation[labels], torch.eye(3)[labels]), torch.tensor(0.0), rtol=0, atol=1e-6
    )


def test_bins_of_nobody_do_not_count():
    embedding, assignments = random_problem()
    nobody = assignments.sum(-1) == 0
    changed = torch.where(nobody[..., None], 100.0, embedding)
    torch.testing.assert_close(deep_clustering_loss(changed, assignments), deep_clustering_loss(embedding, assignments))


def test_silence_costs_nothing_and_has_no_gradient():
    embedding = torch.randn(2, 10, 4, requires_grad=True)
    loss = deep_clustering_loss(embedding, torch.zeros(2, 10, 3))
    loss.backward()
    assert loss == 0
    assert not embedding.grad.any()


def test_half_precision_embedding_gets_a_half_precision_gradient():
    embedding, assignments = random_problem(torch.bfloat16)
    reference = embedding.detach().float().requires_grad_()
    deep_clustering_loss(embedding, assignments).backward()
    deep_clustering_loss(reference, assignments).backward()
    assert embedding.grad.dtype == torch.bfloat16
    torch.testing.assert_close(embedding.grad.float(), reference.grad, rtol=0.02, atol=1e-5)


def test_unknown_scaling_is_refused():
    with pytest.raises(SoliError, match="allowed: item, batch"):
        deep_clustering_loss(*random_problem(), scaling="mean")
