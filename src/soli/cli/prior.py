"""`soli prior`: learn an instrument from its solos, and ask when it sounds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soli.cli.options import DEVICE, JSON
from soli.cli.terminal import print_json, progress_bar, training_bar
from soli.errors import SoliError

if TYPE_CHECKING:
    pass

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
    try:
        from soli.training.prior import PriorRequest, train_prior
    except ModuleNotFoundError as error:
        if (error.name or "soli").partition(".")[0] == "soli":
            raise
        raise SoliError(
            f"training needs the package {error.name}; install it with: pip install 'soli[train]'"
        ) from error

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
def score(
    recording: Annotated[Path, typer.Argument(metavar="FILE", help="An audio or video file.", show_default=False)],
    priors: PRIORS = "vocals,drums,bass,other",
    device: DEVICE = "auto",
    as_json: JSON = False,
) -> None:
    """Say which instruments sound in a recording, and when."""
    from soli.presence import find_presence

    with progress_bar(shown=not as_json) as start:
        found = find_presence(recording, model=f"flowprior:{priors}", device=device, progress=start(recording.name))
    if as_json:
        rows = zip(found.instruments, found.probability, found.log_likelihood, found.share_db, strict=True)
        print_json(
            {
                "source": found.source,
                "window_seconds": found.window_seconds,
                "starts": found.starts.tolist(),
                "instruments": {
                    name: {
                        "spans": found.spans(name),
                        "probability": chance.tolist(),
                        "log_likelihood": likelihood.tolist(),
                        "share_db": share.tolist(),
                    }
                    for name, chance, likelihood, share in rows
                },
            }
        )
        return
    width = max(map(len, found.instruments))
    for name, chance in zip(found.instruments, found.probability, strict=True):
        spans = ", ".join(f"{_clock(start)} to {_clock(end)}" for start, end in found.spans(name))
        typer.echo(f"{name:{width}}  {100 * (chance >= 0.5).mean():3.0f} % of the time  {spans}".rstrip())


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
