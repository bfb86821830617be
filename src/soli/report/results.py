"""What `soli evaluate` has written, read again without torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soli.errors import SoliError
from soli.evaluation.journal import Record, decode, from_json

ALL = "all"
FORMAT = 1


@dataclass(frozen=True)
class Interval:
    """A number and its 95 % interval; NaN where there is none.

    Attributes:
        value: the number.
        low: lower end.
        high: upper end.
    """

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Two models compared on the same tracks.

    Attributes:
        first: name of a model.
        second: of the other.
        source: a source, or "all".
        interval: first minus second.
        n_tracks: that both have a number for.
    """

    first: str
    second: str
    source: str
    interval: Interval
    n_tracks: int


@dataclass(frozen=True, kw_only=True)
class Results:
    """An evaluation.

    Attributes:
        dataset: its name and split.
        protocol: its name.
        about: the protocol in a sentence.
        metrics: the first is the headline.
        statistic: "median" or "mean", the protocol's.
        sources: that were evaluated.
        models: best first, by the headline over all sources.
        tracks: names.
        cells: (model, metric, source, statistic) -> number.
        differences: of every pair of models.
        n_failed: model -> tracks it failed on.
        real_time_factor: model -> seconds of work per second of audio.
        records: a number per piece, model and track.
        facts: the whole file but its numbers.
    """

    dataset: str
    protocol: str
    about: str
    metrics: tuple[str, ...]
    statistic: str
    sources: tuple[str, ...]
    models: tuple[str, ...]
    tracks: tuple[str, ...]
    cells: Mapping[tuple[str, str, str, str], Interval]
    differences: tuple[Difference, ...]
    n_failed: Mapping[str, int]
    real_time_factor: Mapping[str, float]
    records: tuple[Record, ...]
    facts: Mapping[str, Any]

    def cell(self, model: str, metric: str, source: str, statistic: str | None = None) -> Interval:
        """Look a number up.

        Args:
            model: its name.
            metric: one of `metrics`.
            source: one of `sources`, or "all".
            statistic: None for the protocol's.

        Returns:
            The number, NaN where there is none.
        """
        return self.cells.get((model, metric, source, statistic or self.statistic), Interval())


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a file that `soli evaluate` has written and check that it is one.

    Args:
        path: of a JSON file.

    Returns:
        Its content.

    Raises:
        SoliError: for a file that cannot be read or is something else.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SoliError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise SoliError(f"{path}: not JSON; allowed: what `soli evaluate --out` has written") from error
    parse(content, str(path))
    return content


def parse(content: Any, name: str) -> Results:
    """Take the content of such a file apart.

    Args:
        content: of the JSON.
        name: of the file, for errors.

    Returns:
        The evaluation.

    Raises:
        SoliError: for anything else.
    """
    try:
        found = content["format"]
        if found == FORMAT:
            return _parse(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SoliError(f"{name}: not a result of `soli evaluate`; allowed: what its --out has written") from error
    raise SoliError(f"{name}: results of format {found!r}; allowed: {FORMAT}; evaluate again")


def _parse(content: Mapping[str, Any]) -> Results:
    protocol, summary, dataset = content["protocol"], content["summary"], content["dataset"]
    headline, statistic = protocol["metrics"][0], protocol["statistic"]
    cells = {
        (cell["model"], cell["metric"], cell["source"], kind): _interval(cell[kind])
        for cell in summary["cells"]
        for kind in ("median", "mean")
    }

    def rank(model: str) -> float:
        value = cells[model, headline, ALL, statistic].value
        return math.inf if math.isnan(value) else -value

    work = summary["work"]
    split = dataset["split"]
    return Results(
        dataset=str(dataset["name"]) + (f", {split}" if split else ""),
        protocol=protocol["name"],
        about=protocol["about"],
        metrics=tuple(protocol["metrics"]),
        statistic=statistic,
        sources=tuple(content["sources"]),
        models=tuple(sorted(work, key=rank)),
        tracks=tuple(content["tracks"]),
        cells=cells,
        differences=tuple(_difference(d) for d in summary["differences"]),
        n_failed={model: int(facts["n_failed"]) for model, facts in work.items()},
        real_time_factor={model: decode(facts["real_time_factor"]) for model, facts in work.items()},
        records=tuple(from_json(record) for record in content["records"]),
        facts={key: value for key, value in content.items() if key not in ("summary", "records", "tracks")},
    )


def _interval(content: Mapping[str, Any]) -> Interval:
    return Interval(*(decode(content[key]) for key in ("value", "low", "high")))


def _difference(content: Mapping[str, Any]) -> Difference:
    ends = Interval(*(decode(content[key]) for key in ("difference", "low", "high")))
    names = {key: str(content[key]) for key in ("first", "second", "source")}
    return Difference(**names, interval=ends, n_tracks=int(content["n_tracks"]))
