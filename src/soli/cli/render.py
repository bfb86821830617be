"""`soli data render`: multitracks from songs that are composed, or from MIDI files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soli.cli.terminal import complain
from soli.errors import SoliError

if TYPE_CHECKING:
    from soli.data.render.job import Summary
    from soli.data.render.recipe import Recipe

EXIT_FAILED = 1
_HOURS, _SECONDS = 1.0, (120.0, 240.0)  # of all songs, and of one, where no recipe says it


def render(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the dataset; made if missing.")],
    recipe: Annotated[
        Path | None,
        typer.Argument(help="A TOML recipe, such as recipes/data/slakh_twin.toml; by default one split of songs."),
    ] = None,
    hours: Annotated[float | None, typer.Option(help="Of all songs together; with a recipe, in its shares.")] = None,
    layout: Annotated[str | None, typer.Option(help="slakh (44.1 kHz mono) or musdb (44.1 kHz stereo).")] = None,
    midi: Annotated[
        Path | None, typer.Option(metavar="DIR", help="MIDI files to play; songs are composed where they run out.")
    ] = None,
    soundfont: Annotated[list[str] | None, typer.Option(metavar="FILE", help="May be repeated.")] = None,
    kit: Annotated[list[str] | None, typer.Option(metavar="DIR", help="Of a Hydrogen drum kit; repeatable.")] = None,
    voices: Annotated[list[str] | None, typer.Option(metavar="DIR", help="Solo voices; repeatable.")] = None,
    sounds: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Where a recipe's SoundFonts, kits and voices are, beside the usual places."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of everything that is drawn.")] = None,
    subset: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this subset or split of the recipe, as it is in the whole.")
    ] = None,
    workers: Annotated[int | None, typer.Option(metavar="N", help="By default one per core.")] = None,
    engine: Annotated[str, typer.Option(help="local, or ray for a cluster with a shared disk.")] = "local",
    address: Annotated[str | None, typer.Option(help="Of the Ray cluster, such as auto.")] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace one value of the recipe; may be repeated."),
    ] = None,
) -> None:
    """Make a dataset of multitracks: one file per instrument, and their mixture.

    Stopped and called again with the same arguments, it goes on where it was; equal arguments give equal bytes. The
    exit code is 1 when songs could not be rendered.
    """
    from soli.data.render.job import render_dataset
    from soli.parallel import open_engine

    if recipe is None:
        chosen = _plain_recipe(layout, midi, soundfont or [], kit or [], voices or [], overrides or [])
    else:
        stated = {"--layout": layout, "--soundfont": soundfont, "--kit": kit, "--voices": voices}
        _refuse_stated(recipe, [option for option, value in stated.items() if value])
        chosen = _load(recipe, overrides or [], midi)
    chosen = _adjusted(chosen, hours, seed)
    with _bar() as progress, open_engine(engine, n_workers=_n_workers(workers), address=address) as crew:
        summary = render_dataset(
            chosen, out, crew, midi=midi, folders=tuple(sounds or ()), subset=subset, progress=progress
        )
    _tell(summary)
    if summary.failed:
        raise typer.Exit(EXIT_FAILED)


def _plain_recipe(
    layout: str | None,
    midi: Path | None,
    soundfonts: list[str],
    kits: list[str],
    voices: list[str],
    overrides: list[str],
) -> Recipe:
    """One split, as the options say."""
    from soli.config import from_dict, overridden
    from soli.data.render.recipe import EMBEDDED, Recipe, check_recipe

    split = {
        "hours": _HOURS,
        "seconds": _SECONDS,
        "midi": 0.0 if midi is None else 1.0,
        "soundfonts": soundfonts or [EMBEDDED],
        "kits": kits,
        "voices": voices,
    }
    chosen = layout or "slakh"
    stated = {"layout": chosen, "n_channels": 1 if chosen == "slakh" else 2, "splits": {"train": split}}
    recipe = from_dict(Recipe, overridden(stated, overrides))
    check_recipe(recipe)
    return recipe


def _refuse_stated(recipe: Path, options: list[str]) -> None:
    """Two sources for one thing would leave one of them unheard."""
    if options:
        raise SoliError(f"{options[0]} with {recipe}: the recipe states this; allowed: --set KEY=VALUE")


def _load(path: Path, overrides: list[str], midi: Path | None) -> Recipe:
    """The recipe of a file."""
    from soli.data.render.recipe import load_recipe

    recipe = load_recipe(path, overrides)
    if midi is not None and not any(split.midi for split in recipe.splits.values()):
        raise SoliError(f"--midi {midi}: no split of {path} takes songs from there; set its share, midi")
    return recipe


def _adjusted(recipe: Recipe, hours: float | None, seed: int | None) -> Recipe:
    """With the size and seed of the command line."""
    from dataclasses import replace

    sized = recipe if hours is None else recipe.scaled(hours)
    return sized if seed is None else replace(sized, seed=seed)


def _n_workers(workers: int | None) -> int:
    """One worker per core, unless told otherwise."""
    from soli.parallel.local import count_cores

    return count_cores() if workers is None else workers


def _tell(summary: Summary) -> None:
    """What was left out on stderr, and one line of numbers."""
    for reason, count in summary.left_out.items():
        complain(f"{_count(count, 'MIDI file')} left out: {reason}")
    if summary.composed_instead:
        complain(f"{_count(summary.composed_instead, 'song')} composed, as the MIDI files do not suffice")
    for song, error in summary.failed.items():
        complain(f"{song}: {error}")
    hours, elapsed = summary.seconds / 3600, summary.elapsed_seconds
    rate = f", {summary.seconds / elapsed:.0f} hours per hour" if summary.songs else ""
    found = f"; {summary.found} found there already" if summary.found else ""
    typer.echo(f"{_count(summary.songs, 'song')}, {hours:.2f} hours, {elapsed:.0f} seconds{rate}{found}")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


@contextmanager
def _bar() -> Iterator[Callable[[float, float, str], None]]:
    """Show how far the rendering has come, on stderr and only where someone is watching."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        TextColumn("{task.fields[done]:.2f} of {task.fields[whole]:.2f} h"),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as bar:
        task = bar.add_task("", total=None, done=0.0, whole=0.0)

        def update(done: float, total: float, song: str) -> None:
            bar.update(task, completed=done, total=total, description=song, done=done / 3600, whole=total / 3600)

        yield update
