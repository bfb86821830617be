from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import torch

from audio_fakes import save
from soli.data.compose import INSTRUMENTS, Note, Part, compose
from soli.data.compose.score import Tempo
from soli.data.render.palette import Palette, Patch, draw_sound
from soli.data.render.song import RenderConfig, RenderedSong, render_song
from soli.data.render.soundfonts import DRUM_BANK, embedded
from soli.errors import SoliError
from soundfont_maker import Sound, sine, write_soundfont

RATE = 22050
CONFIG = RenderConfig(sample_rate=RATE, n_channels=1)
TEMPOS = (Tempo(0.0, 120.0),)
DRUMS = Part("drums", "drums", 0, True, tuple(Note(beat, 0.25, 36 + 2 * (beat % 2), 100) for beat in range(8)))
BASS = Part("bass", "bass", 33, False, (Note(0.0, 2.0, 40, 100), Note(4.0, 2.0, 45, 100)))
PIANO = Part("piano", "piano", 0, False, (Note(2.0, 4.0, 60, 90), Note(2.0, 4.0, 64, 90)))
PARTS = (DRUMS, BASS, PIANO)


def digest(song: RenderedSong) -> str:
    whole = hashlib.sha256(json.dumps([song.recipe, *(stem.recipe for stem in song.stems)]).encode())
    for stem in song.stems:
        whole.update(stem.audio.tobytes())
    return whole.hexdigest()


def render(
    parts: tuple[Part, ...] = PARTS, config: RenderConfig = CONFIG, seed: int = 1, **options: object
) -> RenderedSong:
    return render_song(parts, TEMPOS, Palette(), config, seed=seed, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("n_channels", [1, 2])
def test_a_mixture_is_the_sum_of_its_stems_and_leaves_one_decibel(n_channels: int) -> None:
    song = render(config=replace(CONFIG, n_channels=n_channels))
    assert [stem.name for stem in song.stems] == ["S00", "S01", "S02"]
    assert [stem.part for stem in song.stems] == ["drums", "bass", "piano"]
    exact = np.sum([stem.audio.astype(np.float64) for stem in song.stems], axis=0)
    np.testing.assert_allclose(song.mixture, exact, atol=1e-6)
    assert song.mixture.shape[0] == n_channels
    assert 20 * np.log10(np.abs(song.mixture).max()) <= -1.0 + 1e-4
    assert all(stem.audio.dtype == np.float32 and stem.audio.shape == song.mixture.shape for stem in song.stems)


def test_one_seed_gives_the_same_bytes_in_another_process_and_another_seed_other_sounds() -> None:
    code = (
        "from soli.data.render.song import *; from soli.data.render.palette import Palette;"
        "from soli.data.compose import compose; import hashlib;"
        "s = compose(5, 'funk', 15.0);"
        f"r = render_song(s.parts, s.tempos, Palette(), RenderConfig(sample_rate={RATE}, humanise=0.5), seed=9);"
        "print(hashlib.sha256(b''.join(t.audio.tobytes() for t in r.stems)).hexdigest())"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "7"}
    )
    composed = compose(5, "funk", 15.0)
    config = RenderConfig(sample_rate=RATE, humanise=0.5)
    here, other = (render_song(composed.parts, composed.tempos, Palette(), config, seed=seed) for seed in (9, 10))
    assert hashlib.sha256(b"".join(stem.audio.tobytes() for stem in here.stems)).hexdigest() == ran.stdout.strip()
    assert [stem.recipe["preset"] for stem in here.stems] != [stem.recipe["preset"] for stem in other.stems]


def test_recipes_can_be_written_as_json_and_tell_what_was_drawn() -> None:
    song = render()
    assert json.loads(json.dumps(song.recipe)) == song.recipe
    for stem in song.stems:
        assert json.loads(json.dumps(stem.recipe)) == stem.recipe
        bank = DRUM_BANK if stem.is_drum else 0
        assert embedded().presets[bank, stem.program] == stem.recipe["preset"]
        assert stem.program in INSTRUMENTS[stem.instrument].programs


def test_stems_have_the_loudness_that_their_recipes_say() -> None:
    song = render(config=replace(CONFIG, n_channels=2))
    meter = pyloudnorm.Meter(RATE)
    master = 20 * np.log10(song.recipe["master_gain"])
    for stem in song.stems:
        measured = meter.integrated_loudness(stem.audio.T.astype(np.float64))
        assert measured - master == pytest.approx(stem.recipe["lufs"], abs=0.5)


