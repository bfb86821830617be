"""Presence on files: windows of the whole recording, whatever the blocks it is read in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from soli import SoliError, load, zoo
from soli.evaluation.selection import choose_names
from soli.files import model_name
from soli.presence import Presence, _pieces, find_presence
from soli.systems.flowprior.config import FlowPriorConfig
from soli.systems.flowprior.separator import FlowPrior
from soli.zoo import model_info, save

CARD = "---\nlicence: MIT\nsummary: a prior of noise\n---\n"


def prior(*sources: str, seed: int = 0, calibrated: bool = True, **changes) -> FlowPrior:
    torch.manual_seed(seed)
    sizes = {
        "sample_rate": 8000,
        "n_fft": 512,
        "hop_length": 128,
        "bands": ((32, 4), (16, 8)),
        "n_features": 8,
        "depths": (1,),
        "dilations": (1,),
        "n_mels": 24,
        "n_blocks": 2,
        "n_hidden": 16,
        "n_layers": 2,
    }
    separator = FlowPrior(FlowPriorConfig(sources=sources, **(sizes | changes))).eval()
    for one in separator.priors:
        one.calibrated.fill_(calibrated)
    return separator


@pytest.mark.parametrize("length", [1, 99, 100, 101, 1699, 1700, 1701, 3400, 5000])
def test_pieces_hold_every_window_once(length: int) -> None:
    step, samples = 100, torch.arange(1.0, length + 1)
    pieces = list(_pieces(iter(samples.split(37)), step))
    windows = [window for piece in pieces for window in piece.unfold(0, 2 * step, step)]
    n_windows = max(-(-length // step) - 1, 1)
    padded = torch.nn.functional.pad(samples, (0, (n_windows + 1) * step - length))
    assert torch.equal(torch.stack(windows), padded.unfold(0, 2 * step, step))


def test_a_file_is_judged_as_its_samples_are(tmp_path: Path) -> None:
    separator = prior("one", "two")
    noise = np.random.default_rng(0).normal(0, 0.1, (8000 * 9, 2)).astype(np.float32)
    soundfile.write(tmp_path / "noise.wav", noise, 8000, subtype="FLOAT")
    found = find_presence(tmp_path / "noise.wav", model=separator)
    window = separator.window_samples
    n_windows = -(-len(noise) // (window // 2)) - 1
    assert found.probability.shape == found.log_likelihood.shape == (2, n_windows)
    np.testing.assert_allclose(np.diff(found.starts), window / 2 / 8000)
    mono = torch.from_numpy(noise.mean(axis=1))[: (n_windows - 1) * window // 2 + window]
    mono = torch.nn.functional.pad(mono, (0, (n_windows + 1) * window // 2 - len(mono)))
    probability, likelihood, share = separator.presence(mono[None])
    np.testing.assert_allclose(found.log_likelihood, likelihood[0], atol=1e-4)
    np.testing.assert_allclose(found.share_db, share[0], atol=1e-3)
    np.testing.assert_allclose(found.probability, probability[0], atol=1e-4)
    assert found.seconds == 9.0
    usual = torch.stack([prior.usual for prior in separator.priors]).numpy()
    expected = (found.log_likelihood - usual[:, :1]) / usual[:, 1:]
    np.testing.assert_allclose(found.deviations, expected.clip(-20, 5), atol=1e-4)


def test_spans_join_windows_that_touch() -> None:
    found = Presence(
        source=Path("x"),
        seconds=7.5,
        instruments=("one",),
        window_seconds=2.0,
        starts=np.arange(7.0),
        probability=np.array([[0.9, 0.6, 0.1, 0.1, 0.1, 0.5, 0.2]]),
        log_likelihood=np.zeros((1, 7)),
        deviations=np.zeros((1, 7)),
        share_db=np.zeros((1, 7)),
    )
    assert found.spans("one") == [(0.0, 3.0), (5.0, 7.0)]
    assert found.sounding("one") == pytest.approx(5 / 7.5)
    short = replace(found, seconds=6.5)
    assert short.spans("one") == [(0.0, 3.0), (5.0, 6.5)]


def test_priors_from_folders_are_one_model(tmp_path: Path) -> None:
    one, two = prior("one", seed=1), prior("two", seed=2)
    for name, separator in {"a": one, "b": two}.items():
        save(separator, tmp_path / name, CARD)
    name = f"flowprior:{tmp_path / 'b'},{tmp_path / 'a'}"
    both = load(name)
    assert isinstance(both, FlowPrior)
    assert both.sources == ("two", "one")
    for mine, saved in zip(both.priors, (*two.priors, *one.priors), strict=True):
        assert all(torch.equal(mine.state_dict()[key], value) for key, value in saved.state_dict().items())
    info = model_info(name)
    single = [model_info(tmp_path / part) for part in ("b", "a")]
    assert info.sources == ("two", "one")
    assert info.n_parameters == sum(part.n_parameters for part in single)
    assert info.licence == "MIT"
    assert info.sha256 not in {part.sha256 for part in single}
    assert model_info(f"flowprior:{tmp_path / 'a'}").sha256 == single[1].sha256
    mixture = torch.randn(1, 8000)
    swapped = load(f"flowprior:{tmp_path / 'a'},{tmp_path / 'b'}").separate(mixture, 8000)
    estimates = both.separate(mixture, 8000)
    for source in ("one", "two"):
        torch.testing.assert_close(estimates[source], swapped[source])


def test_priors_that_do_not_fit_are_refused_by_name(tmp_path: Path) -> None:
    save(prior("one"), tmp_path / "a", CARD)
    save(prior("two", sample_rate=16000), tmp_path / "b", CARD)
    with pytest.raises(SoliError, match=r"two.*sample_rate = 16000.*one.*8000"):
        load(f"flowprior:{tmp_path / 'a'},{tmp_path / 'b'}")
    with pytest.raises(SoliError, match="2 priors of 'one'"):
        load(f"flowprior:{tmp_path / 'a'},{tmp_path / 'a'}")
    for name in ("flowprior:", "flowprior:nothing", f"flowprior:{tmp_path / 'a'},"):
        with pytest.raises(SoliError, match="unknown prior"):
            load(name)
    with pytest.raises(SoliError, match="no likelihoods to ask"):
        find_presence("song.wav", model="default")


def test_what_was_never_calibrated_is_not_asked(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(8000), 8000)
    with pytest.raises(SoliError, match="prior of 'one' was never calibrated"):
        find_presence(tmp_path / "silence.wav", model=prior("one", calibrated=False))


def test_bundled_instruments_come_first_and_sets_have_names_of_their_own(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path / "weights")
    monkeypatch.chdir(tmp_path)
    assert "flowprior" not in zoo.available_names()
    for seed, name in enumerate(zoo.DEFAULT_PRIORS):
        save(prior(name, seed=seed), zoo.WEIGHTS / "flowprior" / name, CARD)
    Path("drums").mkdir()
    Path("flowprior").mkdir()
    assert load("flowprior").sources == zoo.DEFAULT_PRIORS == load("flowprior:vocals,drums,bass,other").sources
    assert zoo.available()["flowprior"].sources == zoo.DEFAULT_PRIORS
    save(prior("banjo"), zoo.WEIGHTS / "flowprior" / "banjo", CARD)
    assert zoo.available()["flowprior:banjo"].sources == ("banjo",)
    assert "flowprior:drums" not in zoo.available()  # one of those that the plain name stands for
    with pytest.raises(SoliError, match=r"unknown model 'x'; available: .*flowprior"):
        load("x")
    with pytest.raises(SoliError, match=r"config\.json is missing"):
        load("flowprior:./drums")
    save(prior("tuba"), Path("drums"), CARD)
    assert load("flowprior:./drums").sources == ("tuba",)
    assert model_name("flowprior:a/drums, ./b/") == "flowprior-drums+b"
    assert list(choose_names(["flowprior:a/b", "flowprior:a/c"])) == ["flowprior-b", "flowprior-c"]


def test_one_prior_without_an_extractor_has_all_searched(tmp_path: Path) -> None:
    save(prior("one"), tmp_path / "a", CARD)
    save(prior("two", engine="search", iterations=2), tmp_path / "b", CARD)
    save(prior("three", iterations=2), tmp_path / "c", CARD)
    both = load(f"flowprior:{tmp_path / 'c'},{tmp_path / 'b'}")
    assert isinstance(both, FlowPrior)
    assert both.config.engine == "search"
    save(prior("four", engine="hybrid", iterations=2), tmp_path / "d", CARD)
    for order in ("c", "d"), ("d", "c"):
        hybrid = load("flowprior:" + ",".join(str(tmp_path / part) for part in order))
        assert isinstance(hybrid, FlowPrior)
        assert hybrid.config.engine == "hybrid"
    with pytest.raises(SoliError, match="the prior of 'two' alone gives it the whole mixture"):
        load(tmp_path / "b").separate(torch.randn(1, 8000), 8000)
    searched = load(f"flowprior:{tmp_path / 'b'},{tmp_path / 'a'}")
    assert isinstance(searched, FlowPrior)
    assert searched.config.iterations == 2  # the first one says how to search
    save(prior("five", kernel_size=5), tmp_path / "e", CARD)
    with pytest.raises(SoliError, match="the prior of five has kernel_size = 5"):
        load(f"flowprior:{tmp_path / 'a'},{tmp_path / 'e'}")
