from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pretty_midi
import pytest

from soli.data.compose import INSTRUMENTS
from soli.data.render.soundfonts import DRUM_BANK, embedded, open_soundfont
from soli.data.render.zones import sample_data, settings_of, zones_of
from soli.errors import SoliError
from soundfont_maker import ATTENUATION, KEYS, PAN, Sound, sine, span, write_soundfont


def test_what_was_written_is_read(tmp_path: Path) -> None:
    tone = 0.5 * sine(440.0)
    path = write_soundfont(
        tmp_path / "font.sf2",
        {
            (0, 5, "Sine"): [
                Sound(tone, generators=[(KEYS, span(0, 59)), (ATTENUATION, 100), (PAN, -250)]),
                Sound(tone, rate=22050, root=57, loop=(100, 200), generators=[(KEYS, span(60, 127))]),
            ],
            (128, 0, "Kit"): [Sound(tone)],
        },
        name="My font",
    )
    font = open_soundfont(path)
    assert font.name == "My font"
    assert font.presets == {(0, 5): "Sine", (128, 0): "Kit"}
    low, high = zones_of(font, 0, 5)
    first, second = settings_of(font, low, 50, 100), settings_of(font, high, 60, 100)
    assert (low.keys, first.cents, first.loop, first.pan) == ((0, 59), -1900.0, None, -0.25)
    assert (high.keys, second.cents, second.loop, second.pan) == ((60, 127), 300.0, (100, 200), 0.0)
    assert -20 * np.log10(low.gain(50, 127)) == pytest.approx(4.0)  # 10 dB, of which players take 0.4
    np.testing.assert_allclose(sample_data(font, 0), tone, atol=1e-4)


def test_the_embedded_font_has_all_programs_as_another_reader_finds() -> None:
    font = embedded()
    data = font.path.read_bytes()
    start = data.index(b"phdr") + 8
    size = int.from_bytes(data[start - 4 : start], "little")
    records = [data[start + at : start + at + 38] for at in range(0, size - 38, 38)]
    presets = {}
    for record in records:
        program, bank = (int.from_bytes(record[at : at + 2], "little") for at in (20, 22))
        presets[bank, program] = record[:20].split(b"\0")[0].decode()
    assert font.presets == presets
    assert {program for bank, program in font.presets if bank == 0} == set(range(128))
    assert font.presets[0, 0] == "Piano 1"
    assert set(INSTRUMENTS["drums"].programs) & {program for bank, program in font.presets if bank == DRUM_BANK}
    assert font.path.parent == Path(pretty_midi.__file__).parent


def test_every_preset_of_the_embedded_font_has_sound_for_its_middle_keys() -> None:
    font = embedded()
    for bank, program in font.presets:
        zones = zones_of(font, bank, program)
        assert any(zone.plays(60 if bank < DRUM_BANK else 38, 100) for zone in zones), (bank, program)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a SoundFont"),
        (b"no font at all, only words", "not a SoundFont"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "not a SoundFont"),
        (b"RIFF\x04\0\0\0sfbk", "no phdr chunk"),
    ],
)
def test_what_is_no_soundfont_is_one_clear_line(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "font.sf2"
    path.write_bytes(data)
    with pytest.raises(SoliError, match=message) as caught:
        open_soundfont(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SoliError, match=r"no\.sf2: cannot be read: No such file"):
        open_soundfont(tmp_path / "no.sf2")


def test_a_font_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = write_soundfont(tmp_path / "whole.sf2", {(0, 0, "Sine"): [Sound(sine(440.0, seconds=0.01))]}).read_bytes()
    for length in range(0, len(whole), 7):
        path = tmp_path / f"{length}.sf2"
        path.write_bytes(whole[:length])
        with pytest.raises(SoliError, match=re.escape(str(path))):
            sample_data(open_soundfont(path), zones_of(open_soundfont(path), 0, 0)[0].sample)


def test_a_preset_the_font_lacks_is_named() -> None:
    with pytest.raises(SoliError, match=r"TimGM6mb\.sf2: no preset in bank 7 for program 3"):
        zones_of(embedded(), 7, 3)
