from __future__ import annotations

import errno
import os
import sys
import types
from pathlib import Path

import pytest
import soundfile
import torch

from audio_fakes import Crossover, Splitter, noise, on_grid, save, save_container, snr, tones
from soli.audio import read
from soli.errors import Cancelled, SoliError
from soli.files import check_template, model_name, output_paths, refuse_collisions, separate_file, track_name


def sum_of(result) -> torch.Tensor:
    return sum(read(path)[0].double() for path in result.paths.values())


def everything_below(folder) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# What is written


@pytest.mark.parametrize(
    ("extension", "subtype"), [("wav", "PCM_16"), ("wav", "PCM_24"), ("wav", "FLOAT"), ("flac", "PCM_24")]
)
@pytest.mark.parametrize(("rate", "n_channels"), [(8000, 2), (44100, 6), (96000, 1)])
def test_files_keep_format_depth_rate_channels_and_length_and_sum_to_the_input(
    tmp_path, extension, subtype, rate, n_channels
):
    waveform = on_grid(noise(n_channels, rate + 7), 16)
    source = save(tmp_path / f"song.{extension}", waveform, rate, subtype)
    result = separate_file(source, tmp_path / "out", model=Crossover(8000))
    assert set(result.paths) == {"low", "high"} | ({"residual"} if rate != 8000 else set())
    for name, path in result.paths.items():
        assert path == tmp_path / "out" / "song" / f"{name}.{extension}"
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.frames, info.subtype) == (rate, n_channels, rate + 7, subtype)
    assert (sum_of(result) - waveform).abs().max() < 10 ** (-90 / 20)
    assert result.null_dbfs < -90
    assert (result.sample_rate, result.n_channels, result.n_samples) == (rate, n_channels, rate + 7)


def test_the_stems_are_what_the_model_gives(tmp_path):
    waveform = noise(2, 30000)
    model = Crossover(8000)
    result = separate_file(save(tmp_path / "x.wav", waveform, 8000, "FLOAT"), tmp_path, model=model, batch_size=3)
    expected = model.separate(waveform, 8000)
    assert snr(expected["low"], read(result.paths["low"])[0]) > 100


def test_what_no_stem_claims_is_the_residual(tmp_path):
    waveform = on_grid(noise(2, 9000), 16)
    source = save(tmp_path / "x.wav", waveform, 8000)
    result = separate_file(source, tmp_path, model=Splitter(8000, a=0.5, b=0.25))
    assert torch.allclose(read(result.paths["residual"])[0], waveform * 0.25, atol=2 / 2**15)
    assert torch.equal(sum_of(result).float(), waveform)


def test_one_stem_leaves_the_accompaniment(tmp_path):
    waveform = on_grid(noise(2, 9000), 16)
    source = save(tmp_path / "x.wav", waveform, 8000)
    model = Splitter(8000, drums=0.5, bass=0.25, vocals=0.25)
    result = separate_file(source, tmp_path / "out", model=model, stems=("vocals",))
    assert everything_below(tmp_path / "out") == ["x", "x/residual.wav", "x/vocals.wav"]
    assert torch.equal(sum_of(result).float(), waveform)
    assert torch.allclose(read(result.paths["vocals"])[0], waveform * 0.25, atol=1 / 2**15)


def test_a_sample_that_clips_is_counted_and_made_up_for(tmp_path):
    waveform = on_grid(noise(1, 9000, scale=0.3), 16)
    source = save(tmp_path / "x.wav", waveform, 8000)
    result = separate_file(source, tmp_path, model=Splitter(8000, up=2.0, down=-1.0))
    assert result.clipped["up"] > 0
    assert result.clipped["down"] == 0
    assert set(result.clipped) == set(result.peaks) == {"up", "down", "residual"}
    assert result.peaks["up"] == pytest.approx(2 * float(waveform.abs().max()), rel=1e-4)
    assert torch.equal(sum_of(result).float(), waveform)


@pytest.mark.parametrize("n_samples", [1, 2, 100])
def test_very_short_files_work_even_when_resampled(tmp_path, n_samples):
    source = save(tmp_path / "x.wav", noise(2, n_samples), 96000)
    result = separate_file(source, tmp_path, model=Splitter(8000))
    assert all(read(path)[0].shape == (2, n_samples) for path in result.paths.values())


@pytest.mark.parametrize("name", ["x.mp3", "x.ogg", "x.opus", "x.m4a"])
def test_lossy_inputs_give_sixteen_bit_wav_of_their_length(tmp_path, name):
    waveform = tones(30000, 48000)
    source = tmp_path / name
    if name == "x.m4a":
        save_container(source, [waveform], "aac", 48000)
    else:
        save(source, waveform, 48000)
    result = separate_file(source, tmp_path / "out", model=Splitter(48000))
    assert everything_below(tmp_path / "out") == ["x", "x/left.wav", "x/right.wav"]
    assert result.subtype == "PCM_16"
    assert result.n_samples == 30000
    assert result.null_dbfs < -90


