from __future__ import annotations

import os

import pytest
import torch

from audio_fakes import noise, on_grid
from soli.audio import AudioWriter, StemSet, dbfs, read, round_together
from soli.errors import SoliError


def test_rounding_together_keeps_the_sum_and_stays_within_one_step():
    stems = torch.stack([noise(2, 3000, seed) for seed in range(5)]).double()
    stems[2] = 0
    rounded = round_together(stems, 16) * 2**15
    assert torch.equal(rounded, rounded.round())
    assert torch.equal(rounded.sum(dim=0), (stems.sum(dim=0) * 2**15).round())
    assert (rounded - stems * 2**15).abs().max() <= 1
    assert not rounded[2].any()
    apart = (stems * 2**15).round().sum(dim=0)
    assert not torch.equal(apart, rounded.sum(dim=0))  # one by one, the errors add up


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_written_stems_sum_to_the_mixture_even_where_they_clip(tmp_path, subtype):
    mixture = on_grid(noise(2, 5000, scale=0.3), 16)
    stems = torch.stack([mixture * 5, mixture * -4.2, mixture * 0.15])
    paths = {name: tmp_path / f"{name}.wav" for name in "abc"}
    with StemSet(paths, tmp_path / "residual.wav", 44100, 2, subtype) as files:
        for start in range(0, 5000, 700):
            files.write(mixture[:, start : start + 700], stems[..., start : start + 700])
    total = sum(read(path)[0].double() for path in files.paths.values())
    assert set(files.paths) == {"a", "b", "c", "residual"}
    assert dbfs(float((total - mixture).abs().max())) == pytest.approx(files.null_dbfs, abs=0.1)
    assert files.null_dbfs < -90
    assert files.clipped["a"] == (0 if subtype == "FLOAT" else int((stems[0].abs() > 1).sum()))
    assert files.peaks["a"] == pytest.approx(float(stems[0].abs().max()), rel=1e-6)


def test_consistent_sixteen_bit_stems_null_to_digital_silence_without_a_residual(tmp_path):
    mixture = on_grid(noise(2, 5000), 16)
    stems = torch.stack([mixture * share for share in (0.1, 0.2, 0.3, 0.4)])
    paths = {name: tmp_path / f"{name}.flac" for name in "abcd"}
    with StemSet(paths, tmp_path / "residual.flac", 44100, 2) as files:
        files.write(mixture, stems)
    assert sorted(os.listdir(tmp_path)) == ["a.flac", "b.flac", "c.flac", "d.flac"]
    assert torch.equal(sum(read(path)[0] for path in files.paths.values()), mixture)
    assert files.null_dbfs == -200


def test_a_residual_that_begins_late_is_as_long_as_the_stems(tmp_path):
    mixture = on_grid(noise(1, 150_000), 16)
    claimed = mixture.clone()
    claimed[:, 140_500:] = 0
    with StemSet({"a": tmp_path / "a.wav"}, tmp_path / "residual.wav", 8000, 1) as files:
        for start in range(0, 150_000, 1000):
            block = slice(start, start + 1000)
            files.write(mixture[:, block], claimed[None, :, block])
    assert torch.equal(read(files.paths["residual"])[0], mixture - claimed)


def test_the_residual_of_an_earlier_run_goes_with_its_stems(tmp_path):
    mixture, residual = on_grid(noise(1, 1000), 16), tmp_path / "residual.wav"
    for share, there in ((0.5, True), (1.0, False)):
        with StemSet({"a": tmp_path / "a.wav"}, residual, 8000, 1) as files:
            files.write(mixture, share * mixture[None])
            assert residual.exists() != there  # until the new files have their names, the old ones stay
        assert residual.exists() == there
        assert torch.equal(torch.stack([read(path)[0] for path in tmp_path.iterdir()]).sum(dim=0), mixture)


