from __future__ import annotations

from pathlib import Path

import pytest

from soli.training.run import TASKS, build_task, load_recipe

ROOT = Path(__file__).parents[1] / "recipes"
RECIPES = sorted(ROOT.rglob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_recipe_builds_its_task(path: Path) -> None:
    recipe = load_recipe(path, [])
    task = build_task(recipe)
    assert sum(parameter.numel() for parameter in task.parameters()) > 1e5
    named = {name for name, _ in recipe.mixing.weights}
    assert named <= {source.collection for source in recipe.data}


def test_every_trainable_system_has_a_recipe() -> None:
    recipes = [load_recipe(path, []) for path in RECIPES]
    assert {(recipe.system, recipe.preset) for recipe in recipes} == set(TASKS)
    outputs = [recipe.output for recipe in recipes]
    assert len(set(outputs)) == len(outputs)
