"""The table of seed 002 (Berti 2024) from nothing, for whoever owns Slakh2100: trains what is not there, then measures.

Slakh2100 is a folder with `train`, `validation` and `test`. The recipes as they are need a GPU and days; a run that was
stopped goes on where it was. With several GPUs train first, each recipe by torchrun, into WORK/trainings/NAME, and move
its `model` to WORK/models/NAME. Writes WORK/slakh.{json,md}: protocol msdm, both styles.

    python benchmarks/seed002.py --slakh DIR --work runs/seed002
"""

from __future__ import annotations

import argparse
from pathlib import Path

from clips import run
from tables import Row, add_options, data, measured, trained

SOURCES = ("bass", "drums", "guitar", "piano")
ROWS = (
    Row("rqvae-paper", "rqvae/paper_slakh.toml"),
    Row("vqvae-paper", "rqvae/paper_slakh.toml", ("model.n_codebooks=1",)),
    Row("vae-paper", "rqvae/paper_slakh.toml", ('model.bottleneck="vae"',)),
    Row("rqvae-paper-no-skips", "rqvae/paper_slakh.toml", ("model.skips=false",)),
    Row("vqvae-paper-no-skips", "rqvae/paper_slakh.toml", ("model.n_codebooks=1", "model.skips=false")),
    Row("vae-paper-no-skips", "rqvae/paper_slakh.toml", ('model.bottleneck="vae"', "model.skips=false")),
    Row("rqvae-modern", "rqvae/modern_slakh.toml"),
)


def main(arguments: argparse.Namespace) -> None:
    source = data("slakh", "slakh", arguments.slakh)
    models = [trained(row, arguments.work, source, arguments.set or []) for row in ROWS]
    names: list[str | Path] = [*models, f"codec:{models[-1]}"]
    measured(names, arguments.slakh, arguments.split, "msdm", SOURCES, arguments.work / "slakh.json", arguments)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slakh", type=Path, required=True, metavar="DIR")
    parser.add_argument("--split", default="redux:test", metavar="SCHEME:SPLIT")
    add_options(parser, Path("runs/seed002"))
    run(main, parser)