def test_the_first_stream_of_a_stem_file_is_separated_and_its_name_shortened(tmp_path):
    source = save_container(tmp_path / "Song.stem.mp4", [tones(9000, 44100), tones(9000, 44100) * 0.1], "aac")
    result = separate_file(source, tmp_path, model=Splitter(44100))
    assert result.paths["left"] == tmp_path / "Song" / "left.wav"
    assert snr(tones(9000, 44100) / 2, read(result.paths["left"])[0]) > 20


def test_opus_is_resampled_and_the_result_says_so(tmp_path):
    source = save(tmp_path / "x.wav", tones(44100, 44100), 44100)
    result = separate_file(source, tmp_path, model=Splitter(44100), format="opus")
    assert (result.source_rate, result.sample_rate, result.n_samples, result.subtype) == (44100, 48000, 48000, "OPUS")
    assert snr(tones(48000, 48000) / 2, read(result.paths["left"])[0]) > 25


def test_format_subtype_and_template_are_obeyed(tmp_path):
    source = save(tmp_path / "蝶 song.wav", noise(1, 100), 8000)
    result = separate_file(
        source,
        tmp_path / "out",
        model=Splitter(8000),
        format="flac",
        subtype="pcm_24",
        filename="{model} - {stem} ({track}).{ext}",
    )
    assert everything_below(tmp_path / "out") == ["splitter - left (蝶 song).flac", "splitter - right (蝶 song).flac"]
    assert soundfile.info(result.paths["left"]).subtype == "PCM_24"


def test_a_model_is_loaded_by_name(tmp_path, monkeypatch):
    asked = []
    zoo = types.ModuleType("soli.zoo")
    zoo.load = lambda name, device: asked.append((name, device)) or Splitter(8000)
    monkeypatch.setitem(sys.modules, "soli.zoo", zoo)
    result = separate_file(save(tmp_path / "x.wav", noise(1, 10), 8000), tmp_path)
    assert asked == [("default", "cpu")]
    assert result.model == "default"


def test_existing_files_can_be_kept(tmp_path):
    source = save(tmp_path / "x.wav", noise(1, 8000), 8000)
    first = separate_file(source, tmp_path, model=Splitter(8000, a=0.5), skip_existing=True)
    stamps = {path: path.stat().st_mtime_ns for path in first.paths.values()}
    again = separate_file(source, tmp_path, model=Splitter(8000, a=0.5), skip_existing=True)
    assert (first.skipped, again.skipped) == (False, True)
    assert again.paths == first.paths
    assert again.seconds == first.seconds == 1.0
    assert {path: path.stat().st_mtime_ns for path in again.paths.values()} == stamps
    first.paths["a"].unlink()
    assert not separate_file(source, tmp_path, model=Splitter(8000, a=0.5), skip_existing=True).skipped


def test_separating_again_replaces_the_files(tmp_path):
    source = save(tmp_path / "x.wav", on_grid(noise(1, 800), 16), 8000)
    for share in (0.25, 0.75):
        result = separate_file(source, tmp_path, model=Splitter(8000, a=share))
    assert torch.allclose(read(result.paths["a"])[0], read(source)[0] * 0.75, atol=1 / 2**15)
    separate_file(source, tmp_path, model=Splitter(8000, a=1.0))
    assert everything_below(tmp_path / "x") == ["a.wav"]  # the residual was of other stems


# Nothing partial is left


def interrupt_at(fraction, error):
    def callback(progress):
        if progress.fraction > fraction:
            raise error

    return callback


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("existing", [False, True])
def test_an_interruption_leaves_the_folder_as_it_was(tmp_path, error, existing):
    source = save(tmp_path / "x.wav", noise(2, 40000), 8000)
    if existing:
        (tmp_path / "out" / "x").mkdir(parents=True)
        save(tmp_path / "out" / "x" / "left.wav", noise(1, 5))
    before = everything_below(tmp_path)
    with pytest.raises(error):
        separate_file(source, tmp_path / "out", model=Splitter(8000), progress=interrupt_at(0.5, error))
    assert everything_below(tmp_path) == before


def test_cancelling_leaves_nothing(tmp_path):
    source = save(tmp_path / "x.wav", noise(2, 40000), 8000)
    with pytest.raises(Cancelled):
        separate_file(
            source, tmp_path / "out", model=Splitter(8000), progress=lambda p: p.cancel() if p.fraction > 0.5 else None
        )
    assert everything_below(tmp_path) == ["x.wav"]


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    source = save(tmp_path / "x.wav", noise(2, 40000), 8000)
    blocks = []

    def write(writer, block):
        blocks.append(block)
        if len(blocks) > 7:
            raise OSError(28, "No space left on device")
        return original(writer, block)

    original = soundfile.SoundFile.write
    monkeypatch.setattr(soundfile.SoundFile, "write", write)
    with pytest.raises(SoliError, match="the disk is full"):
        separate_file(source, tmp_path / "out", model=Splitter(8000))
    assert everything_below(tmp_path) == ["x.wav"]


