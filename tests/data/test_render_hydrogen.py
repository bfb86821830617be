"""Hydrogen kits of clicks, tones and steps, whose rendering is known to the sample."""

from __future__ import annotations

import math
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import pytest
import torch

from audio_fakes import noise, save
from soli.data.render.hydrogen import read_kit
from soli.data.render.kits import CHOKE_SECONDS
from soli.data.render.notes import TimedNote
from soli.data.render.pieces import keys_of
from soli.errors import SoliError

RATE = 8000
FADE = round(CHOKE_SECONDS * RATE)
XMLNS = ' xmlns="http://www.hydrogen-music.org/drumkit"'


def layer(sample: str, lowest: float = 0, highest: float = 1, gain: float = 1, pitch: float = 0) -> str:
    text = f"<filename>{sample}</filename><min>{lowest}</min><max>{highest}</max>"
    return f"<layer>{text}<gain>{gain}</gain><pitch>{pitch}</pitch></layer>"


def instrument(name: str, inside: str, **values: object) -> str:
    tags = "".join(f"<{tag}>{value}</{tag}>" for tag, value in values.items())
    return f"<instrument><id>0</id><name>{escape(name)}</name>{tags}{inside}</instrument>"


def write_kit(folder: Path, *instruments: str, head: str = "<name>Tiny</name>", namespace: str = "") -> Path:
    body = f"{head}<instrumentList>{''.join(instruments)}</instrumentList>"
    folder.mkdir(exist_ok=True)
    (folder / "drumkit.xml").write_text(f"<drumkit_info{namespace}>{body}</drumkit_info>", encoding="utf-8")
    return folder


def write_sample(folder: Path, name: str, signal: torch.Tensor | list[float], rate: int = RATE) -> torch.Tensor:
    folder.mkdir(exist_ok=True)
    waveform = torch.as_tensor(signal, dtype=torch.float32).reshape(-1, torch.as_tensor(signal).shape[-1])
    save(folder / name, waveform, rate, "FLOAT" if name.endswith("wav") else None)
    return waveform


def note(start: float, key: int, velocity: int = 127) -> TimedNote:
    return TimedNote(start, 0.1, key, velocity)


def play(folder: Path, *notes: TimedNote, n_samples: int = RATE, rate: int = RATE) -> dict[str, np.ndarray]:
    return read_kit(folder).play(notes, sample_rate=rate, n_samples=n_samples)


def test_a_hit_is_its_sample_at_its_onset_times_all_gains(tmp_path: Path) -> None:
    sample = write_sample(tmp_path, "k.wav", noise(2, 300))
    values = {"volume": 0.5, "gain": 1.5, "pan_L": 0.8, "pan_R": 0.25}
    write_kit(tmp_path, instrument("Kick", layer("k.wav", gain=3), **values))
    heard = play(tmp_path, note(0.123, 36, 90))["kick"]
    expected = np.zeros((2, RATE))
    gains = 90 / 127 * 0.5 * 1.5 * 3 * np.array([0.8, 0.25])
    expected[:, 984:1284] = gains[:, None] * sample.numpy()
    np.testing.assert_allclose(heard, expected, atol=1e-7)
    assert heard.dtype == np.float32


def test_a_mono_sample_plays_on_both_sides_and_what_rings_on_is_cut_at_the_end(tmp_path: Path) -> None:
    sample = write_sample(tmp_path, "k.wav", noise(1, 300))
    write_kit(tmp_path, instrument("Kick", layer("k.wav")))
    heard = play(tmp_path, note(0.0, 36), note(0.99, 36))["kick"]
    np.testing.assert_allclose(heard[:, :300], sample.expand(2, -1), atol=1e-7)
    np.testing.assert_allclose(heard[:, 7920:], sample[:, :80].expand(2, -1), atol=1e-7)
    assert heard.shape == (2, RATE)