def test_a_part_left_out_changes_the_others_only_by_the_gain_of_all() -> None:
    whole, fewer = render(), render(parts=(DRUMS, replace(BASS, notes=()), PIANO))
    assert [stem.part for stem in fewer.stems] == ["drums", "piano"]
    ratio = whole.recipe["master_gain"] / fewer.recipe["master_gain"]
    n_samples = fewer.stems[1].audio.shape[1]
    np.testing.assert_allclose(
        whole.stems[2].audio[:, :n_samples], ratio * fewer.stems[1].audio[:, : whole.stems[2].audio.shape[1]], atol=1e-3
    )


def test_an_excerpt_holds_the_notes_that_begin_in_it_and_has_its_length() -> None:
    song = render(start_seconds=1.5, seconds=1.25)
    assert song.mixture.shape == (1, round(1.25 * RATE))
    found = {stem.part: [round(note.start_seconds, 6) for note in stem.notes] for stem in song.stems}
    assert found == {"drums": [0.0, 0.5, 1.0], "bass": [0.5]}


def test_without_a_length_the_last_note_dies_away() -> None:
    parts = (Part("p", "synth_pad", 89, False, (Note(0.0, 1.0, 60, 100),)),)
    audio = render(parts=parts, config=replace(CONFIG, effects=0.0)).mixture[0]
    assert len(audio) > 0.55 * RATE
    assert np.abs(audio[-50:]).max() < 1e-3 * np.abs(audio).max()
    assert np.abs(audio[round(0.5 * RATE) :]).max() > 0.01


@pytest.mark.parametrize("n_channels", [1, 2])
def test_pieces_of_the_drums_sum_to_their_stem_which_is_that_without_pieces(n_channels: int) -> None:
    config = replace(CONFIG, n_channels=n_channels)
    apart, whole = render(config=config, drum_pieces=True), render(config=config)
    pieces = apart.stems[0].pieces
    assert set(pieces) == {"kick", "snare"}
    np.testing.assert_allclose(sum(pieces.values()), apart.stems[0].audio, atol=1e-6)
    np.testing.assert_allclose(apart.stems[0].audio, whole.stems[0].audio, atol=2e-3)
    assert not apart.stems[1].pieces
    assert not whole.stems[0].pieces


def test_humanising_moves_notes_by_some_milliseconds_and_none_without_it() -> None:
    steps = tuple(Note(beat / 2, 0.5, 60, 80) for beat in range(200))
    part = (Part("piano", "piano", 0, False, steps),)
    still, moved = (render(part, replace(CONFIG, humanise=amount)).stems[0].notes for amount in (0.0, 1.0))
    assert [note.start_seconds for note in still] == [note.start_beats / 2 for note in steps]
    shifts = [one.start_seconds - other.start_seconds for one, other in zip(moved, still, strict=True)]
    assert 0.006 < np.std(shifts[1:]) < 0.011
    assert 5 < np.std([note.velocity for note in moved]) < 11


def test_every_class_becomes_an_audible_stem_with_the_embedded_font() -> None:
    parts = tuple(
        Part(
            name,
            name,
            each.programs[0],
            name == "drums",
            (Note(0.0, 1.0, 40 if name == "drums" else each.low + 8, 90),),
        )
        for name, each in INSTRUMENTS.items()
    )
    song = render(parts=(*parts, Part("sitar", "other", 104, False, (Note(0.0, 1.0, 60, 90),))))
    assert len(song.stems) == len(INSTRUMENTS) + 1 >= 12
    assert song.stems[-1].program == 104
    for stem in song.stems:
        assert np.sqrt(np.mean(np.square(stem.audio))) > 1e-3, stem.part


def test_draws_stay_in_the_class_and_vary_or_keep_the_program() -> None:
    part = Part("guitar", "electric_guitar", 30, False, ())
    drawn = []
    for keep in (0.0, 1.0):
        sounds = [draw_sound(random.Random(seed), Palette(), part, keep_program=keep) for seed in range(40)]
        assert all(isinstance(sound, Patch) for sound in sounds)
        drawn.append({sound.program for sound in sounds if isinstance(sound, Patch)})
    assert drawn == [set(INSTRUMENTS["electric_guitar"].programs), {30}]


def test_a_font_without_the_program_plays_the_nearest_it_has_and_two_fonts_are_both_drawn(tmp_path: Path) -> None:
    tone = Sound(0.5 * sine(440.0))
    one = write_soundfont(tmp_path / "one.sf2", {(0, 35, "Fretless"): [tone], (0, 80, "Lead"): [tone]})
    two = write_soundfont(tmp_path / "two.sf2", {(0, 33, "Finger"): [tone]})
    names = set()
    for seed in range(20):
        song = render_song((BASS,), TEMPOS, Palette((one, two)), CONFIG, seed=seed, seconds=1.0)
        names.add((song.stems[0].recipe["name"], song.stems[0].recipe["preset"]))
    assert names == {("one.sf2", "Fretless"), ("two.sf2", "Finger")}
    with pytest.raises(SoliError, match=r"no SoundFont has a preset for drums \(program 0\)"):
        render_song((DRUMS,), TEMPOS, Palette((two,)), CONFIG, seed=1)


