from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rendering import midi_folder, tiny_recipe
from soli.data.compose import compose, from_midi, to_midi
from soli.data.render.families import family, is_full_band
from soli.data.render.midi_songs import find_midi_songs
from soli.data.render.recipe import Recipe, Split, check_recipe, load_recipe
from soli.data.render.songs import parts_of, plan
from soli.data.render.sounds import find_kit, find_soundfont, find_voices
from soli.errors import SoliError

HALVES = Recipe(
    splits={
        "train": Split(hours=0.5, midi=0.5, seconds=(15.0, 30.0)),
        "test": Split(hours=0.5, midi=0.5, seconds=(15.0, 30.0)),
    }
)


def test_the_hours_asked_for_are_reached_with_the_last_song() -> None:
    songs = plan(HALVES, None)
    for name in ("train", "test"):
        lengths = [song.seconds for song in songs if song.split == name]
        assert sum(lengths) >= 1800 > sum(lengths[:-1])
    assert len({song.seed for song in songs}) == len(songs)
    assert len({song.place for song in songs}) == len(songs)


def test_a_larger_dataset_begins_with_the_smaller_one(tmp_path: Path) -> None:
    folder = midi_folder(tmp_path, 8)
    small, large = (
        [song for song in plan(recipe, find_midi_songs(folder, recipe)) if song.split == "test"]
        for recipe in (HALVES, HALVES.scaled(2.0))
    )
    assert large[: len(small)] == small
    assert len(large) > len(small)


def test_equal_songs_are_used_once_and_files_keep_their_split(tmp_path: Path) -> None:
    folder = midi_folder(tmp_path, 12)
    before = find_midi_songs(folder, HALVES)
    (folder / "below").mkdir()
    (folder / "below" / "copy.mid").write_bytes((folder / "song 3.mid").read_bytes())
    song = compose(1004, seconds=16.0)
    parts = tuple(replace(part, name="another name") for part in song.parts)
    (folder / "renamed.mid").write_bytes(to_midi(replace(song, parts=parts)))
    (folder / "new.mid").write_bytes(to_midi(compose(2000, seconds=16.0)))
    after = find_midi_songs(folder, HALVES)
    assert after.left_out["the same as another"] == 2
    used = [excerpt.path for excerpts in after.excerpts.values() for excerpt in excerpts]
    assert len(used) == len(set(used)) == 13
    first = {"song 3.mid": "below/copy.mid", "song 4.mid": "renamed.mid"}  # by name; it stands for both
    for name in HALVES.splits:
        kept = {excerpt.path for excerpt in after.excerpts[name]} - {"new.mid"}
        assert kept == {first.get(excerpt.path, excerpt.path) for excerpt in before.excerpts[name]}
    assert all(before.excerpts.values())


def test_what_will_not_do_is_left_out_with_its_reason(tmp_path: Path) -> None:
    folder = midi_folder(tmp_path, 3)
    (folder / "broken.mid").write_bytes(b"MThd and then nothing")
    song = compose(5, seconds=16.0)
    (folder / "solo.mid").write_bytes(to_midi(replace(song, parts=song.parts[:1])))
    short = tuple(replace(part, notes=part.notes[:8]) for part in song.parts)
    (folder / "short.mid").write_bytes(to_midi(replace(song, parts=short)))
    found = find_midi_songs(folder, HALVES)
    assert found.left_out == {
        "unreadable": 1,
        "with less than two families of instruments": 1,
        "of 12 s or less": 1,
    }
    assert sum(map(len, found.excerpts.values())) == 3


def test_long_files_are_cut_to_where_the_band_plays(tmp_path: Path) -> None:
    folder = midi_folder(tmp_path, 6, seconds=90.0)
    recipe = Recipe(splits={"train": Split(songs=6, midi=1.0, seconds=(20.0, 25.0), full_band=True)})
    found = find_midi_songs(folder, recipe)
    for excerpt in found.excerpts["train"]:
        assert 20 <= excerpt.seconds <= 25
        assert not excerpt.whole
        assert excerpt.start_seconds + excerpt.seconds <= 90
        parts, _ = from_midi((folder / excerpt.path).read_bytes())
        assert is_full_band({family(part.program, is_drum=part.is_drum) for part in parts})
    assert found.excerpts["train"]


def test_where_the_files_run_out_songs_are_composed(tmp_path: Path) -> None:
    recipe = Recipe(splits={"train": Split(songs=6, midi=1.0, seconds=(15.0, 20.0))})
    songs = plan(recipe, find_midi_songs(midi_folder(tmp_path, 2), recipe))
    assert [bool(song.midi) for song in songs] == [True, True, False, False, False, False]
    assert len({song.midi for song in songs[:2]}) == 2


def test_a_full_band_is_composed_where_it_is_asked_for() -> None:
    split = Split(songs=12, seconds=(15.0, 15.0), full_band=True, styles=("electronic", "reggae"))
    bands = []
    for song in plan(Recipe(splits={"train": split}), None):
        parts, _ = parts_of(song, None)
        bands.append({family(part.program, is_drum=part.is_drum) for part in parts})
    assert all(map(is_full_band, bands))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sed = 1", "unknown key 'sed'; known: seed, layout, sample_rate"),
        ("[splits.train]\nhours = 1\nkit = []", r"unknown key 'splits\.train\.kit'; known: hours, songs, midi"),
        ("[splits.train]\nhours = 1\nsongs = 2", r"splits\.train: hours = 1\.0, songs = 2; allowed: one of them"),
        ("[splits.test_b]\nhours = 1", "one must be called train, validation or test"),
        ("[splits.train]\nhours = 1\n[splits.mine]\nhours = 1", r"splits\.mine: allowed are train"),
        ("[splits.train]\nhours = 1\nstyles = ['polka']", "'polka' is not one of"),
        ("[splits.train]\nhours = 1\nseconds = [1, 2]", r"seconds = \[1\.0, 2\.0\]; allowed: two from 15 to 3600"),
        ("[splits.train]\nhours = 1\nmidi = 2", r"splits\.train\.midi = 2\.0; allowed: 0 to 1"),
        ("layout = 'musdb'\nsubmixes = true", "submixes = true; allowed with layout 'slakh' only"),
        ("n_channels = 3", "n_channels = 3; allowed: 1 or 2"),
        ("[subsets.mini]\ntest = 1", r"subsets\.mini\.test = 1; allowed: a split"),
    ],
)
def test_mistakes_in_a_recipe_are_found_at_once(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(SoliError, match=message):
        load_recipe(tmp_path / "recipe.toml")


def test_the_recipe_of_the_tests_is_allowed() -> None:
    check_recipe(tiny_recipe())


def test_sounds_are_found_by_name_in_the_folders_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "own.sf2").write_bytes(b"")
    (tmp_path / "kit").mkdir()
    assert find_soundfont("own.sf2", (tmp_path,)) == tmp_path / "own.sf2"
    assert find_soundfont(str(tmp_path / "own.sf2")) == tmp_path / "own.sf2"
    assert find_kit("kit", (tmp_path,)) == find_voices("kit", (tmp_path,)) == tmp_path / "kit"
    with pytest.raises(SoliError, match=r"SoundFont 'none\.sf2' is not there; looked in"):
        find_soundfont("none.sf2")
    with pytest.raises(SoliError, match="try: apt install hydrogen-drumkits"):
        find_kit("none", (tmp_path,))
    with pytest.raises(SoliError, match="folder of voices 'none' is not there"):
        find_voices("none", (tmp_path,))
