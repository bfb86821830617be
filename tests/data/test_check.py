from __future__ import annotations

from pathlib import Path

import pytest
import torch

from audio_fakes import noise, save, save_container
from data_trees import FOUR, LENGTH, RATE, musdb, parts, slakh, with_mixture, write
from soli.data.check import LOSSY_NULL_DB, Report, check_track, summarise
from soli.data.layouts import open_dataset
from soli.data.meters import Meter, residual_db
from soli.data.tracks import Stem


def check(path: Path, layout: str = "auto") -> Report:
    dataset = open_dataset(path, layout)
    return summarise(dataset, [check_track(track) for track in dataset.tracks])


def found(report: Report) -> list[tuple[str, str]]:
    return [(problem.kind, problem.stem) for problem in report.problems]


def test_a_sound_dataset_is_counted(tmp_path: Path) -> None:
    stems = parts(FOUR)
    write(tmp_path / "train" / "One", with_mixture(stems))
    write(tmp_path / "train" / "Two", with_mixture(stems))
    write(tmp_path / "test" / "Three", with_mixture(stems))
    report = check(tmp_path)
    assert (report.layout, report.n_tracks, report.sample_rates) == ("musdb18-hq", 3, {RATE: 3})
    assert report.hours == pytest.approx(3 * LENGTH / RATE / 3600)
    assert {label: (count.stems, count.silent) for label, count in report.classes.items()} == dict.fromkeys(
        sorted(FOUR), (3, 0)
    )
    assert report.splits["official"] == {"train": 2, "validation": 0, "test": 1}
    assert report.residual_db is not None
    assert max(report.residual_db) < -100
    assert (report.problems, report.broken) == ([], False)


def test_aac_does_not_null_and_is_not_blamed(tmp_path: Path) -> None:
    report = check(musdb(tmp_path, {"Mine - Song": "train"}))
    assert report.problems == []
    assert report.residual_db is not None
    assert -60 < report.residual_db[0] < LOSSY_NULL_DB


def test_coarse_classes_come_before_fine_ones(tmp_path: Path) -> None:
    slakh(tmp_path / "Track00001")
    report = check(tmp_path)
    assert list(report.classes) == ["bass", "drums", "guitar", "other", "strings_continued"]
    assert report.classes["guitar"].stems == 2
    assert report.problems == []


