from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soli.config import from_dict, load_toml, to_dict
from soli.errors import SoliError


@dataclass(frozen=True, kw_only=True)
class Inner:
    depth: int = 2
    kind: Literal["diag", "tied"] = "diag"


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: str
    rate: float = 0.5
    on: bool = False
    sources: tuple[str, ...] = ("a", "b")
    pair: tuple[int, float] = (1, 2.0)
    limit: float | None = None
    inner: Inner = Inner()
    extra: Inner | None = None
    weights: dict[str, float] = field(default_factory=dict)
    anything: dict[str, Any] = field(default_factory=dict)


outers = st.builds(
    Outer,
    name=st.text(),
    rate=st.floats(allow_nan=False, allow_infinity=False),
    on=st.booleans(),
    sources=st.lists(st.text()).map(tuple),
    pair=st.tuples(st.integers(), st.floats(allow_nan=False, allow_infinity=False)),
    limit=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    inner=st.builds(Inner, depth=st.integers(), kind=st.sampled_from(["diag", "tied"])),
    extra=st.none() | st.builds(Inner),
    weights=st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)),
    anything=st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.booleans())),
)


@given(outers)
def test_a_config_survives_the_trip_through_json(config: Outer) -> None:
    assert from_dict(Outer, json.loads(json.dumps(to_dict(config)))) == config


def test_absent_keys_keep_their_defaults() -> None:
    assert from_dict(Outer, {"name": "x"}) == Outer(name="x")


def test_a_whole_number_is_accepted_where_a_float_is_asked_for() -> None:
    rate = from_dict(Outer, {"name": "x", "rate": 3}).rate
    assert rate == 3.0
    assert type(rate) is float


@pytest.mark.parametrize(
    ("mapping", "parts"),
    [
        ({"name": "x", "rat": 1.0}, ["'rat'", "rate", "sources"]),
        ({"name": "x", "inner": {"deep": 1}}, ["'inner.deep'", "depth, kind"]),
        ({}, ["'name'", "missing", "str"]),
        ({"name": 3}, ["name = 3", "str"]),
        ({"name": "x", "rate": "fast"}, ["rate = 'fast'", "float"]),
        ({"name": "x", "rate": True}, ["rate = True", "float"]),
        ({"name": "x", "on": 1}, ["on = 1", "bool"]),
        ({"name": "x", "sources": "ab"}, ["sources = 'ab'", "a list of str"]),
        ({"name": "x", "sources": ["a", 1]}, ["sources[1] = 1", "str"]),
        ({"name": "x", "pair": [1]}, ["pair = [1]", "a list of 2: int, float"]),
        ({"name": "x", "limit": "no"}, ["limit = 'no'", "float or none"]),
        ({"name": "x", "inner": {"kind": "full"}}, ["inner.kind = 'full'", "'diag', 'tied'"]),
        ({"name": "x", "inner": {"depth": True}}, ["inner.depth = True", "int"]),
        ({"name": "x", "inner": 3}, ["inner = 3", "depth, kind"]),
        ({"name": "x", "weights": {"bass": "much"}}, ["weights.bass = 'much'", "float"]),
        ({"name": "x", "anything": 3}, ["anything = 3", "a table"]),
        ({"name": "x", "extra": {"deep": 1}}, ["'extra.deep'", "depth, kind"]),
    ],
)
def test_a_mistake_is_named_with_what_is_allowed(mapping: dict[str, object], parts: list[str]) -> None:
    with pytest.raises(SoliError) as caught:
        from_dict(Outer, mapping)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_overrides_reach_into_tables_and_are_typed(tmp_path) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text('name = "x"\n[inner]\ndepth = 1\n')
    overrides = ["inner.depth=7", "rate = 1e-3", "name=plain words", 'sources=["v", "d"]', "on=true", "extra.kind=tied"]
    config = from_dict(Outer, load_toml(recipe, overrides))
    assert config.inner == Inner(depth=7)
    assert (config.rate, config.name, config.sources, config.on) == (1e-3, "plain words", ("v", "d"), True)
    assert config.extra == Inner(kind="tied")


def test_a_value_cannot_smuggle_in_a_second_key(tmp_path) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text("")
    assert load_toml(recipe, ["name=1\nrate = 2"]) == {"name": "1\nrate = 2"}


@pytest.mark.parametrize("override", ["rate", "=1", "inner.=3", "name.deep=1"])
def test_a_malformed_override_is_refused(tmp_path, override: str) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text('name = "x"\n')
    with pytest.raises(SoliError, match="override"):
        load_toml(recipe, [override])


@pytest.mark.parametrize("content", [None, b"a = = 1", b"\xff\xfe"])
def test_an_unreadable_recipe_is_named(tmp_path, content: bytes | None) -> None:
    recipe = tmp_path / "broken.toml"
    if content is not None:
        recipe.write_bytes(content)
    with pytest.raises(SoliError, match=r"broken\.toml") as caught:
        load_toml(recipe)
    assert "\n" not in str(caught.value)
