"""How a number in a paper was made: rate, mixture, pieces, metric, and how the pieces become one number.

Results of different protocols cannot be compared, nor stand in one column.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from soli.errors import SoliError
from soli.evaluation.metrics.bss_eval import bss_eval
from soli.evaluation.metrics.ratios import sdr_global, si_sdr, si_sdr_improvement

NAN = float("nan")


@dataclass(frozen=True, kw_only=True)
class Protocol(ABC):
    """What to measure, and on what.

    Attributes:
        name: as the command line takes it.
        about: one line for people.
        metrics: what `measure` returns; the first is the headline.
        statistic: that makes one number of a track's pieces and of all tracks.
        tracks_first: whether each track becomes one number before the tracks are summarised; otherwise all pieces of
            all tracks are pooled.
        sample_rate: in Hz, at which models hear the mixture and estimates are measured; None for the track's own.
        mono: whether channels are averaged before.
        mixture_is_sum: whether the mixture is the sum of the evaluated sources; otherwise it is the track's.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]]
    statistic: ClassVar[Literal["median", "mean"]]
    tracks_first: ClassVar[bool] = True
    sample_rate: int | None = None
    mono: bool = False
    mixture_is_sum: bool = False

    def segments(self, n_samples: int, sample_rate: int) -> list[slice]:
        """The stretches of a track that are separated, each on its own.

        Args:
            n_samples: of the track.
            sample_rate: in Hz.

        Returns:
            Consecutive stretches from the beginning; what lies after the last is left out.

        Raises:
            SoliError: for a track that is too short.
        """
        del sample_rate
        return [slice(0, n_samples)]

    @abstractmethod
    def measure(self, references: Tensor, estimates: Tensor, mixture: Tensor, sample_rate: int) -> Mapping[str, Tensor]:
        """Measure one track.

        Args:
            references: `[S C T]`.
            estimates: `[S C T]`, in the order of the references.
            mixture: `[C T]`.
            sample_rate: of all of them, in Hz.

        Returns:
            Metric -> `[S pieces]`, NaN where it is not defined.

        Raises:
            SoliError: for shapes that do not fit.
        """

    def describe(self) -> dict[str, Any]:
        """Everything that decides a number, for results on disk."""
        facts = {"name": self.name, "about": self.about, "metrics": list(self.metrics), "statistic": self.statistic}
        return facts | {"tracks_first": self.tracks_first} | asdict(self)


@dataclass(frozen=True, kw_only=True)
class Museval(Protocol):
    """SiSEC 2018: BSS Eval version 4, median over frames, then over tracks.

    Silence is museval's: a frame in which any source or estimate is digital silence has no numbers, so a track with a
    source that is silent from beginning to end has none at all.

    References and estimates are rounded to 16 bits, as they are in the files of the published evaluations. That is no
    detail: stems decoded from AAC and left in floating point have empty bands, in which the filters of BSS Eval can do
    anything; SIR and SAR are then wrong by 10 dB and more, in museval as here.

    Attributes:
        window_seconds: frames, without overlap.
    """

    name = "museval"
    about = "BSS Eval v4 of images in frames of 1 s; median over frames, then over tracks"
    metrics = ("sdr_museval", "sir_museval", "sar_museval", "isr_museval")
    statistic = "median"
    window_seconds: float = 1.0

    def measure(self, references: Tensor, estimates: Tensor, mixture: Tensor, sample_rate: int) -> Mapping[str, Tensor]:
        """See `Protocol`."""
        del mixture
        window = round(self.window_seconds * sample_rate)
        references, estimates = to_16_bits(references), to_16_bits(estimates)
        ratios = bss_eval(references, estimates, mode="images", window=window, hop=window)
        return {name: getattr(ratios, name.removesuffix("_museval")) for name in self.metrics}


@dataclass(frozen=True, kw_only=True)
class Global(Protocol):
    """Music Demixing Challenges of 2021 and 2023: one number for a whole song, mean over songs.

    Their guard against silence, a constant in numerator and denominator, is left out: a silent source has no number.
    """

    name = "global"
    about = "SDR of the whole track, all channels together; mean over tracks"
    metrics = ("sdr_global", "si_sdr", "si_sdr_improvement")
    statistic = "mean"

    def measure(self, references: Tensor, estimates: Tensor, mixture: Tensor, sample_rate: int) -> Mapping[str, Tensor]:
        """See `Protocol`."""
        del sample_rate
        found = {
            "sdr_global": sdr_global(references, estimates),
            "si_sdr": si_sdr(references, estimates),
            "si_sdr_improvement": si_sdr_improvement(references, estimates, mixture.expand_as(references)),
        }
        return {name: values[:, None] for name, values in found.items()}


