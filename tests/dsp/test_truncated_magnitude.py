from __future__ import annotations

import torch

from soli.dsp.truncated_magnitude import truncated_magnitude_l1


def test_value_and_gradient_are_those_of_the_plain_formula():
    torch.manual_seed(0)
    masks = torch.rand(2, 3, 7, 5, dtype=torch.float64).requires_grad_()
    inverse = torch.randn(11, 5, dtype=torch.float64)  # about half of the restored mask is clamped
    mixture = torch.rand(2, 7, 11, dtype=torch.float64)
    sources = torch.rand(2, 3, 7, 11, dtype=torch.float64)

    restored = (masks @ inverse.T).clamp(0, 1)
    plain = (restored * mixture[:, None] - torch.minimum(mixture[:, None], sources)).abs().mean()
    loss = truncated_magnitude_l1(masks, inverse, mixture, sources)

    assert 0.2 < ((restored > 0) & (restored < 1)).double().mean() < 0.8
    torch.testing.assert_close(loss, plain)
    (expected,) = torch.autograd.grad(2.5 * plain, masks)
    (gradient,) = torch.autograd.grad(2.5 * loss, masks)
    torch.testing.assert_close(gradient, expected)


def test_the_truncated_ratio_is_the_best_mask():
    mixture = torch.rand(1, 4, 6) + 0.1
    sources = torch.rand(1, 2, 4, 6)
    ratio = torch.minimum(mixture[:, None], sources) / mixture[:, None]
    assert truncated_magnitude_l1(ratio, torch.eye(6), mixture, sources) < 1e-7