def test_hits_add_up_and_their_order_does_not_matter(tmp_path: Path) -> None:
    write_sample(tmp_path, "k.wav", noise(2, 3000))
    write_sample(tmp_path, "s.wav", noise(2, 2000, 1))
    write_kit(tmp_path, instrument("Kick", layer("k.wav")), instrument("Snare", layer("s.wav")))
    notes = [note(0.1, 36), note(0.15, 36, 50), note(0.12, 38, 70), note(0.4, 38, 3)]
    together = play(tmp_path, *notes)
    alone = [play(tmp_path, one) for one in notes]
    np.testing.assert_allclose(together["kick"], alone[0]["kick"] + alone[1]["kick"], atol=1e-6)
    np.testing.assert_allclose(together["snare"], alone[2]["snare"] + alone[3]["snare"], atol=1e-6)
    backwards = play(tmp_path, *reversed(notes))
    assert all(np.array_equal(together[piece], backwards[piece]) for piece in together)


@pytest.mark.parametrize(("velocity", "step"), [(1, 0.1), (38, 0.1), (39, 0.2), (50, 0.2), (64, 0.2), (100, 0.3)])
def test_velocity_chooses_the_layer_and_the_nearest_one_in_a_gap(tmp_path: Path, velocity: int, step: float) -> None:
    for name, value in (("soft", 0.1), ("middle", 0.2), ("hard", 0.3)):
        write_sample(tmp_path, f"{name}.wav", [value] * 10)
    layers = layer("soft.wav", 0, 0.3) + layer("middle.wav", 0.3, 0.5) + layer("hard.wav", 0.6, 1)
    write_kit(tmp_path, instrument("Snare", layers, applyVelocity="false"))
    heard = play(tmp_path, note(0, 38, velocity))["snare"]
    np.testing.assert_allclose(heard[:, :10], step, atol=1e-6)


def test_all_forms_of_the_file_sound_the_same(tmp_path: Path) -> None:
    plain, layers, parts = (tmp_path / name for name in ("plain", "layers", "parts"))
    for folder in (plain, layers, parts):
        write_sample(folder, "k.wav", noise(2, 500))
    write_kit(plain, instrument("Kick", "<filename>k.wav</filename>", volume=0.7))
    write_kit(layers, instrument("Kick", layer("k.wav"), volume="0,7"), namespace=XMLNS)
    head = "<formatVersion>2</formatVersion><name>Tiny</name><componentList>"
    head += "<drumkitComponent><id>0</id><name>Main</name><volume>0.7</volume></drumkitComponent></componentList>"
    inside = f"<instrumentComponent><name>Main</name><gain>1</gain>{layer('k.wav')}</instrumentComponent>"
    write_kit(parts, instrument("Kick", inside, pan=0), namespace=XMLNS, head=head)
    heard = [play(folder, note(0.1, 36))["kick"] for folder in (plain, layers, parts)]
    assert np.abs(heard[0]).max() > 0.1
    for other in heard[1:]:
        np.testing.assert_allclose(other, heard[0], atol=1e-7)


def test_components_sound_together_each_with_its_own_gain(tmp_path: Path) -> None:
    near, room = (write_sample(tmp_path, f"{name}.wav", noise(2, 400, i)) for i, name in enumerate(("near", "room")))
    head = "<name>Tiny</name><componentList>"
    for number, volume in ((0, 0.5), (1, 2)):
        head += f"<drumkitComponent><id>{number}</id><name>c</name><volume>{volume}</volume></drumkitComponent>"
    parts = (
        f"<instrumentComponent><component_id>{number}</component_id><gain>{gain}</gain>{layer(name)}"
        "</instrumentComponent>"
        for number, gain, name in ((0, 1, "near.wav"), (1, 0.25, "room.wav"))
    )
    write_kit(tmp_path, instrument("Kick", "".join(parts)), head=head + "</componentList>")
    heard = play(tmp_path, note(0, 36))["kick"][:, :400]
    np.testing.assert_allclose(heard, 0.5 * (near + room), atol=1e-6)


