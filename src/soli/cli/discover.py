"""`soli discover`: find sources nobody has named, and how many there are."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soli.cli.options import DEVICE, FILENAME, FORMAT, JSON, MODEL, OUT
from soli.cli.terminal import print_json
from soli.errors import SoliError

if TYPE_CHECKING:
    from soli.discovery import Discovery

AUTO = "auto"
FEWEST, MOST = 2, 8
TOLD = ("codes", "energy_db", "silent")


def discover(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="An audio or video file.", show_default=False)],
    out: OUT = Path("stems"),
    model: MODEL = "vqquery",
    sources: Annotated[str, typer.Option(metavar="auto|2..8", help="How many sources there are, if known.")] = AUTO,
    merge: Annotated[bool, typer.Option("--merge", help="Add sources of one class, if the model has classes.")] = False,
    front_end: Annotated[
        str | None,
        typer.Option(
            help="What takes vocals, drums and bass away first: a model, a baseline, or none; by default what the"
            " model was made for."
        ),
    ] = None,
    tree: Annotated[bool, typer.Option("--tree", help="Write vocals, drums and bass as well.")] = False,
    names: Annotated[
        str | None,
        typer.Option(
            help="Priors that name the sources; by default the model's own names or the bundled instruments.",
            metavar="flowprior:A,B",
        ),
    ] = None,
    format: FORMAT = None,
    filename: FILENAME = "{track}/{stem}.{ext}",
    device: DEVICE = "auto",
    report: Annotated[bool, typer.Option("--report", help="Write an HTML report beside the stems.")] = False,
    as_json: JSON = False,
) -> None:
    """Find sources that have no name, and how many there are."""
    n_sources = _number(sources)
    from soli.discovery import NO_FRONT_END, discover_file, load_front_end, load_labeller
    from soli.files import model_name
    from soli.zoo import load

    separator = load(model, device)
    before = front_end or getattr(separator, "front_end", NO_FRONT_END)
    if tree and before == NO_FRONT_END:
        raise SoliError("--tree without a front end has no branches; give --front-end MODEL")
    done = discover_file(
        source,
        out,
        separator=separator,
        front_end=load_front_end(before, device),
        n_sources=n_sources,
        merged=merge,
        tree=tree,
        labeller=load_labeller(names, device, separator=separator),
        format=format,
        filename=filename,
        model=model_name(model),
    )
    page = _write_report(done, out, model) if report else None
    if as_json:
        facts = {"front_end": before, "found": list(done.estimates), "n_sources": len(done.estimates)}
        facts |= {name: done.estimates.info[name] for name in TOLD if name in done.estimates.info}
        facts |= {} if page is None else {"report": page}
        print_json(asdict(done.file) | {"model": model, "seconds": done.file.seconds} | facts)
        return
    _say(done, page)


def _number(text: str) -> int | None:
    """Read `auto` or a number."""
    if text == AUTO:
        return None
    if not text.isdecimal() or not FEWEST <= int(text) <= MOST:
        raise SoliError(f"--sources {text!r}; allowed: {AUTO}, or {FEWEST} to {MOST}")
    return int(text)


def _say(done: Discovery, page: Path | None) -> None:
    """For people."""
    file = done.file
    typer.echo(
        f"{file.source}: {len(done.estimates)} sources, {file.seconds:.1f} s in {file.elapsed_seconds:.1f} s, "
        f"null {file.null_dbfs:.0f} dBFS"
    )
    if silent := done.estimates.info.get("silent"):
        typer.echo(f"  not heard: {', '.join(silent)}")
    for path in (*file.paths.values(), *([page] if page else [])):
        typer.echo(f"  {path}")


def _write_report(done: Discovery, folder: Path, model: str) -> Path:
    """Write the page into the folder of the stems."""
    from soli.cli.discover_reporting import report_on_discovery
    from soli.files import track_name
    from soli.report import write_report

    files = [*done.file.paths.values()]
    beside = files[0].parent if files else folder
    path = beside / ("report.html" if beside != folder else f"{track_name(done.file.source)}.html")
    return write_report(path, report_on_discovery(done, beside, model))
