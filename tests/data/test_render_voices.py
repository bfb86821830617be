"""Voices that are tones, one pitch per file, with rests at known places."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from audio_fakes import save
from soli.data.render.notes import TimedNote
from soli.data.render.voices import LEVEL, PEAK, VoiceBank
from soli.errors import SoliError

RATE = 8000


def tone(seconds: float, hertz: float = 440.0, scale: float = 0.2, rate: int = RATE) -> torch.Tensor:
    return scale * torch.sin(2 * torch.pi * hertz * torch.arange(round(seconds * rate)) / rate)


def rest(seconds: float, rate: int = RATE) -> torch.Tensor:
    return torch.zeros(round(seconds * rate))


def write(folder: Path, name: str, *parts: torch.Tensor, rate: int = RATE) -> None:
    folder.mkdir(exist_ok=True)
    save(folder / f"{name}.wav", torch.cat(parts)[None], rate, "FLOAT")


def phrase(start: float, seconds: float) -> list[TimedNote]:
    """Four notes with small gaps, from start to start + seconds."""
    step = seconds / 4
    return [TimedNote(start + n * step, step * (1 if n == 3 else 0.9), 60, 80) for n in range(4)]


def sing(
    folder: Path, notes: list[TimedNote], seconds: float = 10, seed: int = 0, rate: int = RATE
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    bank = VoiceBank(folder)
    return bank.sing(notes, random.Random(seed), sample_rate=rate, n_samples=round(seconds * rate))


def sounding(audio: np.ndarray) -> list[tuple[int, int]]:
    """Runs of samples that are not exactly silent; zero crossings of a tone are bridged."""
    where = np.flatnonzero(audio[0])
    breaks = np.flatnonzero(np.diff(where) > 20)
    begins, ends = np.concatenate([[0], breaks + 1]), np.concatenate([breaks, [len(where) - 1]])
    return [(int(where[begin]), int(where[end]) + 1) for begin, end in zip(begins, ends, strict=True)]


def test_phrases_begin_with_the_voice_and_gaps_are_silent(tmp_path: Path) -> None:
    write(tmp_path, "ann_1", rest(0.5), tone(6.003), rest(0.5))
    audio, record = sing(tmp_path, phrase(1.25, 2.0) + phrase(5.5, 3.0))
    assert audio.dtype == np.float32
    assert audio.shape == (1, 10 * RATE)
    (first, first_end), (second, second_end) = sounding(audio)
    # A tone is 0 at its first sample, and a frame of 10 ms decides where it begins.
    assert [first, second] == pytest.approx([1.25 * RATE, 5.5 * RATE], abs=1)
    assert [first_end, second_end] == pytest.approx([3.25 * RATE, 8.5 * RATE], abs=1)
    assert [entry["start"] for entry in record] == [1.25, 5.5]
    assert [entry["offset"] for entry in record] == [0.5, 0.5]
    assert [entry["seconds"] for entry in record] == [2.0, 3.0]


def test_an_excerpt_ends_with_a_silence_of_its_clip_and_another_follows_after_a_breath(tmp_path: Path) -> None:
    write(tmp_path, "ann_1", tone(1.5), rest(0.5), tone(6.0, 500))
    audio, record = sing(tmp_path, phrase(0.0, 4.0))
    assert len(record) > 1
    for earlier, later in pairwise(record):
        gap = later["start"] - earlier["start"] - earlier["seconds"]
        assert gap == pytest.approx(0.15, abs=1e-3)
    assert not audio[0, 4 * RATE :].any()
    short = [entry for entry in record[:-1] if entry["offset"] == 0]
    assert all(entry["seconds"] == pytest.approx(1.5, abs=0.011) for entry in short)


def test_a_clip_shorter_than_the_phrase_is_used_whole(tmp_path: Path) -> None:
    write(tmp_path, "ann_1", rest(0.2), tone(2.0), rest(0.2))
    _, record = sing(tmp_path, phrase(0.0, 6.0))
    assert [entry["seconds"] for entry in record] == pytest.approx([2.0, 2.0, 1.7], abs=0.001)
    assert [entry["start"] for entry in record] == pytest.approx([0.0, 2.15, 4.3], abs=0.001)


def test_consonants_do_not_cut_a_clip(tmp_path: Path) -> None:
    write(tmp_path, "ann_1", tone(1.0), rest(0.1), tone(1.0), rest(0.4), tone(3.0))
    _, record = sing(tmp_path, phrase(0.0, 2.5))
    offsets = {round(sing(tmp_path, phrase(0.0, 2.5), seed=seed)[1][0]["offset"], 2) for seed in range(20)}
    assert offsets == {0.0, 2.5}
    assert record[0]["seconds"] == pytest.approx(2.1 if record[0]["offset"] == 0 else 2.5, abs=0.011)


def test_every_excerpt_has_one_level_whatever_that_of_its_clip(tmp_path: Path) -> None:
    for name, scale in (("loud", 0.9), ("soft", 0.003)):
        write(tmp_path, f"ann_{name}", tone(4.0, scale=scale))
    audio, record = sing(tmp_path, phrase(0.5, 3.0) + phrase(5.0, 3.0))
    assert len({entry["file"] for entry in record}) == 2
    for start in (0.5, 5.0):
        heard = audio[0, round((start + 0.1) * RATE) : round((start + 2.9) * RATE)]
        assert np.sqrt(np.mean(heard**2)) == pytest.approx(LEVEL, rel=1e-3)


def test_a_peak_stays_below_full_scale(tmp_path: Path) -> None:
    clip = tone(4.0, scale=0.01)
    clip[5000:5010] = 0.9
    write(tmp_path, "ann_1", clip)
    audio, _ = sing(tmp_path, phrase(0.0, 4.0))
    assert np.abs(audio).max() == pytest.approx(PEAK, abs=1e-4)


def test_excerpts_fade_at_both_ends(tmp_path: Path) -> None:
    clip = torch.full((4 * RATE,), 0.5)
    write(tmp_path, "ann_1", clip)
    audio, _ = sing(tmp_path, phrase(1.0, 2.0))
    rise = audio[0, RATE : RATE + 80]
    assert np.all(np.diff(rise) > 0)
    assert 0 < rise[0] < 0.02 * rise[-1]
    np.testing.assert_array_equal(audio[0, 3 * RATE - 80 : 3 * RATE], rise[::-1])


def test_one_singer_sings_a_song_and_no_file_twice_before_all_were(tmp_path: Path) -> None:
    for singer in ("ann", "bob", "cleo"):
        for number in range(4):
            write(tmp_path, f"{singer}_{number}", tone(2.0, 200 + 50 * number))
    notes = [note for start in range(0, 24, 3) for note in phrase(start, 2.0)]
    singers = set()
    for seed in range(12):
        _, record = sing(tmp_path, notes, 24, seed)
        assert len({entry["singer"] for entry in record}) == 1
        singers.add(record[0]["singer"])
        files = [entry["file"] for entry in record]
        assert len(files) == 8
        assert len(set(files[:4])) == len(set(files[4:])) == 4
    assert singers == {"ann", "bob", "cleo"}


def test_files_without_a_mark_are_of_one_singer(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write(tmp_path, name, tone(2.0))
    assert VoiceBank(tmp_path).singers == {"": [tmp_path / f"{name}.wav" for name in "abc"]}


def test_a_seed_gives_the_same_bits_and_a_record_that_json_can_hold(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path, f"ann_{number}", tone(1.0 + number), rest(0.3), tone(2.0, 300), rate=RATE)
    notes = phrase(0.0, 2.0) + phrase(4.0, 4.0)
    audio, record = sing(tmp_path, notes, seed=5)
    again, record_again = sing(tmp_path, notes[::-1], seed=5)
    np.testing.assert_array_equal(audio, again)
    assert json.loads(json.dumps(record)) == record == record_again
    assert any(sing(tmp_path, notes, seed=seed)[1] != record for seed in range(6, 9))


def test_the_record_says_where_in_the_file_the_sound_is(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    clip = 0.3 * torch.randn(5 * RATE, generator=generator).clamp(-3, 3)
    write(tmp_path, "ann_1", rest(0.7), clip)
    audio, (entry,) = sing(tmp_path, phrase(2.0, 3.0))
    first, start, length = (round(entry[key] * RATE) for key in ("offset", "start", "seconds"))
    source = torch.cat([rest(0.7), clip]).numpy()[first + 80 : first + length - 80]
    heard = audio[0, start + 80 : start + length - 80]
    gain = float(heard @ source / (source @ source))
    np.testing.assert_allclose(heard, gain * source, atol=1e-6)


def test_clips_of_a_low_rate_keep_their_pitch_and_say_their_bandwidth(tmp_path: Path) -> None:
    write(tmp_path, "ann_1", tone(3.0, 500, rate=16000), rate=16000)
    audio, (entry,) = sing(tmp_path, phrase(1.0, 3.0), rate=44100)
    assert entry["bandwidth"] == 8000
    spectrum = np.abs(np.fft.rfft(audio[0, 44100 : 4 * 44100]))
    assert spectrum.argmax() / 3 == pytest.approx(500, abs=1)
    assert np.square(spectrum[3 * 8100 :]).sum() < 1e-6 * np.square(spectrum).sum()
    assert sing(tmp_path, phrase(1.0, 3.0), rate=8000)[1][0]["bandwidth"] == 4000


def test_stereo_files_are_mixed_down_and_silent_ones_passed_over(tmp_path: Path) -> None:
    save(tmp_path / "ann_1.wav", torch.stack([tone(3.0, 300), tone(3.0, 500)]), RATE, "FLOAT")
    write(tmp_path, "ann_2", rest(3.0))
    write(tmp_path, "ann_3", tone(0.1))
    audio, record = sing(tmp_path, phrase(0.0, 2.0) + phrase(3.0, 2.0) + phrase(6.0, 2.0))
    assert {entry["file"] for entry in record} == {"ann_1.wav"}
    spectrum = np.abs(np.fft.rfft(audio[0, : 2 * RATE]))
    assert spectrum[600] == pytest.approx(spectrum[1000], rel=0.02)
    assert spectrum[600] > 50 * np.median(spectrum)


def test_notes_beyond_the_end_are_cut_and_no_notes_are_silence(tmp_path: Path) -> None:
    write(tmp_path, "ann_1", tone(6.0))
    audio, record = sing(tmp_path, phrase(8.0, 4.0) + phrase(20.0, 2.0))
    assert [entry["seconds"] for entry in record] == [2.0]
    assert audio[0, -200:].any()
    audio, record = sing(tmp_path, [])
    assert not audio.any()
    assert record == []


def test_a_single_short_note_is_sung_and_ends_with_the_note(tmp_path: Path) -> None:
    write(tmp_path, "ann_1", tone(6.0))
    audio, record = sing(tmp_path, [TimedNote(1.0, 0.1, 60, 80)])
    assert [entry["seconds"] for entry in record] == pytest.approx([0.1])
    assert not audio[0, round(1.1 * RATE) :].any()


def test_a_bad_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SoliError, match="gone: no such folder; allowed: a folder of audio files"):
        VoiceBank(tmp_path / "gone")
    (tmp_path / "notes.txt").write_text("no audio")
    with pytest.raises(SoliError, match="no audio files; allowed: a folder of audio files"):
        VoiceBank(tmp_path)
    (tmp_path / "ann_1.wav").write_bytes(b"no audio")
    with pytest.raises(SoliError, match=r"ann_1\.wav"):
        sing(tmp_path, phrase(0.0, 2.0))
    write(tmp_path, "ann_1", rest(2.0))
    with pytest.raises(
        SoliError, match=r"ann_1\.wav and the other files of its singer: nothing is sung; allowed: sound of"
    ):
        sing(tmp_path, phrase(0.0, 2.0))
