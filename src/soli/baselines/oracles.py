"""Oracle masks: what the best mask of each kind could do, made from the true sources.

Upper bounds for the methods that estimate such a mask, to stand beside every table. None is a bound for methods that
mask nothing or use another transform.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from soli.dsp.stft import istft, stft
from soli.errors import SoliError

Oracle = Literal["binary", "ratio", "phase_sensitive", "complex", "wiener"]
_TINY = 1e-10


def oracle_estimates(
    references: Tensor, kind: Oracle, *, n_fft: int = 4096, hop_length: int = 1024, exponent: float = 1.0
) -> Tensor:
    """Separate a mixture with masks made from its own sources.

    - `binary` (IBM): each bin of each channel goes to its loudest source (Wang 2005).
    - `ratio` (IRM): |S_k|^a over the sum of |S_j|^a, a = `exponent` (Liutkus and Badeau 2015).
    - `phase_sensitive` (PSM): Re(S_k / X), clamped to 0…1 (Erdogan et al. 2015).
    - `complex` (cIRM): S_k / X with its modulus limited to 1 (Williamson et al. 2016, there compressed instead).
    - `wiener` (MWF): each source with its true power in each bin and one spatial covariance per frequency
      (Duong et al. 2010); channels are filtered together.

    Args:
        references: the true sources `[S C T]`; the mixture is their sum.
        kind: of mask.
        n_fft: window in samples.
        hop_length: in samples.
        exponent: of the magnitudes, for `ratio`.

    Returns:
        Estimates `[S C T]`. Those of `binary`, `ratio` and `wiener` sum to the mixture.

    Raises:
        SoliError: for an unknown kind or a wrong shape.
    """
    if kind not in get_args(Oracle):
        raise SoliError(f"oracle {kind!r}; allowed: {', '.join(get_args(Oracle))}")
    if references.ndim != 3:
        raise SoliError(f"references {list(references.shape)}; allowed: [S C T]")
    sources = stft(references, n_fft, hop_length)  # [S C F N]
    mixture = sources.sum(dim=0)
    estimates = _wiener(sources, mixture) if kind == "wiener" else _mask(sources, mixture, kind, exponent) * mixture
    return istft(estimates, n_fft, hop_length, references.shape[-1])


def _mask(sources: Tensor, mixture: Tensor, kind: Oracle, exponent: float) -> Tensor:
    """Masks `[S C F N]`, real or complex."""
    if kind == "binary":
        loudest = sources.abs().argmax(dim=0)
        return torch.stack([loudest == source for source in range(len(sources))]).to(sources.real.dtype)
    if kind == "ratio":
        weights = sources.abs() ** exponent + _TINY
        return weights / weights.sum(dim=0)
    ratio = sources * mixture.conj() / (mixture.abs().square() + _TINY**2)
    if kind == "phase_sensitive":
        return ratio.real.clamp(0.0, 1.0)
    return ratio / ratio.abs().clamp(min=1.0)


def _wiener(sources: Tensor, mixture: Tensor) -> Tensor:
    """`[S C F N]` and `[C F N]` -> `[S C F N]`."""
    spectra = sources.to(torch.complex128)
    power = spectra.abs().square().mean(dim=1)  # [S F N]
    products = torch.einsum("scfn,sdfn->sfcd", spectra, spectra.conj())
    spatial = products / (power.sum(dim=-1)[..., None, None] + _TINY)  # [S F C C]
    spatial = spatial + _TINY * torch.eye(sources.shape[1], dtype=spatial.dtype, device=spatial.device)
    covariance = torch.einsum("sfn,sfcd->fncd", (power + _TINY).to(spatial.dtype), spatial)
    whitened = torch.linalg.solve(covariance, mixture.permute(1, 2, 0).to(covariance.dtype)[..., None])[..., 0]
    filtered = torch.einsum("sfn,sfcd,fnd->scfn", (power + _TINY).to(spatial.dtype), spatial, whitened)
    return filtered.to(sources.dtype)
