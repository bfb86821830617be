from __future__ import annotations

import math

import pytest
import scipy.optimize
import scipy.stats
import sklearn.metrics
import torch

from soli.errors import SoliError
from soli.evaluation.metrics import (
    assignment_entropy,
    best_permutation_si_sdr,
    cluster_table,
    si_sdr,
    silhouette,
)
from soli.evaluation.metrics.assignment import assign


def test_parts_that_sum_to_the_mixture_leave_no_error():
    torch.manual_seed(0)
    clusters = torch.randn(2, 3, 1, 4000)
    table = cluster_table(clusters.sum(1), clusters)
    torch.testing.assert_close(table.mse, torch.zeros(2, dtype=torch.float64), atol=1e-12, rtol=0.0)
    expected = 100 * clusters.double().square().sum((2, 3)) / clusters.double().sum(1).square().sum((1, 2))[:, None]
    torch.testing.assert_close(table.energy_percent, expected, rtol=1e-5, atol=0.0)
    torch.testing.assert_close(table.energy_sum, expected.sum(1) / 100, rtol=1e-5, atol=0.0)
    less = cluster_table(clusters.sum(1), clusters[:, :2])
    torch.testing.assert_close(less.mse, clusters[:, 2].double().square().mean((1, 2)), rtol=1e-4, atol=0.0)


def test_entropy_and_sparsity_span_from_a_tone_to_a_click():
    clusters = torch.zeros(2, 1, 4096)
    clusters[0] = torch.sin(2 * math.pi * torch.arange(4096) * 64 / 1024)  # in the middle of a bin
    clusters[1, 0, 2048] = 1.0  # flat
    table = cluster_table(clusters.sum(0), clusters)
    assert table.entropy_bits[1].item() == pytest.approx(math.log2(513), abs=1e-6)
    assert table.sparsity[1].item() == pytest.approx(0, abs=1e-6)
    assert table.entropy_bits[0] < 4
    assert table.sparsity[0] > 0.85


def test_entropy_and_sparsity_equal_their_formulas():
    torch.manual_seed(1)
    cluster = torch.randn(1, 1, 3000, dtype=torch.float64).cumsum(-1)
    table = cluster_table(cluster[0], cluster, n_fft=64, hop_length=16)
    padded = torch.nn.functional.pad(cluster.flatten(), (32, 32 + -3000 % 16))
    spectrum = torch.fft.rfft(padded.unfold(0, 64, 16) * torch.hann_window(64, dtype=torch.float64)).abs().mean(0)
    assert table.entropy_bits.item() == pytest.approx(scipy.stats.entropy(spectrum, base=2))
    l1, l2 = (spectrum.norm(p=p).item() for p in (1, 2))
    assert table.sparsity.item() == pytest.approx((33**0.5 - l1 / l2) / (33**0.5 - 1))


def test_silence_has_no_spectrum_and_no_share():
    clusters = torch.zeros(2, 1, 2000)
    clusters[0] = 0.5
    table = cluster_table(clusters.sum(0), clusters)
    assert table.energy_percent.tolist() == pytest.approx([100, 0])
    assert table.entropy_bits.isnan().tolist() == [False, True]
    assert table.sparsity.isnan().tolist() == [False, True]
    silent = cluster_table(torch.zeros(1, 2000), clusters)
    assert silent.energy_percent.isnan().all()
    assert silent.energy_sum.isnan()


def test_assignment_entropy_leaves_noise_out_unless_asked():
    labels = torch.tensor([[0, 0, 1, 1, -1, -1, -1, -1], [0, 0, 0, 0, 0, 0, 0, 2]])
    expected = [scipy.stats.entropy(p, base=2) for p in ([2, 2], [7, 1])]
    assert assignment_entropy(labels).tolist() == pytest.approx(expected)
    assert assignment_entropy(labels, with_noise=True).tolist() == pytest.approx([1.5, expected[1]])
    assert assignment_entropy(torch.full((4,), -1)).isnan()
    assert assignment_entropy(torch.zeros(0, dtype=torch.long)).isnan()
    assert assignment_entropy(torch.full((4,), -1), with_noise=True).item() == 0
    with pytest.raises(SoliError, match="integers"):
        assignment_entropy(torch.ones(3))


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 4), (3, 3), (4, 9), (7, 7), (12, 15)])
def test_assignment_equals_scipy(rows, columns):
    torch.manual_seed(rows)
    for scores in (torch.randn(rows, columns), torch.randint(3, (rows, columns)).float()):
        found = assign(scores)
        assert len(set(found)) == rows
        best = scipy.optimize.linear_sum_assignment(scores.numpy(), maximize=True)
        assert scores[range(rows), found].sum().item() == pytest.approx(scores[best].sum().item(), abs=1e-5)


