from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from audio_fakes import save as save_audio
from command_line import Outcome, Run, files_in
from rqvae_models import RATE, song
from rqvae_music import music, save
from soli import zoo
from soli.cli.main import run as run_soli
from soli.systems.rqvae.music import separator as module
from soli.systems.rqvae.music.separator import RQVAEMusic
from tiny import install

STEMS = ("bass", "drums", "guitar", "piano")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("models"), music())


@pytest.fixture
def run(capsys, monkeypatch, tmp_path) -> Run:
    """Run `soli` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path) -> Outcome:
        code = run_soli([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


def test_the_stems_sum_to_the_mix_and_come_again_with_the_seed(run: Run, model: Path) -> None:
    assert run("generate", "--seconds", "0.5", "--seed", "3", "-m", model, "-o", "one").code == 0
    assert run("generate", "--seconds", "0.5", "--seed", "3", "-m", model, "-o", "again").code == 0
    outcome = run("generate", "--seconds", "0.5", "--seed", "4", "-m", model, "-o", "other", "--json")
    facts = json.loads(outcome.out)
    assert (facts["seconds"], facts["seed"], facts["clipped"]) == (0.5, 4, 0)
    assert files_in("one") == [f"one/{name}.wav" for name in sorted((*STEMS, "mix"))]
    mix, rate = soundfile.read("one/mix.wav")
    assert (rate, len(mix)) == (RATE, RATE // 2)
    assert abs(mix - sum(soundfile.read(f"one/{name}.wav")[0] for name in STEMS)).max() < 1e-4
    assert Path("one/mix.wav").read_bytes() == Path("again/mix.wav").read_bytes()
    assert Path("one/mix.wav").read_bytes() != Path("other/mix.wav").read_bytes()


def test_a_song_is_continued_and_accompanied(run: Run, model: Path) -> None:
    mixture = save_audio(Path("song.wav"), song(0.5).sum(dim=0), RATE)
    outcome = run("generate", "--continue", mixture, "--seconds", "0.25", "-m", model)
    assert (outcome.code, outcome.err) == (0, "")
    assert soundfile.info("music/mix.wav").frames == round(0.75 * RATE)
    options = ("--accompany", mixture, "--keep", "bass, drums", "--seconds", "0.4", "-m", model, "--format", "flac")
    assert run("generate", *options).code == 0
    assert soundfile.info("music/guitar.flac").frames == round(0.4 * RATE)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--seconds", "0"), "seconds=0.0; allowed: above 0"),
        (("--accompany", "song.wav", "--keep", "bass", "--seconds", "nan"), "seconds=nan"),
        (("--top-p", "1.5"), "top_p=1.5"),
        (("--seed", "-1"), "seed=-1; allowed: 0 to"),
        (("--temperature", "-1"), "temperature=-1.0"),
        (("--temperature", "1e-310"), "temperature=1e-310; allowed: 1e-06 or more"),
        (("--seconds", "1e12"), "seconds=1000000000000.0; allowed: above 0, up to 3600"),
        (("--accompany", "song.wav", "--keep", "bass", "--seconds", "1e308"), "allowed: above 0, up to 3600"),
        (("--out", "song.wav"), "song.wav/bass.wav: cannot be written: Not a directory"),
        (("--keep", "bass"), "keep bass of which song"),
        (("--accompany", "song.wav"), "keep nothing; allowed: some but not all of bass"),
        (("--accompany", "song.wav", "--keep", "voice"), "keep voice; allowed: some but not all of bass"),
        (("--accompany", "song.wav", "--continue", "song.wav", "--keep", "bass"), "not both"),
        (("--continue", "missing.wav"), "missing.wav"),
        (("--continue", "music/mix.wav"), "music/mix.wav: the music would overwrite it"),
        (("--format", "wma"), "wma"),
        (("--model", "nothing"), "'nothing'"),
    ],
)
def test_a_mistake_gets_one_line_and_leaves_nothing(run: Run, model: Path, options: tuple[str, ...], part: str) -> None:
    sound = song(0.2).sum(dim=0)
    Path("music").mkdir()
    save_audio(Path("song.wav"), sound, RATE)
    save_audio(Path("music/mix.wav"), sound, RATE)
    before = Path("music/mix.wav").read_bytes()
    outcome = run("generate", "-m", model, *options)
    assert outcome.code == 2
    assert part in outcome.complaint
    assert files_in("music") == ["music/mix.wav"]
    assert Path("music/mix.wav").read_bytes() == before


def test_the_report_lets_hear_the_music_and_says_where_it_comes_from(run: Run, model: Path) -> None:
    outcome = run("generate", "--seconds", "0.5", "--seed", "7", "--top-k", "9", "-m", model, "--report", "--json")
    assert (outcome.code, json.loads(outcome.out)["report"]) == (0, "music/report.html")
    text = Path("music/report.html").read_text()
    for fact in ("made by music", "to make 0.5 s", "Out of nothing.", "<dd>7</dd>", "the 9 likeliest codes"):
        assert fact in text
    for name in (*STEMS, "mix"):
        assert f'href="{name}.wav"' in text
    mix, rate = soundfile.read("music/mix.wav")
    tracks = json.loads(re.findall(r'class="player-data">(.*?)</script>', text)[0])["tracks"]
    assert [track["name"] for track in tracks] == ["mixture", *STEMS]
    (opus,) = re.findall(rf'id="{tracks[0]["estimateId"]}">([^<]+)<', text)
    heard, _ = soundfile.read(io.BytesIO(base64.b64decode(opus)))
    wanted = soxr.resample(mix, rate, 48_000)
    assert np.corrcoef(heard[: len(wanted)], wanted)[0, 1] > 0.9
    manifest = json.loads(unescape(re.findall(r'<pre id="manifest">(.*?)</pre>', text, re.DOTALL)[0]))
    assert (manifest["seed"], manifest["sampling"]["top_k"], manifest["song"]) == (7, 9, None)
    assert manifest["model"]["sha256"] == zoo.model_info(model).sha256


def test_the_report_names_the_song_that_went_on_or_was_accompanied(run: Run, model: Path) -> None:
    mixture = save_audio(Path("a&b.wav"), song(0.5).sum(dim=0), RATE)
    digest = hashlib.sha256(mixture.read_bytes()).hexdigest()
    assert "report.html" in run("generate", "--continue", mixture, "--seconds", "0.25", "-m", model, "--report").out
    page = Path("music/report.html").read_text()
    assert "Goes on after a&amp;b.wav: its 0.5 s as the codec plays them, then 0.2 s of new." in page
    assert digest in page
    options = ("--accompany", mixture, "--keep", "bass, drums", "--seconds", "0.4", "-m", model, "--report")
    assert run("generate", *options).code == 0
    page = Path("music/report.html").read_text()
    assert "Beside bass, drums of a&amp;b.wav" in page
    assert digest in page


def test_a_page_that_is_not_ours_is_found_before_there_is_music(run: Run, model: Path, monkeypatch) -> None:
    monkeypatch.setattr(RQVAEMusic, "sample", lambda *_: pytest.fail("music was made"))
    Path("music").mkdir()
    Path("music/report.html").write_text("mine")
    outcome = run("generate", "-m", model, "--report")
    assert (outcome.code, files_in("music")) == (2, ["music/report.html"])
    assert "music/report.html: exists and is no page of soli's" in outcome.complaint


def test_a_place_that_cannot_be_written_to_is_found_before_there_is_music(run: Run, model: Path, monkeypatch) -> None:
    monkeypatch.setattr(RQVAEMusic, "sample", lambda *_: pytest.fail("music was made"))
    Path("taken").write_text("a file")
    assert "taken/bass.wav: cannot be written" in run("generate", "-m", model, "-o", "taken").complaint


def test_without_a_place_for_the_mix_there_are_no_stems_either(run: Run, model: Path) -> None:
    Path("music/mix.wav").mkdir(parents=True)
    outcome = run("generate", "--seconds", "0.2", "-m", model)
    assert outcome.code == 2
    assert "mix.wav: cannot be written" in outcome.complaint
    assert [path.name for path in Path("music").iterdir()] == ["mix.wav"]


def test_what_clipping_cut_off_goes_with_the_next_music(run: Run, model: Path, monkeypatch) -> None:
    decode = module.decode_stream
    with monkeypatch.context() as loud:
        loud.setattr(module, "decode_stream", lambda *rest: (1000 * piece for piece in decode(*rest)))
        facts = json.loads(run("generate", "--seconds", "0.2", "-m", model, "--json").out)
    assert facts["clipped"] > 0
    assert Path(facts["paths"]["residual"]).is_file()
    assert run("generate", "--seconds", "0.2", "-m", model).code == 0
    assert files_in("music") == [f"music/{name}.wav" for name in sorted((*STEMS, "mix"))]


def test_a_model_that_makes_no_music_says_so(run: Run, model: Path, monkeypatch, tmp_path) -> None:
    assert "model 'rqvae' cannot make music" in run("generate", "-m", model.parent / "codec").complaint
    install(monkeypatch, tmp_path / "weights")
    assert "'rqvae-music'" in run("generate").complaint
    assert zoo.available().keys() == {"default"}
