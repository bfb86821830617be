"""The `soli` command: one line on stderr and exit code 2 for anything the user can mend."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from soli import __version__
from soli.cli.data import data
from soli.cli.decode import decode
from soli.cli.discover import discover
from soli.cli.doctor import doctor
from soli.cli.encode import encode
from soli.cli.evaluate import evaluate
from soli.cli.generate import generate
from soli.cli.models import models
from soli.cli.prior import prior
from soli.cli.query import query
from soli.cli.report import report
from soli.cli.separate import separate
from soli.cli.terminal import run_app
from soli.cli.train import train

app = typer.Typer(
    name="soli",
    help="Separate a recording into its sources.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        typer.echo(f"soli {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Separate a recording into its sources."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


for command in (separate, query, discover, encode, decode, generate, train, evaluate, models, doctor):
    app.command()(command)
app.add_typer(data)
app.add_typer(prior)
app.add_typer(report)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; by default with the arguments of this process."""
    return run_app(app, arguments, "soli")


def main() -> NoReturn:
    """Entry point of the installed `soli` command."""
    sys.exit(run())


if __name__ == "__main__":
    main()
