from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from data_trees import FOUR, LENGTH, RATE, parts, with_mixture, write
from soli import zoo
from soli.baselines.hpss import HPSS, HPSSConfig
from soli.data.layouts import open_dataset
from soli.data.tracks import Dataset
from soli.errors import SoliError
from soli.evaluation.estimators import estimate
from soli.evaluation.examples import Example, read_example
from soli.evaluation.journal import Journal, Record
from soli.evaluation.protocols import Global, Msdm, Museval, Protocol
from soli.evaluation.run import JOURNAL_SUFFIX, Evaluation, evaluate
from tiny import CARD, Plain, Tiny, TinyConfig, install

MODELS = ("default", "mixture", "oracle:ratio")
GLOBAL = Global()


@pytest.fixture
def tiny(monkeypatch, tmp_path) -> Tiny:
    return install(monkeypatch, tmp_path / "weights")


@pytest.fixture
def dataset(tmp_path) -> Dataset:
    """Three songs; the second is mono."""
    for name, n_channels in (("One", 2), ("Two", 1), ("Three", 2)):
        write(tmp_path / "set" / "test" / name, with_mixture(parts(FOUR, n_channels=n_channels)))
    return open_dataset(tmp_path / "set")


def without_times(result: Evaluation | Path) -> dict[str, Any]:
    content = result.to_json() if isinstance(result, Evaluation) else json.loads(result.read_text())
    content = json.loads(json.dumps(content))
    for part in (*content["records"], *content["summary"]["work"].values()):
        for name in ("seconds", "real_time_factor"):
            del part[name]
    return content


def stop_after(count: int) -> Callable[[int, int, Record], None]:
    def progress(done: int, total: int, record: Record) -> None:
        if done == count:
            raise KeyboardInterrupt

    return progress


def test_an_oracle_beats_a_model_that_knows_nothing_and_all_is_recorded(tiny, dataset, tmp_path):
    calls: list[tuple[int, int]] = []
    output = tmp_path / "new" / "results.json"
    result = evaluate(MODELS, dataset, Global(), output, progress=lambda done, total, _: calls.append((done, total)))
    assert result.facts["sources"] == list(tiny.sources)
    assert result.facts["models"]["default"] == {"sha256": zoo.model_info("default").sha256}
    assert calls == [(i, 9) for i in range(1, 10)]
    order = [(record.model, record.track) for record in result.records]
    assert order == [(model, f"test/{name}") for model in MODELS for name in ("One", "Three", "Two")]
    for record in result.records:
        assert record.error == ""
        assert record.audio_seconds == LENGTH / RATE
        assert record.real_time_factor == record.seconds / record.audio_seconds > 0
    numbers = [result.summary.cell(model, "si_sdr", "all").mean.value for model in MODELS]
    assert numbers[0] == pytest.approx(numbers[1], abs=0.5)  # a share of the mixture is the mixture
    assert numbers[2] > numbers[1] + 1
    assert result.summary.cell("mixture", "si_sdr_improvement", "all").mean.value == pytest.approx(0, abs=1e-9)
    assert without_times(output) == without_times(result)
    assert [path.name for path in output.parent.iterdir()] == ["results.json"]


@pytest.mark.parametrize("rest", ["", '{"model": "oracle:ra'])
def test_a_killed_evaluation_goes_on_where_it_was(tiny, dataset, tmp_path, rest):
    whole, output = tmp_path / "whole.json", tmp_path / "killed.json"
    evaluate(MODELS, dataset, Global(), whole)
    with pytest.raises(KeyboardInterrupt):
        evaluate(MODELS, dataset, Global(), output, progress=stop_after(4))
    journal = tmp_path / f"killed.json{JOURNAL_SUFFIX}"
    assert not output.exists()
    with journal.open("a") as stream:
        stream.write(rest)  # the line it died in
    again: list[tuple[str, str]] = []
    evaluate(MODELS, dataset, Global(), output, progress=lambda done, total, r: again.append((r.model, r.track)))
    assert again == [("mixture", "test/Three"), ("oracle:ratio", "test/Three"), *((m, "test/Two") for m in MODELS)]
    assert without_times(output) == without_times(whole)
    assert not journal.exists()


