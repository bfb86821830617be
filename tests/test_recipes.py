from __future__ import annotations

from pathlib import Path

import pytest

from soli.data.render.recipe import load_recipe as load_data_recipe
from soli.data.render.songs import plan
from soli.systems.rqvae.config import RQVAEConfig
from soli.systems.rqvae.music.codec import refer
from soli.systems.rqvae.separator import RQVAE
from soli.training.music import build_music_task, load_music_recipe
from soli.training.run import TASKS, build_task, load_recipe

ROOT = Path(__file__).parents[1] / "recipes"
DATA = sorted(ROOT.glob("data/*.toml"))
MUSIC = sorted(ROOT.glob("*/music_*.toml"))
RECIPES = sorted(set(ROOT.rglob("*.toml")) - set(DATA) - set(MUSIC))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_recipe_builds_its_task(path: Path) -> None:
    recipe = load_recipe(path, [])
    task = build_task(recipe)
    assert sum(parameter.numel() for parameter in task.parameters()) > 1e5
    named = {name for name, _ in recipe.mixing.weights}
    assert named <= {source.collection for source in recipe.data}


@pytest.mark.parametrize("path", MUSIC, ids=lambda path: path.name)
def test_music_is_learned_from_codes_of_another_recipe(path: Path) -> None:
    recipe = load_music_recipe(path, [])
    codec = RQVAE(RQVAEConfig())
    task = build_music_task(recipe, codec, refer(codec, recipe.codec, "0" * 64))
    assert 1e5 < sum(parameter.numel() for parameter in task.parameters()) < 8e6
    assert recipe.codec.removesuffix("/model") in [load_recipe(other, []).output for other in RECIPES]


def test_every_trainable_system_has_a_recipe() -> None:
    recipes = [load_recipe(path, []) for path in RECIPES]
    assert {(recipe.system, recipe.preset) for recipe in recipes} == set(TASKS)
    outputs = [recipe.output for recipe in recipes]
    assert len(set(outputs)) == len(outputs)


@pytest.mark.parametrize("path", DATA, ids=lambda path: path.name)
def test_every_dataset_can_be_planned(path: Path) -> None:
    recipe = load_data_recipe(path)
    songs = plan(recipe, None)
    for name, split in recipe.splits.items():
        seconds = sum(song.seconds for song in songs if song.split == name)
        assert 3600 * (split.hours or 0) <= seconds < 3600 * (split.hours or 1e9) + split.seconds[1]
    for subset in recipe.subsets:
        assert set(plan(recipe, None, subset)) < set(songs)


def test_the_second_test_of_the_twin_is_never_heard_in_training() -> None:
    splits = load_data_recipe(ROOT / "data" / "slakh_twin.toml").splits
    assert {name: split.hours for name, split in splits.items()} == {
        "train": 20,
        "validation": 1,
        "test_a": 1,
        "test_b": 1,
    }
    assert splits["test_a"].soundfonts == splits["train"].soundfonts
    assert set(splits["test_b"].soundfonts).isdisjoint(splits["train"].soundfonts)
    assert splits["test_b"].kits
    assert not splits["train"].kits
