"""What do Gibbs steps over stems bring, and what do they cost? Writes benchmarks/results/gibbs.{json,md}.

Protocol msdm, on chunks from the middle of each song. One chain of the most steps is run and its estimates are read
on the way: a row says what the chain has after so many of its steps, and the time from the mixture to there.

    python benchmarks/gibbs.py MODEL --data twin --split folders:test_a --chunks 1
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from clips import RESULTS, folder_name, machine, run, table, write_results

from soli.baselines.gibbs import Gibbs
from soli.data.layouts import open_dataset
from soli.errors import SoliError
from soli.evaluation.estimators import estimate, find_estimator
from soli.evaluation.examples import Example, read_example
from soli.evaluation.journal import Record
from soli.evaluation.protocols import Msdm
from soli.evaluation.selection import choose_tracks
from soli.evaluation.summary import ALL, Summary, summarise
from soli.zoo import load, model_info

PROTOCOL = Msdm()
PUBLISHED, ACTIVE = PROTOCOL.metrics
BESIDE = ("mixture", "oracle:ratio")
STEPS = (0, 1, 2, 4, 8, 16, 32, 64)


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    steps = sorted(set(arguments.steps))
    gibbs = Gibbs(load(arguments.model, arguments.device), steps[-1], arguments.seed).eval()
    if gibbs.sample_rate != PROTOCOL.sample_rate:
        raise SoliError(f"{arguments.model} works at {gibbs.sample_rate} Hz; needed: {PROTOCOL.sample_rate} Hz")
    dataset = open_dataset(arguments.data)
    records: list[Record] = []
    for track in choose_tracks(dataset, arguments.split, arguments.limit):
        example = middle(read_example(track, gibbs.sources, PROTOCOL), arguments.chunks)
        records += [beside(name, example) for name in BESIDE]
        records += chain(gibbs, example, steps, arguments.device)
        print(f"{example.track}: {records[-1].real_time_factor:.2f} s per second for {steps[-1]} steps", flush=True)
    order = [*BESIDE, *map(label, steps)]
    summary = summarise(sorted(records, key=lambda record: order.index(record.model)), PROTOCOL, gibbs.sources)
    source = folder_name(arguments.data) + (f", {arguments.split}" if arguments.split else "")
    n_tracks = len(records) // len(order)
    data = {
        "measure": "SI-SDR improvement in dB, protocol msdm; seconds of work per second of audio",
        "data": f"{source}, {n_tracks} songs, {arguments.chunks} chunks of 11.9 s from the middle of each",
        "model": {"name": Path(arguments.model).name, "sha256": model_info(arguments.model).sha256},
        "chain": {"steps": steps, "seed": arguments.seed},
        "machine": machine() | {"device": arguments.device},
        "summary": summary.to_json(),
    }
    write_results(arguments.output, data, markdown(data, summary))


def middle(example: Example, n_chunks: int) -> Example:
    """Chunks in a row from the middle of a song; all there are where it has fewer."""
    count = len(PROTOCOL.segments(example.mixture.shape[-1], example.sample_rate))
    taken = min(n_chunks, count)
    start = (count - taken) // 2
    return example.cut(slice(start * PROTOCOL.chunk, (start + taken) * PROTOCOL.chunk))


def beside(name: str, example: Example) -> Record:
    """The mixture itself, or an oracle."""
    part, estimates = estimate(find_estimator(name), example, PROTOCOL)
    return record_of(name, part, estimates, 0.0)


def chain(gibbs: Gibbs, example: Example, steps: Sequence[int], device: str) -> Iterator[Record]:
    """A record for each number of steps; every chunk is separated on its own."""
    found: dict[int, list[torch.Tensor]] = {step: [] for step in steps}
    seconds = dict.fromkeys(steps, 0.0)
    for chunk in example.mixture.split(PROTOCOL.chunk, dim=-1):
        began = time.perf_counter()
        for step, stems in enumerate(gibbs.chain(chunk.to(device))):
            if step in found:
                found[step].append(stems.transpose(0, 1).cpu())  # [S 1 T]
                seconds[step] += time.perf_counter() - began
    for step in steps:
        yield record_of(label(step), example, torch.cat(found[step], dim=-1), seconds[step])


def record_of(name: str, example: Example, estimates: torch.Tensor, seconds: float) -> Record:
    references = torch.stack(list(example.references.values()))
    found = PROTOCOL.measure(references, estimates, example.mixture, example.sample_rate)
    return Record(
        model=name,
        track=example.track,
        audio_seconds=example.mixture.shape[-1] / example.sample_rate,
        seconds=seconds,
        metrics={
            metric: dict(zip(example.references, values.tolist(), strict=True)) for metric, values in found.items()
        },
    )


def label(step: int) -> str:
    return "one pass" if step == 0 else f"{step} step{'s' if step > 1 else ''}"


def markdown(data: Mapping[str, object], summary: Summary) -> str:
    rows = []
    for name, work in summary.work.items():
        numbers = [summary.cell(name, ACTIVE, source).mean.value for source in (*summary.sources, ALL)]
        published = summary.cell(name, PUBLISHED, ALL).mean
        time = f"{work.real_time_factor:.3f}" if work.seconds else ""
        rows.append([name, *numbers, f"{published.value:.2f} ({published.low:.2f} to {published.high:.2f})", time])
    columns = ("", *summary.sources, "all", "all, published style", "seconds per second")
    about = (
        f"{data['measure']}; {data['data']}. Sources and their mean where they sound; the published style counts "
        "silent ones too, with 95 % intervals over songs. Rows of steps are read from one chain, whose subsets become "
        "smaller over all of its steps: a chain that ends there has another schedule."
    )
    return f"# Gibbs steps\n\n{about}\n\n" + table(columns, rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", metavar="MODEL", help="a name or folder for soli.load, with partial stems")
    parser.add_argument("--data", type=Path, required=True, help="folder of any layout")
    parser.add_argument("--split", metavar="SCHEME:SPLIT", help="only these songs")
    parser.add_argument("--limit", type=int, help="only the first songs")
    parser.add_argument("--chunks", type=int, default=1, help="of 11.9 s, per song")
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS, help="where the chain is read")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="of the subsets")
    parser.add_argument("--output", type=Path, default=RESULTS / "gibbs.json")
    run(main, parser)
