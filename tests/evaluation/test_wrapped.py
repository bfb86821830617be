from __future__ import annotations

from pathlib import Path

import pytest
import soundfile
import torch

from data_trees import parts, with_mixture, write
from flowprior_models import RATE as GLOW_RATE
from flowprior_models import small
from rqvae_models import RATE, modern, paper, song
from soli import zoo
from soli.audio import read
from soli.baselines.gibbs import Gibbs
from soli.codes import decode_file, encode_file
from soli.data.layouts import open_dataset
from soli.errors import SoliError
from soli.evaluation.estimators import check_estimator, find_estimator
from soli.evaluation.examples import Example
from soli.evaluation.protocols import Global
from soli.evaluation.run import evaluate
from soli.evaluation.selection import choose_names
from soli.evaluation.wrapped import Decoded, Wrapped, find_wrapped
from soli.systems.rqvae.codec import CodecSeparator
from soli.testing import check_separator
from tiny import CARD

NAMES: tuple[str, ...] = ("bass", "drums", "guitar", "piano")


def with_codes(separator: CodecSeparator) -> CodecSeparator:
    """Untrained, but with codebooks that cover its latents; level after level finer."""
    for name, vectors in separator.named_buffers():
        if name.endswith(".vectors"):
            vectors.copy_(torch.randn(vectors.shape, generator=torch.Generator().manual_seed(len(name))))
        if name.endswith("ready"):
            vectors.fill_(True)
    return separator


def example(n_channels: int = 1, seconds: float = 1.0) -> Example:
    stems = song(seconds).repeat(1, n_channels, 1)
    references = dict(zip(NAMES, stems, strict=True))
    return Example(track="song", mixture=stems.sum(dim=0), references=references, sample_rate=RATE)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return zoo.save(with_codes(modern(partial_stems=True)), tmp_path / "runs" / "model", CARD)


def test_names_are_taken_apart() -> None:
    assert find_wrapped("gibbs-16:runs/x/model") == Wrapped("gibbs", 16, "runs/x/model")
    assert find_wrapped("gibbs-0:a:b") == Wrapped("gibbs", 0, "a:b")
    assert find_wrapped("codec:default") == Wrapped("codec", None, "default")
    assert find_wrapped("codec-4:default") == Wrapped("codec", 4, "default")
    changes = ("iterations=50", "engine=search")
    assert find_wrapped("with[iterations=50,engine=search]:a:b") == Wrapped("with", None, "a:b", changes)
    for name in ("default", "gibbs", "codec-4", "with:x", "oracle:ratio", "gibbsish:x", "runs/codec"):
        assert find_wrapped(name) is None


WRONG = (
    "with[]:m",
    "with[a=1]",
    "with[a=1]:",
    "gibbs:m",
    "gibbs-:m",
    "gibbs-x:m",
    "gibbs--1:m",
    "gibbs-4:",
    "codec-0:m",
    "codec-:m",
    "codec-two:m",
    "codec:",
)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_name_says_what_is_allowed(name: str) -> None:
    with pytest.raises(SoliError, match=r"allowed: .*with\[KEY=VALUE,...\]:MODEL") as error:
        check_estimator(name)
    assert repr(name) in str(error.value)


def test_the_facts_are_those_of_the_model(model: Path) -> None:
    due = check_estimator(str(model))
    assert due[1] == NAMES
    for use in ("gibbs-4", "codec", "codec-2"):
        assert check_estimator(f"{use}:{model}") == due
    with pytest.raises(SoliError, match="unknown model 'nope'"):
        check_estimator("gibbs-4:nope")


def test_the_same_weights_are_used_under_another_config(tmp_path: Path) -> None:
    model = zoo.save(small(iterations=2, start_sigma=0.1), tmp_path / "glow", CARD)
    song = Example(track="song", mixture=torch.randn(1, 4000), references={}, sample_rate=GLOW_RATE)
    due = small(iterations=5, start_sigma=0.1).separate(song.mixture, GLOW_RATE)
    name = f"with[iterations=5]:{model}"
    found, plain = find_estimator(name)(song), find_estimator(str(model))(song)
    for source in due:
        assert torch.equal(found[source], due[source])
        assert not torch.equal(found[source], plain[source])
    assert list(choose_names([name, str(model)])) == ["with[iterations=5]:glow", "glow"]
    with pytest.raises(SoliError, match="unknown key 'iteration'"):
        find_estimator(f"with[iteration=5]:{model}")


def test_gibbs_steps_are_taken(model: Path) -> None:
    song = example()
    due = Gibbs(zoo.load(model), 3).separate(song.mixture, RATE)
    found = find_estimator(f"gibbs-3:{model}")(song)
    for name in NAMES:
        assert torch.equal(found[name], due[name])
    plain, none = find_estimator(str(model))(song), find_estimator(f"gibbs-0:{model}")(song)
    assert all(torch.equal(plain[name], none[name]) for name in NAMES)
    assert any(not torch.equal(plain[name], found[name]) for name in NAMES)


