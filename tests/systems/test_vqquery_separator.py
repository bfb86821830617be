from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from audio_fakes import noise
from soli import zoo
from soli.dsp.level import window_levels
from soli.errors import SoliError
from soli.separator import Discoverer, Queryable
from soli.systems.vqquery.discovery import CodeSeparator
from soli.testing import check_separator
from tiny import CARD
from vqquery_models import RATE, small, small_paper

HISTOGRAM = torch.tensor([[5, 0, 1, 0], [1, 9, 0, 0]])


@pytest.mark.parametrize("settings", [{}, {"levels": 2, "codebook_size": 2}])
def test_the_contract_is_kept(settings: dict[str, int]) -> None:
    assert check_separator(small(**settings))


def test_it_discovers_and_can_be_queried() -> None:
    assert isinstance(small(), Discoverer)
    assert isinstance(small(), Queryable)
    assert isinstance(small_paper(), Discoverer)


def test_outputs_are_named_by_code_and_sum_to_the_mixture() -> None:
    model, mixture = small(), noise(2, 3 * RATE)
    estimates = model.separate(mixture, RATE)
    assert estimates.sources == ("code00", "code01", "code02", "code03")
    assert 20 * float(estimates.residual.abs().max().log10()) < -90


def test_loudness_does_not_matter() -> None:
    model, mixture = small(), noise(1, RATE)
    loud, quiet = (model.separate(gain * mixture, RATE).stems / gain for gain in (1.0, 1e-3))
    torch.testing.assert_close(loud, quiet, rtol=1e-3, atol=1e-4)


def test_a_long_recording_in_segments_is_that_in_one_piece() -> None:
    """Only the level is taken over a segment: a recording that is equally loud all along has the same everywhere."""
    model, mixture = small(), noise(1, 12 * RATE)
    whole = model.separate(mixture, RATE).stems
    model.segment_seconds = 4.0
    error = (model.separate(mixture, RATE).stems - whole).square().mean() / whole.square().mean()
    assert 10 * float(error.log10()) < -40


@pytest.mark.parametrize("make", [small, small_paper])
def test_codes_are_called_by_their_majority_class(make) -> None:
    model = make()
    assert model.label(1) == "code 1"
    model.name(("bass", "hi_hat"), HISTOGRAM[:, : len(model.sources)])
    assert [model.label(code) for code in range(3)] == ["bass (code 0)", "hi_hat (code 1)", "bass (code 2)"]


def test_names_travel_with_the_model(tmp_path) -> None:
    model = small()
    model.name(("bass", "hi_hat"), HISTOGRAM)
    loaded = zoo.load(zoo.save(model, tmp_path / "model", CARD))
    assert isinstance(loaded, CodeSeparator)
    assert loaded.label(1) == "hi_hat (code 1)"
    assert loaded.label(3) == "code 3"


def test_names_that_no_file_can_have_are_refused() -> None:
    with pytest.raises(SoliError, match="class 'AC/DC'; allowed: letters"):
        small().name(("AC/DC", "b"), HISTOGRAM)


def test_discovery_says_how_loud_what_is_when() -> None:
    model = small(sounds_db=-80.0)
    silence_then_noise = torch.cat((torch.zeros(1, RATE), noise(1, RATE)), dim=-1)
    found = model.discover(silence_then_noise, RATE)
    info = found.info
    assert sorted(info["codes"]) == [0, 1, 2, 3]
    assert info["energy_db"] == sorted(info["energy_db"], reverse=True)
    assert info["window_seconds"] == 0.5
    activity = torch.tensor(info["activity_db"])
    assert activity.shape == (4, 4)
    assert bool((activity[:, 3] > activity[:, 0] + 20).all())
    assert replace(model.config, sounds_db=0.0).sounds_db == 0.0
    quiet = small(sounds_db=20.0).discover(silence_then_noise, RATE)
    assert quiet.sources == ()
    torch.testing.assert_close(quiet.residual, silence_then_noise)


def test_silence_has_no_sources() -> None:
    found = small().discover(torch.zeros(2, RATE), RATE)
    assert found.sources == ()
    assert len(found.info["silent"]) == 4


def test_levels_of_windows_are_relative_to_the_loudest_of_the_mixture() -> None:
    mixture = torch.cat((torch.full((1, 10), 0.1), torch.full((1, 10), 1.0)), dim=-1)
    levels = window_levels(0.1 * mixture[None], mixture, 10)
    torch.testing.assert_close(levels, torch.tensor([[-40.0, -20.0]], dtype=torch.float64), atol=1e-3, rtol=0)


def test_wrong_questions_are_one_clear_line() -> None:
    model, mixture = small(), noise(1, RATE)
    with pytest.raises(SoliError, match=r"mixture shape \[1, 1, 8000\]; allowed: \[C T\]"):
        model.discover(mixture[None], RATE)
    with pytest.raises(SoliError, match="mode='posterior'; allowed: code, embedding"):
        model.query(mixture, mixture, RATE, mode="posterior")  # type: ignore[arg-type]
    with pytest.raises(SoliError, match="the example is silent"):
        model.query(mixture, torch.zeros(1, 100), RATE)


def test_an_example_of_any_loudness_and_length_has_a_code() -> None:
    model = small()
    example = noise(1, RATE)
    assert torch.equal(model.codes_of(example), model.codes_of(1e-3 * example))
    assert model.codes_of(example[:, :1]).shape == (1,)


def test_a_long_example_is_heard_in_windows_and_silence_says_nothing() -> None:
    model = small(query_seconds=0.5)
    first, second = 0.1 * torch.randn(2, 4000)
    both = model.network.encoder(torch.stack((first, second))).sum(dim=0)
    expected = torch.nn.functional.normalize(both, dim=0)
    with torch.inference_mode():
        torch.testing.assert_close(model.embed(torch.cat((first, second))[None])[0], expected)
        sparse = torch.cat((first, torch.zeros(12000), second))[None]
        torch.testing.assert_close(model.embed(sparse)[0], expected)
        torch.testing.assert_close(model.embed(first[None]), model.network.encoder(first[None]))


def test_channels_of_an_example_that_cancel_are_heard_one_by_one() -> None:
    model, mixture = small(), 0.1 * torch.randn(1, RATE)
    example = 0.1 * torch.randn(1, RATE)
    found = model.query(mixture, torch.cat((example, -example)), RATE)
    assert found.info["code"] == model.query(mixture, example, RATE).info["code"]


def test_codes_of_one_class_are_one_source_where_they_are_merged() -> None:
    model, mixture = small(sounds_db=-100.0), 0.1 * torch.randn(1, RATE)
    model.name(["kick", "bass"], torch.tensor([[3, 0, 5, 0], [0, 9, 1, 0]]))
    apart, merged = model.discover(mixture, RATE), model.discover(mixture, RATE, merged=True)
    assert set(apart.sources) == {"kick (code 0)", "bass (code 1)", "kick (code 2)", "code 3"}
    assert set(merged.sources) == {"kick", "bass", "code 3"}
    torch.testing.assert_close(merged["kick"], apart["kick (code 0)"] + apart["kick (code 2)"])
    assert [0, 2] in merged.info["codes"]
    torch.testing.assert_close(merged.stems.sum(dim=0), mixture, atol=1e-5, rtol=0)
