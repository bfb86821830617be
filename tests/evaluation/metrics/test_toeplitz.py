from __future__ import annotations

import pytest
import torch

from soli.evaluation.metrics.toeplitz import solve_block_toeplitz


def column_of_noise(length: int, size: int, seed: int) -> torch.Tensor:
    """Correlations of filtered noise: the first block column of a positive definite matrix."""
    torch.manual_seed(seed)
    signals = torch.randn(size, 400, dtype=torch.float64).cumsum(-1)
    padded = torch.nn.functional.pad(signals, (0, length))
    return torch.stack([signals @ padded[:, k : k + 400].T for k in range(length)])


def dense(column: torch.Tensor) -> torch.Tensor:
    rows = [
        torch.cat([column[k - j] if k >= j else column[j - k].T for j in range(len(column))], dim=1)
        for k in range(len(column))
    ]
    return torch.cat(rows)


@pytest.mark.parametrize(("length", "size"), [(1, 3), (12, 1), (7, 1), (9, 2), (8, 3), (5, 8), (3, 9)])
def test_equals_a_dense_solution(length, size):
    column, right = column_of_noise(length, size, 0), torch.randn(length, size, 4, dtype=torch.float64)
    expected = torch.linalg.solve(dense(column), right.flatten(0, 1))
    torch.testing.assert_close(solve_block_toeplitz(column, right), expected.view_as(right), rtol=1e-7, atol=1e-9)


def test_a_batch_gives_what_its_items_give():
    columns = torch.stack([column_of_noise(6, 2, seed) for seed in range(3)])
    right = torch.randn(3, 6, 2, 5, dtype=torch.float64)
    one_by_one = torch.stack([solve_block_toeplitz(c, r) for c, r in zip(columns, right, strict=True)])
    torch.testing.assert_close(solve_block_toeplitz(columns, right), one_by_one, rtol=1e-8, atol=1e-9)


def test_a_singular_system_is_solved_where_it_has_a_solution():
    single = column_of_noise(8, 1, 1)
    column = single.expand(-1, 2, 2) / single[0]  # two identical signals
    right = (dense(column) @ torch.randn(16, 3, dtype=torch.float64)).view(8, 2, 3)
    found = dense(column) @ solve_block_toeplitz(column, right).flatten(0, 1)
    torch.testing.assert_close(found.view_as(right), right, rtol=1e-6, atol=1e-6)


def test_an_indefinite_matrix_has_no_solution_here():
    column = torch.tensor([1.0, 2.0], dtype=torch.float64).view(2, 1, 1)
    assert solve_block_toeplitz(column, torch.ones_like(column)).isnan().all()