@pytest.mark.parametrize(("pan", "left", "right"), [(-0.5, 1, 0.5), (0.25, 0.75, 1)])
def test_pan_of_the_newest_files_turns_one_side_down(tmp_path: Path, pan: float, left: float, right: float) -> None:
    write_sample(tmp_path, "k.wav", [1.0] * 8)
    write_kit(tmp_path, instrument("Kick", layer("k.wav"), pan=pan))
    np.testing.assert_allclose(play(tmp_path, note(0, 36))["kick"][:, 0], [left, right], atol=1e-6)


def test_a_closed_hat_cuts_an_open_one_with_a_short_fade_and_nothing_else(tmp_path: Path) -> None:
    for name in ("open", "closed", "crash"):
        write_sample(tmp_path, f"{name}.wav", [0.5] * 4000)
    names = (("Open HH", "open"), ("Closed HH", "closed"), ("Crash", "crash"))
    write_kit(tmp_path, *(instrument(name, layer(f"{sample}.wav")) for name, sample in names))
    notes = note(0, 46), note(0.05, 46), note(0.1, 42), note(0, 49)
    pieces = play(tmp_path, *reversed(notes), n_samples=6000)
    closed = play(tmp_path, notes[2], n_samples=6000)["hi_hat"]
    opened = pieces["hi_hat"][0] - closed[0]
    np.testing.assert_allclose(opened[:400], 0.5, atol=1e-6)
    np.testing.assert_allclose(opened[400:800], 1.0, atol=1e-6)  # the same hat struck again rings on
    assert np.all(np.diff(opened[800 : 800 + FADE]) < 0)
    np.testing.assert_allclose(opened[800 + FADE :], 0, atol=1e-6)
    np.testing.assert_allclose(pieces["crash_1"][0, :4000], 0.5, atol=1e-6)


