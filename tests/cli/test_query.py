from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from command_line import RATE, Run, files_in, noise, song
from soli import zoo
from tiny import CARD, Plain, Tiny, TinyConfig


def test_match_and_rest_sum_to_the_song(run: Run) -> None:
    path = song("song.wav")
    outcome = run("query", path, "--example", song("example.wav", seed=1))
    assert (outcome.code, outcome.err) == (0, "")
    assert files_in("stems") == ["stems/song/match.wav", "stems/song/rest.wav"]
    match, rest = (soundfile.read(name)[0] for name in files_in("stems"))
    mixture = soundfile.read(path)[0]
    assert np.abs(match - 0.5 * mixture).max() < 1e-4
    assert np.abs(match + rest - mixture).max() < 1e-4


def test_a_span_of_the_song_is_an_example(run: Run, monkeypatch) -> None:
    heard = []
    query = Tiny.query

    def listen(self, mixture, example, sample_rate, **options):
        heard.append(example)
        return query(self, mixture, example, sample_rate, **options)

    monkeypatch.setattr(Tiny, "query", listen)
    outcome = run("query", song("song.wav"), "--example-span", "0.1-0.25", "--mode", "posterior", "--json")
    assert json.loads(outcome.out)["model"] == "default"
    span = soundfile.read("song.wav")[0][round(0.1 * RATE) : round(0.25 * RATE)]
    assert np.allclose(heard[0].numpy().T, span, atol=1e-6)
    match, mixture = (soundfile.read(name)[0] for name in ("stems/song/match.wav", "song.wav"))
    assert np.abs(match - 0.25 * mixture).max() < 1e-4


def test_song_and_example_may_have_other_rates_and_channels(run: Run) -> None:
    soundfile.write("song.wav", noise(channels=2)[:10001], 22050)
    soundfile.write("example.wav", noise(channels=1), 48000)
    assert run("query", "song.wav", "--example", "example.wav").code == 0
    match = soundfile.info("stems/song/match.wav")
    assert (match.frames, match.samplerate, match.channels) == (10001, 22050, 2)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ((), "--example"),
        (("--example", "song.wav", "--example-span", "0-1"), "--example-span"),
        (("--example", "missing.wav"), "missing.wav"),
        (("--example", "silence.wav"), "silent"),
        (("--example-span", "soon"), "'soon'"),
        (("--example-span", "0.3-0.1"), "0.3"),
        (("--example-span", "7-9"), "song.wav"),
        (("--example-span", "0-0.1", "--mode", "guess"), "likelihood, posterior"),
        (("--example-span", "0-0.1", "--format", "wma"), "wma"),
        (("--example-span", "0-0.1", "--filename", "{x}.{ext}"), "{x}"),
        (("--example-span", "0-0.1", "--model", "nothing"), "'nothing'"),
    ],
)
def test_a_mistake_gets_one_line_and_leaves_nothing(run: Run, options, part) -> None:
    song("song.wav")
    soundfile.write("silence.wav", np.zeros((1000, 2)), RATE)
    outcome = run("query", "song.wav", *options)
    assert outcome.code == 2
    assert part in outcome.complaint
    assert files_in("stems") == []


def test_a_model_that_cannot_be_queried_says_so(run: Run, tmp_path) -> None:
    zoo.save(Plain(TinyConfig()), tmp_path / "plain", CARD)
    outcome = run("query", song("song.wav"), "--example-span", "0-0.1", "--model", tmp_path / "plain")
    assert "cannot be queried" in outcome.complaint
