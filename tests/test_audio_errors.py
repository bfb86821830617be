from __future__ import annotations

import errno
import os
import shutil

import numpy as np
import pytest
import soundfile
import torch

from audio_fakes import noise, on_grid, save, save_container
from soli.audio import AudioReader, AudioWriter, read
from soli.audio.formats import FORMATS, Format
from soli.errors import SoliError

# Bad files


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(SoliError, match=r"no\.wav: cannot be read: No such file"):
        AudioReader(tmp_path / "no.wav")
    with pytest.raises(SoliError, match="cannot be read"):
        AudioReader(tmp_path)


@pytest.mark.parametrize("name", ["x.wav", "x.mp3", "x.m4a"])
@pytest.mark.parametrize("content", [b"", b"hello world\n" * 100, bytes(range(256)) * 50, b"RIFF\x10\0\0\0WAVEfmt "])
def test_what_is_not_audio_gives_one_line(tmp_path, capfd, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SoliError) as caught:
        list(AudioReader(tmp_path / name).blocks())
    assert "\n" not in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)
    assert capfd.readouterr().err == ""  # decoders do not write past us


@pytest.mark.parametrize("name", ["x.wav", "x.aiff", "x.au", "x.flac", "x.mp3", "x.m4a", "fast.m4a", "rf64.wav"])
def test_a_truncated_file_is_refused(tmp_path, name):
    path = tmp_path / name
    waveform = noise(2, 44100)
    if name.endswith("m4a"):
        save_container(path, [waveform], "aac", **({"movflags": "faststart"} if name == "fast.m4a" else {}))
    elif name == "x.mp3":
        save(path, waveform)
    else:
        container = {"rf64.wav": "RF64"}.get(name, path.suffix[1:].upper())
        soundfile.write(path, waveform.numpy().T, 44100, format=container, subtype="PCM_16")
    data = path.read_bytes()
    assert read(path)[0].shape == waveform.shape
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(SoliError, match=r"truncated|damaged"):
        list(AudioReader(path).blocks())


@pytest.mark.parametrize("stated", [0xFFFFFFFF, 0x7FFFFFFF])
def test_a_wav_from_a_pipe_is_not_called_truncated(tmp_path, stated):
    waveform = on_grid(noise(2, 1000), 16)
    data = bytearray(save(tmp_path / "x.wav", waveform).read_bytes())
    at = data.index(b"data")
    data[4:8] = data[at + 4 : at + 8] = stated.to_bytes(4, "little")
    (tmp_path / "x.wav").write_bytes(data)
    assert torch.equal(read(tmp_path / "x.wav")[0], waveform)


def test_no_samples_is_an_error(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros((0, 2)), 44100)
    with pytest.raises(SoliError, match="no samples"):
        read(tmp_path / "x.wav")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_not_finite_are_located(tmp_path, bad):
    waveform = noise(2, 100_000)
    waveform[1, 88200] = bad
    save(tmp_path / "x.wav", waveform, subtype="FLOAT")
    with pytest.raises(SoliError, match=r"x.wav: NaN or infinite sample at 2\.000 s"):
        read(tmp_path / "x.wav")


# Failing to write


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(SoliError, match=r"out/x\.wav: cannot be written: Not a directory$"):
        AudioWriter(tmp_path / "out" / "x.wav", 44100, 1)


def test_a_file_appears_only_when_it_is_complete(tmp_path):
    path = tmp_path / "x.wav"
    path.write_bytes(b"old")
    with AudioWriter(path, 44100, 1) as writer:
        writer.write(noise(1, 100))
        assert path.read_bytes() == b"old"
    assert read(path)[0].shape == (1, 100)
    assert os.listdir(tmp_path) == ["x.wav"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("extension", list(FORMATS))
def test_an_exception_leaves_nothing(tmp_path, extension, error):
    def work():
        with AudioWriter(tmp_path / f"x.{extension}", 48000, 1) as writer:
            writer.write(noise(1, 5000))
            raise error

    with pytest.raises(error):
        work()
    assert os.listdir(tmp_path) == []


SYSTEM_ERROR = soundfile.LibsndfileError(2)  # all that libsndfile says of a full disk
SHORT_WRITE = AssertionError()
NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("method", "failure"),
    [
        ("write", SYSTEM_ERROR),
        ("write", SHORT_WRITE),
        ("write", NO_SPACE),
        ("close", SYSTEM_ERROR),
        ("close", NO_SPACE),
    ],
)
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, method, failure):
    original = getattr(soundfile.SoundFile, method)

    def fail(file, *args):
        if method == "close":
            original(file)
        if file.mode == "w":
            raise failure

    monkeypatch.setattr(soundfile.SoundFile, method, fail)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 0))
    with pytest.raises(SoliError, match=r"x\.wav: cannot be written: the disk is full$"):
        save(tmp_path / "x.wav", noise(1, 100))
    assert os.listdir(tmp_path) == []


def test_bytes_lost_without_an_error_are_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(soundfile.SoundFile, "write", lambda *_: None)
    with pytest.raises(SoliError, match=r"x\.wav: cannot be written"):
        save(tmp_path / "x.wav", noise(1, 100))
    assert os.listdir(tmp_path) == []


def test_a_wav_beyond_four_gib_becomes_rf64_if_announced(tmp_path, monkeypatch):
    monkeypatch.setitem(FORMATS, "wav", Format(container="WAV", subtypes=("PCM_16",), max_bytes=400))
    waveform = on_grid(noise(2, 150), 16)
    with AudioWriter(tmp_path / "a.wav", 44100, 2, n_samples=150) as writer:
        writer.write(waveform)
    assert soundfile.info(tmp_path / "a.wav").format == "RF64"
    assert torch.equal(read(tmp_path / "a.wav")[0], waveform)
    with pytest.raises(SoliError, match="4 GiB"):
        save(tmp_path / "b.wav", waveform)
    assert os.listdir(tmp_path) == ["a.wav"]


def test_bad_requests_list_what_is_allowed(tmp_path):
    with pytest.raises(SoliError, match=r"format '\.xyz' .* allowed: wav, flac, ogg, opus, mp3"):
        AudioWriter(tmp_path / "x.xyz", 44100, 2)
    with pytest.raises(SoliError, match=r"subtype 'FLOAT' .* allowed: PCM_16, PCM_24"):
        AudioWriter(tmp_path / "x.flac", 44100, 2, "FLOAT")
    with pytest.raises(SoliError, match="6 channels; allowed: 1 to 2"):
        AudioWriter(tmp_path / "x.mp3", 44100, 6)
    with pytest.raises(SoliError, match="No such file or directory"):
        AudioWriter(tmp_path / "no" / "x.wav", 44100, 2)
    assert os.listdir(tmp_path) == []
