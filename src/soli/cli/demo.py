"""`python -m soli.cli.demo [SONG]`: separate a real song with the bundled model and show what came out."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soli.cli.terminal import progress_bar, run_app
from soli.errors import SoliError

if TYPE_CHECKING:
    from torch import Tensor

    from soli.files import SeparatedFile

STREAMS = ("mixture", "drums", "bass", "other", "vocals")
"""Order of the streams of a MUSDB18 file."""


def demo(
    song: Annotated[
        Path | None, typer.Argument(help="A song of yours; by default the excerpt in the package stempeg.")
    ] = None,
    folder: Annotated[Path, typer.Option("--output", "-o", help="Where the stems and the report go.")] = Path(
        "demo-output"
    ),
) -> None:
    """Separate a song, offline and on the CPU; where the true stems are known, measure."""
    from soli.cli.reporting import report_on
    from soli.files import separate_file
    from soli.report import write_report

    source = song or example_song()
    with progress_bar(shown=True) as start:
        done = separate_file(source, folder, progress=start(source.name))
    beside = next(iter(done.paths.values())).parent
    data = report_on(done, beside, "default", truths={} if song else true_stems(source))
    page = write_report(beside / "report.html", data)
    _show(done, page, data.sdr, data.mixture_sdr)


def example_song() -> Path:
    """The excerpt of *Falcon 69* inside the package stempeg, found without importing it: it asks for FFmpeg.

    Returns:
        Path of a `.stem.mp4` of five streams.

    Raises:
        SoliError: the package is not installed, or has another content.
    """
    spec = find_spec("stempeg")
    files = sorted(Path(spec.origin).parent.glob("data/*.stem.mp4")) if spec and spec.origin else []
    if not files:
        raise SoliError("the demo song is in the package stempeg; install it with: pip install stempeg, or give a SONG")
    return files[0]


def true_stems(path: Path) -> dict[str, Tensor]:
    """Decode the true stems of a MUSDB18 file.

    Args:
        path: of a `.stem.mp4`.

    Returns:
        Name -> `[C T]`.

    Raises:
        SoliError: the file does not have five streams.
    """
    from soli.audio import read_streams

    streams = read_streams(path)
    if len(streams) != len(STREAMS):
        raise SoliError(f"{path}: {len(streams)} audio streams; a MUSDB18 file has {len(STREAMS)}")
    return dict(zip(STREAMS[1:], streams[1:], strict=True))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the demo and return the exit code.

    Args:
        arguments: without the program's name; by default those of this process.

    Returns:
        0 when all went well, 2 for an error the user can mend, 130 when interrupted.
    """
    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command()(demo)
    return run_app(app, arguments, "soli demo")


def _show(done: SeparatedFile, page: Path, sdr: Mapping[str, float], mixture_sdr: Mapping[str, float]) -> None:
    """Print the table, the speed and where everything is."""
    from rich.console import Console
    from rich.table import Table

    table = Table("stem", box=None, header_style="bold", padding=(0, 3, 0, 0))
    if sdr:
        table.add_column("SDR", justify="right")
        table.add_column("mixture as estimate", justify="right")
    table.add_column("file")
    for name, path in done.paths.items():
        measured = [_decibels(sdr, name), _decibels(mixture_sdr, name)] if sdr else []
        table.add_row(name, *measured, path.name)
    if sdr:
        table.add_row("mean", *(f"{sum(column.values()) / len(column):.2f} dB" for column in (sdr, mixture_sdr)), "")
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    factor = done.elapsed_seconds / done.seconds
    console.print(f"{done.seconds:.1f} s of audio in {done.elapsed_seconds:.1f} s, real-time factor {factor:.3f}")
    console.print(f"stems: {page.resolve().parent}")
    console.print(f"listen and look: {page.resolve()}")


def _decibels(column: Mapping[str, float], name: str) -> str:
    return f"{column[name]:.2f} dB" if name in column else ""


if __name__ == "__main__":
    sys.exit(run())
