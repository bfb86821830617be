"""`soli data shard`: a dataset as WebDataset shards."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from soli.cli.options import ADDRESS, ENGINE, JSON, WORKERS
from soli.cli.terminal import print_json
from soli.errors import SoliError

_UNITS = {"kb": 10**3, "mb": 10**6, "gb": 10**9}


def shard(
    path: Annotated[Path, typer.Argument(help="The folder of the dataset.")],
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="URL", help="An empty folder, on a disk or such as s3://bucket/name.")
    ],
    size: Annotated[str, typer.Option(help="Of a shard at most, such as 500MB or 1GB.")] = "500MB",
    layout: Annotated[str, typer.Option(help="As for `soli data check`.")] = "auto",
    split: Annotated[
        str | None, typer.Option(metavar="SCHEME:SPLIT", help="Only these tracks, such as official:train.")
    ] = None,
    engine: ENGINE = "local",
    workers: WORKERS = 0,
    address: ADDRESS = None,
    as_json: JSON = False,
) -> None:
    """Write a dataset into tar shards of FLAC and JSON, which the library webdataset reads too.

    Stopped and called again it goes on where it was, and the bytes are the same.
    """
    import sys

    from rich.console import Console
    from rich.progress import Progress

    from soli.data.layouts import open_dataset
    from soli.data.shards import write_shards
    from soli.evaluation.selection import choose_tracks
    from soli.parallel import open_engine

    n_bytes = _bytes(size)
    tracks = choose_tracks(open_dataset(path.absolute(), layout), split, None)
    target = out if "://" in out else str(Path(out).absolute())  # a worker starts elsewhere
    with (
        open_engine(engine, n_workers=workers, address=address) as crew,
        Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar,
    ):
        task = bar.add_task("shards", total=None)
        index = write_shards(
            tracks,
            target,
            crew,
            n_bytes=n_bytes,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if as_json:
        print_json(asdict(index))
        return
    typer.echo(
        f"{out}: {index.n_tracks} tracks, {index.seconds / 3600:.2f} h, in {len(index.shards)} shards, "
        f"{index.n_bytes / 1e6:.1f} MB"
    )
    clipped = sum(shard.clipped for shard in index.shards)
    if clipped:
        typer.echo(f"{clipped} samples of floating-point sources were beyond full scale and are clipped")


def _bytes(size: str) -> int:
    """Read `500MB`."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([kMG]B)\s*", size, re.IGNORECASE)
    n_bytes = round(float(match[1]) * _UNITS[match[2].lower()]) if match else 0
    if n_bytes <= 0:
        raise SoliError(f"--size {size!r}; allowed: a number with kB, MB or GB, such as 500MB")
    return n_bytes
