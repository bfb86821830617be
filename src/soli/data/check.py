"""Is a dataset what it claims to be: every file decoded once, block by block, and held against its neighbours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from soli.audio import dbfs
from soli.data.meters import Meter, delay, residual_db
from soli.data.tracks import Dataset, Track

LENGTH_TOLERANCE = 0.1
"""Seconds by which the files of a track may differ in length, as the protocol for Slakh2100 has it."""

SHIFT_TOLERANCE = 0.001
"""Seconds by which a stem may seem shifted against the mixture: filters on the mix bus do as much."""

LOSSLESS_NULL_DB, LOSSY_NULL_DB = -50.0, -20.0
"""A mixture is the sum of its stems when mixture minus sum is below this, relative to the mixture, over all samples.

Rounding five stems to 16 bit leaves about -70 dB. AAC encodes mixture and stems each with noise of its own: on the
previews of MUSDB18 that leaves -22 to -35 dB, and -7 dB in the one song whose mixture holds something else.
"""

_BROKEN = ("unreadable", "misaligned")


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One finding.

    Attributes:
        kind: "unreadable", "misaligned", "not the sum", "clipped", "silent" or "unknown name".
        track: name of the track, after its split.
        stem: name of the stem, "mixture", or empty when it concerns the whole track.
        detail: in words.
    """

    kind: str
    track: str
    stem: str
    detail: str


@dataclass(kw_only=True)
class ClassCount:
    """How often a class occurs.

    Attributes:
        stems: that carry it.
        silent: of these.
        hours: of all of these.
    """

    stems: int = 0
    silent: int = 0
    hours: float = 0.0


@dataclass(frozen=True, kw_only=True)
class TrackCheck:
    """What one track holds.

    Attributes:
        seconds: of the longest file.
        sample_rates: of its files, in Hz.
        stems: labels, length in seconds and silence of each stem that could be read.
        residual_db: mixture minus sum of stems, relative to the mixture; None where it could not be measured.
        problems: found in it.
    """

    seconds: float
    sample_rates: tuple[int, ...]
    stems: tuple[tuple[tuple[str, ...], float, bool], ...]
    residual_db: float | None
    problems: tuple[Problem, ...]


@dataclass(kw_only=True)
class Report:
    """What a dataset holds.

    Attributes:
        path: of the dataset.
        layout: see `soli.data.layouts`.
        n_tracks: how many.
        hours: of all tracks, stems not counted apart.
        sample_rates: Hz -> number of tracks.
        classes: class -> its stems; classes of the coarse level first.
        splits: scheme -> split -> number of tracks.
        residual_db: lowest, median and highest of the tracks whose mixture could be compared; None without any.
        problems: in order of track.
    """

    path: str
    layout: str
    n_tracks: int
    hours: float
    sample_rates: dict[int, int]
    classes: dict[str, ClassCount]
    splits: dict[str, dict[str, int]]
    residual_db: tuple[float, float, float] | None
    problems: list[Problem] = field(default_factory=list)

    @property
    def broken(self) -> bool:
        """Whether anything cannot be used: unreadable or misaligned."""
        return any(problem.kind in _BROKEN for problem in self.problems)


def check_track(track: Track) -> TrackCheck:
    """Decode every file of a track once, all of them side by side.

    Args:
        track: of any dataset.

    Returns:
        What was found; nothing is raised for files that cannot be read.
    """
    name = f"{track.split}/{track.name}" if track.split else track.name
    if track.broken:
        broken = Problem(kind="unreadable", track=name, stem="", detail=track.broken)
        return TrackCheck(seconds=0.0, sample_rates=(), stems=(), residual_db=None, problems=(broken,))
    mixture = None if track.mix is None else Meter(track.mix)
    stems = {stem: Meter(file) for stem, file in track.stems.items()}
    meters = stems if mixture is None else {"mixture": mixture} | stems
    residual = residual_db(mixture, tuple(stems.values()))
    readable = [meter for meter in meters.values() if meter.header is not None and not meter.error]
    problems = [
        Problem(kind=kind, track=name, stem=stem, detail=detail)
        for kind, stem, detail in (*_faults(meters, stems), *_lengths(meters), *_sum_faults(track, meters, residual))
    ]
    return TrackCheck(
        seconds=max((meter.seconds for meter in readable), default=0.0),
        sample_rates=tuple(sorted({meter.rate for meter in readable})),
        stems=tuple((meter.stem.labels, meter.seconds, meter.silent) for meter in stems.values() if meter in readable),
        residual_db=residual,
        problems=tuple(problems),
    )


