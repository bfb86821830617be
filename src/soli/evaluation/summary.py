"""From a number per piece to a number per model: medians and means with intervals, and models compared.

Intervals are percentiles of a bootstrap (Efron 1979) that draws whole tracks, because the pieces of a track are alike.
"all" is the mean over sources of each source's number, as published tables have it; its interval comes from the same
draws for all sources.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from soli.evaluation.bootstrap import paired_bootstrap
from soli.evaluation.journal import Record, encode
from soli.evaluation.protocols import Protocol

ALL = "all"
_CONFIDENCE, _N_RESAMPLES, _SEED = 0.95, 2000, 0
_BLOCK_ELEMENTS = 2_000_000  # of a block of draws, so that thousands of pieces need little memory

Statistic = Literal["median", "mean"]
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number and its interval, of 95 %.

    Attributes:
        value: of all tracks; NaN where nothing is defined, as are the others then.
        low: lower end.
        high: upper end.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One model, metric and source.

    Attributes:
        model: its name in the table.
        metric: one of the protocol's.
        source: its name, or "all".
        median: over tracks or pieces, as the protocol has it.
        mean: the same.
        n_tracks: that have a number.
        n_pieces: that have a number; "all" counts those of all sources.
    """

    model: str
    metric: str
    source: str
    median: Estimate
    mean: Estimate
    n_tracks: int
    n_pieces: int


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Two models on the same tracks, first minus second.

    Attributes:
        first: name of a model.
        second: name of the other.
        metric: one of the protocol's.
        source: its name, or "all".
        difference: the protocol's statistic of the differences per track.
        low: lower end of its interval, of 95 %.
        high: upper end.
        n_tracks: on which both have a number.
    """

    first: str
    second: str
    metric: str
    source: str
    difference: float
    low: float
    high: float
    n_tracks: int


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a model had to do.

    Attributes:
        n_tracks: all it was given.
        n_failed: of these.
        seconds: for those that did not fail, by the wall clock.
        real_time_factor: seconds of work per second of audio, median over tracks; NaN where all failed.
    """

    n_tracks: int
    n_failed: int
    seconds: float
    real_time_factor: float


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The numbers of a table.

    Attributes:
        protocol: that made them.
        sources: that were evaluated.
        cells: by model, metric and source, "all" last.
        differences: every pair of models in the headline metric, by source, "all" last.
        work: by model.
    """

    protocol: Protocol
    sources: tuple[str, ...]
    cells: tuple[Cell, ...]
    differences: tuple[Difference, ...]
    work: Mapping[str, Work]

    def cell(self, model: str, metric: str, source: str) -> Cell:
        """Look a cell up.

        Args:
            model: its name.
            metric: one of the protocol's.
            source: one of the sources, or "all".

        Returns:
            The cell.

        Raises:
            KeyError: when there is none.
        """
        for cell in self.cells:
            if (cell.model, cell.metric, cell.source) == (model, metric, source):
                return cell
        raise KeyError((model, metric, source))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: NaN is null, infinities are the strings "inf" and "-inf"."""
        return {
            "statistic": self.protocol.statistic,
            "cells": [_plain(asdict(cell)) for cell in self.cells],
            "differences": [_plain(asdict(difference)) for difference in self.differences],
            "work": {model: _plain(asdict(work)) for model, work in self.work.items()},
        }


def summarise(records: Sequence[Record], protocol: Protocol, sources: Sequence[str]) -> Summary:
    """Make the numbers of a table.

    Args:
        records: of all models and tracks.
        protocol: that made them.
        sources: that were evaluated.

    Returns:
        Medians and means of every metric, comparisons in the headline metric, failures and speed.
    """
    by_model: dict[str, list[Record]] = {}
    for record in records:
        by_model.setdefault(record.model, []).append(record)
    cells = [
        cell
        for model, found in by_model.items()
        for metric in protocol.metrics
        for cell in _cells(model, metric, found, protocol, sources)
    ]
    return Summary(
        protocol=protocol,
        sources=tuple(sources),
        cells=tuple(cells),
        differences=tuple(_differences(by_model, protocol, sources)),
        work={model: _work(found) for model, found in by_model.items()},
    )


def number_of(values: Floats, statistic: Statistic) -> float:
    """One number for several.

    Args:
        values: any; NaN is left out, infinities count.
        statistic: which number.

    Returns:
        The number; NaN when there is none.
    """
    values = values[~np.isnan(values)]
    if not len(values):
        return float("nan")
    with np.errstate(invalid="ignore"):  # infinities of both signs have no mean
        return float(np.median(values) if statistic == "median" else np.mean(values))