@dataclass(frozen=True)
class Change:
    """What is different in the second call, and what is said of it."""

    message: str
    models: tuple[str, ...] = MODELS
    protocol: Protocol = GLOBAL
    options: tuple[tuple[str, Any], ...] = ()


@pytest.mark.parametrize(
    "change",
    [
        Change(r'protocol name "global" instead of "museval"', protocol=Museval()),
        Change(r'sources \["vocals", "drums", "other"\] instead of \["drums"\]', options=(("sources", ["drums"]),)),
        Change(r"other tracks \(3, now 2\)", options=(("limit", 2),)),
        Change(r"models mixture .* instead of null", models=("default", "oracle:ratio")),
    ],
)
def test_a_journal_of_something_else_is_refused(tiny, dataset, tmp_path, change):
    output = tmp_path / "results.json"
    with pytest.raises(KeyboardInterrupt):
        evaluate(MODELS, dataset, Global(), output, progress=stop_after(2))
    journal = tmp_path / f"results.json{JOURNAL_SUFFIX}"
    before = journal.read_bytes()
    with pytest.raises(SoliError, match=change.message):
        evaluate(change.models, dataset, change.protocol, output, **dict(change.options))
    assert journal.read_bytes() == before


def test_a_journal_of_other_weights_is_refused(tiny, dataset, tmp_path):
    output = tmp_path / "results.json"
    with pytest.raises(KeyboardInterrupt):
        evaluate(MODELS, dataset, Global(), output, progress=stop_after(2))
    zoo.save(Tiny(TinyConfig()), tmp_path / "weights" / "tiny", CARD)
    with pytest.raises(SoliError, match="models default sha256"):
        evaluate(MODELS, dataset, Global(), output)


def test_what_is_no_journal_is_refused(tmp_path):
    path = tmp_path / "journal"
    path.write_text("no\nJSON\n")
    with pytest.raises(SoliError, match="not a journal"):
        Journal(path, {})
    assert path.read_text() == "no\nJSON\n"


def test_a_model_that_cannot_be_loaded_leaves_no_journal_and_one_without_records_does_not_matter(
    tiny, dataset, tmp_path
):
    weights, output = tmp_path / "weights" / "tiny" / "model.safetensors", tmp_path / "results.json"
    journal = tmp_path / f"results.json{JOURNAL_SUFFIX}"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(SoliError, match="damaged or replaced"):
        evaluate(MODELS, dataset, Global(), output)
    assert not journal.exists()
    weights.write_bytes(content)
    journal.write_text('{"protocol": "of a process that was killed before it had a number"}\n')
    assert evaluate(MODELS, dataset, Global(), output).summary.work["default"].n_failed == 0


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (ValueError("two\nlines"), "ValueError: two lines"),
        (SoliError("mono is too hard"), "mono is too hard"),
        (float("nan"), "estimate of 'vocals' has NaN or infinite samples"),
    ],
)
def test_a_model_that_fails_on_a_track_is_recorded_and_the_rest_goes_on(
    tiny, dataset, tmp_path, monkeypatch, outcome, message
):
    def separate(self: Plain, mixture: Tensor) -> Tensor:
        if mixture.shape[1] == 1 and isinstance(outcome, Exception):
            raise outcome
        stems = mixture[:, None].expand(-1, 3, -1, -1) / 3
        return stems * outcome if mixture.shape[1] == 1 else stems

    monkeypatch.setattr(Plain, "_separate", separate)
    result = evaluate(MODELS, dataset, Global(), tmp_path / "results.json")
    failed = [(record.model, record.track, record.error) for record in result.records if record.error]
    assert failed == [("default", "test/Two", message)]
    assert [result.summary.work[model].n_failed for model in MODELS] == [1, 0, 0]
    assert [result.summary.cell(model, "si_sdr", "drums").n_tracks for model in MODELS] == [2, 3, 3]