def summarise(dataset: Dataset, checks: Sequence[TrackCheck]) -> Report:
    """Put the findings of all tracks together.

    Args:
        dataset: that they belong to.
        checks: one per track.

    Returns:
        The report.
    """
    stems = [stem for check in checks for stem in check.stems]
    coarse = {labels[0]: ClassCount() for labels, _, _ in stems if labels}
    fine = sorted({label for labels, _, _ in stems for label in labels} - set(coarse))
    classes = dict(sorted(coarse.items())) | {label: ClassCount() for label in fine}
    for labels, seconds, silent in stems:
        for label in labels:
            classes[label].stems += 1
            classes[label].silent += silent
            classes[label].hours += seconds / 3600
    residuals = sorted(check.residual_db for check in checks if check.residual_db is not None)
    return Report(
        path=str(dataset.root),
        layout=dataset.layout,
        n_tracks=len(checks),
        hours=sum(check.seconds for check in checks) / 3600,
        sample_rates=dict(sorted(Counter(rate for check in checks for rate in check.sample_rates).items())),
        classes=classes,
        splits={
            scheme: {split: len(tracks) for split, tracks in found.items()} for scheme, found in dataset.splits.items()
        },
        residual_db=(residuals[0], residuals[len(residuals) // 2], residuals[-1]) if residuals else None,
        problems=[problem for check in checks for problem in check.problems],
    )


def _faults(meters: dict[str, Meter], stems: dict[str, Meter]) -> list[tuple[str, str, str]]:
    """What is wrong with single files."""
    found = []
    for name, meter in meters.items():
        if meter.error:
            found.append(("unreadable", name, meter.error))
            continue
        if name in stems and not meter.stem.labels:
            found.append(("unknown name", name, f"{name!r} belongs to no class"))
        if meter.silent:
            peak = f"peak {dbfs(meter.peak):.0f} dBFS" if meter.peak else "nothing but zeros"
            found.append(("silent", name, peak))
        if meter.clipped:
            found.append(("clipped", name, f"{meter.clipped} samples in runs at full scale"))
    return found


def _lengths(meters: dict[str, Meter]) -> list[tuple[str, str, str]]:
    """Files of another rate or length than most."""
    readable = {name: meter for name, meter in meters.items() if not meter.error}
    if not readable:
        return []
    rate, _ = Counter(meter.rate for meter in readable.values()).most_common(1)[0]
    longest = max(meter.seconds for meter in readable.values())
    found = []
    for name, meter in readable.items():
        if meter.rate != rate:
            found.append(("misaligned", name, f"{meter.rate} Hz, the others {rate} Hz"))
        elif longest - meter.seconds > LENGTH_TOLERANCE:
            found.append(("misaligned", name, f"ends {longest - meter.seconds:.2f} s before the longest"))
    return found


def _sum_faults(track: Track, meters: dict[str, Meter], residual: float | None) -> list[tuple[str, str, str]]:
    """A mixture that is not the sum of the stems, and the stems that begin at another time than in it."""
    if residual is None or track.mix is None:
        return []
    lossy = any(meter.header is not None and meter.header.lossy for meter in meters.values())
    if residual <= (LOSSY_NULL_DB if lossy else LOSSLESS_NULL_DB):
        return []
    found = [("not the sum", "mixture", f"{residual:.1f} dB are left when the stems are subtracted")]
    rate = meters["mixture"].rate
    start = max(0, meters["mixture"].n_samples - 6 * rate) // 2
    for name, stem in track.stems.items():
        late = delay(track.mix, stem, start)
        if abs(late) > SHIFT_TOLERANCE * rate:
            where = "later" if late > 0 else "earlier"
            found.append(("misaligned", name, f"{abs(late)} samples {where} than in the mixture"))
    return found
