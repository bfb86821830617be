from __future__ import annotations

import av
import numpy as np
import pytest
import scipy.io.wavfile
import soundfile
import torch

from audio_fakes import noise, on_grid, save, save_container, snr, tones
from soli.audio import AudioReader, AudioWriter, Resampler, SampleFifo, read, read_streams, resample, resampled_length
from soli.audio.container import _itunes_length
from soli.audio.formats import FORMATS, default_subtype
from soli.errors import SoliError

# Reading and writing


@pytest.mark.parametrize(
    ("extension", "subtype"), [("wav", "PCM_16"), ("wav", "PCM_24"), ("flac", "PCM_16"), ("flac", "PCM_24")]
)
@pytest.mark.parametrize("n_channels", [1, 2, 6])
def test_integer_samples_survive_bit_for_bit(tmp_path, extension, subtype, n_channels):
    bits = int(subtype[-2:])
    waveform = on_grid(noise(n_channels, 1001), bits)
    waveform[0, :3] = torch.tensor([-1.0, 1 - 2.0 ** (1 - bits), 2.0 ** (1 - bits)])
    path = save(tmp_path / f"x.{extension}", waveform, 48000, subtype)
    back, rate = read(path)
    assert rate == 48000
    assert torch.equal(back, waveform)


def test_float_samples_survive_bit_for_bit_even_beyond_full_scale(tmp_path):
    waveform = noise(2, 999, scale=0.4) * 5
    assert torch.equal(read(save(tmp_path / "x.wav", waveform, subtype="FLOAT"))[0], waveform)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32])
def test_reading_agrees_with_scipy(tmp_path, dtype):
    samples = (noise(2, 500).numpy().T * (1 if dtype is np.float32 else np.iinfo(dtype).max)).astype(dtype)
    scipy.io.wavfile.write(tmp_path / "x.wav", 22050, samples)
    waveform, rate = read(tmp_path / "x.wav")
    scale = 1 if dtype is np.float32 else -float(np.iinfo(dtype).min)
    assert rate == 22050
    np.testing.assert_array_equal(waveform.numpy().T, (samples / scale).astype(np.float32))


def test_writing_agrees_with_scipy(tmp_path):
    waveform = on_grid(noise(2, 500), 16)
    rate, samples = scipy.io.wavfile.read(save(tmp_path / "x.wav", waveform, 8000))
    assert rate == 8000
    np.testing.assert_array_equal(samples, (waveform.numpy().T * 2**15).astype(np.int16))


def test_rounding_is_to_the_nearest_integer(tmp_path):
    waveform = noise(1, 4000)
    assert (read(save(tmp_path / "x.wav", waveform))[0] - waveform).abs().max() <= 0.5 / 2**15 + 1e-9


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "opus", "mp3"])
@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 96000])
def test_every_format_keeps_rate_channels_and_length(tmp_path, extension, rate):
    allowed = FORMATS[extension].sample_rates
    for n_channels, n_samples in ((1, 1), (2, 7001)):
        waveform = noise(n_channels, n_samples)
        if allowed and rate not in allowed:
            with pytest.raises(SoliError, match=f"{rate} Hz; allowed: 8000, "):
                save(tmp_path / f"x.{extension}", waveform, rate)
            continue
        back, back_rate = read(save(tmp_path / f"x.{extension}", waveform, rate))
        assert (back_rate, back.shape) == (rate, waveform.shape)


@pytest.mark.parametrize(("extension", "at_least"), [("ogg", 25), ("opus", 25), ("mp3", 25)])
def test_lossy_files_are_aligned_with_what_was_written(tmp_path, extension, at_least):
    waveform = tones(48000, 48000)
    assert snr(waveform, read(save(tmp_path / f"x.{extension}", waveform, 48000))[0]) > at_least


def test_a_huge_single_write_to_vorbis_is_safe(tmp_path):
    waveform = noise(2, 600_000)
    assert read(save(tmp_path / "x.ogg", waveform))[0].shape == waveform.shape


def test_clipping_is_counted_and_never_rescales(tmp_path):
    waveform = torch.tensor([[0.5, 1.5, -2.0, 1.0, -1.0]])
    with AudioWriter(tmp_path / "x.wav", 44100, 1) as writer:
        writer.write(waveform)
    assert writer.clipped == 2
    top = 1 - 2.0**-15
    assert torch.equal(read(tmp_path / "x.wav")[0], torch.tensor([[0.5, top, -1.0, top, -1.0]]))


