"""`soli evaluate`: models on a dataset with true stems, as one table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soli.cli.options import DEVICE
from soli.cli.report import check_page
from soli.cli.terminal import complain
from soli.errors import SoliError

if TYPE_CHECKING:
    from soli.evaluation.journal import Record

EXIT_FAILED = 1


def evaluate(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL... DATASET",
            help="Names or folders of models, mixture, oracle:KIND (binary, ratio, phase_sensitive, complex, wiener), "
            "hpss, repet, nmf, open-unmix:FOLDER, htdemucs-onnx:FILE, demucs[:MODEL], spleeter:PYTHON, folder:PATH, "
            "gibbs-N:MODEL (corrected in N steps), codec[-K]:MODEL (decoded from its first K levels of codes) or "
            "with[KEY=VALUE,...]:MODEL (another config for the same weights); "
            "then the folder of a dataset.",
            show_default=False,
        ),
    ],
    protocol: Annotated[
        str, typer.Option("--protocol", "-p", help="museval, global, msdm, seed003 or seed003-submix.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE.json", help="Written with a .md and a .tex beside it.")
    ],
    split: Annotated[
        str | None, typer.Option(help="Only these tracks, such as official:test.", metavar="SCHEME:SPLIT")
    ] = None,
    sources: Annotated[
        str | None, typer.Option(help="By default all that the models return and the dataset has.", metavar="A,B")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first tracks.", metavar="N")] = None,
    jobs: Annotated[int, typer.Option(help="Worker processes.", metavar="N")] = 1,
    device: DEVICE = "auto",
    layout: Annotated[str, typer.Option(help="Of the dataset, as in `soli data check`.")] = "auto",
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE.html", help="Also write the leaderboard as a page.")
    ] = None,
) -> None:
    """Measure how well models separate a dataset.

    Stopped and called again with the same arguments, it goes on where it was. A model that fails on a track is listed
    and the rest goes on; the exit code is 1 then.
    """
    if len(names) < 2:
        raise SoliError(f"only {names[0]!r} is given; allowed: at least one model, then the folder of a dataset")
    if out.suffix != ".json":
        raise SoliError(f"--out {out}; allowed: a name that ends in .json")
    if report is not None:
        check_page(report)
    from soli.data.layouts import open_dataset
    from soli.disk import write_whole
    from soli.evaluation.protocols import find_protocol
    from soli.evaluation.run import evaluate as run_evaluation
    from soli.evaluation.tables import latex, markdown

    *models, folder = names
    chosen = find_protocol(protocol)
    dataset = open_dataset(folder, layout)
    wanted = None if sources is None else [name.strip() for name in sources.split(",")]
    with _bar() as progress:
        result = run_evaluation(
            models,
            dataset,
            chosen,
            out,
            split=split,
            sources=wanted,
            limit=limit,
            device=device,
            jobs=jobs,
            progress=progress,
        )
    about = result.facts["dataset"]["name"] + ("" if split is None else f", {split}")
    table = markdown(result.summary, f"{about}, {len(result.facts['tracks'])} tracks")
    write_whole(out.with_suffix(".md"), table.encode())
    write_whole(out.with_suffix(".tex"), latex(result.summary).encode())
    typer.echo(table)
    if report is not None:
        _write_page(report, out)
    failed = [record for record in result.records if record.error]
    for record in failed:
        complain(f"{record.model} failed on {record.track}: {record.error}")
    if failed:
        raise typer.Exit(EXIT_FAILED)


def _write_page(page: Path, results: Path) -> None:
    """The leaderboard of one file of results."""
    from soli.cli.results import read_results
    from soli.report import write_page
    from soli.report.leaderboard import leaderboard_page

    write_page(page, leaderboard_page(read_results([results])))


@contextmanager
def _bar() -> Iterator[Callable[[int, int, Record], None]]:
    """Show how far an evaluation has come, on stderr and only where someone is watching."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    quiet = not sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as bar:
        task = bar.add_task("")

        def update(done: int, total: int, record: Record) -> None:
            bar.update(task, completed=done, total=total, description=escape(f"{record.model}: {record.track}"))

        yield update
