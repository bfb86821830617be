from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import soli
from audio_fakes import noise, save
from soli.data.cache import Cache
from soli.data.classes import CLASSES
from soli.errors import SoliError
from soli.training.fit import LOG
from soli.training.run import build_task, load_recipe, run_recipe, validation

RECIPE = """
system = "classcond"
preset = "modern"
output = "{folder}/run"
cache = "{folder}/cache"

[model]
n_fft = 512
hop_length = 256
level_seconds = 0.2
bands = [[16, 2], [8, 8], [4, 40]]
trunk = "conv"
n_features = 8
dilations = [1]
embedding_size = 4
refinement_features = 4
refined_groups = 2

[mixing]
segment_seconds = 0.25

[training]
steps = 3
batch_size = 2
warmup = 1
precision = "no"
checkpoint_every = 1
validate_every = 2

[[data]]
collection = "mine"
kind = "dataset"
layout = "stems"
path = "{folder}/songs"
"""


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two songs to train on and one to validate on, of noise; the latter has no bass."""
    folder = tmp_path_factory.mktemp("songs")
    for position, name in enumerate(("one", "two", "Leaf - Summerghost")):
        (folder / name).mkdir()
        for index, label in enumerate(CLASSES):
            if (name, label) != ("Leaf - Summerghost", "bass"):
                save(folder / name / f"{label}.wav", noise(2, 22050, seed=10 * position + index))
    return folder


def recipe(folder: Path, songs: Path) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "tiny.toml"
    path.write_text(RECIPE.format(folder=folder).replace(f"{folder}/songs", str(songs)))
    return path


def log(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "run" / LOG).read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


class Killed(Exception):
    pass


def test_a_recipe_becomes_a_model_and_goes_on_where_it_was_killed(tmp_path: Path, songs: Path) -> None:
    said: list[str] = []
    seen: list[tuple[int, int]] = []
    model = run_recipe(
        recipe(tmp_path / "whole", songs),
        [],
        False,
        report=said.append,
        on_step=lambda step, steps, losses: seen.append((step, steps)),
    )
    assert said == ["Leaf - Summerghost (validation)", "one (train)", "two (train)"]
    assert seen == [(1, 3), (2, 3), (3, 3)]
    separator = soli.load(model)
    estimates = separator.separate(noise(2, 22050), 44100)
    assert estimates.sources == CLASSES
    assert estimates.residual.abs().max() < 1e-6
    lines = log(tmp_path / "whole")
    assert [sorted(line) for line in lines if "validation" in line] == [["step", "validation"]] * 2
    assert {"snr", "spectrum", "clustering", "norm", "rate"} < set(lines[0])

    def kill(step: int, steps: int, losses: dict[str, float]) -> None:
        if step == 2:
            raise Killed

    path = recipe(tmp_path / "killed", songs)
    with pytest.raises(Killed):
        run_recipe(path, [], False, on_step=kill)
    torch.manual_seed(99)  # whatever a new process would start with
    resumed = run_recipe(path, [], True)
    assert log(tmp_path / "killed") == lines
    assert (resumed / "model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()


def test_the_card_names_recipe_and_data(tmp_path: Path, songs: Path) -> None:
    folder = run_recipe(recipe(tmp_path, songs), ["training.steps=1", "training.n_workers=0"], False)
    card = (folder / "card.md").read_text()
    assert "summary: classcond (modern), trained on mine\n" in card
    assert "`soli train tiny.toml`" in card
    assert "1 steps of\n2 mixtures of 0.25 s" in card


def test_a_score_is_minus_the_sdr_of_whole_songs(tmp_path: Path, songs: Path) -> None:
    path = recipe(tmp_path, songs)
    run_recipe(path, ["training.steps=1", "training.n_workers=0"], False)
    task = build_task(load_recipe(path, []))
    score = validation([Cache(tmp_path / "cache" / "mine-44100-2")], task.separator.sources, precision="no")
    assert score is not None
    with torch.no_grad():  # every class gets a quarter of three equal stems: its error is 9/16 + 1/16 + 1/16 of it
        for parameter in task.separator.parameters():
            parameter.zero_()
    assert score(task) == pytest.approx(10 * torch.tensor(11 / 16).log10().item(), abs=0.1)


def test_a_bank_sounds_in_the_mixture_and_is_not_scored(tmp_path: Path, songs: Path) -> None:
    path = recipe(tmp_path, songs)
    run_recipe(path, ["training.steps=1", "training.n_workers=0"], False)
    cache = Cache(tmp_path / "cache" / "mine-44100-2")

    class Half(torch.nn.Module):
        """Gives half the mixture to its only source."""

        sources, sample_rate = ("vocals",), 44100

        def __init__(self) -> None:
            super().__init__()
            self.separator, self.weight = self, torch.nn.Parameter(torch.zeros(1))

        def separate(self, mixture: torch.Tensor, sample_rate: int) -> SimpleNamespace:
            assert sample_rate == self.sample_rate
            return SimpleNamespace(stems=0.5 * mixture[None])

    alone, beside = (validation([cache], mixed, precision="no") for mixed in (("vocals",), ("vocals", "drums")))
    assert alone is not None
    assert beside is not None
    assert alone(Half()) == pytest.approx(10 * torch.tensor(0.25).log10().item(), abs=1e-3)  # type: ignore[arg-type]
    # half of itself is missing and half of another stem as loud is there
    assert beside(Half()) == pytest.approx(10 * torch.tensor(0.5).log10().item(), abs=0.1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("colour=1", "unknown key 'colour'; known: system, preset, output, cache, data, model"),
        ("training.colour=1", "unknown key 'training.colour'; known: steps"),
        ("model.colour=1", "unknown key 'model.colour'; known: sources"),
        ("task.colour=1", r"\[task\] of this recipe does not fit ClassCondTask .*'colour'"),
        ("system=nothing", "nothing to train for nothing/modern; known: classcond/modern, classcond/paper"),
        ("training.steps=many", "training.steps = 'many'; allowed: int"),
        ("model.n_fft=1024", "band layout covers 256 bins; it must cover 512"),
        ('model.sources=["vocals", "other"]', r"mixing.sources = .*; the model has \['vocals', 'other'\]"),
        ("initial=nowhere", "unknown model 'nowhere'"),
        ('data=[{collection="mine", kind="dataset", path="nowhere"}]', "nowhere: there is no such folder"),
        ('data=[{collection="mine", kind="tapes", path="nowhere"}]', r"kind = 'tapes'; allowed: 'dataset', 'solos'"),
        ('mixing.weights=[["yours", 1.0]]', "no collection 'yours' in the cache; there is mine"),
    ],
)
def test_mistakes_in_a_recipe_are_one_line(tmp_path: Path, songs: Path, override: str, message: str) -> None:
    with pytest.raises(SoliError, match=message) as caught:
        run_recipe(recipe(tmp_path, songs), [override], False)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_of_another_model_is_not_resumed(tmp_path: Path, songs: Path) -> None:
    path = recipe(tmp_path, songs)
    run_recipe(path, ["training.steps=1", "training.n_workers=0"], False)
    with pytest.raises(SoliError, match=r"checkpoint\.safetensors: cannot resume from this checkpoint") as caught:
        run_recipe(path, ["model.n_features=16", "training.n_workers=0"], True)
    assert "\n" not in str(caught.value)