def resampled(values: Floats, tracks: NDArray[np.intp], counts: NDArray[np.int64], statistic: Statistic) -> Floats:
    """The statistic of many draws of tracks.

    Args:
        values: a number per piece, `[pieces]`, without NaN.
        tracks: index of the track of each, `[pieces]`.
        counts: how often each draw has each track, `[draws tracks]`.
        statistic: of the pieces of the drawn tracks.

    Returns:
        `[draws]`; NaN for a draw without pieces.
    """
    if statistic == "mean":
        return _means(values, tracks, counts)
    if not len(values):
        return np.full(len(counts), np.nan)
    order = np.argsort(values)
    values, tracks = values[order], tracks[order]
    size = max(1, _BLOCK_ELEMENTS // len(values))
    return np.concatenate([_medians(values, counts[i : i + size, tracks]) for i in range(0, len(counts), size)])


def _medians(values: Floats, weights: NDArray[np.int64]) -> Floats:
    """Medians of sorted values that are there as often as the weights `[draws pieces]` say."""
    twice = 2 * weights.cumsum(axis=1)
    total = twice[:, -1:] // 2
    lower, upper = (twice >= total).argmax(axis=1), (twice > total).argmax(axis=1)
    with np.errstate(invalid="ignore"):
        return np.where(total[:, 0] > 0, (values[lower] + values[upper]) / 2, np.nan)


def _means(values: Floats, tracks: NDArray[np.intp], counts: NDArray[np.int64]) -> Floats:
    """Means of the pieces of tracks that are there as often as the counts say."""
    sums = np.bincount(tracks, values, minlength=counts.shape[1])
    sizes = np.bincount(tracks, minlength=counts.shape[1])
    finite = np.isfinite(sums)
    with np.errstate(invalid="ignore"):
        total = counts[:, finite] @ sums[finite]
        for i in np.flatnonzero(~finite):  # zero times infinity is none
            total = np.where(counts[:, i] > 0, total + sums[i], total)
        return total / (counts @ sizes)


def _cells(
    model: str, metric: str, records: Sequence[Record], protocol: Protocol, sources: Sequence[str]
) -> Iterator[Cell]:
    """The cells of one model and metric."""
    counts = np.random.default_rng(_SEED).multinomial(
        len(records), np.full(len(records), 1 / len(records)), size=_N_RESAMPLES
    )
    single: dict[str, dict[Statistic, tuple[float, Floats]]] = {}
    seen: set[int] = set()
    n_pieces = 0
    for source in sources:
        pieces = [np.array(record.metrics.get(metric, {}).get(source, []), np.float64) for record in records]
        defined = [track[~np.isnan(track)] for track in pieces]
        with_number = [i for i, track in enumerate(defined) if len(track)]
        single[source] = {}
        for statistic in ("median", "mean"):
            per_track = [np.array([number_of(defined[i], protocol.statistic)]) for i in with_number]
            kept = per_track if protocol.tracks_first else [defined[i] for i in with_number]
            values = np.concatenate(kept) if kept else np.zeros(0)
            tracks = np.repeat(np.array(with_number, np.intp), [len(track) for track in kept])
            single[source][statistic] = number_of(values, statistic), resampled(values, tracks, counts, statistic)
        found = sum(len(track) for track in defined)
        yield _cell(model, metric, source, single[source], len(with_number), found)
        seen.update(with_number)
        n_pieces += found
    over_sources: dict[Statistic, tuple[float, Floats]] = {}
    for statistic in ("median", "mean"):
        values = np.array([single[source][statistic][0] for source in sources])
        draws = np.stack([single[source][statistic][1] for source in sources])
        over_sources[statistic] = number_of(values, "mean"), _mean_of_defined(draws)
    yield _cell(model, metric, ALL, over_sources, len(seen), n_pieces)


def _mean_of_defined(draws: Floats) -> Floats:
    """`[S draws]` -> `[draws]`; NaN where no source has a number."""
    defined = ~np.isnan(draws)
    with np.errstate(invalid="ignore"):
        return np.where(defined, draws, 0).sum(axis=0) / defined.sum(axis=0)


def _cell(
    model: str, metric: str, source: str, found: Mapping[Statistic, tuple[float, Floats]], n_tracks: int, n_pieces: int
) -> Cell:
    median, mean = (_estimate(*found[statistic]) for statistic in ("median", "mean"))
    return Cell(
        model=model, metric=metric, source=source, median=median, mean=mean, n_tracks=n_tracks, n_pieces=n_pieces
    )


def _estimate(value: float, draws: Floats) -> Estimate:
    """With the percentiles of the draws; those are taken from the draws themselves, which may be infinite."""
    draws = draws[~np.isnan(draws)]
    if np.isnan(value) or not len(draws):
        return Estimate(value=value, low=float("nan"), high=float("nan"))
    ends = [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2]
    low, high = np.quantile(draws, ends, method="inverted_cdf")
    return Estimate(value=value, low=float(low), high=float(high))


def _differences(
    by_model: Mapping[str, Sequence[Record]], protocol: Protocol, sources: Sequence[str]
) -> Iterator[Difference]:
    """Every pair of models, track by track, in the headline metric."""
    metric = protocol.metrics[0]
    tables = {model: _per_track(records, metric, protocol, sources) for model, records in by_model.items()}
    for first, second in itertools.combinations(tables, 2):
        a, b = tables[first], tables[second]
        common = np.array([a[track] - b[track] for track in a if track in b]).reshape(-1, len(sources))
        for i, source in enumerate((*sources, ALL)):
            # "all" of a track is the mean over the sources that both models have a number for
            values = _mean_of_defined(common.T) if source == ALL else common[:, i]
            if not np.isfinite(values).any():
                continue
            found = paired_bootstrap(values, np.zeros(len(values)), statistic=protocol.statistic, seed=_SEED)
            yield Difference(
                first=first,
                second=second,
                metric=metric,
                source=source,
                difference=found.difference,
                low=found.low,
                high=found.high,
                n_tracks=found.n_clips,
            )


def _per_track(records: Sequence[Record], metric: str, protocol: Protocol, sources: Sequence[str]) -> dict[str, Floats]:
    """Track -> a number per source."""
    return {
        record.track: np.array(
            [number_of(np.array(record.metrics[metric][source]), protocol.statistic) for source in sources]
        )
        for record in records
        if metric in record.metrics
    }


def _work(records: Sequence[Record]) -> Work:
    done = [record for record in records if not record.error]
    factors = np.array([record.real_time_factor for record in done])
    return Work(
        n_tracks=len(records),
        n_failed=len(records) - len(done),
        seconds=sum(record.seconds for record in done),
        real_time_factor=number_of(factors, "median"),
    )


def _plain(content: Any) -> Any:
    """Replace what JSON cannot hold."""
    if isinstance(content, dict):
        return {key: _plain(value) for key, value in content.items()}
    return encode(content) if isinstance(content, float) else content
