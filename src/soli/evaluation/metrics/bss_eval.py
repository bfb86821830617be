"""BSS Eval version 4: how much of an estimate is the source, its neighbours, or neither.

An estimate is projected on what 512-tap filters can make of its own reference, and of all references. The steps from
the reference to the first projection, to the second, and to the estimate are the spatial (or filtering) distortion,
the interference and the artefacts (Vincent et al. 2012; Stöter, Liutkus and Ito 2018). The filters are found once for
the whole signal; the energies are compared frame by frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from soli.errors import SoliError
from soli.evaluation.metrics.checks import check_same_shape, decibels
from soli.evaluation.metrics.toeplitz import solve_block_toeplitz

FILTER_LENGTH = 512
"""Taps of the distortion filters, delays of 0 to 511 samples."""
_N_FFT = 8192  # of the blocks that correlations and filters work in, so that memory does not grow with the song
_BLOCK = _N_FFT - FILTER_LENGTH + 1
_GROUP = 16  # blocks at a time


class BSSEval(NamedTuple):
    """Four ratios in dB, each `[S frames]`.

    Attributes:
        sdr: source to everything that is not it.
        isr: source image to spatial distortion; NaN in the mode `sources`.
        sir: source to interference.
        sar: everything that comes from the sources to artefacts.
    """

    sdr: Tensor
    isr: Tensor
    sir: Tensor
    sar: Tensor


@torch.no_grad()
def bss_eval(
    references: Tensor,
    estimates: Tensor,
    *,
    mode: Literal["images", "sources"] = "images",
    window: int | None,
    hop: int | None = None,
) -> BSSEval:
    """Decompose estimates and compare the energies of the parts, as `museval` does with its mode `v4`.

    Silence: in a frame where any reference or any estimate is digital silence, every ratio of every source is NaN, as
    in museval, so that adding a source can take frames from the others. A reference that is silent from beginning to
    end therefore leaves only NaN: leave it out. Nothing is NaN for being quiet, nor, other than in museval, for having
    channels that cancel. What is measured with filters is NaN also where the signal has fewer samples than they have
    taps, and they could imitate anything.

    Precision: references with empty bands (decoded from AAC or MP3 and left in floating point) leave the filters to
    the last digits, here as in museval, and SIR, SAR and ISR are good to a few thousandths of a dB; rounded to 16
    bits, to a millionth.

    Args:
        references: `[S C T]`.
        estimates: `[S C T]`, in the order of the references.
        mode: `images` compares with the reference as it is (the usual choice for music); `sources` forgives
            whatever a 512-tap filter of the reference can explain, as `bss_eval_sources` does.
        window: frame length in samples; None takes the whole signal as one frame. A last, shorter frame is dropped.
        hop: distance between frames in samples; None is the window.

    Returns:
        Four ratios in dB, `[S frames]`; infinite where a distortion is exactly zero.

    Raises:
        SoliError: shapes, mode, window or hop are not as above, or a sample is not finite.
    """
    check_same_shape(references, estimates, "[S C T]")
    window, hop = _check_frames(references.shape[-1], window, hop)
    if mode not in ("images", "sources"):
        raise SoliError(f"mode={mode!r}; allowed: 'images', 'sources'")
    if not (references.sum() + estimates.sum()).isfinite():
        raise SoliError("references or estimates with NaN or infinite samples cannot be decomposed")
    usable = _sounding(references, window, hop) & _sounding(estimates, window, hop)
    shape = (4, len(references), len(usable))
    ratios = torch.full(shape, float("nan"), dtype=torch.float64, device=references.device)
    if usable.any():
        spectra = _filter_spectra(references, estimates)
        for n in usable.nonzero().flatten().tolist():
            frame = slice(n * hop, n * hop + window)
            ratios[:, :, n] = _ratios(references[..., frame], estimates[..., frame], spectra, mode)
    return BSSEval(*_without_undefined(ratios, references.shape, mode))


def _check_frames(n_samples: int, window: int | None, hop: int | None) -> tuple[int, int]:
    """Window and hop in samples, neither longer than need be."""
    window = n_samples if window is None else window
    hop = window if hop is None else hop
    if window < 1 or hop < 1:
        raise SoliError(f"window={window}, hop={hop}; at least 1 sample is needed for each")
    return min(window, n_samples), hop


def _sounding(signals: Tensor, window: int, hop: int) -> Tensor:
    """`[S C T]` -> `[frames]`: has every source a sample that is not zero?"""
    return (signals != 0).any(1).unfold(-1, window, hop).any(-1).all(0)


def _without_undefined(ratios: Tensor, shape: torch.Size, mode: str) -> Tensor:
    """Remove what filters with more taps than the signal has samples would give."""
    n_sources, n_channels, n_samples = shape
    dimensions = n_samples + FILTER_LENGTH - 1
    if n_sources * n_channels * FILTER_LENGTH >= dimensions:
        ratios[2:] = float("nan")
    if n_channels * FILTER_LENGTH >= dimensions:
        ratios[0 if mode == "sources" else 1 :] = float("nan")
    return ratios


def _filter_spectra(references: Tensor, estimates: Tensor) -> tuple[Tensor, Tensor]:
    """Least-squares filters from all references, `[F S*C S*C]`, and from the own one, `[F S C C]`, to each estimate.

    The last two axes are output and input.
    """
    n_sources, n_channels, _ = references.shape
    references, estimates = references.flatten(0, 1), estimates.flatten(0, 1)
    among, across = _correlate(references, estimates)
    level = among[0].diagonal().sqrt()
    scale = torch.where(level > 0, level, 1.0)  # the solver likes a diagonal of ones
    among, across = among / (scale[:, None] * scale), across / scale[:, None]
    everything = solve_block_toeplitz(among, across) / scale[:, None]
    if n_sources == 1:  # then both projections are one and the same, and interference is exactly zero
        spectrum = _spectrum(everything)
        return spectrum, spectrum[:, None]
    blocks = (FILTER_LENGTH, n_sources, n_channels, n_sources, n_channels)
    among, across = (x.reshape(blocks).diagonal(dim1=1, dim2=3).permute(3, 0, 1, 2) for x in (among, across))
    own = solve_block_toeplitz(among, across) / scale.view(n_sources, 1, n_channels, 1)
    return _spectrum(everything), _spectrum(own.transpose(0, 1))


def _spectrum(filters: Tensor) -> Tensor:
    """`[L ... input output]` -> `[F ... output input]`."""
    return torch.fft.rfft(filters, n=_N_FFT, dim=0).mT.contiguous()


def _correlate(references: Tensor, estimates: Tensor) -> tuple[Tensor, Tensor]:
    """`[P T]` each -> `[L P P]` each: the references with the references, and with the estimates.

    Entry `(k, p, q)` is the sum over t of `references[p, t]` times the other signal's `[q, t + k]`.
    """
    among = across = torch.zeros((), dtype=torch.complex128, device=references.device)
    for known, judged in zip(_blocks(references), _blocks(estimates), strict=True):
        once = known.clone()
        once[..., _BLOCK:] = 0  # each sample once, its successors as often as needed
        once = _by_frequency(once).conj()
        among = among + once @ _by_frequency(known).mT
        across = across + once @ _by_frequency(judged).mT
    among, across = (torch.fft.irfft(x, n=_N_FFT, dim=0)[:FILTER_LENGTH] for x in (among, across))
    return among, across


def _blocks(signals: Tensor) -> Iterator[Tensor]:
    """Cut `[P T]` into windows that overlap by 511, a group at a time.

    Each group is `[P blocks _N_FFT]` in double precision, with zeros after the end.
    """
    n_blocks = -(-signals.shape[-1] // _BLOCK)
    for first in range(0, n_blocks, _GROUP):
        last = min(first + _GROUP, n_blocks)
        piece = slice(first * _BLOCK, last * _BLOCK + FILTER_LENGTH - 1)
        yield _stretch(signals[:, piece].double(), piece.stop - piece.start).unfold(-1, _N_FFT, _BLOCK)


def _by_frequency(windows: Tensor) -> Tensor:
    """`[P blocks _N_FFT]` -> `[F P blocks]`."""
    return torch.fft.rfft(windows).permute(2, 0, 1).contiguous()


def _ratios(references: Tensor, estimates: Tensor, spectra: tuple[Tensor, Tensor], mode: str) -> Tensor:
    """`[S C W]` of one frame -> SDR, ISR, SIR and SAR, `[4 S]`."""
    delayed = F.pad(references.flatten(0, 1), (FILTER_LENGTH - 1, 0))  # the filters look back, and have a tail
    powers, start = torch.zeros(8, len(references), dtype=torch.float64, device=references.device), 0
    for windows in _blocks(delayed):
        own, both = _filter(windows, spectra, len(references))
        piece = slice(start, start + own.shape[-1])
        true, estimate = (_stretch(signals[..., piece].double(), own.shape[-1]) for signals in (references, estimates))
        parts = (true, true - estimate, own - true, own, both - own, both, estimate - both, estimate - own)
        powers += torch.stack([torch.linalg.vector_norm(part, dim=(1, 2)).square() for part in parts])
        start = piece.stop
    true, distortion, spatial, own, interference, both, artefacts, unexplained = powers
    if mode == "sources":
        sdr, isr = decibels(own, unexplained), torch.full_like(own, float("nan"))
    else:
        sdr, isr = decibels(true, distortion), decibels(true, spatial)
    return torch.stack([sdr, isr, decibels(own, interference), decibels(both, artefacts)])


def _stretch(signals: Tensor, length: int) -> Tensor:
    """Put zeros after the end."""
    missing = length - signals.shape[-1]
    return F.pad(signals, (0, missing)) if missing else signals


def _filter(windows: Tensor, spectra: tuple[Tensor, Tensor], n_sources: int) -> tuple[Tensor, Tensor]:
    """Windows `[S*C blocks _N_FFT]` -> projections on the own and on all references, each `[S C blocks*_BLOCK]`."""
    everything, own = spectra
    source = _by_frequency(windows)
    images = (own @ source.unflatten(1, (n_sources, -1))).flatten(1, 2), everything @ source
    own, everything = (
        torch.fft.irfft(image.permute(1, 2, 0), n=_N_FFT)[..., FILTER_LENGTH - 1 :].reshape(
            n_sources, len(windows) // n_sources, -1
        )
        for image in images
    )
    return own, everything
