"""Measure models on a dataset, track by track; a killed run goes on where it stopped."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from soli import __version__
from soli.data.tracks import Dataset, Track
from soli.devices import resolve_device
from soli.disk import write_whole
from soli.errors import SoliError
from soli.evaluation.estimators import check_estimator, estimate, find_estimator
from soli.evaluation.examples import Estimator, Example, read_example, track_key
from soli.evaluation.journal import Journal, Record, to_json
from soli.evaluation.protocols import Protocol
from soli.evaluation.selection import choose_names, choose_sources, choose_tracks
from soli.evaluation.summary import Summary, summarise
from soli.parallel import open_engine

FORMAT = 1
JOURNAL_SUFFIX = ".journal"

ProgressCallback = Callable[[int, int, Record], None]
"""Called with the number of records so far, of all of them, and the new one."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What an evaluation has found.

    Attributes:
        facts: what was measured and how: protocol, dataset, sources, weights, versions.
        records: by model, then by track.
        summary: numbers per model, metric and source, and the models compared.
    """

    facts: Mapping[str, Any]
    records: tuple[Record, ...]
    summary: Summary

    def to_json(self) -> dict[str, Any]:
        """Everything, as it is written to disk."""
        records = [to_json(record) for record in self.records]
        return {"format": FORMAT, **self.facts, "summary": self.summary.to_json(), "records": records}


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What is the same for all tracks.

    Attributes:
        models: name in the table -> name to load, as pairs.
        sources: what is evaluated.
        protocol: how.
        device: for models.
    """

    models: tuple[tuple[str, str], ...]
    sources: tuple[str, ...]
    protocol: Protocol
    device: str


def evaluate(
    models: Sequence[str],
    dataset: Dataset,
    protocol: Protocol,
    output: str | Path,
    *,
    split: str | None = None,
    sources: Sequence[str] | None = None,
    limit: int | None = None,
    device: str = "cpu",
    jobs: int = 1,
    progress: ProgressCallback | None = None,
) -> Evaluation:
    """Measure models on the tracks of a dataset and write the result as JSON.

    Records go to a journal beside the output as they are made. Called again with the same arguments after it was
    killed, only what is missing is measured. A model that fails on a track, for whatever reason, is recorded as failed.

    Args:
        models: what `soli.load` takes, `mixture`, or `oracle:KIND`.
        dataset: with true stems.
        protocol: how to measure.
        output: the JSON file; written as a whole at the end, when the journal is removed.
        split: `scheme:split`, such as "official:test"; None for all tracks.
        sources: classes to evaluate; None for those that all models return and the dataset has.
        limit: only the first tracks.
        device: for models.
        jobs: worker processes. Each loads every model once and gets its share of this process's threads; sums over
            another number of threads can differ in their last digits.
        progress: called after every record.

    Returns:
        What was written.

    Raises:
        SoliError: for an unknown model, split or source, a journal of another evaluation, or an output that cannot be
            written.
    """
    if jobs < 1:
        raise SoliError(f"jobs={jobs}; allowed: 1 or more")
    output = Path(output)
    if output.is_dir():
        raise SoliError(f"{output}: is a folder; allowed: the name of a JSON file")
    resolve_device(device)
    tracks = choose_tracks(dataset, split, limit)
    labels = choose_names(models)
    looked_at = {label: check_estimator(name) for label, name in labels.items()}
    chosen = choose_sources(tracks, sources, {label: found for label, (_, found) in looked_at.items()})
    facts = {
        "protocol": protocol.describe(),
        "dataset": {"name": "/".join(dataset.root.resolve().parts[-2:]), "layout": dataset.layout, "split": split},
        "sources": list(chosen),
        "models": {label: {"sha256": digest} for label, (digest, _) in looked_at.items()},
        "tracks": [track_key(track) for track in tracks],
        "versions": {"soli": __version__, "torch": torch.__version__, "python": platform.python_version()},
    }
    job = _Job(models=tuple(labels.items()), sources=chosen, protocol=protocol, device=device)
    journal = Journal(output.with_name(output.name + JOURNAL_SUFFIX), facts)
    try:
        records = _complete(job, tracks, journal, jobs, progress)
    except BaseException:
        journal.close()
        raise
    evaluation = Evaluation(facts=facts, records=records, summary=summarise(records, protocol, chosen))
    write_whole(output, (json.dumps(evaluation.to_json(), indent=1, allow_nan=False) + "\n").encode())
    journal.remove()
    return evaluation


def _complete(
    job: _Job, tracks: Sequence[Track], journal: Journal, jobs: int, progress: ProgressCallback | None
) -> tuple[Record, ...]:
    """Measure what the journal lacks; all records by model, then by track."""
    done = {(record.model, record.track): record for record in journal.records}
    models = [label for label, _ in job.models]
    missing = [(track, tuple(m for m in models if (m, track_key(track)) not in done)) for track in tracks]
    work = [(track, names) for track, names in missing if names]
    total = len(models) * len(tracks)
    for record in _measured(job, work, jobs):
        journal.append(record)
        done[record.model, record.track] = record
        if progress is not None:
            progress(len(done), total, record)
    return tuple(done[model, track_key(track)] for model in models for track in tracks)


Work = Sequence[tuple[Track, tuple[str, ...]]]


def _measured(job: _Job, work: Work, jobs: int) -> Iterator[Record]:
    """Records as they come; no more processes than tracks, and a single one is this one."""
    if not work:
        return
    jobs = min(jobs, len(work))
    with open_engine(n_workers=jobs if jobs > 1 else 0) as engine:
        for outcome in engine.map(partial(_Runner, job), _Runner.measure, work):
            track, names = outcome.unit
            failed = (Record(model=name, track=track_key(track), error=outcome.error or "") for name in names)
            yield from failed if outcome.value is None else outcome.value


class _Runner:
    """Models that are ready."""

    def __init__(self, job: _Job) -> None:
        self._job = job
        self._estimators = {label: find_estimator(name, job.device) for label, name in job.models}

    def measure(self, unit: tuple[Track, tuple[str, ...]]) -> list[Record]:
        """A record per model; the track is decoded once."""
        track, names = unit
        try:
            example = read_example(track, self._job.sources, self._job.protocol)
        except Exception as error:  # whatever is wrong with a track, the others go on
            return [Record(model=name, track=track_key(track), error=_one_line(error)) for name in names]
        return [self._measure_one(name, self._estimators[name], example) for name in names]

    def _measure_one(self, name: str, estimator: Estimator, example: Example) -> Record:
        protocol = self._job.protocol
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)  # what a model draws must not depend on the tracks before
                began = time.perf_counter()
                part, estimates = estimate(estimator, example, protocol)
                seconds = time.perf_counter() - began
            references = torch.stack(list(part.references.values()))
            found = protocol.measure(references, estimates, part.mixture, part.sample_rate)
        except Exception as error:  # whatever a model does wrong, the others go on
            return Record(model=name, track=example.track, error=_one_line(error))
        metrics = {
            metric: dict(zip(part.references, values.double().tolist(), strict=True))
            for metric, values in found.items()
        }
        length = part.mixture.shape[-1] / part.sample_rate
        return Record(model=name, track=example.track, audio_seconds=length, seconds=seconds, metrics=metrics)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, SoliError) else f"{type(error).__name__}: {text}"
