"""What do Gibbs steps over stems bring, and what do they cost? Writes benchmarks/results/gibbs.{json,md}.

Protocol msdm, on chunks from the middle of each song. Every number of steps is a chain of its own, with its schedule.

    python benchmarks/gibbs.py MODEL --data twin --split folders:test_a --chunks 1
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from clips import RESULTS, folder_name, machine, record_of, run, table, write_results

from soli.baselines.gibbs import Gibbs
from soli.data.layouts import open_dataset
from soli.errors import SoliError
from soli.evaluation.estimators import estimate, find_estimator
from soli.evaluation.examples import Example, read_example
from soli.evaluation.journal import Record
from soli.evaluation.protocols import Msdm
from soli.evaluation.selection import choose_tracks
from soli.evaluation.summary import ALL, Summary, summarise
from soli.files import model_name
from soli.zoo import load, model_info

PROTOCOL = Msdm()
PUBLISHED, ACTIVE = PROTOCOL.metrics
BESIDE = ("mixture", "oracle:ratio")
STEPS = (0, 1, 2, 4, 8, 16, 32, 64)


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    steps = sorted(set(arguments.steps))
    model = load(arguments.model, arguments.device)
    chains = [Gibbs(model, n_steps, arguments.seed).eval() for n_steps in steps]
    if model.sample_rate != PROTOCOL.sample_rate:
        raise SoliError(f"{arguments.model} works at {model.sample_rate} Hz; needed: {PROTOCOL.sample_rate} Hz")
    dataset = open_dataset(arguments.data)
    records: list[Record] = []
    for track in choose_tracks(dataset, arguments.split, arguments.limit):
        example = middle(read_example(track, model.sources, PROTOCOL), arguments.chunks)
        records += [beside(name, example) for name in BESIDE]
        records += [corrected(gibbs, example, arguments.device) for gibbs in chains]
        print(f"{example.track}: {records[-1].real_time_factor:.2f} s per second for {steps[-1]} steps", flush=True)
    order = [*BESIDE, *map(label, steps)]
    summary = summarise(sorted(records, key=lambda record: order.index(record.model)), PROTOCOL, model.sources)
    source = folder_name(arguments.data) + (f", {arguments.split}" if arguments.split else "")
    n_tracks = len(records) // len(order)
    data = {
        "measure": "SI-SDR improvement in dB, protocol msdm; seconds of work per second of audio",
        "data": f"{source}, {n_tracks} songs, {arguments.chunks} × 11.9 s from the middle of each",
        "model": {"name": model_name(arguments.model), "sha256": model_info(arguments.model).sha256},
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
    return record_of(name, part, estimates, 0.0, PROTOCOL)


def corrected(gibbs: Gibbs, example: Example, device: str) -> Record:
    """So many steps; every chunk is separated on its own."""
    began = time.perf_counter()
    chunks = [gibbs.end(chunk.to(device)).cpu() for chunk in example.mixture.split(PROTOCOL.chunk, dim=-1)]
    seconds = time.perf_counter() - began
    estimates = torch.cat(chunks, dim=-1).transpose(0, 1)  # [S 1 T]
    return record_of(label(gibbs.n_steps), example, estimates, seconds, PROTOCOL)


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
        "silent ones too, with 95 % intervals over songs. Every row of steps is a chain of its own, whose subsets "
        "become smaller over all of its steps. Steps before the last that estimates every stem anew leave nothing in "
        "the result: they are not taken, and the seconds are those of the others."
    )
    return f"# Gibbs steps\n\n{about}\n\n" + table(columns, rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", metavar="MODEL", help="a name or folder for soli.load, with partial stems")
    parser.add_argument("--data", type=Path, required=True, help="folder of any layout")
    parser.add_argument("--split", metavar="SCHEME:SPLIT", help="only these songs")
    parser.add_argument("--limit", type=int, help="only the first songs")
    parser.add_argument("--chunks", type=int, default=1, help="of 11.9 s, per song")
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS, help="of each chain")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="of the subsets")
    parser.add_argument("--output", type=Path, default=RESULTS / "gibbs.json")
    run(main, parser)
