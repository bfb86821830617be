"""What do searches among priors find, how fast, and what do other models make of the same clips?

Writes benchmarks/results/prior_search.{json,md,html}. Clips are mono at 22.05 kHz, cut from the middle of each song,
and measured by protocol seed003 (seed003-submix with --submix). Models of `flowprior` are searched while a clock runs;
what a search has found is measured at some of its steps, the clock stopped. InstGlow gives two rows, as found and
after the Wiener filter; a modern model is searched from the mode of its priors and from its extractors. Others are used
as `soli evaluate` uses them.

    python benchmarks/prior_search.py --search FOLDER... --beside NAME... --data musdb18 --split official:test

The output is written after every clip. What it has of an earlier run on the same clips stays and is not measured again,
so that a run goes on where it was stopped and further models join the table.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from clips import RESULTS, folder_name, load_any, machine, record_of, run, write_results
from torch import Tensor

from soli.data.layouts import open_dataset
from soli.errors import SoliError
from soli.evaluation.estimators import check_estimator, estimate, find_estimator
from soli.evaluation.examples import Example, read_example
from soli.evaluation.journal import Record, from_json, to_json
from soli.evaluation.protocols import Protocol, Seed003, Seed003Submix
from soli.evaluation.selection import choose_names, choose_tracks
from soli.evaluation.summary import summarise
from soli.evaluation.tables import markdown
from soli.report import SearchCurves, SearchPath, write_page
from soli.report.page import document, figure_section
from soli.separator import Separator
from soli.systems.flowprior.paper import InstGlow
from soli.systems.flowprior.search import Step, wiener
from soli.systems.flowprior.separator import FlowPrior
from soli.systems.flowprior.spectrum import analyse, synthesise
from soli.zoo import reconfigured

MARKS = (0, 5, 10, 20, 30, 40, 60, 80, 100, 150)


class Reached(NamedTuple):
    """Where a search stood: seconds of work, what it had found `[S T]`, divergence, mean energy of the latents."""

    iteration: int
    seconds: float
    estimates: Tensor
    divergence: float
    energy: float


@dataclass
class Clock:
    """Seconds that pass while it runs."""

    seconds: float = 0.0
    began: float = field(default_factory=time.perf_counter)

    def stop(self) -> None:
        self.seconds += time.perf_counter() - self.began

    def go(self) -> None:
        self.began = time.perf_counter()


Heard = Callable[[Step], Tensor]


def followed(search: Callable[[Callable[[Step], None]], object], heard: Heard, last: int) -> list[Reached]:
    """Run a search and keep where it stood at some of its steps, the last among them."""
    clock, kept, latest = Clock(), list[Reached](), list[Step]()

    def keep(step: Step) -> None:
        energy = float(step.energy.mean())
        kept.append(Reached(step.iteration, clock.seconds, heard(step), float(step.divergence[0]), energy))

    def on_step(step: Step) -> None:
        clock.stop()
        latest[:] = [step]
        if step.iteration in MARKS or step.iteration == last:
            keep(step)
        clock.go()

    search(on_step)
    clock.stop()
    if kept[-1].iteration != latest[0].iteration:  # it has stopped early
        keep(latest[0])
    return kept


def paper(model: InstGlow, mixture: Tensor) -> Iterator[tuple[str, list[Reached]]]:
    """As found and after the Wiener filter, out of one search."""
    config, n_samples = model.config, mixture.shape[-1]
    magnitudes, phases = analyse(mixture, config.n_fft, config.hop_length, config.squeeze)

    def both(step: Step) -> Tensor:  # [2 S T]
        found = torch.cat((step.magnitudes, wiener(step.magnitudes, magnitudes)))
        return synthesise(found, phases.expand(2, -1, -1), config.n_fft, config.hop_length, n_samples)

    reached = followed(lambda on_step: model.explain(mixture, on_step), both, config.iterations)
    for index, name in enumerate((config.objective, f"{config.objective}, Wiener")):
        yield name, [step._replace(estimates=step.estimates[index]) for step in reached]


def modern(model: FlowPrior, mixture: Tensor) -> Iterator[tuple[str, list[Reached]]]:
    """From the modes of the priors, and from the extractors."""
    for engine in ("search", "hybrid"):
        searcher = reconfigured(model, {"engine": engine})
        assert isinstance(searcher, FlowPrior)

        def search(on_step: Callable[[Step], None], searcher: FlowPrior = searcher) -> Tensor:
            return searcher.explain(mixture, on_step)

        def heard(step: Step, searcher: FlowPrior = searcher) -> Tensor:
            return searcher.heard(step.magnitudes, mixture)[0]

        yield engine, followed(search, heard, searcher.config.iterations)


def searches(model: Separator, mixture: Tensor) -> Iterator[tuple[str, list[Reached]]]:
    """All ways to search a mono mixture `[1 T]` with a model, and where each stood on its way."""
    if isinstance(model, InstGlow):
        return paper(model, mixture)
    if isinstance(model, FlowPrior):
        return modern(model, mixture)
    raise SoliError(f"a model of {type(model).__name__} has no priors to search")


def middle(example: Example, seconds: float) -> Example:
    """So many seconds from the middle; all there is of a shorter song."""
    n_samples = example.mixture.shape[-1]
    length = min(round(seconds * example.sample_rate), n_samples)
    start = (n_samples - length) // 2
    return example.cut(slice(start, start + length))


@dataclass
class Found:
    """What was measured so far: records, and where each way to search stood on each track."""

    records: list[Record] = field(default_factory=list)
    points: dict[str, dict[str, list[list[float]]]] = field(default_factory=dict)

    def has(self, name: str, track: str) -> bool:
        """Whether a row is there."""
        return any(record.track == track and record.model == name for record in self.records)

    def was_searched(self, label: str, track: str) -> bool:
        """Whether all ways to search a model are there."""
        return any(name.startswith(f"{label}: ") and track in points for name, points in self.points.items())


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    protocol = Seed003Submix() if arguments.submix else Seed003()
    searched_names, beside_names = choose_names(arguments.search), choose_names(arguments.beside)
    searched = {label: load_any(name) for label, name in searched_names.items()}
    beside = {label: find_estimator(name) for label, name in beside_names.items()}
    sources = tuple(arguments.sources.split(","))
    tracks = choose_tracks(open_dataset(arguments.data), arguments.split, arguments.limit)
    header: dict[str, Any] = {
        "protocol": protocol.describe(),
        "data": f"{folder_name(arguments.data)}, {len(tracks)} clips of at most {arguments.seconds:g} s",
        "models": {label: check_estimator(name)[0] for label, name in (searched_names | beside_names).items()},
    }
    found = begun(arguments.output, header)
    for track in tracks:
        example = middle(read_example(track, sources, protocol), arguments.seconds)
        for name, estimator in beside.items():
            if not found.has(name, example.track):
                began = time.perf_counter()
                _, estimates = estimate(estimator, example, protocol)
                found.records.append(record_of(name, example, estimates, time.perf_counter() - began, protocol))
        for label, model in searched.items():
            if not found.was_searched(label, example.track):
                search_one(found, label, model, example, protocol)
        rows = [f"{r.model} {mean_of(r):.2f}" for r in found.records if r.track == example.track]
        print(f"{example.track}: {', '.join(rows)}", flush=True)
        write(arguments.output, header, found, protocol, sources)


def search_one(found: Found, label: str, model: Separator, example: Example, protocol: Protocol) -> None:
    """Add all ways to search a model on one track."""
    order = [model.sources.index(source) for source in example.references]
    for way, reached in searches(model, example.mixture):
        name = f"{label}: {way}"
        records = [record_of(name, example, step.estimates[order][:, None], step.seconds, protocol) for step in reached]
        found.records.append(records[-1])
        found.points.setdefault(name, {})[example.track] = [
            [step.iteration, step.seconds, mean_of(record), step.divergence, step.energy]
            for step, record in zip(reached, records, strict=True)
        ]


def begun(output: Path, header: dict[str, Any]) -> Found:
    """What an earlier run has left in `output`, whose models join the header's."""
    if not output.exists():
        return Found()
    earlier = json.loads(output.read_text(encoding="utf-8"))
    for key in ("protocol", "data"):
        if earlier[key] != header[key]:
            raise SoliError(f"{output}: {key} is {earlier[key]}, not {header[key]}; choose another --output")
    for name, sha256 in header["models"].items():
        if earlier["models"].get(name, sha256) != sha256:
            raise SoliError(f"{output}: other weights of {name}; choose another --output")
    header["models"] = earlier["models"] | header["models"]
    return Found([from_json(record) for record in earlier["records"]], earlier["points"])