def test_blocks_are_the_file_in_pieces_of_the_wanted_length(tmp_path):
    waveform = on_grid(noise(2, 1000), 16)
    with AudioReader(save(tmp_path / "x.flac", waveform)) as reader:
        blocks = list(reader.blocks(300))
        assert [block.shape[-1] for block in blocks] == [300, 300, 300, 100]
        assert torch.equal(torch.cat(blocks, dim=-1), waveform)
        assert torch.equal(torch.cat(list(reader.blocks(64, start=333)), dim=-1), waveform[:, 333:])
        assert (reader.n_samples, reader.format, reader.subtype, reader.bit_depth) == (1000, "flac", "PCM_16", 16)


@pytest.mark.parametrize("extension", ["wav", "ogg", "mp3", "m4a"])
def test_a_span_equals_the_same_span_of_the_whole(tmp_path, extension):
    waveform = tones(48000, 16000) + noise(2, 48000)
    path = tmp_path / f"x.{extension}"
    path = save_container(path, [waveform], "aac", 16000) if extension == "m4a" else save(path, waveform, 16000)
    whole, _ = read(path)
    for start in (0.625, 1.0, 1.25):
        span, _ = read(path, start=start, stop=start + 0.5)
        assert torch.equal(span, whole[:, round(16000 * start) : round(16000 * (start + 0.5))])
    with pytest.raises(SoliError, match="span 2-1 s"):
        read(path, start=2, stop=1)
    with pytest.raises(SoliError, match="ends before"):
        read(path, start=50)


def test_the_content_decides_the_format_not_the_name(tmp_path):
    waveform = on_grid(noise(1, 100), 16)
    save(tmp_path / "x.wav", waveform).rename(tmp_path / "x.mp3")
    assert torch.equal(read(tmp_path / "x.mp3")[0], waveform)


def test_unicode_names(tmp_path):
    waveform = on_grid(noise(1, 100), 16)
    assert torch.equal(read(save(tmp_path / "Ænima – 蝶 ♫.flac", waveform))[0], waveform)


# Containers


@pytest.mark.parametrize(
    ("name", "codec"), [("x.m4a", "aac"), ("x.mp4", "aac"), ("x.mov", "aac"), ("x.webm", "libopus")]
)
def test_containers_give_exact_length_and_no_delay(tmp_path, name, codec):
    rate = 48000 if codec == "libopus" else 44100
    waveform = tones(30017, rate)
    back, back_rate = read(save_container(tmp_path / name, [waveform], codec, rate))
    assert (back_rate, back.shape) == (rate, waveform.shape)
    assert snr(waveform, back) > 25


def test_lossless_m4a_survives_and_tells_its_bit_depth(tmp_path):
    waveform = on_grid(noise(2, 5000), 16)
    path = save_container(tmp_path / "x.m4a", [waveform], "alac")
    assert torch.equal(read(path)[0], waveform)
    with AudioReader(path) as reader:
        assert reader.bit_depth == 24  # PyAV's encoder was given floats; it stores 24 bits