def test_a_mute_group_reaches_across_pieces(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_sample(tmp_path, f"{name}.wav", [0.5] * 4000)
    write_kit(
        tmp_path,
        instrument("Crash", layer("a.wav"), muteGroup=3),
        instrument("Splash", layer("b.wav"), muteGroup=3),
        instrument("Ride", layer("c.wav"), muteGroup=4),
        instrument("China", layer("c.wav"), muteGroup=3),
    )
    pieces = play(tmp_path, note(0, 49), note(0.1, 51), note(0.2, 52))
    np.testing.assert_allclose(pieces["crash_1"][0, 1600 + FADE :], 0, atol=1e-6)
    np.testing.assert_allclose(pieces["ride"][0, 800:4800], 0.5, atol=1e-6)
    np.testing.assert_allclose(pieces["crash_2"][0, 1600:5600], 0.5, atol=1e-6)


def test_attack_decay_and_sustain_shape_the_level(tmp_path: Path) -> None:
    write_sample(tmp_path, "k.wav", [1.0] * 4000)
    write_kit(tmp_path, instrument("Kick", layer("k.wav"), Attack=4410, Decay=8820, Sustain=0.25))
    heard = play(tmp_path, note(0, 36))["kick"][0]
    np.testing.assert_allclose(heard[[0, 400, 800, 1600, 2400, 3999]], [0, 0.5, 1, 0.625, 0.25, 0.25], atol=1e-5)
    write_kit(tmp_path, instrument("Kick", layer("k.wav"), Sustain=0.25))
    np.testing.assert_allclose(play(tmp_path, note(0, 36))["kick"][0, :4000], 0.25, atol=1e-6)


def test_samples_of_another_rate_keep_pitch_and_onset_and_layers_may_be_tuned(tmp_path: Path) -> None:
    time = torch.arange(16000) / 16000
    write_sample(tmp_path, "k.wav", torch.sin(2 * math.pi * 500 * time) * torch.hann_window(16000), 16000)
    write_kit(
        tmp_path,
        instrument("Kick", layer("k.wav")),
        instrument("Kick 2", layer("k.wav", pitch=-5), pitchOffset=-7),
    )
    heard = play(tmp_path, note(0.5, 36), n_samples=12000)["kick"][0, 4000:]
    clock = np.arange(8000) / RATE
    expected = np.sin(2 * np.pi * 500 * clock) * np.sin(np.pi * clock) ** 2
    np.testing.assert_allclose(heard, expected, atol=2e-3)
    tuned = play(tmp_path, note(0, 35), n_samples=16000)["kick"][0]
    assert np.abs(np.fft.rfft(tuned)).argmax() * RATE / 16000 == pytest.approx(250, abs=1)


@pytest.mark.parametrize("suffix", ["flac", "aiff"])
def test_samples_may_be_flac_or_aiff(tmp_path: Path, suffix: str) -> None:
    import soundfile

    grid = (np.random.default_rng(0).integers(-9000, 9000, 200) / 32768).astype(np.float32)
    soundfile.write(tmp_path / f"k.{suffix}", grid, RATE, "PCM_16")
    write_kit(tmp_path, instrument("Kick", layer(f"k.{suffix}")))
    np.testing.assert_array_equal(play(tmp_path, note(0, 36))["kick"][0, :200], grid)


def test_a_kit_says_what_it_has_and_what_no_key_plays(tmp_path: Path) -> None:
    write_sample(tmp_path, "x.wav", [0.5] * 10)
    names = ("Kick", "Snare 1", "Snare 2", "Snare 3", "Crash", "Zap", "Tom & Floor")
    kit_file = [instrument(name, layer("x.wav")) for name in names]
    kit_file += [instrument("Ride", layer("x.wav"), isMuted="true"), instrument("China", layer("gone.wav"))]
    kit_file += [instrument("17", ""), instrument("18", "<layer><filename/></layer>")]
    kit = read_kit(write_kit(tmp_path, *kit_file, head="<name>Tiny</name><license>CC0</license>"))
    assert (kit.name, kit.licence) == ("Tiny", "CC0")
    assert kit.pieces == ("kick", "snare", "toms", "crash_1")
    played = {key: found.name for key, found in kit.instruments.items()}
    assert played == {36: "Kick", 38: "Snare 1", 40: "Snare 2", 49: "Crash", 43: "Tom & Floor"}
    assert kit.unmapped == ("Snare 3", "Zap")
    assert kit.without_samples == ("China",)


def test_what_a_kit_lacks_is_played_by_the_same_piece_or_not_at_all(tmp_path: Path) -> None:
    for value, name in enumerate(("kick", "low", "high", "crash"), 1):
        write_sample(tmp_path, f"{name}.wav", [value / 10] * 10)
    names = (("Kick", "kick"), ("Tom Low", "low"), ("Tom High", "high"), ("Crash", "crash"))
    kit = read_kit(write_kit(tmp_path, *(instrument(name, layer(f"{sample}.wav")) for name, sample in names)))
    expected = {35: ("kick", 0.1), 41: ("toms", 0.2), 47: ("toms", 0.2), 48: ("toms", 0.3), 57: ("crash_1", 0.4)}
    for key, (piece, value) in expected.items():
        pieces = kit.play([note(0, key)], sample_rate=RATE, n_samples=100)
        assert list(pieces) == [piece]
        np.testing.assert_allclose(pieces[piece][:, :10], value, atol=1e-6)
    for key in (51, 42, 56, 38):
        assert kit.play([note(0, key)], sample_rate=RATE, n_samples=100) == {}
    assert kit.play([note(1, 36)], sample_rate=RATE, n_samples=RATE) == {}


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("BassDrum", 36), ("c3 - bass drum 1", 36), ("Pearl Kick", 36), ("Snare1", 38), ("Stick", 37),
        ("Pearl Side Stick", 37), ("Rim Click (Pearl 14x3.5)", 37), ("Hi Hat Opened", 46), ("Hat Op Dirty", 46),
        ("VariBreaks Hat 1 Cl", 42), ('Hi-Hat Closed (Paiste 14")', 42), ("Pedal HH", 44), ("Floor Tom", 43),
        ("b3 - low tom", 45), ("Tom Mid", 47), ("Tom Hi", 50), ("tomhi2", 50), ("Pearl Tom 2", 47), ("Ride Jazz", 51),
        ("ride-cup", 53), ("crash16inch", 49), ("Splash (Paiste 10)", 55), ("China", 52), ("Cowbell", 56),
        ("Hand Clap", 39), ("Bongo Lo", 61),
    ],
)  # fmt: skip
def test_names_of_real_kits_are_known(name: str, key: int) -> None:
    assert keys_of(name)[0] == key


