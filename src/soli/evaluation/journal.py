"""What has been measured so far: one line of JSON per model and track, so that a killed evaluation can go on."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from soli.errors import SoliError

Values = dict[str, dict[str, list[float]]]
"""Metric -> source -> a number per piece."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One model on one track.

    Attributes:
        model: its name in the table.
        track: its name, after its split.
        error: why there are no numbers, in one line; empty where there are.
        audio_seconds: length of what was separated.
        seconds: that separating took, by the wall clock.
        metrics: metric -> source -> a number per piece; NaN where it is not defined.
    """

    model: str
    track: str
    error: str = ""
    audio_seconds: float = 0.0
    seconds: float = 0.0
    metrics: Values = field(default_factory=dict)

    @property
    def real_time_factor(self) -> float:
        """Seconds of work per second of audio; NaN without audio."""
        return self.seconds / self.audio_seconds if self.audio_seconds else math.nan


def to_json(record: Record) -> dict[str, Any]:
    """Write a record in plain JSON, which knows neither NaN nor infinity.

    Args:
        record: what to write.

    Returns:
        Its fields; NaN is null, infinities are the strings "inf" and "-inf".
    """
    values = {
        metric: {source: [encode(value) for value in pieces] for source, pieces in sources.items()}
        for metric, sources in record.metrics.items()
    }
    return asdict(record) | {"real_time_factor": encode(record.real_time_factor), "metrics": values}


def from_json(content: Mapping[str, Any]) -> Record:
    """Read a record again.

    Args:
        content: from `to_json`.

    Returns:
        The record.
    """
    values = {
        metric: {source: [decode(value) for value in pieces] for source, pieces in sources.items()}
        for metric, sources in content["metrics"].items()
    }
    facts = {name: content[name] for name in ("model", "track", "error", "audio_seconds", "seconds")}
    return Record(**facts, metrics=values)


def encode(value: float) -> float | str | None:
    """A number as plain JSON can hold it.

    Args:
        value: any.

    Returns:
        The number; null for NaN, "inf" or "-inf" for an infinite one.
    """
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else str(value)


def decode(value: float | str | None) -> float:
    """The inverse of `encode`.

    Args:
        value: from JSON.

    Returns:
        The number.
    """
    return math.nan if value is None else float(value)


class Journal:
    """A file that grows by a line per record and starts with what all of them have in common.

    Args:
        path: of the file; made if missing, with its folder.
        header: what the records belong to, as JSON can hold it.

    Attributes:
        path: of the file.
        records: those of an earlier run; later ones are not added.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            content = path.read_bytes() if path.exists() else b""
            whole = content[: content.rfind(b"\n") + 1]  # a line without an end was being written when the run died
            if whole.count(b"\n") < 2:  # nothing was measured, so nothing would be lost
                whole = b""
            self.records = _read(path, whole, header) if whole else []
            self._stream = path.open("r+b" if content else "wb")
            self._stream.seek(len(whole))
            self._stream.truncate()
        except OSError as error:
            raise SoliError(f"{path}: cannot be written ({error.strerror or error})") from error
        self._empty = not whole
        if self._empty:
            self._write(header)

    def append(self, record: Record) -> None:
        """Write a record; once this returns, a killed process does not lose it.

        Args:
            record: of a model and track that are not there yet.

        Raises:
            SoliError: for a full disk.
        """
        self._write(to_json(record))
        self._empty = False

    def close(self) -> None:
        """Keep the file for later, if there is a record in it."""
        self._stream.close()
        if self._empty:
            self.path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Close and delete the file."""
        self.close()
        self.path.unlink(missing_ok=True)

    def _write(self, content: Mapping[str, Any]) -> None:
        line = json.dumps(content, allow_nan=False) + "\n"
        try:
            self._stream.write(line.encode())
            self._stream.flush()
        except OSError as error:
            raise SoliError(f"{self.path}: cannot be written ({error.strerror or error})") from error


def _read(path: Path, content: bytes, header: Mapping[str, Any]) -> list[Record]:
    """The records of whole lines, which must belong to this header."""
    try:
        found, *lines = (json.loads(line) for line in content.splitlines())
        records = [from_json(line) for line in lines]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SoliError(f"{path}: not a journal of an evaluation; delete it or choose another --out") from error
    wanted = json.loads(json.dumps(header))
    difference = _difference(found, wanted)
    if difference:
        raise SoliError(f"{path}: an unfinished evaluation with {difference}; delete it or choose another --out")
    return records


def _difference(found: Any, wanted: Any, name: str = "") -> str:
    """In words, the first thing in which two headers differ; empty where they agree."""
    if found == wanted:
        return ""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in [*wanted, *found]:
            inner = _difference(found.get(key), wanted.get(key), f"{name} {key}".strip())
            if inner:
                return inner
    if name == "tracks":
        return f"other tracks ({len(found or [])}, now {len(wanted)})"
    return f"{name or 'header'} {json.dumps(found)} instead of {json.dumps(wanted)}"
