"""`soli decode`: a file of codes in, stems out."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from soli.cli.options import DEVICE, FILENAME, JSON, MODEL, OUT
from soli.cli.terminal import print_json, progress_bar


def decode(
    source: Annotated[
        Path, typer.Argument(metavar="CODES", help="A file that `soli encode` has written.", show_default=False)
    ],
    out: OUT = Path("stems"),
    model: MODEL = "rqvae",
    levels: Annotated[
        int | None, typer.Option(metavar="K", help="Decode only the first K codebooks; by default all.")
    ] = None,
    format: Annotated[str, typer.Option(help="wav, flac, ogg, opus or mp3.")] = "wav",
    filename: FILENAME = "{track}/{stem}.{ext}",
    device: DEVICE = "auto",
    as_json: JSON = False,
) -> None:
    """Make stems of a file of codes, mono and at the model's sample rate."""
    from soli.codes import decode_file

    with progress_bar(shown=not as_json) as start:
        done = decode_file(
            source,
            out,
            model=model,
            levels=levels,
            format=format,
            filename=filename,
            device=device,
            progress=start(source.name),
        )
    if as_json:
        print_json(asdict(done) | {"seconds": done.seconds})
        return
    line = f"{source}: {done.seconds:.1f} s in {done.elapsed_seconds:.1f} s"
    clipped = [f"{count} in {stem}" for stem, count in done.clipped.items() if count]
    typer.echo(f"{line}, clipped samples: {', '.join(clipped)}" if clipped else line)
    for path in done.paths.values():
        typer.echo(f"  {path}")
