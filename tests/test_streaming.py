from __future__ import annotations

import itertools
import threading

import pytest
import torch

from audio_fakes import Crossover, SpectralGate, Splitter, noise, snr
from soli import streaming
from soli.audio import dbfs
from soli.errors import Cancelled, SoliError
from soli.streaming import MonoSeparator, Piece, Progress, stream


def run(separator, waveform, rate, block=1000, **options) -> Piece:
    pieces = list(stream(separator, waveform.split(block, dim=-1), rate, waveform.shape[-1], **options))
    return Piece(torch.cat([p.mixture for p in pieces], dim=-1), torch.cat([p.stems for p in pieces], dim=-1))


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("n_channels", [1, 2, 6])
def test_length_channels_and_mixture_are_kept_at_every_rate(rate, n_channels):
    waveform = noise(n_channels, rate + 17)
    result = run(Splitter(8000), waveform, rate)
    assert torch.equal(result.mixture, waveform)
    assert result.stems.shape == (2, *waveform.shape)


@pytest.mark.parametrize("n_samples", [1, 2, 3999, 4000, 4001, 6399, 6400, 6401, 20001])
@pytest.mark.parametrize("rate", [8000, 44100])
def test_every_length_comes_out_exactly(n_samples, rate):
    waveform = noise(2, n_samples)
    assert run(Splitter(8000), waveform, rate).stems.shape == (2, 2, n_samples)


def test_a_recording_no_longer_than_a_segment_is_done_in_one_go():
    separator = Splitter(8000)
    run(separator, noise(1, 4000), 8000, block=123)
    assert separator.calls == [(1, 1, 4000)]


def test_without_resampling_the_stems_null_against_the_mixture():
    for separator in (Splitter(8000, a=0.2, b=0.3, c=0.5), Crossover(8000), SpectralGate(8000)):
        result = run(separator, noise(2, 30000, scale=0.3), 8000)
        assert dbfs(float(result.residual.abs().max())) < -120


def test_the_residual_takes_what_the_models_rate_cannot_hold():
    time = torch.arange(48000) / 48000
    low, high = 0.3 * torch.sin(2 * torch.pi * 500 * time)[None], 0.3 * torch.sin(2 * torch.pi * 9000 * time)[None]
    result = run(Splitter(8000), low + high, 48000)
    inner = slice(2000, -2000)
    assert snr(high[:, inner], result.residual[:, inner]) > 60
    assert snr(low[:, inner], result.stems.sum(dim=0)[:, inner]) > 60


def test_chunked_equals_whole_where_the_context_covers_the_reach():
    separator = Crossover(8000, reach=400)
    waveform = noise(2, 50000)
    whole = separator.separate(waveform, 8000).stems
    chunked = run(separator, waveform, 8000).stems
    assert snr(whole, chunked) > 100  # to the very edges: nothing is padded there


def test_too_little_context_is_seen_at_the_seams():
    separator = Crossover(8000, reach=400)
    separator.context_seconds = 0.001
    waveform = noise(2, 50000)
    assert snr(separator.separate(waveform, 8000).stems, run(separator, waveform, 8000).stems) < 60


def test_segments_fall_on_the_frames_of_the_whole_recordings_spectrogram():
    separator = SpectralGate(8000, n_fft=512)
    waveform = noise(1, 150_001)
    whole = separator.separate(waveform, 8000).stems
    assert snr(whole, run(separator, waveform, 8000).stems) > 60


def test_blocks_and_batches_do_not_change_the_result():
    separator = Crossover(8000)
    waveform = noise(2, 30000)
    results = [
        run(separator, waveform, 11025, block, batch_size=batch).stems
        for block, batch in ((7000, 1), (97, 1), (977, 4))
    ]
    assert torch.equal(results[0], results[1])
    torch.testing.assert_close(results[0], results[2], atol=1e-6, rtol=0)


def test_batches_hold_as_many_segments_as_asked():
    separator = Splitter(8000)
    run(separator, noise(2, 40000), 8000, batch_size=4)
    assert [call[0] for call in separator.calls[:-2]] == [4] * (len(separator.calls) - 2)
    assert all(call[2] == 4000 for call in separator.calls[:-1])


