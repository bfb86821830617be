"""Learning a prior: what is checked first, what it is calibrated on, and one folder for each instrument."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from soli import zoo
from soli.data.build import open_caches
from soli.errors import SoliError
from soli.systems.flowprior.separator import FlowPrior
from soli.training import run as training
from soli.training.held_out import held_out
from soli.training.prior import BANK, PriorRequest, prior_recipe, split_prior, train_prior
from soli.training.run import run_recipe

RATE = 8000
MODEL = {
    "sample_rate": RATE,
    "n_fft": 512,
    "hop_length": 128,
    "bands": [[32, 4], [16, 8]],
    "n_features": 8,
    "depths": [1],
    "dilations": [1],
    "n_mels": 24,
    "n_blocks": 2,
    "n_hidden": 16,
    "n_layers": 2,
}
TRAINING = {"steps": 1, "precision": "no", "batch_size": 1, "n_workers": 0, "validate_every": 0}
MIXING = {"segment_seconds": 2.5}
OVERRIDES = tuple(
    f"{table}.{key}={json.dumps(value)}"
    for table, values in {"model": MODEL, "training": TRAINING, "mixing": MIXING}.items()
    for key, value in values.items()
)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def solos(folder: str, frequency: float, *, levels: tuple[float, ...] = (0.3, 0.3, 0.3), seconds: float = 4.0) -> Path:
    """One recording of a tone for each level."""
    Path(folder).mkdir(parents=True)
    time = np.arange(round(seconds * RATE)) / RATE
    for number, level in enumerate(levels):
        tune = level * np.sin(2 * np.pi * frequency * time) * np.exp(-(time % 0.5))
        soundfile.write(f"{folder}/{number}.wav", tune, RATE)
    return Path(folder)


def request(*overrides: str, out: str = "out", bank: tuple[Path, ...] = ()) -> PriorRequest:
    return PriorRequest(
        instrument="808", recordings=Path("tubas"), out=Path(out), bank=bank, overrides=(*OVERRIDES, *overrides)
    )


def learn(*overrides: str, out: str = "out", bank: tuple[Path, ...] = ()) -> FlowPrior:
    said: list[str] = []
    separator = zoo.load(train_prior(request(*overrides, out=out, bank=bank), report=said.append))
    assert isinstance(separator, FlowPrior)
    return separator


@pytest.mark.parametrize(
    ("overrides", "out", "message"),
    [
        (("mixing.segment_seconds=1.5",), "out", "mixing.segment_seconds = 1.5; allowed: at least 1.984"),
        (("system=rqvae",), "out", "a prior of rqvae/modern; allowed: flowprior/modern"),
        (("preset=paper",), "out", "a prior of flowprior/paper; allowed: flowprior/modern"),
        ((), "file.txt", "file.txt: cannot be written"),
        ((), "file.txt/below", "file.txt/below: cannot be written"),
    ],
)
def test_what_would_fail_in_the_end_fails_first(
    overrides: tuple[str, ...], out: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    solos("tubas", 100)
    Path("file.txt").write_text("mine")
    before = sorted(Path().rglob("*"))
    monkeypatch.setattr(training, "open_caches", lambda *_, **__: pytest.fail("audio was decoded"))
    with pytest.raises(SoliError, match=message) as caught:
        learn(*overrides, out=out)
    assert "\n" not in str(caught.value)
    assert sorted(Path().rglob("*")) == before


def test_an_unused_output_folder_is_not_left_behind() -> None:
    Path("tubas").mkdir()
    with pytest.raises(SoliError, match="tubas: no files"):
        learn(out="some/where/deep")
    assert not Path("some").exists()


def test_silent_recordings_leave_a_prior_that_is_not_calibrated() -> None:
    solos("tubas", 100, levels=(0.0, 0.3))
    separator = learn(bank=(solos("flutes", 2000),))
    assert separator.sources == ("808",)
    assert torch.equal(separator.priors[0].usual, torch.tensor([0.0, 1.0]))
    assert not separator.priors[0].calibrated


def test_one_recording_is_enough_even_with_the_result_among_the_recordings() -> None:
    solos("tubas", 100, levels=(0.3,))
    Path("tubas/.DS_Store").write_text("no audio")
    Path("tubas/v1.0").mkdir()
    bank = (solos("flutes", 2000, levels=(0.3,)),)
    for _ in range(2):
        separator = learn(out="tubas/v1.0/prior", bank=bank)
        assert separator.priors[0].calibrated
        assert torch.isfinite(separator.priors[0].usual).all()


def test_held_out_mixtures_are_of_held_out_recordings_and_none_is_silent() -> None:
    solos("tubas", 100, levels=(0.3, 0.0, 0.0))  # only what is held out sounds
    recipe = prior_recipe(request("mixing.gain_db=0", bank=(solos("flutes", 2000, levels=(0.3, 0.0)),)))
    caches = open_caches(Path("cache"), recipe.data, print, sample_rate=RATE, n_channels=1)
    said: list[str] = []
    stems = torch.cat(list(held_out(caches, recipe.mixing, 0, said.append)))
    assert said == []
    assert len(stems) == 64
    sounding = stems.square().mean(dim=(2, 3)).sqrt() > 0.01
    assert sounding.any(dim=1).all()
    for expected in itertools.product((False, True), repeat=2):
        share = (sounding == torch.tensor(expected)).all(dim=1).float().mean()
        assert share == pytest.approx(1 / 3 if any(expected) else 0.0, abs=0.17)


def test_a_class_that_is_not_held_out_is_named() -> None:
    solos("tubas", 100, levels=(0.3,))
    recipe = prior_recipe(request(bank=(solos("flutes", 2000),)))
    recipe = replace(recipe, mixing=replace(recipe.mixing, weights=(("bank1", 2.0), ("solos", 1.0))))
    caches = open_caches(Path("cache"), recipe.data, print, sample_rate=RATE, n_channels=1)
    said: list[str] = []
    stems = next(held_out(caches, recipe.mixing, 0, said.append))
    assert stems.shape == (1, 2, 1, round(2.5 * RATE))
    assert said == ["no recording of 808 is held out; it is calibrated on those it was trained on"]


def test_a_recipe_of_several_is_calibrated_and_cut_into_folders() -> None:
    data = [
        {"collection": label, "kind": "solos", "path": str(solos(label, pitch)), "label": label, "validation_every": 2}
        for label, pitch in (("drums", 3000.0), ("bass", 100.0), (BANK, 800.0))
    ]
    table: dict[str, Any] = {
        "system": "flowprior",
        "preset": "modern",
        "output": "run",
        "cache": "cache",
        "data": data,
        "model": {"sources": ["drums", "bass"], **MODEL},
        "mixing": {"sources": ["drums", "bass", BANK], "mono": True, "coherent": 0.0, **MIXING},
        "training": TRAINING,
    }
    lines = [f"{key} = {json.dumps(table[key])}" for key in ("system", "preset", "output", "cache")]
    for name in ("model", "mixing", "training"):
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table[name].items())]
    for source in data:
        lines += ["[[data]]", *(f"{key} = {json.dumps(value)}" for key, value in source.items())]
    Path("two.toml").write_text("\n".join(lines))
    whole = zoo.load(run_recipe(Path("two.toml"), [], False))
    assert isinstance(whole, FlowPrior)
    assert all(prior.calibrated for prior in whole.priors)
    card = Path("run/model/card.md").read_text().replace("licence: not stated", "licence: CC0-1.0")
    Path("run/model/card.md").write_text(card)

    folders = split_prior("run/model", Path("priors"))
    assert folders == [Path("priors/drums"), Path("priors/bass")]
    for folder, prior in zip(folders, whole.priors, strict=True):
        info = zoo.model_info(folder)
        assert (info.sources, info.licence) == ((folder.name,), "CC0-1.0")
        assert info.summary.startswith(f"prior of {folder.name}; flowprior (modern)")
        assert "`soli train two.toml`" in (folder / "card.md").read_text()
        part = zoo.load(folder)
        assert isinstance(part, FlowPrior)
        for name, value in part.priors[0].state_dict().items():
            due = prior.state_dict()[name]
            assert torch.equal(value, due.half().float() if due.is_floating_point() else due)
    again = zoo.load("flowprior:priors/drums,priors/bass")
    mixture = torch.randn(1, 3 * RATE, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        again.separate(mixture, RATE).stems, whole.separate(mixture, RATE).stems, atol=0.01, rtol=0
    )


def test_only_priors_can_be_cut_apart() -> None:
    with pytest.raises(SoliError, match="nowhere"):
        split_prior("nowhere", Path("priors"))
    with pytest.raises(SoliError, match=r"default is a model of .*; allowed: one of flowprior"):
        split_prior("default", Path("priors"))
    assert not Path("priors").exists()