@dataclass(frozen=True, kw_only=True)
class Msdm(Protocol):
    """Slakh2100 as in Mariani et al. 2024 and seed 002: SI-SDR improvement in overlapping windows, to the letter.

    The published number includes silent sources: an estimate of exactly zero for one is worth up to 110 dB. It stands
    beside the number of the active sources alone. Files of a track that end early are filled with silence, where the
    published code cuts all of them.

    Attributes:
        chunk: samples that a model hears at a time; the rest at the end of a track is dropped.
        window: samples of a window.
        hop: samples between windows.
        silence: a source is silent in a window where its norm divided by the number of samples is below this.
        least_active: windows with fewer active sources are left out.
        eps: in every ratio.
    """

    name = "msdm"
    about = "SI-SDR improvement in windows of 4 s with two sources or more, mono at 22.05 kHz; mean over all windows"
    metrics = ("si_sdr_improvement_published", "si_sdr_improvement_active")
    statistic = "mean"
    tracks_first = False
    sample_rate: int | None = 22050
    mono: bool = True
    mixture_is_sum: bool = True
    chunk: int = 262_144
    window: int = 88_200
    hop: int = 44_100
    silence: float = 1.5e-5
    least_active: int = 2
    eps: float = 1e-8

    def segments(self, n_samples: int, sample_rate: int) -> list[slice]:
        """Chunks without overlap; see `Protocol`."""
        count = n_samples // self.chunk
        if not count:
            shortest = f"{self.chunk / sample_rate:.1f} s"
            raise SoliError(f"{n_samples / sample_rate:.1f} s of audio; protocol {self.name} needs {shortest} or more")
        return [slice(i * self.chunk, (i + 1) * self.chunk) for i in range(count)]

    def measure(self, references: Tensor, estimates: Tensor, mixture: Tensor, sample_rate: int) -> Mapping[str, Tensor]:
        """See `Protocol`."""
        del sample_rate
        references, estimates, mixture = (signal.double().flatten(-2) for signal in (references, estimates, mixture))
        count = max(0, -(-(references.shape[-1] - self.hop) // self.hop))
        published = torch.full((len(references), count), NAN, dtype=torch.float64)
        active = published.clone()
        for i in range(count):
            piece = slice(i * self.hop, i * self.hop + self.window)
            true, estimate, mixed = references[:, piece], estimates[:, piece], mixture[piece]
            sounding = true.norm(dim=-1) / true.shape[-1] >= self.silence
            if sounding.sum() < self.least_active:
                continue
            gain = self._si_sdr(true, estimate) - self._si_sdr(true, mixed.expand_as(true))
            published[:, i] = gain
            active[:, i] = gain.where(sounding, NAN)
        return dict(zip(self.metrics, (published, active), strict=True))

    def _si_sdr(self, references: Tensor, estimates: Tensor) -> Tensor:
        """`[S T]` each -> `[S]`, as published: no mean removed, eps on both sides of both fractions."""
        scale = ((references * estimates).sum(-1) + self.eps) / (references.square().sum(-1) + self.eps)
        target = scale[:, None] * references
        error = (target - estimates).square().sum(-1)
        return 10 * ((target.square().sum(-1) + self.eps) / (error + self.eps)).log10()


@dataclass(frozen=True, kw_only=True)
class Seed003(Protocol):
    """Zhu et al. 2022 (InstGlow, seed 003): SDR of pieces of about a minute, median over pieces.

    They take museval with one window for the whole piece, which is a plain signal-to-noise ratio, on estimates rounded
    to 16 bits. As in museval, a piece in which any source or estimate is digital silence has no numbers.

    Attributes:
        piece_seconds: of all pieces but a track's last, which is up to twice as long.
        least_energy: sources whose squares sum to no more than this have no number.
    """

    name = "seed003"
    about = "SDR of pieces of 60 s, mono at 22.05 kHz; median over all pieces"
    metrics = ("sdr_pieces",)
    statistic = "median"
    tracks_first = False
    sample_rate: int | None = 22050
    mono: bool = True
    piece_seconds: float = 60.0
    least_energy: float = 20.0

    def segments(self, n_samples: int, sample_rate: int) -> list[slice]:
        """Pieces without overlap, the last as long as it takes; see `Protocol`."""
        length = round(self.piece_seconds * sample_rate)
        count = max(1, n_samples // length)
        return [slice(i * length, n_samples if i == count - 1 else (i + 1) * length) for i in range(count)]

    def measure(self, references: Tensor, estimates: Tensor, mixture: Tensor, sample_rate: int) -> Mapping[str, Tensor]:
        """See `Protocol`."""
        del mixture
        pieces = self.segments(references.shape[-1], sample_rate)
        rounded = to_16_bits(estimates)
        ratios = [self._sdr(references[..., piece].double(), rounded[..., piece]) for piece in pieces]
        return {self.metrics[0]: torch.stack(ratios, dim=1)}

    def _sdr(self, references: Tensor, estimates: Tensor) -> Tensor:
        """`[S C T]` of one piece -> `[S]`."""
        sounding = all(signals.any(-1).any(-1).all() for signals in (references, estimates))
        ratio = sdr_global(references, estimates)
        loud = references.square().sum((-2, -1)) > self.least_energy
        return ratio.where(loud, NAN) if sounding else torch.full_like(ratio, NAN)


@dataclass(frozen=True, kw_only=True)
class Seed003Submix(Seed003):
    """The same on Slakh2100, where the mixture is the sum of the evaluated instruments and nothing else sounds."""

    name = "seed003-submix"
    about = "SDR of pieces of 60 s of the evaluated instruments' sum, mono at 22.05 kHz; median over all pieces"
    mixture_is_sum: bool = True


def to_16_bits(signals: Tensor) -> Tensor:
    """What a file of 16 bits would hold.

    Args:
        signals: any shape.

    Returns:
        The same in double precision, rounded, and clipped at full scale.
    """
    return (signals.double() * 32768).round().clamp(-32768, 32767) / 32768


_ALL = (Museval(), Global(), Msdm(), Seed003(), Seed003Submix())
PROTOCOLS: Mapping[str, Protocol] = {protocol.name: protocol for protocol in _ALL}
"""Every protocol by name."""


def find_protocol(name: str) -> Protocol:
    """Look a protocol up.

    Args:
        name: a key of `PROTOCOLS`.

    Returns:
        The protocol.

    Raises:
        SoliError: for an unknown name.
    """
    if name not in PROTOCOLS:
        raise SoliError(f"unknown protocol {name!r}; allowed: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