def test_a_segment_length_can_be_chosen_if_it_exceeds_the_context():
    separator = Splitter(8000)
    run(separator, noise(1, 40000), 8000, segment_seconds=1.0)
    assert separator.calls[0] == (1, 1, 8000)
    with pytest.raises(SoliError, match=r"segment_seconds=0\.2 .* allowed: more than 0\.2 s"):
        run(separator, noise(1, 100), 8000, segment_seconds=0.2)
    with pytest.raises(SoliError, match="batch_size=0; allowed: 1 or more"):
        run(separator, noise(1, 100), 8000, batch_size=0)


def test_work_begins_before_the_input_ends_and_little_is_held():
    consumed = 0

    def endless():
        nonlocal consumed
        for seed in itertools.count():
            consumed += 1000
            yield noise(1, 1000, seed)

    produced = 0
    for piece in itertools.islice(stream(Splitter(8000), endless(), 44100), 200):
        produced += piece.mixture.shape[-1]
        assert consumed - produced < 2 * 44100  # a segment is half a second


def test_stems_do_not_carry_a_graph():
    class Learning(Splitter):
        def __init__(self):
            super().__init__(8000)
            self.gain = torch.nn.Parameter(torch.ones(()))

        def _separate(self, mixture):
            return super()._separate(mixture) * self.gain

    assert not run(Learning(), noise(1, 9000), 8000).stems.requires_grad


# Progress


def test_progress_runs_from_zero_to_one():
    events: list[Progress] = []
    run(Splitter(8000), noise(1, 30000), 44100, progress=events.append, name="song.wav")
    fractions = [event.fraction for event in events]
    assert fractions[0] == 0
    assert fractions[-1] == 1
    assert fractions == sorted(fractions)
    assert len(fractions) > 2
    assert events[0].eta_seconds is None
    assert events[-1].eta_seconds == 0
    assert events[-1].file == "song.wav"
    assert events[-1].done_seconds == pytest.approx(30000 / 44100)


def test_remaining_time_follows_the_speed_so_far():
    assert Progress("x", 30.0, 120.0, 10.0).eta_seconds == pytest.approx(30.0)
    assert Progress("x", 30.0, None, 10.0).eta_seconds is None
    assert Progress("x", 30.0, None, 10.0).fraction is None


def test_cancelling_stops_before_the_next_segment():
    separator = Splitter(8000)
    with pytest.raises(Cancelled, match=r"song\.wav: cancelled"):
        run(separator, noise(1, 80000), 8000, progress=Progress.cancel, name="song.wav")
    assert separator.calls == []


def test_an_event_kept_by_another_thread_can_cancel():
    events: list[Progress] = []
    separator = Splitter(8000)
    pieces = stream(separator, noise(1, 80000).split(1000, dim=-1), 8000, progress=events.append)
    next(pieces)
    thread = threading.Thread(target=events[0].cancel)
    thread.start()
    thread.join()
    with pytest.raises(Cancelled):
        list(pieces)
    assert len(separator.calls) <= 3


class Halves(MonoSeparator):
    """Gives either source half of what it hears."""

    sample_rate, sources, segment_seconds, context_seconds = 8000, ("one", "two"), 0.5, 0.1

    def _separate_mono(self, mixture):
        assert mixture.shape[-1] <= 4000
        return 0.5 * mixture[:, None].expand(-1, 2, -1)


@pytest.mark.parametrize("n_samples", [1, 4000, 4001, 9000])
def test_channels_are_separated_one_by_one_and_long_mixtures_in_segments(n_samples):
    mixture = noise(6, n_samples).view(2, 3, -1)
    stems = Halves().separate(mixture, 8000).stems
    assert stems.shape == (2, 2, 3, n_samples)
    torch.testing.assert_close(stems, 0.5 * mixture[:, None].expand(-1, 2, -1, -1), atol=1e-6, rtol=0)


def test_a_long_mixture_comes_back_on_its_own_device(monkeypatch):
    pieces = [Piece(torch.zeros(1, n), torch.zeros(2, 1, n)) for n in (5, 3)]  # what is streamed is on the CPU
    monkeypatch.setattr(streaming, "stream", lambda *_: pieces)
    stems = Halves()._in_segments(torch.empty(1, 8, device="meta"))
    assert stems.device.type == "meta"
    assert stems.shape == (2, 1, 8)