@pytest.mark.parametrize(
    "name", ["", "17", "Drum 1", "FX", "Hat Low", "Snare Roll", "Sabian Hat Semi-Open", "Crash/Ride", "Sangban1 Bell"]
)
def test_other_names_are_not_guessed(name: str) -> None:
    assert keys_of(name) == ()


KICK = instrument("Kick", layer("k.wav"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("plain words", "drumkit.xml: not XML"),
        ("<drumkit_info><name>", "drumkit.xml: not XML"),
        ('<?xml version="1.0" encoding="klingon"?><drumkit_info/>', "drumkit.xml: not XML"),
        ("", "drumkit.xml: not XML"),
        ("<song/>", "<song>; allowed: a kit"),
        ("<drumkit_info/>", "no instrument that a percussion key plays"),
        (KICK.replace("Kick", "Zap"), "no instrument that a percussion key plays"),
        (KICK.replace("k.wav", "gone.wav"), "no instrument that a percussion key plays"),
        (instrument("Kick", layer("k.wav") + layer("gone.wav")), "'Kick' needs gone.wav, which is missing"),
        (instrument("Kick", layer("k.wav"), volume="loud"), "volume = 'loud' in 'Kick'; allowed: a number"),
        (instrument("Kick", layer("k.wav"), gain="nan"), "gain = 'nan' in 'Kick'; allowed: a number"),
        (instrument("Kick", layer("k.wav", pitch=99)), "pitch = '99' in 'k.wav'; allowed: a number from -24 to 24"),
        (instrument("Kick", layer("k.wav"), muteGroup="inf"), "muteGroup = 'inf' in 'Kick'; allowed: a number"),
    ],
)
def test_a_bad_kit_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    write_sample(tmp_path, "k.wav", [0.1] * 10)
    if text.startswith("<instrument>"):
        write_kit(tmp_path, text)
    else:
        (tmp_path / "drumkit.xml").write_text(text)
    with pytest.raises(SoliError) as caught:
        read_kit(tmp_path)
    assert message in str(caught.value)
    assert str(tmp_path / "drumkit.xml") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_and_a_packed_kit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SoliError, match=r"drumkit\.xml: cannot be read"):
        read_kit(tmp_path / "gone")
    packed = tmp_path / "kit.h2drumkit"
    packed.write_bytes(b"\x1f\x8b")
    with pytest.raises(SoliError, match="allowed: the folder of a kit"):
        read_kit(packed)


def test_a_sample_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    write_kit(tmp_path, KICK)
    (tmp_path / "k.wav").write_bytes(b"no audio")
    with pytest.raises(SoliError, match=r"k\.wav"):
        play(tmp_path, note(0, 36))
    write_sample(tmp_path, "k.wav", noise(3, 100))
    with pytest.raises(SoliError, match=r"k\.wav: 3 channels; allowed: 1 or 2"):
        play(tmp_path, note(0, 36))
    with pytest.raises(SoliError, match="percussion key 128; allowed: 0 to 127"):
        play(tmp_path, note(0, 128))
