"""`soli report`: HTML pages from results and datasets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from soli.cli.options import DEVICE, MODEL
from soli.errors import SoliError

if TYPE_CHECKING:
    from soli.data.tracks import Track
    from soli.report import Excerpt

GENERATOR = b'<meta name="generator" content="soli'
_HEAD_BYTES = 1000


class _LeaderboardFirst(TyperGroup):
    """`soli report a.json` is `soli report leaderboard a.json`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command in front where there is none."""
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["leaderboard", *args]
        return super().parse_args(ctx, args)


report = typer.Typer(
    name="report",
    cls=_LeaderboardFirst,
    help="Write HTML pages that need nothing else: `soli report results.json... --out page.html` compares models, "
    "`soli report tracks DIR` plays songs of a dataset, `soli report codes SONG...` shows what a codebook of sources "
    "makes of songs.",
    no_args_is_help=True,
)

PAGE = Annotated[
    Path, typer.Option("--out", "-o", metavar="FILE.html", help="The page; an older one of soli's is replaced.")
]


@report.command()
def leaderboard(
    results: Annotated[
        list[Path], typer.Argument(metavar="RESULTS.json...", help="Files from `soli evaluate`.", show_default=False)
    ],
    out: PAGE,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "Leaderboard",
) -> None:
    """Compare models: tables with intervals, box plots, quality against speed, track by track.

    Files measured by the same protocol on the same tracks and sources become one table; others follow each other.
    """
    from soli.cli.results import read_results
    from soli.report import write_page
    from soli.report.leaderboard import leaderboard_page

    check_page(out)
    typer.echo(write_page(out, leaderboard_page(read_results(results), title)))


@report.command()
def tracks(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A dataset of any layout.", show_default=False)],
    out: PAGE,
    count: Annotated[int, typer.Option(help="How many tracks.", metavar="N")] = 10,
    seed: Annotated[int, typer.Option(help="Of the draw.", metavar="S")] = 0,
    seconds: Annotated[float, typer.Option(help="Of each track.", metavar="T")] = 20.0,
    layout: Annotated[str, typer.Option(help="Of the dataset, as in `soli data check`.")] = "auto",
) -> None:
    """Draw tracks of a dataset by chance, to listen to and to look at, stem by stem."""
    import numpy as np

    from soli.data.layouts import open_dataset
    from soli.report import write_page
    from soli.report.listening import listening_page

    for name, value, allowed in (("count", count, 1), ("seed", seed, 0)):
        if value < allowed:
            raise SoliError(f"--{name} {value}; allowed: {allowed} or more")
    if not 0.1 <= seconds <= 600:
        raise SoliError(f"--seconds {seconds:g}; allowed: 0.1 to 600")
    check_page(out)
    dataset = open_dataset(folder, layout)
    random = np.random.default_rng(seed)
    drawn = random.permutation(len(dataset.tracks))[:count]
    songs = [_excerpt(dataset.tracks[index], seconds, float(random.random())) for index in drawn]
    about = (
        f"{len(songs)} of {len(dataset.tracks)} tracks, layout {dataset.layout}, drawn with seed {seed}; "
        f"up to {seconds:g} s of each from a random place."
    )
    typer.echo(write_page(out, listening_page(dataset.root.resolve().name, about, songs)))


@report.command()
def codes(
    songs: Annotated[list[Path], typer.Argument(metavar="SONG...", help="Audio or video files.", show_default=False)],
    out: PAGE,
    model: MODEL = "vqquery",
    start: Annotated[float, typer.Option(help="Second at which each excerpt begins.", metavar="T")] = 0.0,
    seconds: Annotated[float, typer.Option(help="Of each song.", metavar="T")] = 6.0,
    device: DEVICE = "auto",
) -> None:
    """Show what a codebook of source categories makes of songs (seed 000).

    A grid of mel spectrograms with the output of every code, how often each code was chosen for each class, and what
    sounds in each song to listen to.
    """
    from soli.cli.codes_reporting import grid_of, histogram_of, listen, load_codes
    from soli.files import model_name
    from soli.report import write_page
    from soli.report.listening import listening_page

    if start < 0 or not 0.5 <= seconds <= 60:
        raise SoliError(f"--start {start:g} --seconds {seconds:g}; allowed: 0 or more, and 0.5 to 60")
    check_page(out)
    separator = load_codes(model, device)
    heard = [listen(separator, path, start, seconds) for path in songs]
    figures = [grid_of(separator, heard), *histogram_of(separator)]
    about = (
        f"{len(separator.sources)} codes of {model_name(model)}, which was told no class; {seconds:g} s of each song."
    )
    page = listening_page(f"Categories of {model_name(model)}", about, [song.excerpt for song in heard], figures)
    typer.echo(write_page(out, page))


def check_page(path: Path) -> None:
    """Refuse a name for a page before any work is done.

    Args:
        path: where a page is to go.

    Raises:
        SoliError: for another suffix, a folder, and a file there that is no page of soli's.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise SoliError(f"{path}; allowed: a name that ends in .html")
    if path.is_dir():
        raise SoliError(f"{path}: is a folder; allowed: the name of an HTML file")
    try:
        if path.exists():
            with path.open("rb") as stream:
                ours = GENERATOR in stream.read(_HEAD_BYTES)
            if not ours:
                raise SoliError(f"{path}: exists and is no page of soli's; delete it or choose another name")
    except OSError as error:
        raise SoliError(f"{path}: cannot be read ({error.strerror or error})") from error


def _excerpt(track: Track, seconds: float, place: float) -> Excerpt:
    """Read a part of a track; `place` is 0 for its beginning and 1 for its end."""
    from soli.report import Excerpt

    length = min(track.n_samples, round(seconds * track.sample_rate))
    start = int(place * (track.n_samples - length))
    begin, end = start / track.sample_rate, (start + length) / track.sample_rate
    return Excerpt(
        title=track.name,
        sample_rate=track.sample_rate,
        mixture=track.mixture(start, length),
        stems={_stem_name(track, name): track.read(name, start, length) for name in track.stems},
        about=" · ".join(part for part in (track.split, f"from {begin:.1f} to {end:.1f} s") if part),
    )


def _stem_name(track: Track, name: str) -> str:
    """A stem's name, and its finest class where the name does not say it."""
    labels = track.stems[name].labels
    return name if not labels or labels[-1] in name else f"{name} {labels[-1]}"
