"""What do shards weigh, and how fast are they? Writes benchmarks/results/shards.{json,md}.

A dataset is written into shards, and read back once as it comes and once with every stem decoded. Times are processor
time of one process, so that whatever else the machine does weighs little; the disk's cache is warm.

    soli data render --out songs --hours 0.2
    python benchmarks/shards.py songs
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from clips import RESULTS, machine, run, table, write_results

from soli.data.layouts import open_dataset
from soli.data.shards import ShardDataset, write_shards
from soli.data.tracks import Track
from soli.parallel import open_engine


def main(arguments: argparse.Namespace) -> None:
    tracks = open_dataset(arguments.dataset).tracks
    files = [len(track.stems) + (track.mix is not None) for track in tracks]
    file_hours = sum(track.seconds * n for track, n in zip(tracks, files, strict=True)) / 3600
    with tempfile.TemporaryDirectory() as folder, open_engine(n_workers=0) as engine:
        url = str(Path(folder) / "shards")
        spent = {
            "write": timed(lambda: write_shards(tracks, url, engine, n_bytes=50_000_000)),
            "read": timed(lambda: list(map(len_of, ShardDataset(url, n_epochs=1)))),
            "read and decode": timed(lambda: list(map(decode, ShardDataset(url, n_epochs=1)))),
        }
        index = ShardDataset(url).index
    data = {
        "measure": "processor seconds of one process; the disk's cache is warm",
        "machine": machine() | {"load_before": os.getloadavg()[1]},
        "audio": f"{tracks[0].sample_rate} Hz, {tracks[0].n_channels} channels",
        "tracks": len(tracks),
        "hours": index.seconds / 3600,
        "file_hours": file_hours,
        "bytes": index.n_bytes,
        "bytes_per_file_hour": index.n_bytes / file_hours,
        "seconds": spent,
        "file_hours_per_core_hour": {name: file_hours * 3600 / seconds for name, seconds in spent.items()},
        "bytes_per_second": {name: index.n_bytes / seconds for name, seconds in spent.items()},
    }
    write_results(arguments.output, data, "\n".join(report(data)))


def timed(job: Callable[[], object]) -> float:
    began = time.process_time()
    job()
    return time.process_time() - began


def len_of(track: Track) -> int:
    """A track that is read and not decoded."""
    return len(track.stems)


def decode(track: Track) -> int:
    stems = [*track.stems.values(), *([] if track.mix is None else [track.mix])]
    return sum(block.shape[-1] for stem in stems for block in stem.blocks())


def report(data: dict) -> list[str]:
    hours, rates = data["file_hours_per_core_hour"], data["bytes_per_second"]
    return [
        "# Shards",
        "",
        f"{data['tracks']} tracks, {data['hours']:.2f} h, as FLAC files of {data['file_hours']:.2f} h together "
        f"({data['audio']}): {data['bytes'] / 1e6:.0f} MB, **{data['bytes_per_file_hour'] / 1e6:.0f} MB per hour of a "
        f"file**. Processor time of one process, warm disk cache.",
        "",
        table(
            ["", "hours of files per core hour", "MB/s"],
            [[name, f"{hours[name]:.0f}", f"{rates[name] / 1e6:.0f}"] for name in hours],
        ),
        "",
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="a folder in any layout")
    parser.add_argument("--output", type=Path, default=RESULTS / "shards.json")
    run(main, parser)