def test_a_track_that_cannot_be_read_fails_for_every_model(tiny, dataset, tmp_path):
    (tmp_path / "set" / "test" / "Two" / "drums.wav").write_bytes(b"no audio")
    result = evaluate(MODELS, dataset, Global(), tmp_path / "results.json")
    failed = [record for record in result.records if record.error]
    assert [(record.model, record.track) for record in failed] == [(model, "test/Two") for model in MODELS]
    assert all("drums.wav" in record.error for record in failed)


def test_two_processes_find_what_one_finds(dataset, tmp_path):
    model = HPSS(HPSSConfig(sources=("other", "drums"), sample_rate=RATE, n_fft=256, hop_length=64))
    folder = zoo.save(model, tmp_path / "hpss", CARD)
    models = (str(folder), "oracle:binary")
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    evaluate(models, dataset, Global(), one)
    evaluate(models, dataset, Global(), two, jobs=2)
    assert without_times(two) == without_times(one)
    assert {record["model"] for record in without_times(one)["records"]} == {"hpss", "oracle:binary"}


def test_a_model_hears_what_the_protocol_says(dataset):
    protocol = Msdm(sample_rate=RATE // 2, chunk=900)
    stereo = dataset.tracks[0]
    example = read_example(stereo, ("drums", "bass"), protocol)
    assert example.sample_rate == RATE // 2
    assert example.mixture.shape == (1, LENGTH // 2)
    assert torch.equal(example.mixture, example.references["drums"] + example.references["bass"])
    heard: list[Tensor] = []

    def estimator(part: Example) -> dict[str, Tensor]:
        heard.append(part.mixture)
        return {"bass": part.mixture, "drums": 2 * part.mixture}

    part, estimates = estimate(estimator, example, protocol)
    assert [piece.shape[-1] for piece in heard] == [900, 900]
    assert torch.equal(part.mixture, example.mixture[:, :1800])
    assert torch.equal(estimates, torch.stack([2 * part.mixture, part.mixture]))
    own = read_example(stereo, ("drums", "bass"), Global())
    assert torch.equal(own.mixture, torch.from_numpy(stereo.mixture()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"models": ("nothing",)}, "unknown model 'nothing'; .*or mixture, oracle:binary"),
        ({"models": ("oracle:magic",)}, "unknown model 'oracle:magic'; oracles: oracle:binary"),
        ({"models": ("mixture", "mixture")}, "each only once"),
        ({"split": "official:best"}, "no tracks in split 'official:best'; allowed: official:test, "),
        ({"split": "official:train"}, "no tracks in split 'official:train'"),
        ({"sources": ["flute"]}, "the dataset has no source 'flute'; allowed: "),
        ({"sources": ["bass"]}, "model default does not return 'bass'; allowed: vocals, drums, other"),
        ({"sources": ["drums", "drums"]}, "each only once"),
        ({"limit": 0}, "limit=0; allowed: 1 or more"),
        ({"jobs": 0}, "jobs=0; allowed: 1 or more"),
        ({"device": "abacus"}, "abacus"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_before_anything_is_written(tiny, dataset, tmp_path, options, message):
    arguments = {"models": MODELS} | options
    with pytest.raises(SoliError, match=message):
        evaluate(arguments.pop("models"), dataset, Global(), tmp_path / "out" / "results.json", **arguments)
    assert not (tmp_path / "out").exists()


def test_models_and_data_without_a_common_source_are_told_apart(tiny, dataset, tmp_path):
    zoo.save(Tiny(TinyConfig(sources=("flute",))), tmp_path / "flutes", CARD)
    with pytest.raises(SoliError, match=r"no source in common; the dataset has .*; flutes returns flute"):
        evaluate((str(tmp_path / "flutes"),), dataset, Global(), tmp_path / "results.json")


def test_without_a_model_the_classes_of_the_stems_are_evaluated(dataset, tmp_path):
    output = tmp_path / "results.json"
    result = evaluate(("mixture",), dataset, Global(), output, split="official:test", limit=1)
    assert set(result.facts["sources"]) == set(FOUR)
    assert result.facts["tracks"] == ["test/One"]
