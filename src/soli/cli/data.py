"""`soli data`: look at datasets."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soli.cli.options import JSON
from soli.cli.render import render
from soli.cli.shard import shard
from soli.cli.terminal import print_json

if TYPE_CHECKING:
    from soli.data.check import Report

EXIT_BROKEN = 1

data = typer.Typer(name="data", help="Look at datasets, and make them.", no_args_is_help=True)
data.command()(render)
data.command()(shard)


@data.command()
def check(
    path: Annotated[Path, typer.Argument(help="The folder of the dataset.")],
    layout: Annotated[
        str,
        typer.Option(
            help="musdb18, musdb18-hq, slakh, moisesdb, bass-db, solos, stems or mixtures; auto tells it by the names."
        ),
    ] = "auto",
    as_json: JSON = False,
) -> None:
    """Decode a whole dataset and say what it holds and what is wrong with it.

    The exit code is 1 when files cannot be read or stems are misaligned; silence, clipping, unknown names and mixtures
    that are not the sum of their stems are only listed.
    """
    import sys

    from rich.console import Console
    from rich.progress import track as bar

    from soli.data.check import check_track, summarise
    from soli.data.layouts import open_dataset

    dataset = open_dataset(path, layout)
    watched = Console(stderr=True)
    checks = [
        check_track(track)
        for track in bar(
            dataset.tracks, dataset.layout, console=watched, transient=True, disable=not sys.stderr.isatty()
        )
    ]
    report = summarise(dataset, checks)
    if as_json:
        print_json(asdict(report) | {"broken": report.broken})
    else:
        _show(report)
    if report.broken:
        raise typer.Exit(EXIT_BROKEN)


def _show(report: Report) -> None:
    """Print the report for people."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    rates = ", ".join(f"{rate} Hz" for rate in report.sample_rates)
    heading = f"{report.path}: {report.layout}, {_count(report.n_tracks, 'track')}, {report.hours:.2f} h, {rates}"
    console.print(escape(heading), soft_wrap=True)
    for scheme, found in report.splits.items():
        console.print(f"split {scheme}: " + ", ".join(f"{name} {count}" for name, count in found.items()))
    if report.residual_db is not None:
        low, middle, high = report.residual_db
        console.print(f"mixture minus stems: {low:.1f} to {high:.1f} dB, median {middle:.1f} dB")
    if report.classes:
        table = Table("class", box=None, padding=(0, 3, 0, 0))
        for title in ("stems", "silent", "hours"):
            table.add_column(title, justify="right")
        for label, count in report.classes.items():
            table.add_row(escape(label), str(count.stems), str(count.silent), f"{count.hours:.2f}")
        console.print("", table)
    if not report.problems:
        console.print("\nno problems found")
        return
    table = Table("problem", "track", "stem", "", box=None, padding=(0, 3, 0, 0))
    for problem in report.problems:
        table.add_row(*(escape(text) for text in (problem.kind, problem.track, problem.stem, problem.detail)))
    console.print("", table)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
