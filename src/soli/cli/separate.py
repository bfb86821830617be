"""`soli separate`: files and folders in, stems out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soli.cli.inputs import find_jobs
from soli.cli.options import DEVICE, FILENAME, FORMAT, JSON, MODEL, OUT
from soli.cli.terminal import EXIT_ERROR, complain, print_json, progress_bar
from soli.errors import Cancelled, SoliError

if TYPE_CHECKING:
    from soli.files import SeparatedFile
    from soli.separator import Separator


def separate(
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="INPUT", help="Audio or video files, and folders of them.", show_default=False),
    ],
    out: OUT = Path("stems"),
    model: MODEL = "default",
    stems: Annotated[
        str | None, typer.Option(help="Only these, separated by commas; the rest goes to one file.", metavar="A,B")
    ] = None,
    format: FORMAT = None,
    filename: FILENAME = "{track}/{stem}.{ext}",
    device: DEVICE = "auto",
    report: Annotated[bool, typer.Option("--report", help="Write an HTML report beside the stems.")] = False,
    as_json: JSON = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Pass over files whose stems are there already.")
    ] = False,
) -> None:
    """Separate recordings into stems that sum to them."""
    from soli.audio.formats import find_format
    from soli.files import refuse_collisions
    from soli.zoo import load

    jobs = find_jobs(inputs, out)
    refuse_collisions(jobs, filename)
    if format is not None:
        find_format(format)
    separator = load(model, device)
    request = {
        "model": separator,
        "stems": _choose(separator, stems),
        "format": format,
        "filename": filename.replace("{model}", Path(model).name),  # a separator does not know what it was loaded as
        "skip_existing": skip_existing,
    }
    results, failed = [], []
    with progress_bar(shown=not as_json) as start:
        for number, (source, folder) in enumerate(jobs, start=1):
            label = source.name if len(jobs) == 1 else f"{number}/{len(jobs)} {source.name}"
            try:
                results.append(_separate_one(source, folder, request, start(label), model=model, report=report))
            except Cancelled:
                raise
            except SoliError as error:
                complain(str(error))
                failed.append(source)
                results.append({"source": source, "status": "failed", "error": str(error)})
            if not as_json:
                _say(results[-1])
    if as_json:
        print_json({"model": model, "files": results})
    if failed:
        if len(jobs) > 1:
            complain(f"{len(failed)} of {len(jobs)} files failed: {', '.join(map(str, failed))}")
        raise typer.Exit(EXIT_ERROR)


def _choose(separator: Separator, stems: str | None) -> tuple[str, ...] | None:
    """The stems asked for; a wrong one is refused once, not once per file."""
    if stems is None:
        return None
    chosen = tuple(name.strip() for name in stems.split(","))
    for name in chosen:
        if name not in separator.sources:
            raise SoliError(f"unknown stem {name!r}; this model returns {', '.join(separator.sources)}")
    return chosen


def _separate_one(
    source: Path, folder: Path, request: dict[str, Any], progress: Callable[..., None], *, model: str, report: bool
) -> dict[str, Any]:
    """Separate one file; returns what `--json` prints of it."""
    from soli.files import separate_file

    done = separate_file(source, folder, progress=progress, **request)
    facts = asdict(done) | {"model": model, "seconds": done.seconds, "status": "skipped" if done.skipped else "done"}
    del facts["skipped"]
    if report and not done.skipped:
        facts["report"] = _write_report(done, folder, model)
    return facts


def _write_report(done: SeparatedFile, folder: Path, model: str) -> Path:
    """Write the page into the folder of the stems."""
    from soli.cli.reporting import report_on
    from soli.files import track_name
    from soli.report import write_report

    beside = next(iter(done.paths.values())).parent
    path = beside / ("report.html" if beside != folder else f"{track_name(done.source)}.html")
    return write_report(path, report_on(done, beside, model))


def _say(facts: dict[str, Any]) -> None:
    """One line for people about one file."""
    if facts["status"] == "failed":
        return  # said already, on stderr
    if facts["status"] == "skipped":
        typer.echo(f"{facts['source']}: skipped, its stems are there")
        return
    paths: dict[str, Path] = facts["paths"]
    line = (
        f"{facts['source']}: {facts['seconds']:.1f} s in {facts['elapsed_seconds']:.1f} s, "
        f"null {facts['null_dbfs']:.0f} dBFS"
    )
    clipped = [f"{count} in {stem}" for stem, count in facts["clipped"].items() if count and stem in paths]
    typer.echo(f"{line}, clipped samples: {', '.join(clipped)}" if clipped else line)
    for path in (*paths.values(), *([facts["report"]] if "report" in facts else [])):
        typer.echo(f"  {path}")
