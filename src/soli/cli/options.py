"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

OUT = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Where the stems go; made if missing.")]
MODEL = Annotated[str, typer.Option("--model", "-m", help="A name from `soli models`, or a checkpoint folder.")]
FORMAT = Annotated[
    str | None, typer.Option(help="wav, flac, ogg, opus or mp3; by default flac for flac, and wav for all else.")
]
FILENAME = Annotated[str, typer.Option(metavar="TEMPLATE", help="Fields: {track}, {stem}, {ext}, {model}.")]
ENGINE = Annotated[str, typer.Option(help="local, or ray for a cluster whose machines share the folders.")]
ADDRESS = Annotated[
    str | None, typer.Option(help="Of the Ray cluster: auto, HOST:PORT or ray://HOST:PORT; by default one is started.")
]
WORKERS = Annotated[
    int, typer.Option(metavar="N", help="0 for none but this process, or one per core of a Ray cluster.")
]
DEVICE = Annotated[str, typer.Option(help="cpu, cuda, cuda:N, mps, or auto for the best one.")]
JSON = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