def test_permuted_estimates_are_found_and_strangers_left_over():
    torch.manual_seed(2)
    references = torch.randn(3, 2, 500)
    near = references + 0.1 * torch.randn(3, 2, 500)
    estimates = torch.cat([near[[2, 0]], torch.randn(2, 2, 500), near[[1]]])
    found = best_permutation_si_sdr(references, estimates)
    assert found.order.tolist() == [1, 4, 0]
    torch.testing.assert_close(found.si_sdr, si_sdr(references, near))


def test_too_few_estimates_leave_references_without():
    torch.manual_seed(3)
    references = torch.randn(4, 1, 500)
    found = best_permutation_si_sdr(references, references[[3, 1]] + 0.1)
    assert found.order.tolist() == [-1, 1, -1, 0]
    assert found.si_sdr.isnan().tolist() == [True, False, True, False]


def test_a_silent_reference_takes_no_estimate_and_a_silent_estimate_goes_where_it_harms_least():
    torch.manual_seed(4)
    references = torch.randn(3, 1, 500)
    references[0] = 0
    estimates = torch.stack([torch.zeros(1, 500), references[1] + 0.5 * torch.randn(1, 500), references[2]])
    found = best_permutation_si_sdr(references, estimates)
    assert found.order.tolist() == [-1, 1, 2]
    assert found.si_sdr[0].isnan()
    forced = best_permutation_si_sdr(references[1:], estimates[:2])
    assert forced.order.tolist() == [1, 0]
    assert forced.si_sdr[1].item() == -math.inf
    assert best_permutation_si_sdr(torch.zeros(2, 1, 9), torch.ones(2, 1, 9)).order.tolist() == [-1, -1]


def test_a_batch_of_permutations_gives_what_its_items_give():
    torch.manual_seed(5)
    references = torch.randn(2, 3, 1, 300)
    estimates = references[:, [1, 2, 0]] + 0.3 * torch.randn(2, 3, 1, 300)
    found = best_permutation_si_sdr(references, estimates)
    for item in range(2):
        alone = best_permutation_si_sdr(references[item], estimates[item])
        assert found.order[item].equal(alone.order)
        torch.testing.assert_close(found.si_sdr[item], alone.si_sdr)


@pytest.mark.parametrize("n_clusters", [2, 5])
def test_silhouette_equals_scikit_learn_without_the_noise(n_clusters):
    torch.manual_seed(6)
    labels = torch.randint(-1, n_clusters, (1100,))
    labels[0] = n_clusters  # alone
    features = torch.randn(1100, 4) + 2 * labels[:, None]
    expected = sklearn.metrics.silhouette_score(features[labels >= 0].numpy(), labels[labels >= 0].numpy())
    assert silhouette(features, labels).item() == pytest.approx(expected, abs=1e-5)


def test_silhouette_has_no_answer_without_two_clusters():
    features = torch.randn(6, 2)
    for labels in (torch.zeros(6), torch.arange(6), torch.full((6,), -1), torch.tensor([0, 0, 0, -1, -1, -1])):
        assert silhouette(features, labels.long()).isnan()
    assert silhouette(torch.ones(4, 2), torch.tensor([0, 0, 1, 1])).item() == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda: cluster_table(torch.ones(1, 9), torch.ones(2, 1, 8)),
        lambda: best_permutation_si_sdr(torch.ones(2, 1, 9), torch.ones(2, 2, 9)),
        lambda: best_permutation_si_sdr(torch.ones(1, 9), torch.ones(2, 1, 9)),
        lambda: silhouette(torch.ones(4, 2), torch.zeros(5).long()),
    ],
)
def test_shapes_that_do_not_fit_are_refused(call):
    with pytest.raises(SoliError, match=r"\d\].*\[.*needs|needed"):
        call()