def test_the_mix_is_the_mixture_and_appears_with_its_stems_or_not_at_all(tmp_path):
    mixture = on_grid(noise(1, 1000), 16)
    mix = tmp_path / "mix.wav"

    def write():
        with StemSet({"a": tmp_path / "a.wav"}, tmp_path / "residual.wav", 8000, 1, mix=mix) as files:
            files.write(mixture, mixture[None] / 2)
        return files

    mix.mkdir()
    with pytest.raises(SoliError, match=r"mix\.wav: cannot be written"):
        write()
    assert os.listdir(tmp_path) == ["mix.wav"]
    mix.rmdir()
    files = write()
    assert set(files.paths) == {"a", "mix", "residual"}
    assert torch.equal(read(mix)[0], mixture)
    assert torch.equal(read(files.paths["a"])[0] + read(files.paths["residual"])[0], mixture)


def test_stems_appear_together_or_not_at_all(tmp_path, monkeypatch):
    commits = []

    def fail_second(writer):
        commits.append(writer)
        if len(commits) == 2:
            raise SoliError("no")
        return original(writer)

    original = AudioWriter.commit
    monkeypatch.setattr(AudioWriter, "commit", fail_second)
    folder = tmp_path / "deep" / "er"

    def work():
        with StemSet({"a": folder / "a.wav", "b": folder / "b.wav"}, folder / "r.wav", 8000, 1) as files:
            files.write(noise(1, 10), torch.stack([noise(1, 10)] * 2))

    with pytest.raises(SoliError, match="no"):
        work()
    assert len(commits) == 2
    assert os.listdir(tmp_path) == []


def test_a_folder_that_another_process_makes_at_the_same_moment_is_used(tmp_path, monkeypatch):
    mkdir = type(tmp_path).mkdir

    def late(path, *arguments, **options):
        mkdir(path, *arguments, **options)
        raise FileExistsError(17, "File exists", str(path))

    monkeypatch.setattr(type(tmp_path), "mkdir", late)
    with StemSet({"a": tmp_path / "in" / "a.wav"}, tmp_path / "in" / "residual.wav", 44100, 1, "PCM_16") as files:
        files.write(torch.zeros(1, 10), torch.zeros(1, 1, 10))
    assert (tmp_path / "in" / "a.wav").is_file()


NAMES = ("a.wav", "b.wav", "residual.wav")


def refuse(method, number, error):
    """The method, with an error instead of the call of that number."""
    calls = []

    def call(*arguments, **options):
        calls.append(arguments)
        if len(calls) == number:
            raise error
        return method(*arguments, **options)

    return call


@pytest.mark.parametrize("share", [0.25, 0.5], ids=["with a residual", "without one"])
@pytest.mark.parametrize("error", [OSError(13, "Permission denied"), KeyboardInterrupt()], ids=["refused", "Ctrl-C"])
@pytest.mark.parametrize(("method", "number"), [("rename", 1), ("rename", 3), ("replace", 1), ("replace", 2)])
def test_older_files_are_back_when_a_new_one_cannot_be_named(tmp_path, monkeypatch, share, error, method, number):
    mixture = on_grid(noise(1, 1000), 16)
    for name in NAMES:
        (tmp_path / name).write_text(f"older {name}")

    def work():
        paths = {name: tmp_path / f"{name}.wav" for name in "ab"}
        with StemSet(paths, tmp_path / "residual.wav", 8000, 1) as files:
            files.write(mixture, torch.stack([share * mixture] * 2))

    with monkeypatch.context() as broken:
        broken.setattr(type(tmp_path), method, refuse(getattr(type(tmp_path), method), number, error))
        with pytest.raises(SoliError if isinstance(error, OSError) else KeyboardInterrupt) as caught:
            work()
    if isinstance(error, OSError):
        assert "Permission denied" in str(caught.value)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: f"older {name}" for name in NAMES}
    work()
    due = NAMES if share < 0.5 else NAMES[:2]
    assert sorted(os.listdir(tmp_path)) == list(due)
    assert torch.equal(sum(read(tmp_path / name)[0] for name in due), mixture)


def test_ctrl_c_while_a_file_is_opened_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("soundfile.SoundFile", refuse(None, 1, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        StemSet({"a": tmp_path / "in" / "a.wav"}, tmp_path / "in" / "residual.wav", 8000, 1)
    assert os.listdir(tmp_path) == []
