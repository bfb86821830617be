from __future__ import annotations

import torch

from soli.systems.classcond.masking import gated_estimates


def inputs(n_bins: int = 5, refined: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    gate = torch.rand(2, 4, 3, n_bins, dtype=torch.double, generator=generator).softmax(dim=1)
    refinement = torch.randn(2, 4, 4, 3, refined, dtype=torch.double, generator=generator)
    spectrogram = torch.randn(2, 2, 3, n_bins + 1, dtype=torch.cdouble, generator=generator)
    return gate, refinement, spectrogram


def by_definition(gate: torch.Tensor, refinement: torch.Tensor, spectrogram: torch.Tensor) -> torch.Tensor:
    """mask_k = p_k (1 + d_k - sum_j p_j d_j), channel by channel."""
    missing = gate.shape[-1] - refinement.shape[-1]
    d = torch.complex(refinement[:, :, 0::2], refinement[:, :, 1::2])  # [B S C N R]
    d = torch.cat((d, d.new_zeros(*d.shape[:-1], missing)), dim=-1)
    p = gate[:, :, None]
    mask = p * (1 + d - (p * d).sum(dim=1, keepdim=True))
    mask = torch.cat((mask, p[..., -1:].expand_as(mask[..., -1:])), dim=-1)
    return mask * spectrogram[:, None]


def test_estimates_are_those_of_the_definition() -> None:
    gate, refinement, spectrogram = inputs()
    torch.testing.assert_close(
        gated_estimates(gate, refinement, spectrogram), by_definition(gate, refinement, spectrogram)
    )


def test_estimates_sum_to_the_mixture() -> None:
    gate, refinement, spectrogram = inputs()
    torch.testing.assert_close(gated_estimates(gate, refinement, spectrogram).sum(dim=1), spectrogram)


def test_a_class_without_posterior_is_silent() -> None:
    gate, refinement, spectrogram = inputs()
    gate = gate.clone()
    gate[:, 1] = 0
    assert gated_estimates(gate, refinement, spectrogram)[:, 1].abs().max() == 0


def test_written_gradient_is_the_numerical_one() -> None:
    gate, refinement, spectrogram = inputs()
    gate.requires_grad_()
    refinement.requires_grad_()
    assert torch.autograd.gradcheck(lambda g, d: gated_estimates(g, d, spectrogram), (gate, refinement))


def test_written_gradient_is_that_of_autograd_on_the_definition() -> None:
    gate, refinement, spectrogram = inputs(n_bins=7, refined=7)
    gate.requires_grad_()
    refinement.requires_grad_()
    direction = torch.randn_like(spectrogram[:, None].expand(-1, 4, -1, -1, -1))
    ours = torch.autograd.grad(gated_estimates(gate, refinement, spectrogram), (gate, refinement), direction)
    theirs = torch.autograd.grad(by_definition(gate, refinement, spectrogram), (gate, refinement), direction)
    torch.testing.assert_close(ours, theirs)
