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
DEVICE = Annotated[str, typer.Option(help="cpu, cuda, cuda:N, mps, or auto for the best one.")]
JSON = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
