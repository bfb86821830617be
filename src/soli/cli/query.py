"""`soli query`: extract what sounds like an example."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from soli.cli.options import DEVICE, FILENAME, FORMAT, JSON, MODEL, OUT
from soli.cli.terminal import print_json
from soli.errors import SoliError


def query(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="An audio or video file.", show_default=False)],
    example: Annotated[
        Path | None, typer.Option(help="A file in which the wanted sound is alone.", metavar="FILE")
    ] = None,
    example_span: Annotated[
        str | None, typer.Option(help="Seconds of INPUT in which it is alone, such as 12.0-19.5.", metavar="START-STOP")
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(
            help="likelihood or posterior (classcond), code or embedding (vqquery); by default the model's own."
        ),
    ] = None,
    out: OUT = Path("stems"),
    model: MODEL = "default",
    format: FORMAT = None,
    filename: FILENAME = "{track}/{stem}.{ext}",
    device: DEVICE = "auto",
    as_json: JSON = False,
) -> None:
    """Extract what sounds like an example; the rest goes to a second file."""
    if (example is None) == (example_span is None):
        raise SoliError("give one example: --example FILE or --example-span START-STOP")
    wanted = example if example is not None else _span(str(example_span))
    from soli.files import model_name
    from soli.queries import query_file
    from soli.zoo import load

    done = query_file(
        source,
        out,
        separator=load(model, device),
        example=wanted,
        mode=mode,
        format=format,
        filename=filename.replace("{model}", model_name(model)),
    )
    if as_json:
        print_json(asdict(done) | {"model": model, "seconds": done.seconds})
        return
    typer.echo(f"{source}: {done.seconds:.1f} s in {done.elapsed_seconds:.1f} s, null {done.null_dbfs:.0f} dBFS")
    for path in done.paths.values():
        typer.echo(f"  {path}")


def _span(text: str) -> tuple[float, float]:
    """Read `12.0-19.5`."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*-\s*(\d+(?:\.\d*)?)\s*", text)
    if match is None:
        raise SoliError(f"--example-span {text!r}; allowed: START-STOP in seconds, such as 12.0-19.5")
    return float(match[1]), float(match[2])