@pytest.mark.parametrize("seconds", [1.0, 2.0, 5.3])
@pytest.mark.parametrize("preset", ["modern", "paper"])
def test_codes_are_those_of_a_file_however_long_it_is(tmp_path: Path, monkeypatch, preset: str, seconds: float) -> None:
    separator = with_codes(modern() if preset == "modern" else paper(strides=(5, 3)))  # 15 divides no power of two
    monkeypatch.setattr(type(separator), "segment_seconds", 2.0)
    monkeypatch.setattr(type(separator), "context_seconds", 0.3)
    model, track = zoo.save(separator, tmp_path / "model", CARD), example(2, seconds)
    soundfile.write(tmp_path / "song.wav", track.mixture.T.numpy(), RATE, subtype="FLOAT")
    encode_file(tmp_path / "song.wav", tmp_path / "song.soli", model=model)
    for n_levels in (None, 2):
        written = decode_file(tmp_path / "song.soli", tmp_path / "stems", model=model, levels=n_levels).paths
        found = find_estimator(f"codec{'' if n_levels is None else f'-{n_levels}'}:{model}")(track)
        for name in NAMES:
            due = read(written[name])[0].expand(2, -1)
            torch.testing.assert_close(found[name].clamp(-1, 1), due, atol=2**-15, rtol=0)


@pytest.mark.parametrize("n_levels", [None, 1, 2, 3])
def test_codes_are_all_that_is_heard_of_the_mixture(model: Path, n_levels: int | None) -> None:
    song = example()
    separator = zoo.load(model)
    assert isinstance(separator, CodecSeparator)
    codes = separator.encode(song.mixture, RATE)[:, :, :n_levels]
    due = separator.decode(codes, song.mixture.shape[-1])[0]
    found = find_estimator(f"codec{'' if n_levels is None else f'-{n_levels}'}:{model}")(song)
    for name, stem in zip(NAMES, due, strict=True):
        assert torch.equal(found[name], stem)


def test_levels_make_a_difference(model: Path) -> None:
    song = example()
    found = [find_estimator(f"codec-{n}:{model}")(song)["bass"] for n in (1, 2, 3)]
    whole = find_estimator(f"codec:{model}")(song)["bass"]
    assert torch.equal(found[2], whole)
    assert not torch.equal(found[0], found[1])
    assert not torch.equal(found[1], found[2])


def test_codes_are_of_one_channel(model: Path) -> None:
    mono, stereo = (find_estimator(f"codec:{model}")(example(n_channels)) for n_channels in (1, 2))
    for name in NAMES:
        torch.testing.assert_close(stereo[name], mono[name].expand(2, -1))


def test_decoded_codes_keep_the_contract() -> None:
    for separator in (with_codes(modern()), with_codes(paper())):
        check_separator(Decoded(separator), seconds=0.25, longest_seconds=1.0)


def test_uses_that_a_model_does_not_have_are_refused(tmp_path: Path, model: Path) -> None:
    plain = zoo.save(modern(), tmp_path / "plain", CARD)
    with pytest.raises(SoliError, match=r"plain: Gibbs steps need a model with partial_stems = true"):
        find_estimator(f"gibbs-4:{plain}")
    with pytest.raises(SoliError, match="model: 4 levels of codes; allowed for this model: 1 to 3"):
        find_estimator(f"codec-4:{model}")
    for n_levels in (0, 4):
        with pytest.raises(SoliError, match=f"{n_levels} levels of codes; allowed for this model: 1 to 3"):
            Decoded(with_codes(paper()), n_levels)
    gaussian = zoo.save(paper(bottleneck="vae"), tmp_path / "vae", CARD)
    for name in ("default", str(gaussian)):
        with pytest.raises(SoliError, match=f"{name}: this model has no codes to decode"):
            find_estimator(f"codec:{name}")


def test_they_stand_in_a_table_beside_the_model(tmp_path: Path, model: Path) -> None:
    write(tmp_path / "set" / "test" / "One", with_mixture(parts(NAMES, n_channels=1)))
    names = (str(model), f"gibbs-2:{model}", f"codec:{model}", "mixture")
    result = evaluate(names, open_dataset(tmp_path / "set"), Global(), tmp_path / "results.json")
    assert [record.error for record in result.records] == [""] * 4
    assert len({str(record.metrics["si_sdr"]) for record in result.records}) == 4


def test_rows_say_how_the_model_was_used() -> None:
    names = (
        "runs/x/model",
        "gibbs-4:runs/x/model",
        "gibbs-16:runs/x/model",
        "codec:runs/x/model",
        "codec:runs/y/model",
    )
    short = ["model", "gibbs-4:model", "gibbs-16:model", "codec:runs/x/model", "codec:runs/y/model"]
    assert choose_names(names) == dict(zip(short, names, strict=True))