def write(output: Path, header: dict[str, Any], found: Found, protocol: Protocol, sources: tuple[str, ...]) -> None:
    """Everything measured so far, as JSON, Markdown and a page."""
    labels = [*dict.fromkeys(record.model for record in found.records)]
    records = sorted(found.records, key=lambda record: labels.index(record.model))
    curves = {name: curve([*points.values()]) for name, points in found.points.items()}
    summary = summarise(records, protocol, sources)
    data = header | {
        "machine": machine(),
        "summary": summary.to_json(),
        "records": [to_json(record) for record in records],
        "points": found.points,
    }
    text = markdown(summary, header["data"]) + "\n" + curves_table(curves)
    write_results(output, data, f"# Searches among priors\n\n{text}")
    about = f"Means over {header['data']}; SDR is the mean over sources, seconds are those of a clip."
    figure = figure_section(SearchCurves(paths=curves, about=about))
    write_page(output.with_suffix(".html"), document("Searches among priors", figure))


def mean_of(record: Record) -> float:
    """Over sources that have a number."""
    values = [piece for pieces in record.metrics["sdr_pieces"].values() for piece in pieces]
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def curve(clips: Sequence[list[list[float]]]) -> SearchPath:
    """The mean over clips of `[iteration, seconds, SDR, divergence, energy]`; a search that has stopped stays there."""
    marks = sorted({point[0] for points in clips for point in points})
    rows = [np.nanmean([[p for p in points if p[0] <= mark][-1][1:] for points in clips], axis=0) for mark in marks]
    seconds, sdr, divergence, energy = np.stack(rows, axis=1)
    return SearchPath(iterations=np.array(marks), seconds=seconds, sdr=sdr, divergence=divergence, energy=energy)