@pytest.mark.parametrize("damage", ["nan", "cut"])
def test_an_input_that_breaks_in_the_middle_leaves_nothing(tmp_path, damage):
    waveform = noise(2, 200_000)
    if damage == "nan":
        waveform[0, 150_000] = torch.nan
        source = save(tmp_path / "x.wav", waveform, 8000, "FLOAT")
    else:
        source = save(tmp_path / "x.flac", waveform, 8000)
        source.write_bytes(source.read_bytes()[:500_000])
    with pytest.raises(SoliError, match=rf"{source.name}: "):
        separate_file(source, tmp_path / "out", model=Splitter(8000))
    assert everything_below(tmp_path) == [source.name]


def test_a_read_only_folder_is_named(tmp_path, monkeypatch):
    def refuse(path, **_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    source = save(tmp_path / "x.wav", noise(2, 400), 8000)
    monkeypatch.setattr(Path, "touch", refuse)  # a real one would not stop a test that runs as root
    with pytest.raises(SoliError, match=r"left\.wav: cannot be written: Permission denied$"):
        separate_file(source, tmp_path / "out", model=Splitter(8000))
    assert everything_below(tmp_path) == ["x.wav"]


def test_an_output_folder_that_is_a_file_is_named(tmp_path):
    source = save(tmp_path / "x.wav", noise(2, 400), 8000)
    (tmp_path / "out").write_text("a file")
    with pytest.raises(SoliError, match="out"):
        separate_file(source, tmp_path / "out", model=Splitter(8000))
    assert everything_below(tmp_path) == ["out", "x.wav"]


# What is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stems": ("left", "middle")}, r"stem 'middle' .* allowed: left, right"),
        ({"stems": ()}, r"allowed: left, right"),
        ({"format": "wma"}, r"format 'wma' .* allowed: wav, flac, ogg, opus, mp3"),
        ({"subtype": "PCM_20"}, r"subtype 'PCM_20' .* allowed: PCM_16, PCM_24, PCM_32, FLOAT"),
        ({"filename": "{song}.{ext}"}, r"\{song\} .* allowed: \{track\}, \{stem\}, \{ext\}, \{model\}"),
        ({"filename": "{track}/{stem"}, r"is not a template"),
        ({"filename": "{track}/{stem}.wav"}, r"must end with \.\{ext\}"),
        ({"filename": "../{stem}.{ext}"}, r"leads out of the output folder"),
        ({"filename": "{track}.{ext}"}, r"add \{stem\}"),
        ({"segment_seconds": 0.1}, r"segment_seconds=0\.1"),
        ({"batch_size": 0}, r"batch_size=0"),
    ],
)
def test_a_bad_request_names_what_is_allowed_and_leaves_nothing(tmp_path, options, message):
    source = save(tmp_path / "x.wav", noise(2, 8000), 8000)
    with pytest.raises(SoliError, match=message) as caught:
        separate_file(source, tmp_path / "out", model=Splitter(8000), **options)
    assert "\n" not in str(caught.value)
    assert everything_below(tmp_path) == ["x.wav"]


def test_an_output_never_replaces_its_input(tmp_path):
    source = save(tmp_path / "left.wav", noise(2, 8000), 8000)
    before = source.read_bytes()
    with pytest.raises(SoliError, match="overwrite its own input"):
        separate_file(source, tmp_path, model=Splitter(8000), filename="{stem}.{ext}")
    assert source.read_bytes() == before


@pytest.mark.parametrize(
    ("source", "filename", "model"),
    [
        ("x.wav", "{model}/{stem}.{ext}", ""),
        ("x.wav", "{model}/{stem}.{ext}", ".."),
        ("...wav", "{track}/{stem}.{ext}", "m"),
    ],
)
def test_no_output_leaves_the_folder(tmp_path, source, filename, model):
    with pytest.raises(SoliError, match="leads out of the output folder"):
        output_paths(source, tmp_path, ("bass",), "wav", filename=filename, model=model)


def test_a_folder_is_called_by_its_own_name_however_it_is_given(tmp_path, monkeypatch):
    (tmp_path / "runs" / "best").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "runs" / "best")
    for given, due in ((".", "best"), ("..", "runs"), ("../best/", "best"), ("default", "default"), ("/", "model")):
        assert model_name(given) == model_name(Path(given)) == due


def test_two_inputs_with_the_same_outputs_are_refused():
    refuse_collisions([("a/song.wav", "out/a"), ("b/song.wav", "out/b"), ("a/tune.wav", "out/a")])
    with pytest.raises(SoliError, match=r"a/song\.wav and b/Song\.mp3 would write the same files"):
        refuse_collisions([("a/song.wav", "out"), ("b/Song.mp3", "out")])
    with pytest.raises(SoliError, match="would write the same files"):
        refuse_collisions([("a.wav", "out"), ("b.wav", "out")], "{stem}.{ext}")


def test_names_are_built_as_documented(tmp_path):
    check_template("{model}/{track}_{stem}.{ext}")
    paths = output_paths("in/a.b.wav", tmp_path, ("x",), "wav", filename="{model}/{track}_{stem}.{ext}", model="m")
    assert paths == {"x": tmp_path / "m" / "a.b_x.wav"}
    assert track_name("in/A song.stem.mp4") == "A song"
