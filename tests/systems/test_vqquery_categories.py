from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import adjusted_rand_score

from soli.errors import SoliError
from soli.systems.vqquery.categories import Categories
from soli.systems.vqquery.config import VQQueryConfig
from soli.systems.vqquery.memory import Memory
from soli.testing import check_quantizer
from vqquery_models import SMALL


def blobs(n: int = 160, n_kinds: int = 4, spread: float = 0.15) -> tuple[torch.Tensor, torch.Tensor]:
    """Directions around four of them, and which."""
    generator = torch.Generator().manual_seed(0)
    kinds = torch.arange(n) % n_kinds
    centres = torch.eye(8)[:n_kinds]
    return F.normalize(centres[kinds] + spread * torch.randn(n, 8, generator=generator), dim=-1), kinds


def test_codes_start_as_the_clusters_of_what_was_seen() -> None:
    torch.manual_seed(0)
    categories = Categories(SMALL).eval()
    rows, kinds = blobs()
    categories.start(rows)
    assert bool(categories.ready)
    assert adjusted_rand_score(kinds, categories.assign(rows)) > 0.6
    torch.testing.assert_close(categories.vectors().norm(dim=-1), torch.ones(4))


def test_codes_follow_what_they_are_used_for_and_dead_ones_start_anew() -> None:
    torch.manual_seed(0)
    categories = Categories(SMALL, decay=0.8)
    rows, kinds = blobs()
    with torch.no_grad():
        codebook = categories.quantizer.codebooks[0]
        codebook.vectors.copy_(F.normalize(torch.tensor([1.0] * 7 + [0.0]) + 0.01 * torch.randn(4, 8), dim=-1))
    for _ in range(60):
        categories.learn(rows, rows, balance=1.0)
    assert adjusted_rand_score(kinds, categories.assign(rows)) > 0.95
    assert float(categories.quantizer.usage().perplexity) > 3.8


def test_balance_divides_what_the_nearest_code_would_take_whole() -> None:
    torch.manual_seed(0)
    rows, _ = blobs(n_kinds=1, spread=0.3)
    used = {}
    for balance in (0.0, 1.0):
        categories = Categories(SMALL)
        codes = categories.learn(rows, rows[:0], balance=balance)
        used[balance] = torch.bincount(codes, minlength=4)
    assert used[1.0].min() > 20
    assert used[1.0].max() < used[0.0].max()


def test_the_second_level_divides_the_codes_of_the_first() -> None:
    torch.manual_seed(0)
    categories = Categories(replace(SMALL, levels=2, codebook_size=3)).eval()
    rows = F.normalize(torch.randn(300, 8), dim=-1)
    categories.start(rows)
    codes = categories.assign(rows)
    assert codes.max() < 9
    coarse = categories.quantizer.codebooks[0].nearest(rows)
    assert torch.equal(codes // 3, coarse)
    for first, second in itertools.product(range(3), repeat=2):
        first_level, second_level = (book.entries() for book in categories.quantizer.codebooks)
        torch.testing.assert_close(categories.vectors()[3 * first + second], first_level[first] + second_level[second])


def test_its_quantiser_keeps_the_contract() -> None:
    torch.manual_seed(0)
    categories = Categories(SMALL).eval()
    rows, _ = blobs()
    categories.start(rows)
    assert check_quantizer(categories.quantizer, rows.view(4, -1, 8).mT)


def test_the_memory_holds_the_last_vectors() -> None:
    memory = Memory(4, 1)
    memory.add(torch.tensor([[1.0], [2.0], [3.0]]))
    assert memory.held()[:, 0].tolist() == [1.0, 2.0, 3.0]
    assert not memory.full
    memory.add(torch.tensor([[4.0], [5.0]]))
    assert sorted(memory.held()[:, 0].tolist()) == [2.0, 3.0, 4.0, 5.0]
    assert memory.full


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"levels": 3}, "levels = 3; allowed: 1, 2"),
        ({"codebook_size": 1}, "codebook_size = 1; allowed: at least 2"),
        ({"classes": ("a/b",), "histogram": ((0,) * 16,)}, "class 'a/b'; allowed: letters"),
        ({"classes": ("a",), "histogram": ((0, 1),)}, "allowed: 16 counts for each class"),
        ({"classes": ("a",)}, "histogram of 0 rows"),
    ],
)
def test_settings_that_cannot_be_are_one_clear_line(settings: dict, message: str) -> None:
    with pytest.raises(SoliError, match=message):
        VQQueryConfig(**settings)
