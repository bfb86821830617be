"""Both tables of Zhu et al. 2022 from nothing, for whoever owns the data: trains what is not there yet, then measures.

MUSDB18 is a folder with `train` and `test`; Slakh2100 one with `train`, `validation` and `test`. Each needs a GPU and
days with the recipes as they are; a run that was stopped goes on where it was. On Slakh2100 bass and drums have the
priors of MUSDB18, and guitar and piano are plugged in, as in the published row. Writes WORK/{musdb18,slakh}.{json,md}.

    python benchmarks/seed003.py --musdb18 DIR --slakh DIR --work runs/seed003
"""

from __future__ import annotations

import argparse
from pathlib import Path

from clips import run
from tables import Row, add_options, data, measured, trained

from soli.training.prior import split_prior

STEMS = ("vocals", "bass", "drums", "other")
INSTRUMENTS = ("bass", "drums", "guitar", "piano")
PLUGGED_IN = 'sources=["guitar", "piano"]'


MUSDB18 = (
    Row("instglow", "flowprior/instglow_musdb18.toml"),
    Row("musicglow", "flowprior/instglow_musdb18.toml", ("model.shared=true",)),
    Row("gan-prior", "gan_prior/musdb18.toml"),
    Row("wave-u-net", "wave_unet/paper.toml"),
    Row("open-unmix", "open_unmix/paper.toml"),
    Row("conv-tasnet", "conv_tasnet/paper.toml"),
)
SLAKH = (
    Row("musicglow-slakh", "flowprior/musicglow_slakh.toml"),
    Row("gan-prior-slakh", "gan_prior/slakh.toml"),
)
GUITAR_AND_PIANO = Row(
    "instglow-slakh", "flowprior/instglow_slakh.toml", (f"model.{PLUGGED_IN}", f"mixing.{PLUGGED_IN}")
)


def main(arguments: argparse.Namespace) -> None:
    work, changes = arguments.work, arguments.set or []
    musdb, slakh = arguments.musdb18, arguments.slakh
    models = [trained(row, work, data("musdb", "musdb18", musdb / "train"), changes) for row in MUSDB18]
    measured(models, musdb, "official:test", "seed003", STEMS, work / "musdb18.json", arguments)
    if slakh is None:
        return
    whole = data("slakh", "slakh", slakh)
    later = trained(GUITAR_AND_PIANO, work, whole, changes)
    priors = work / "priors"
    folders = {path.name: path for path in (*split_prior(models[0], priors), *split_prior(later, priors))}
    plugged = "flowprior:" + ",".join(str(folders[name]) for name in INSTRUMENTS)
    models = [plugged, *(trained(row, work, whole, changes) for row in SLAKH)]
    measured(models, slakh, arguments.slakh_split, "seed003-submix", INSTRUMENTS, work / "slakh.json", arguments)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--musdb18", type=Path, required=True, metavar="DIR")
    parser.add_argument("--slakh", type=Path, metavar="DIR")
    parser.add_argument("--slakh-split", default="orig:test", metavar="SCHEME:SPLIT")
    add_options(parser, Path("runs/seed003"))
    run(main, parser)