def curves_table(curves: Mapping[str, SearchPath]) -> str:
    """How each search went."""
    lines = ["| search | iterations | seconds | SDR, dB | divergence | energy |", "|---|---:|---:|---:|---:|---:|"]
    for name, path in curves.items():
        columns = (path.iterations, path.seconds, path.sdr, path.divergence, path.energy)
        for iteration, *values in zip(*columns, strict=True):
            lines.append(f"| {name} | {iteration} | " + " | ".join(f"{value:.3g}" for value in values) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--search", nargs="*", metavar="MODEL", default=[], help="models of flowprior")
    parser.add_argument("--beside", nargs="*", metavar="NAME", default=["mixture", "oracle:ratio"], help="other rows")
    parser.add_argument("--data", type=Path, required=True, help="folder of any layout")
    parser.add_argument("--split", metavar="SCHEME:SPLIT", help="only these songs")
    parser.add_argument("--sources", default="vocals,drums,bass,other", metavar="A,B")
    parser.add_argument("--submix", action="store_true", help="the mixture is the sum of these sources")
    parser.add_argument("--limit", type=int, help="only the first songs")
    parser.add_argument("--seconds", type=float, default=12.0, help="of each song, at most a segment")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=RESULTS / "prior_search.json")
    run(main, parser)
