from __future__ import annotations

import torch

from soli.nn.balance import balanced_assignment


def test_rows_are_distributions_and_enough_iterations_use_all_classes_alike() -> None:
    torch.manual_seed(0)
    scores = torch.randn(40, 5) + torch.tensor([3.0, 0.0, 0.0, 0.0, -3.0])  # one class that fits all, and one none
    shares = balanced_assignment(scores, temperature=0.5, n_iterations=500)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(40))
    torch.testing.assert_close(shares.sum(dim=0), torch.full((5,), 8.0), rtol=1e-4, atol=1e-4)


def test_it_is_the_entropic_optimum_of_all_balanced_assignments() -> None:
    """The optimum is a diagonal scaling of exp(scores / temperature): log ratios of 2 x 2 minors agree."""
    torch.manual_seed(1)
    scores = torch.randn(6, 3)
    logs = balanced_assignment(scores, temperature=0.3, n_iterations=300).double().log()
    kernel = scores.double() / 0.3

    def minors(x: torch.Tensor) -> torch.Tensor:
        return x[:-1, :-1] + x[1:, 1:] - x[:-1, 1:] - x[1:, :-1]

    torch.testing.assert_close(minors(logs), minors(kernel), rtol=1e-3, atol=1e-3)


def test_without_iterations_or_strength_it_is_the_softmax_of_the_scores() -> None:
    scores = torch.randn(7, 4, generator=torch.Generator().manual_seed(2))
    due = (scores / 0.05).softmax(dim=1)
    torch.testing.assert_close(balanced_assignment(scores, n_iterations=0), due)
    torch.testing.assert_close(balanced_assignment(scores, strength=0.0), due)


def test_less_strength_leaves_common_classes_more_items() -> None:
    scores = torch.randn(200, 4, generator=torch.Generator().manual_seed(3)) + torch.tensor([2.0, 0.0, 0.0, 0.0])
    largest = [
        float(balanced_assignment(scores, temperature=0.3, n_iterations=50, strength=strength).sum(dim=0).max())
        for strength in (1.0, 0.5, 0.0)
    ]
    assert largest == sorted(largest)
    assert abs(largest[0] - 50) < 0.5
