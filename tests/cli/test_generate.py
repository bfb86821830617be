from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile

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
