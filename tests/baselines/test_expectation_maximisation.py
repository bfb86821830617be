from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from soli.baselines.expectation_maximisation import wiener_em


def problem(n_sources: int = 3, n_bins: int = 4, n_frames: int = 7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    mixture = 20 * torch.randn(2, n_bins, n_frames, dtype=torch.complex128, generator=generator)
    shares = torch.rand(n_sources, 2, n_bins, n_frames, dtype=torch.float64, generator=generator)
    return shares * mixture.abs(), mixture


def by_the_book(magnitudes: Tensor, mixture: Tensor, iterations: int, noise: float) -> np.ndarray:
    """Bin by bin, with numpy's inverse."""
    heard = mixture.numpy()
    guess = magnitudes.numpy() * np.exp(1j * np.angle(heard))
    scale = max(1.0, np.abs(heard).max() / 10)
    heard, guess = heard / scale, guess / scale
    n_sources, _, n_bins, n_frames = guess.shape
    for _ in range(iterations):
        new = np.zeros_like(guess)
        for f in range(n_bins):
            vectors = guess[:, :, f]  # [S 2 N]
            power = (np.abs(vectors) ** 2).mean(axis=1)  # [S N]
            spatial = [
                sum(np.outer(vectors[s, :, n], vectors[s, :, n].conj()) for n in range(n_frames))
                / (power[s].sum() + noise)
                for s in range(n_sources)
            ]
            for n in range(n_frames):
                total = noise**0.5 * np.eye(2) + sum(power[s, n] * spatial[s] for s in range(n_sources))
                for s in range(n_sources):
                    new[s, :, f, n] = power[s, n] * spatial[s] @ np.linalg.inv(total) @ heard[:, f, n]
        guess = new
    return guess * scale


def test_it_is_the_filter_by_the_book() -> None:
    magnitudes, mixture = problem()
    for iterations in (0, 1, 2):
        due = by_the_book(magnitudes, mixture, iterations, 1e-10)
        got = wiener_em(magnitudes, mixture, iterations=iterations)
        np.testing.assert_allclose(got.numpy(), due, rtol=1e-8, atol=1e-8)


def test_windows_do_not_know_each_other() -> None:
    magnitudes, mixture = problem()
    whole = wiener_em(magnitudes, mixture, window=4)
    parts = [wiener_em(magnitudes[..., part], mixture[..., part]) for part in (slice(0, 4), slice(4, 7))]
    torch.testing.assert_close(whole, torch.cat(parts, dim=-1), rtol=0, atol=0)
    assert not torch.allclose(whole, wiener_em(magnitudes, mixture))


def test_the_estimates_share_the_mixture_out() -> None:
    magnitudes, mixture = problem()
    assert (wiener_em(magnitudes, mixture, iterations=0).sum(dim=0) - mixture).abs().max() > 1
    assert (wiener_em(magnitudes, mixture).sum(dim=0) - mixture).abs().max() < 1e-2


def test_a_direction_is_heard() -> None:
    """Two sources of equal magnitude everywhere, one of them on the left only."""
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(2, 1, 5, 200, dtype=torch.complex128, generator=generator)
    sources = torch.stack((torch.cat((left, 0 * left)), torch.cat((right, right))))
    mixture = sources.sum(dim=0)
    guess = sources.abs()
    before, after = ((wiener_em(guess, mixture, iterations=n) - sources).abs().square().mean() for n in (0, 2))
    assert after < 0.3 * before
