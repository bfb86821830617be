from __future__ import annotations

import pytest
import sklearn.metrics
import torch

from soli.errors import SoliError
from soli.evaluation.metrics import (
    adjusted_rand_index,
    class_code_histogram,
    completeness,
    dead_codes,
    homogeneity,
    normalized_mutual_information,
    perplexity,
    purity,
)

ORACLES = {
    adjusted_rand_index: sklearn.metrics.adjusted_rand_score,
    completeness: sklearn.metrics.completeness_score,
    homogeneity: sklearn.metrics.homogeneity_score,
    normalized_mutual_information: sklearn.metrics.normalized_mutual_info_score,
}

# Classes by codes 0-15, read off a published picture of vector-quantised source categories: good to a few items.
PUBLISHED = torch.tensor([
    [59, 5, 1, 90, 0, 0, 0, 7, 0, 0, 0, 2, 38, 2, 20, 15],
    [3, 0, 0, 5, 6, 0, 0, 26, 110, 0, 67, 14, 0, 0, 5, 2],
    [5, 5, 0, 56, 22, 68, 26, 0, 0, 0, 13, 9, 33, 0, 0, 0],
    [0, 12, 0, 0, 0, 0, 230, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [48, 1, 0, 65, 0, 0, 1, 0, 3, 0, 0, 0, 76, 5, 23, 19],
    [5, 45, 2, 33, 0, 2, 54, 5, 0, 1, 19, 50, 2, 10, 0, 12],
    [0, 0, 0, 66, 0, 128, 20, 1, 9, 0, 7, 1, 6, 2, 0, 0],
    [11, 0, 0, 0, 0, 0, 1, 0, 0, 0, 5, 3, 0, 0, 223, 0],
    [26, 0, 0, 148, 0, 4, 0, 0, 0, 0, 0, 0, 38, 0, 16, 7],
    [15, 0, 0, 4, 11, 0, 0, 2, 0, 0, 132, 40, 23, 0, 12, 2],
    [0, 0, 0, 11, 10, 219, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0],
])  # fmt: skip


def random_items(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Classes and codes `[3 200]`; the codes follow the class more and more."""
    torch.manual_seed(seed)
    classes, noise = torch.randint(5, (3, 200)), torch.randint(7, (3, 200))
    follows = torch.rand(3, 200) < torch.tensor([[0.0], [0.5], [0.9]])
    return classes, torch.where(follows, classes, noise)


def test_the_published_histogram_has_its_published_scores():
    used = PUBLISHED.sum(0)
    assert purity(PUBLISHED).item() == pytest.approx(0.52, abs=5e-3)
    assert normalized_mutual_information(PUBLISHED).item() == pytest.approx(0.473, abs=5e-3)
    assert homogeneity(PUBLISHED).item() == pytest.approx(0.469, abs=5e-3)
    assert completeness(PUBLISHED).item() == pytest.approx(0.478, abs=5e-3)
    assert perplexity(used).item() == pytest.approx(10.5, abs=0.1)
    assert dead_codes(used).nonzero().flatten().tolist() == [2, 9, 13]


@pytest.mark.parametrize("metric", ORACLES)
def test_scores_equal_scikit_learn_and_a_batch_gives_what_its_items_give(metric):
    classes, codes = random_items(0)
    found = metric(class_code_histogram(classes, codes, n_classes=6, n_codes=9))  # a class and two codes are unused
    expected = [ORACLES[metric](*pair) for pair in zip(classes, codes, strict=True)]
    assert found.tolist() == pytest.approx(expected, abs=1e-10)


def test_purity_counts_the_most_frequent_class_of_each_code():
    classes, codes = random_items(1)
    expected = sum(classes[1][codes[1] == code].bincount().max().item() for code in codes[1].unique()) / 200
    histogram = class_code_histogram(classes, codes, n_classes=5, n_codes=7)
    assert purity(histogram)[1].item() == pytest.approx(expected)


def test_the_histogram_counts_every_item():
    classes, codes = random_items(2)
    histogram = class_code_histogram(classes, codes, n_classes=5, n_codes=7)
    assert histogram.shape == (3, 5, 7)
    for item in range(3):
        for row in range(5):
            expected = codes[item][classes[item] == row].bincount(minlength=7)
            assert histogram[item, row].equal(expected)


def test_names_of_classes_and_codes_do_not_matter():
    for metric in (*ORACLES, purity):
        torch.testing.assert_close(metric(PUBLISHED), metric(PUBLISHED.flip(0).roll(3, 1)))


def test_perplexity_is_the_number_of_codes_used_equally():
    counts = torch.tensor([[5, 5, 5, 0], [9, 0, 0, 0], [2, 2, 2, 2], [0, 0, 0, 0]])
    assert perplexity(counts)[:3].tolist() == pytest.approx([3, 1, 4])
    assert perplexity(counts)[3].isnan()
    assert dead_codes(counts).sum(-1).tolist() == [1, 3, 0, 4]


def test_a_collapsed_codebook_is_not_praised():
    collapsed = torch.tensor([[7, 0], [5, 0]])
    assert completeness(collapsed).isnan()
    assert homogeneity(collapsed).item() == pytest.approx(0, abs=1e-12)
    assert normalized_mutual_information(collapsed).item() == pytest.approx(0, abs=1e-12)
    assert adjusted_rand_index(collapsed).item() == 0
    assert homogeneity(collapsed.mT).isnan()


@pytest.mark.parametrize("metric", [*ORACLES, purity])
def test_what_has_no_answer_is_not_a_number(metric):
    assert metric(torch.zeros(3, 4)).isnan()
    if metric is not purity:
        assert metric(torch.tensor([[8, 0], [0, 0]])).isnan()


def test_numbers_out_of_range_are_refused():
    with pytest.raises(SoliError, match=r"class numbers.*from 0 to 3"):
        class_code_histogram(torch.tensor([4]), torch.tensor([0]), n_classes=4, n_codes=2)
    with pytest.raises(SoliError, match="code numbers"):
        class_code_histogram(torch.tensor([0]), torch.tensor([-1]), n_classes=4, n_codes=2)
    with pytest.raises(SoliError, match=r"\[2\].*\[3\]"):
        class_code_histogram(torch.zeros(2).long(), torch.zeros(3).long(), n_classes=1, n_codes=1)
    with pytest.raises(SoliError, match="counts"):
        purity(torch.tensor([[-1, 2]]))
