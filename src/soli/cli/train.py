"""`soli train`: run a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from soli.cli.terminal import training_bar
from soli.errors import SoliError


def train(
    recipe: Annotated[Path, typer.Argument(help="A TOML recipe.", show_default=False)],
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint of this recipe.")] = False,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace one value of the recipe; may be repeated."),
    ] = None,
) -> None:
    """Train a model from a recipe; on several GPUs: torchrun --nproc-per-node N -m soli.cli.main train RECIPE."""
    try:
        from soli.training.run import run_recipe
    except ModuleNotFoundError as error:
        if (error.name or "soli").partition(".")[0] == "soli":
            raise
        raise SoliError(
            f"training needs the package {error.name}; install it with: pip install 'soli[train]'"
        ) from error

    with training_bar() as on_step:
        folder = run_recipe(recipe, overrides or [], resume, report=_say, on_step=on_step)
    typer.echo(folder)


def _say(line: str) -> None:
    typer.echo(line, err=True)
