from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from soli.errors import SoliError
from soli.systems.classcond.gaussians import AuxiliaryNet, Covariance, log_likelihoods, posteriors

MODES = get_args(Covariance)


def random_net(covariance, variance_function="square"):
    net = AuxiliaryNet(3, 4, covariance, variance_function)
    torch.nn.init.normal_(net.linear.weight)
    return net


@pytest.mark.parametrize("covariance", MODES)
@pytest.mark.parametrize("variance_function", ["square", "softplus"])
def test_posterior_and_likelihood_equal_scipy(covariance, variance_function):
    torch.manual_seed(1)
    means, variances, log_priors = random_net(covariance, variance_function)()
    embedding = torch.randn(2, 5, 6, 4, dtype=torch.float64)
    table = variances.expand_as(means).detach().numpy()
    densities = np.stack(
        [multivariate_normal(means[k].detach().numpy(), np.diag(table[k])).logpdf(embedding.numpy()) for k in range(3)],
        axis=-1,
    )
    joint = np.exp(densities) * np.exp(log_priors.detach().numpy())
    expected = joint / joint.sum(axis=-1, keepdims=True)
    found = posteriors(embedding, means, variances, log_priors).detach()
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(log_likelihoods(embedding, means, variances).detach().numpy(), densities, atol=1e-4)


@pytest.mark.parametrize("covariance", ["diagonal_tied", "spherical_tied"])
def test_tied_posterior_is_a_linear_softmax(covariance):
    means, variances, log_priors = random_net(covariance)()
    embedding = torch.randn(50, 4)
    weight = means / variances
    bias = log_priors - 0.5 * (means * weight).sum(dim=1)
    expected = (embedding @ weight.T + bias).softmax(dim=-1)
    torch.testing.assert_close(posteriors(embedding, means, variances, log_priors), expected)


@pytest.mark.parametrize("covariance", MODES)
def test_a_written_out_table_of_variances_changes_nothing(covariance):
    means, variances, log_priors = random_net(covariance)()
    embedding = torch.randn(50, 4)
    written_out = variances.expand_as(means)
    torch.testing.assert_close(
        posteriors(embedding, means, written_out, log_priors), posteriors(embedding, means, variances, log_priors)
    )


@pytest.mark.parametrize(
    ("covariance", "shape"),
    [("diagonal", (3, 4)), ("diagonal_tied", (1, 4)), ("spherical", (3, 1)), ("spherical_tied", (1, 1))],
)
def test_shared_variances_are_means_over_the_shared_axes(covariance, shape):
    net = random_net(covariance)
    variances = net().variances
    table = net.linear.weight.T[:, 4:8].square()
    for axis, length in enumerate(shape):
        table = table.mean(dim=axis, keepdim=True) if length == 1 else table
    assert variances.shape == shape
    torch.testing.assert_close(variances, table, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("scale", [1e4, 1.0])
@pytest.mark.parametrize("shape", [(3, 4), (1, 4), (3, 1), (1, 1)])
def test_far_embeddings_and_tiny_variances_stay_finite(shape, scale):
    embedding = (scale * torch.randn(20, 4)).requires_grad_()
    means = torch.randn(3, 4, requires_grad=True)
    variances = torch.full(shape, 1e-6, requires_grad=True)
    found = posteriors(embedding, means, variances, torch.zeros(3).log_softmax(0))
    found[:, 0].sum().backward()
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found.sum(dim=-1), torch.ones(20))
    assert all(torch.isfinite(tensor.grad).all() for tensor in (embedding, means, variances))


@pytest.mark.parametrize("variance_function", ["square", "softplus"])
def test_variances_start_at_one_and_collapse_to_a_floor(variance_function):
    net = AuxiliaryNet(3, 4, "diagonal", variance_function)
    torch.testing.assert_close(net().variances, torch.ones(3, 4))
    torch.nn.init.constant_(net.linear.weight, 0.0 if variance_function == "square" else -100.0)
    assert (net().variances > 0).all()


def test_prior_is_over_the_classes_that_are_present():
    net = random_net("diagonal")
    some = net(torch.eye(3)[[2, 0]])
    torch.testing.assert_close(some.log_priors.exp().sum(), torch.tensor(1.0))
    torch.testing.assert_close(some.means, net().means[[2, 0]])


def test_half_precision_embeddings_are_computed_in_single():
    means, variances, log_priors = random_net("diagonal")()
    embedding = torch.randn(30, 4).to(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        found = posteriors(embedding, means, variances, log_priors)
    torch.testing.assert_close(found, posteriors(embedding.float(), means, variances, log_priors))


def test_network_has_one_weight_for_each_parameter_of_each_class():
    assert sum(parameter.numel() for parameter in AuxiliaryNet(4, 15).parameters()) == 4 * 31


@pytest.mark.parametrize("arguments", [("full",), ("diagonal", "exp")])
def test_unknown_choices_are_refused(arguments):
    with pytest.raises(SoliError, match="allowed: "):
        AuxiliaryNet(3, 4, *arguments)