def write_kit(folder: Path) -> Path:
    """A Hydrogen kit of a kick at 100 Hz and a snare at 1 kHz."""
    folder.mkdir()
    instruments = ""
    for index, (name, hertz) in enumerate({"Kick": 100.0, "Snare": 1000.0}.items()):
        clock = torch.arange(RATE // 10) / RATE
        save(folder / f"{name}.wav", 0.5 * torch.sin(2 * torch.pi * hertz * clock)[None], rate=RATE)
        instruments += f"<instrument><id>{index}</id><name>{name}</name><filename>{name}.wav</filename></instrument>"
    text = f"<drumkit_info><name>Two</name><instrumentList>{instruments}</instrumentList></drumkit_info>"
    (folder / "drumkit.xml").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("drum_pieces", [False, True])
def test_a_hydrogen_kit_plays_the_drums(tmp_path: Path, drum_pieces: bool) -> None:
    tone = Sound(0.5 * sine(440.0))
    font = write_soundfont(tmp_path / "font.sf2", {(0, 0, "Piano"): [tone]})
    palette = Palette((font,), kits=(write_kit(tmp_path / "kit"),))
    song = render_song((DRUMS,), TEMPOS, palette, CONFIG, seed=1, seconds=1.0, drum_pieces=drum_pieces)
    (stem,) = song.stems
    assert (stem.recipe["source"], stem.recipe["name"]) == ("kit", "Two")
    for start, hertz in ((0, 100.0), (RATE // 2, 1000.0)):
        spectrum = np.abs(np.fft.rfft(stem.audio[0, start : start + RATE // 10]))
        assert 10 * spectrum.argmax() == pytest.approx(hertz, abs=10.0)
    assert set(stem.pieces) == ({"kick", "snare"} if drum_pieces else set())


def test_voices_of_a_folder_sing(tmp_path: Path) -> None:
    (tmp_path / "voices").mkdir()
    clock = torch.arange(2 * RATE) / RATE
    save(tmp_path / "voices" / "anna_1.wav", 0.3 * torch.sin(2 * torch.pi * 330 * clock)[None], rate=RATE)
    part = Part("vocals", "voice", 53, False, (Note(1.0, 2.0, 60, 90),))
    palette = Palette(voices=(tmp_path / "voices",))
    song = render_song((part,), TEMPOS, palette, replace(CONFIG, effects=0.0), seed=1, seconds=3.0)
    audio = song.stems[0].audio[0]
    assert song.stems[0].recipe["source"] == "voices"
    spectrum = np.abs(np.fft.rfft(audio))
    assert spectrum.argmax() * RATE / len(audio) == pytest.approx(330.0, abs=2.0)
    assert not audio[: round(0.45 * RATE)].any()


def test_what_cannot_be_rendered_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "bad.sf2").write_bytes(b"words")
    (tmp_path / "empty").mkdir()
    silent = Part("high", "other", 0, False, (Note(0.0, 1.0, 60, 90),))
    key_1 = write_soundfont(tmp_path / "low.sf2", {(0, 0, "Low"): [Sound(sine(440.0), generators=[(43, 1 | 1 << 8)])]})
    cases = {
        r"bad\.sf2: not a SoundFont": lambda: Palette((tmp_path / "bad.sf2",)),
        r"no\.sf2: cannot be read": lambda: Palette((tmp_path / "no.sf2",)),
        r"empty.*drumkit\.xml": lambda: Palette(kits=(tmp_path / "empty",)),
        r"nobody: no such folder": lambda: Palette(voices=(tmp_path / "nobody",)),
        r"no part has a note in this excerpt": lambda: render(start_seconds=100.0),
        r"all parts are silent with these sounds: high": lambda: render_song(
            (silent,), TEMPOS, Palette((key_1,)), CONFIG, seed=1
        ),
        r"n_channels=3; allowed: 1, 2": lambda: render(config=replace(CONFIG, n_channels=3)),
        r"sample_rate=10; allowed: 8000 to 192000": lambda: render(config=replace(CONFIG, sample_rate=10)),
        r"seconds=-1.0; allowed: more than 0": lambda: render(seconds=-1.0),
    }
    for message, call in cases.items():
        with pytest.raises(SoliError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)