def test_the_audio_of_a_video_is_read(tmp_path):
    waveform = tones(22050, 44100)
    with av.open(str(tmp_path / "x.mp4"), "w") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        audio = container.add_stream("aac", rate=44100, layout="stereo")
        for index in range(5):
            picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 40 * index, dtype=np.uint8))
            picture.pts = index
            container.mux(video.encode(picture))
        frame = av.AudioFrame.from_ndarray(waveform.numpy(), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = 44100, 0
        container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
        container.mux(video.encode(None))
    back, _ = read(tmp_path / "x.mp4")
    assert back.shape == waveform.shape
    assert snr(waveform, back) > 20


def test_every_stream_of_a_stem_file_is_read(tmp_path):
    waveforms = [tones(9000, 44100) * gain for gain in (1.0, 0.5, 0.25)]
    path = save_container(tmp_path / "x.stem.mp4", waveforms, "aac")
    streams = read_streams(path)
    assert [stream.shape for stream in streams] == [(2, 9000)] * 3
    assert all(snr(waveform, stream) > 20 for waveform, stream in zip(waveforms, streams, strict=True))
    with AudioReader(path, stream=2) as reader:
        assert torch.equal(torch.cat(list(reader.blocks(100)), dim=-1), streams[2])
    with pytest.raises(SoliError, match="audio stream 3 does not exist; allowed: 0 to 2"):
        AudioReader(path, stream=3)


def test_apples_length_field_is_understood():
    assert _itunes_length({"iTunSMPB": " 00000000 00000840 000001CA 00000000003F31F6 00000000"}) == 0x3F31F6
    assert _itunes_length({"iTunSMPB": "rubbish"}) is None
    assert _itunes_length({}) is None


def test_an_mp3_without_a_length_in_its_header_is_read_to_its_end(tmp_path):
    # Loud, then quiet, at variable bitrate: an estimate from the first frames is far too short.
    waveform = noise(2, 44100 * 6) * torch.linspace(1, 0, 44100 * 6) ** 2
    with soundfile.SoundFile(
        tmp_path / "v.mp3", "w", 44100, 2, format="MP3", bitrate_mode="VARIABLE", compression_level=0.3
    ) as file:
        file.write(waveform.numpy().T)
    data = (tmp_path / "v.mp3").read_bytes()
    second = data.index(data[:2], 4)  # the first frame holds nothing but the header
    assert b"Xing" in data[:second]
    (tmp_path / "v.mp3").write_bytes(data[second:])
    assert soundfile.info(tmp_path / "v.mp3").frames < waveform.shape[1]  # what this guards against
    back, _ = read(tmp_path / "v.mp3")
    assert waveform.shape[1] <= back.shape[1] <= waveform.shape[1] + 3 * 1152


def test_joined_mp3_files_are_read_to_their_end(tmp_path, capfd):
    path = save(tmp_path / "x.mp3", noise(2, 200_000))
    path.write_bytes(path.read_bytes() * 2)
    back, _ = read(path)
    assert 400_000 <= back.shape[1] <= 400_000 + 4 * 1152
    assert capfd.readouterr().err == ""


def test_a_tag_before_an_mp3_changes_nothing(tmp_path):
    path = save(tmp_path / "x.mp3", noise(2, 50_000))
    before, _ = read(path)
    path.write_bytes(b"ID3\x04\0\0\0\0\x02\x01" + bytes(257) + path.read_bytes() + b"TAG" + bytes(125))
    assert torch.equal(read(path)[0], before)


# Resampling and buffering


@pytest.mark.parametrize(
    "rates", [(44100, 48000), (48000, 44100), (96000, 44100), (8000, 44100), (44100, 8000), (22050, 44100)]
)
@pytest.mark.parametrize("n_samples", [1, 2, 7, 4001])
def test_resampling_in_blocks_equals_resampling_at_once(rates, n_samples):
    waveform = noise(3, n_samples)
    whole = resample(waveform, *rates)
    resampler = Resampler(*rates, 3)
    blocks = [resampler.process(waveform[:, start : start + 97]) for start in range(0, n_samples, 97)]
    assert torch.equal(torch.cat([*blocks, resampler.flush()], dim=-1), whole)
    assert whole.shape[-1] == resampled_length(n_samples, *rates)
    assert abs(whole.shape[-1] - n_samples * rates[1] / rates[0]) <= 0.5 or whole.shape[-1] == 1


def test_resampling_keeps_a_tone_in_place():
    before, after = tones(44100, 44100), tones(48000, 48000)
    assert snr(after[:, 2000:-2000], resample(before, 44100, 48000)[:, 2000:-2000]) > 90


def test_resampling_removes_what_the_lower_rate_cannot_hold():
    tone = torch.sin(2 * torch.pi * 15000 / 48000 * torch.arange(48000, dtype=torch.float64)).float()[None]
    assert resample(tone, 48000, 22050)[:, 500:-500].abs().max() < 1e-5


def test_a_fifo_returns_what_went_in():
    queue, taken = SampleFifo(), []
    whole = torch.arange(100.0).reshape(1, 100)
    for start, stop in ((0, 10), (10, 10), (10, 55), (55, 100)):
        queue.push(whole[:, start:stop])
    assert torch.equal(queue.peek(5, 60), whole[:, 5:60])
    for length in (1, 9, 50, 40):
        taken.append(queue.pop(length))
        assert taken[-1].shape[-1] == length
    assert torch.equal(torch.cat(taken, dim=-1), whole)
    assert queue.n_samples == 0


@pytest.mark.parametrize(
    ("extension", "source", "expected"),
    [
        ("wav", "PCM_24", "PCM_24"),
        ("wav", "DOUBLE", "FLOAT"),
        ("wav", "PCM_U8", "PCM_16"),
        ("wav", "AAC", "PCM_16"),
        ("flac", "FLOAT", "PCM_24"),
        ("flac", "PCM_16", "PCM_16"),
        ("ogg", "PCM_24", "VORBIS"),
    ],
)
def test_bit_depth_is_kept_as_far_as_the_format_can(extension, source, expected):
    assert default_subtype(extension, source) == expected
