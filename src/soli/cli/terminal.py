"""What the commands share: errors on stderr, JSON on stdout, a progress bar."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from soli.errors import SoliError

if TYPE_CHECKING:
    from soli.streaming import Progress

EXIT_ERROR, EXIT_INTERRUPTED = 2, 130


def run_app(app: typer.Typer, arguments: Sequence[str] | None, name: str) -> int:
    """Run a command line; whatever the user can mend becomes one line on stderr.

    Args:
        app: the commands.
        arguments: without the program's name; by default those of this process.
        name: of the program, for its help.

    Returns:
        The exit code: 0 when all went well, 2 for an error the user can mend, 130 when interrupted.
    """
    try:
        code = typer.main.get_command(app).main(arguments, prog_name=name, standalone_mode=False) or 0
    except typer.TyperException as error:
        complain(error.format_message())
        return EXIT_ERROR
    except SoliError as error:
        complain(str(error))
        return EXIT_ERROR
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    if code == EXIT_INTERRUPTED:
        complain("interrupted; nothing partial is left behind")
    return code


def complain(message: str) -> None:
    """Write one line on stderr, whatever the message holds."""
    typer.echo(f"soli: {' '.join(message.split())}", err=True)


def print_json(content: Any) -> None:
    """Write JSON on stdout; paths become strings."""
    typer.echo(json.dumps(content, indent=2, default=str))


@contextmanager
def progress_bar(*, shown: bool) -> Iterator[Callable[[str], Callable[[Progress], None]]]:
    """Show a bar with the time left, on stderr and only where someone is watching.

    Args:
        shown: false silences it altogether.

    Yields:
        A function that starts the line of one file, given its label, and returns the
        callback to pass as `progress`.
    """
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[left]}"),
    )
    quiet = not (shown and sys.stderr.isatty())
    with Bar(*columns, console=Console(stderr=True), disable=quiet, transient=True) as bar:

        def start(label: str) -> Callable[[Progress], None]:
            for finished in bar.task_ids:
                bar.remove_task(finished)
            task = bar.add_task(label.replace("[", r"\["), total=None, left="")

            def update(event: Progress) -> None:
                bar.update(task, total=event.total_seconds, completed=event.done_seconds, left=_left(event.eta_seconds))

            return update

        yield start


@contextmanager
def training_bar() -> Iterator[Callable[[int, int, dict[str, float]], None]]:
    """Show how far a training has come, on stderr and only where someone is watching.

    Yields:
        A function to call after every step with its number, the number of steps in all, and the losses.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("")

        def on_step(step: int, steps: int, values: dict[str, float]) -> None:
            shown = "  ".join(f"{name} {value:.3g}" for name, value in values.items())
            bar.update(task, completed=step, total=steps, description=shown)

        yield on_step


def _left(seconds: float | None) -> str:
    """Minutes and seconds, empty while nothing is known."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} left"
