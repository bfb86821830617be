from __future__ import annotations

from pathlib import Path

import pytest

from soli.data.classes import CLASSES, TABLE, class_of, plain, read_table
from soli.errors import SoliError


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Drum", "drums"),
        ("lead_vocals", "vocals"),
        ("Bass-Guitar", "bass"),
        ("Guitar 2", "other"),
        ("guitar02", "other"),
        ("bass drum", "drums"),
        ("808", None),
        ("kazoo", None),
        ("no drums", None),
    ],
)
def test_a_name_has_one_class_or_none(name: str, label: str | None) -> None:
    assert class_of(name) == label


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("03 Bass Drum dry", "drums"),
        ("bass_left", "bass"),
        ("Song - Lead Vocal (double)", "vocals"),
        ("bassoonist", None),
        ("take 3", None),
    ],
)
def test_the_longest_known_name_among_the_words_decides(name: str, label: str | None) -> None:
    assert TABLE.find_within(name) == label


def test_every_name_of_the_table_can_be_looked_up() -> None:
    assert set(TABLE.names.values()) == set(CLASSES)
    assert all(plain(name) == name for name in TABLE.names)


def test_a_dataset_may_bring_names_of_its_own(tmp_path: Path) -> None:
    assert read_table(tmp_path) is TABLE
    (tmp_path / "classes.toml").write_text('toys = ["Kazoo_1", "toy piano"]\ndrums = ["bass"]\n')
    table = read_table(tmp_path)
    assert [table.find(name) for name in ("kazoo 7", "toy-piano", "bass", "piano")] == [
        "toys",
        "toys",
        "drums",
        "other",
    ]


@pytest.mark.parametrize("text", ['toys = "kazoo"', "toys = [3]", "toys = ["])
def test_a_table_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "classes.toml").write_text(text)
    with pytest.raises(SoliError, match=r"classes\.toml: "):
        read_table(tmp_path)
