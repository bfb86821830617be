from __future__ import annotations

import torch
from torch import Tensor

from soli.dsp.frames import analyse
from soli.evaluation.metrics import sdr_global
from soli.systems.classcond.spatial import spatial_filter


def noise(n_sources: int = 3, seed: int = 0) -> Tensor:
    """Stereo spectrograms of independent noises in one place each, `[1 S 2 N F]`."""
    generator = torch.Generator().manual_seed(seed)
    mono = torch.randn(n_sources, 1, 16000, generator=generator)
    angles = torch.linspace(0.2, 1.3, n_sources)[:, None]
    pans = torch.stack((angles.cos(), angles.sin()), dim=1)
    return analyse(pans * mono, 512, 256)[None]


def sdr(references: Tensor, estimates: Tensor) -> Tensor:
    """`[S]`, over all channels and bins."""
    return sdr_global(torch.view_as_real(references[0]).flatten(1, 2).flatten(-2), _real(estimates))


def _real(estimates: Tensor) -> Tensor:
    return torch.view_as_real(estimates[0]).flatten(1, 2).flatten(-2)


def test_estimates_sum_to_the_mixture() -> None:
    sources = noise()
    mixture = sources.sum(dim=1)
    found = spatial_filter(0.5 * sources + 0.1 * mixture[:, None], mixture, n_frames=5)
    torch.testing.assert_close(found.sum(dim=1), mixture, atol=1e-4, rtol=0)


def test_directions_tell_two_sources_apart_that_share_every_bin() -> None:
    sources = noise(2)
    mixture = sources.sum(dim=1)
    vague = 0.3 * mixture[:, None] + 0.4 * sources  # a mask that knows little
    found = spatial_filter(vague, mixture, n_frames=10)
    assert (sdr(sources, found) > sdr(sources, vague) + 3).all()


def test_with_true_statistics_and_exponent_two_it_is_the_wiener_filter() -> None:
    sources = noise(2)
    mixture = sources.sum(dim=1)
    n_frames = sources.shape[3]
    found = spatial_filter(sources, mixture, n_frames=n_frames, n_bins=0, exponent=2.0)
    power = sources.abs().square().mean(dim=2).double()  # [1 S N F]
    products = torch.einsum("bscnf,bsdnf->bsfcd", sources.to(torch.complex128), sources.conj().to(torch.complex128))
    spatial = products / power.sum(dim=2)[..., None, None]
    covariance = torch.einsum("bsnf,bsfcd->bnfcd", power.to(spatial.dtype), spatial)
    covariance += 1e-3 * torch.eye(2) * covariance.diagonal(dim1=-2, dim2=-1).sum(dim=-1).real[..., None, None]
    whitened = torch.linalg.solve(covariance, mixture.permute(0, 2, 3, 1).to(spatial.dtype)[..., None])[..., 0]
    due = torch.einsum("bsnf,bsfcd,bnfd->bscnf", power.to(spatial.dtype), spatial, whitened)
    shares = power / power.sum(dim=1, keepdim=True)
    due = due + shares[:, :, None] * (mixture - due.sum(dim=1))[:, None]
    torch.testing.assert_close(found, due.to(found.dtype), atol=1e-2, rtol=1e-3)


def test_a_mono_mixture_keeps_its_masks() -> None:
    mono = noise()[:, :, :1].expand(-1, -1, 2, -1, -1)
    mixture = mono.sum(dim=1)
    shares = torch.tensor([0.5, 0.3, 0.2])[None, :, None, None, None]
    found = spatial_filter(shares * mixture[:, None], mixture, n_frames=5, exponent=1.0)
    torch.testing.assert_close(found, shares * mixture[:, None], atol=1e-3, rtol=1e-3)


def test_its_reach_is_bounded() -> None:
    sources = noise()
    mixture = sources.sum(dim=1)
    changed = sources.clone()
    changed[:, :, 0, 30] *= 3.0
    before = spatial_filter(sources, mixture, n_frames=4)
    after = spatial_filter(changed, mixture, n_frames=4)
    touched = (before - after).abs().amax(dim=(0, 1, 2, 4)) > 1e-4
    assert touched.nonzero()[:, 0].tolist() == list(range(26, 35))


def test_silence_is_silent_and_finite() -> None:
    silence = torch.zeros(1, 3, 2, 6, 9, dtype=torch.complex64)
    assert spatial_filter(silence, silence[:, 0], n_frames=3).abs().max() == 0
