"""`soli prior`: learn an instrument from its solos, and ask when it sounds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soli.cli.options import DEVICE, JSON
from soli.cli.terminal import print_json, progress_bar, training_bar
from soli.errors import SoliError

if TYPE_CHECKING:
    from soli.presence import Presence

prior = typer.Typer(
    name="prior", help="Instruments to plug in: learn them, and ask when they sound.", no_args_is_help=True
)

PRIORS = Annotated[
    str, typer.Option(help="Bundled instruments or folders of `soli prior train`, separated by commas.", metavar="A,B")
]


@prior.command()
def train(
    recordings: Annotated[
        Path, typer.Argument(metavar="DIR", help="Recordings in which nothing but the instrument sounds.")
    ],
    instrument: Annotated[str, typer.Option(help="Its name.", metavar="NAME", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the prior.", show_default=False)],
    bank: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Recordings without the instrument, to tell it from; may be repeated."),
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="For checkpoints and decoded audio; runs/prior-NAME if not given."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace one value of the recipe; may be repeated."),
    ] = None,
) -> None:
    """Learn a prior of one instrument; no other prior is touched, or trained again."""
    with _extra():
        from soli.training.prior import PriorRequest, train_prior

    request = PriorRequest(
        instrument=instrument,
        recordings=recordings,
        out=out,
        bank=tuple(bank or ()),
        work=work or Path("runs") / f"prior-{instrument}",
        overrides=tuple(overrides or ()),
    )
    with training_bar() as on_step:
        folder = train_prior(request, resume, report=lambda line: typer.echo(line, err=True), on_step=on_step)
    typer.echo(folder)


@prior.command()
def split(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model of flowprior that `soli train` has made.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Gets a folder for each instrument.", show_default=False)
    ],
) -> None:
    """Cut a model of several instruments into one prior for each, to be plugged in apart."""
    with _extra():
        from soli.training.prior import split_prior

    for folder in split_prior(model, out):
        typer.echo(folder)


@prior.command()
def score(
    recording: Annotated[Path, typer.Argument(metavar="FILE", help="An audio or video file.", show_default=False)],
    priors: PRIORS = "vocals,drums,bass,other",
    device: DEVICE = "auto",
    report: Annotated[
        Path | None,
        typer.Option(metavar="PAGE.html", help="Draw it on an HTML page; an older one of soli's is replaced."),
    ] = None,
    as_json: JSON = False,
) -> None:
    """Say which instruments sound in a recording, and when."""
    from soli.cli.report import check_page
    from soli.presence import find_presence
    from soli.zoo import load

    if report is not None:
        check_page(report)
    model = load(f"flowprior:{priors}", device)
    with progress_bar(shown=not as_json) as start:
        found = find_presence(recording, model=model, progress=start(recording.name))
    if report is not None:
        from soli.cli.presence_reporting import report_on_presence
        from soli.report import write_page
        from soli.report.presence import presence_page

        write_page(report, presence_page(report_on_presence(found, priors, model)))
    if as_json:
        facts = _facts(found)
        print_json(facts | {"report": report} if report is not None else facts)
        return
    _say(found)
    if report is not None:
        typer.echo(f"  {report}")


@contextmanager
def _extra() -> Iterator[None]:
    """Say what to install where a package that training needs is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "soli").partition(".")[0] == "soli":
            raise
        raise SoliError(
            f"training needs the package {error.name}; install it with: pip install 'soli[train]'"
        ) from error


def _facts(found: Presence) -> dict[str, Any]:
    """What `--json` prints."""
    measures = ("probability", "log_likelihood", "deviations", "share_db")
    return {
        "source": found.source,
        "seconds": found.seconds,
        "window_seconds": found.window_seconds,
        "starts": found.starts.tolist(),
        "instruments": {
            name: {"spans": found.spans(name)} | {key: getattr(found, key)[index].tolist() for key in measures}
            for index, name in enumerate(found.instruments)
        },
    }


def _say(found: Presence) -> None:
    """One line for people about each instrument."""
    from soli.report.text import clock

    width = max(map(len, found.instruments))
    for name in found.instruments:
        spans = ", ".join(f"{clock(round(start))} to {clock(round(end))}" for start, end in found.spans(name))
        typer.echo(f"{name:{width}}  {100 * found.sounding(name):3.0f} % of the time  {spans}".rstrip())