@pytest.mark.parametrize("gain_db", [-55, -45])
def test_the_residual_is_that_of_the_closed_form(tmp_path: Path, gain_db: int) -> None:
    stems = parts(FOUR)
    stems["mixture"] = torch.stack(list(stems.values())).sum(0) * (1 - 10 ** (gain_db / 20))
    folder = tmp_path / "song"
    folder.mkdir()
    for name, signal in stems.items():
        save(folder / f"{name}.wav", signal, RATE, "FLOAT")
    report = check(tmp_path)
    assert report.residual_db is not None
    assert report.residual_db[1] == pytest.approx(gain_db, abs=0.1)
    assert found(report) == ([("not the sum", "mixture")] if gain_db > -50 else [])
    assert not report.broken


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    song = write(tmp_path / "song", with_mixture(parts(FOUR)))
    (song / "bass.wav").write_bytes(b"no audio")
    whole = (song / "drums.wav").read_bytes()
    (song / "drums.wav").write_bytes(whole[: len(whole) // 2])
    report = check(tmp_path)
    assert found(report) == [("unreadable", "drums"), ("unreadable", "bass")]
    assert report.broken
    assert report.residual_db is None
    assert report.classes.keys() == {"other", "vocals"}  # only what could be read is counted
    assert all("\n" not in problem.detail for problem in report.problems)


def test_a_file_that_breaks_in_the_middle_is_named(tmp_path: Path) -> None:
    song = write(tmp_path / "song", with_mixture(parts(FOUR)))
    bad = noise(2, LENGTH)
    bad[0, 3000] = float("nan")
    save(song / "other.wav", bad, RATE, "FLOAT")
    report = check(tmp_path)
    assert found(report) == [("unreadable", "other")]
    assert "NaN" in report.problems[0].detail


def test_an_mp4_without_its_stems_is_named(tmp_path: Path) -> None:
    save_container(tmp_path / "Mine - Song.stem.mp4", [noise(2, 44100)], "aac")
    report = check(tmp_path)
    assert found(report) == [("unreadable", name) for name in FOUR]
    assert "audio stream 1 does not exist" in report.problems[0].detail


def test_what_the_metadata_promise_must_be_there(tmp_path: Path) -> None:
    slakh(tmp_path / "Track00001")
    (tmp_path / "Track00001" / "stems" / "S03.flac").unlink()
    (tmp_path / "Track00002").mkdir()
    (tmp_path / "Track00002" / "metadata.yaml").write_text("stems: [")
    report = check(tmp_path)
    assert found(report) == [("unreadable", "S03"), ("unreadable", "")]
    assert [problem.track for problem in report.problems] == ["Track00001", "Track00002"]
    assert report.n_tracks == 2


def test_silent_and_unknown_stems_are_listed(tmp_path: Path) -> None:
    stems = parts(("bass", "drums", "vocals", "kazoo"))
    stems["drums"] = 0 * stems["drums"]
    stems["vocals"] = stems["vocals"] * 10**-3 / stems["vocals"].abs().max() * 1.2  # just above the bound
    write(tmp_path / "song", stems)
    report = check(tmp_path)
    assert found(report) == [("silent", "drums"), ("unknown name", "kazoo")]
    assert report.classes["drums"].silent == 1
    assert report.classes["vocals"].silent == 0
    assert not report.broken


@pytest.mark.parametrize(("run", "count"), [(2, 0), (3, 1), (10, 8)])
def test_runs_at_full_scale_are_clipped(tmp_path: Path, run: int, count: int) -> None:
    signal = noise(1, 70000)
    for block_edge in (100, 65536):  # the second run lies across two blocks
        signal[0, block_edge - 1 : block_edge - 1 + run] = -1
    meter = Meter(Stem(path=save(tmp_path / "x.wav", signal, RATE)))
    residual_db(None, [meter])
    assert meter.clipped == 2 * count
    assert meter.n_samples == 70000


def test_clipping_is_listed(tmp_path: Path) -> None:
    stems = parts(("bass", "drums"))
    stems["bass"][:, 50:60] = 1
    write(tmp_path / "song", stems)
    report = check(tmp_path)
    assert found(report) == [("clipped", "bass")]
    assert report.problems[0].detail == "16 samples in runs at full scale"


def test_stems_of_another_length_or_rate_are_misaligned(tmp_path: Path) -> None:
    stems = parts(("bass", "drums", "piano", "vocals"))
    stems["drums"] = stems["drums"][:, : LENGTH - 1000]  # 0.125 s
    stems["piano"] = stems["piano"][:, : LENGTH - 700]  # 0.0875 s
    song = write(tmp_path / "song", stems)
    save(song / "vocals.wav", stems["vocals"], 2 * RATE)
    report = check(tmp_path)
    assert found(report) == [("misaligned", "drums"), ("misaligned", "vocals")]
    assert "ends 0.12 s before" in report.problems[0].detail
    assert f"{2 * RATE} Hz, the others {RATE} Hz" in report.problems[1].detail
    assert report.broken


@pytest.mark.parametrize(("shift", "words"), [(120, "120 samples later"), (-75, "75 samples earlier")])
def test_a_shifted_stem_is_found(tmp_path: Path, shift: int, words: str) -> None:
    files = with_mixture(parts(FOUR, n_samples=20000))
    files["bass"] = files["bass"].roll(shift, dims=-1)
    write(tmp_path / "song", files)
    report = check(tmp_path)
    assert found(report) == [("not the sum", "mixture"), ("misaligned", "bass")]
    assert report.problems[1].detail == f"{words} than in the mixture"


def test_a_shift_that_a_filter_makes_is_none(tmp_path: Path) -> None:
    files = with_mixture(parts(FOUR, n_samples=20000))
    files["bass"] = files["bass"].roll(RATE // 1000, dims=-1)
    write(tmp_path / "song", files)
    assert found(check(tmp_path)) == [("not the sum", "mixture")]


def test_another_mixture_does_not_make_stems_misaligned(tmp_path: Path) -> None:
    files = with_mixture(parts(FOUR, n_samples=20000))
    files["mixture"] = 0.5 * files["mixture"].clamp(-0.1, 0.1)
    write(tmp_path / "song", files)
    assert found(check(tmp_path)) == [("not the sum", "mixture")]


def test_a_stem_that_is_not_in_the_mixture_is_not_called_late(tmp_path: Path) -> None:
    time = torch.arange(40000) / RATE
    tones = torch.stack([0.3 * torch.sin(2 * torch.pi * pitch * time) for pitch in (220, 330)])
    files = {"other": tones, "mixture": tones, "vocals": 0.3 * noise(2, 40000), "bass": 0.03 * tones.flip(0)}
    write(tmp_path / "song", files)
    assert found(check(tmp_path)) == [("not the sum", "mixture")]


def test_mono_stems_may_be_part_of_a_stereo_mixture(tmp_path: Path) -> None:
    stems = parts(("drums", "other"), n_channels=1)
    stereo = parts(("bass",))["bass"]
    files = {**stems, "bass": stereo, "mixture": stereo + stems["drums"] + stems["other"]}
    report = check(write(tmp_path / "song", files).parent)
    assert report.problems == []
    assert report.residual_db is not None
    assert max(report.residual_db) < -100


def test_solos_and_mixtures_have_nothing_to_compare(tmp_path: Path) -> None:
    write(tmp_path / "solos" / "violin", parts(("a", "b")))
    write(tmp_path / "mixtures", parts(("a", "b")))
    for layout in ("solos", "mixtures"):
        report = check(tmp_path / layout)
        assert (report.layout, report.n_tracks, report.residual_db) == (layout, 2, None)
        assert report.problems == []
        assert report.hours == pytest.approx(2 * LENGTH / RATE / 3600)
