"""`soli separate`: files and folders in, stems out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soli.cli.inputs import find_jobs
from soli.cli.options import ADDRESS, DEVICE, ENGINE, FILENAME, FORMAT, JSON, MODEL, OUT, WORKERS
from soli.cli.terminal import EXIT_ERROR, complain, print_json, progress_bar
from soli.errors import SoliError

if TYPE_CHECKING:
    from soli.catalogue import Job
    from soli.files import SeparatedFile
    from soli.parallel import Outcome
    from soli.streaming import Progress


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
    priors: Annotated[
        str | None,
        typer.Option(
            help="For flowprior: bundled instruments, and folders from `soli prior train`.", metavar="NAME,DIR,..."
        ),
    ] = None,
    format: FORMAT = None,
    filename: FILENAME = "{track}/{stem}.{ext}",
    device: DEVICE = "auto",
    gibbs: Annotated[
        int | None,
        typer.Option(
            help="Correct the stems in N steps, each at most as much work; for models with partial stems.", metavar="N"
        ),
    ] = None,
    report: Annotated[bool, typer.Option("--report", help="Write an HTML report beside the stems.")] = False,
    as_json: JSON = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Pass over files whose stems are there already.")
    ] = False,
    manifest: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a line of JSON per input, done or failed; in another run, what it says was done is skipped.",
        ),
    ] = None,
    engine: ENGINE = "local",
    workers: WORKERS = 0,
    address: ADDRESS = None,
) -> None:
    """Separate recordings into stems that sum to them."""
    from soli.audio.formats import find_format
    from soli.catalogue import Request, separate_catalogue
    from soli.files import refuse_collisions
    from soli.parallel import open_engine

    model = _with_priors(model, priors)
    jobs = find_jobs(inputs, out)
    if engine != "local":
        jobs = [(source.absolute(), folder.absolute()) for source, folder in jobs]  # a worker starts elsewhere
    refuse_collisions(jobs, filename)
    if format is not None:
        find_format(format)
    request = Request(
        model=model,
        stems=None if stems is None else tuple(name.strip() for name in stems.split(",")),
        format=format,
        filename=filename,
        device=device,
        skip_existing=skip_existing,
        gibbs=gibbs,
    )
    results: dict[Job, dict[str, Any]] = {}
    with (
        open_engine(engine, n_workers=workers, address=address, gpu=device.startswith("cuda")) as crew,
        progress_bar(shown=not as_json) as start,
    ):
        watch = partial(_watch, start, jobs) if engine == "local" and workers == 0 else None
        for outcome in separate_catalogue(jobs, request, crew, manifest=manifest, watch=watch):
            results[outcome.unit] = facts = _facts(outcome, report=report, model=model)
            if facts["status"] == "failed":
                complain(facts["error"])
            elif not as_json:
                _say(facts)
    _finish(model, [results[job] for job in jobs], as_json=as_json)


def _with_priors(model: str, priors: str | None) -> str:
    """The name of a model with these priors."""
    if priors is None:
        return model
    if model not in ("flowprior", "default"):
        raise SoliError(f"--priors with --model {model}; allowed: flowprior")
    return f"flowprior:{priors}"


def _watch(start: Callable[[str], Callable[[Progress], None]], jobs: list[Job], job: Job) -> Callable[[Progress], None]:
    """The progress of one file."""
    name = job[0].name
    return start(name if len(jobs) == 1 else f"{jobs.index(job) + 1}/{len(jobs)} {name}")


def _facts(outcome: Outcome[Job, SeparatedFile], *, report: bool, model: str) -> dict[str, Any]:
    """What `--json` prints of one file."""
    source, folder = outcome.unit
    done = outcome.value
    if done is None:
        return {"source": source, "status": "failed", "error": outcome.error}
    facts = asdict(done) | {"seconds": done.seconds, "status": "skipped" if done.skipped else "done"}
    del facts["skipped"]
    if report and not done.skipped:
        facts["report"] = _write_report(done, folder, model)
    return facts


def _finish(model: str, results: list[dict[str, Any]], *, as_json: bool) -> None:
    """Sum up, and tell by the exit code whether all went well."""
    if as_json:
        print_json({"model": model, "files": results})
    failed = [str(facts["source"]) for facts in results if facts["status"] == "failed"]
    if failed:
        if len(results) > 1:
            complain(f"{len(failed)} of {len(results)} files failed: {', '.join(failed)}")
        raise typer.Exit(EXIT_ERROR)


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
