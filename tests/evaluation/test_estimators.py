from __future__ import annotations

from pathlib import Path

import pytest
import torch

from audio_fakes import save
from data_trees import FOUR, RATE, parts, with_mixture, write
from soli.baselines.hpss import HPSS, HPSSConfig
from soli.data.layouts import open_dataset
from soli.data.tracks import Dataset
from soli.errors import SoliError
from soli.evaluation.estimators import check_estimator, estimate, find_estimator
from soli.evaluation.examples import read_example
from soli.evaluation.protocols import Global, Msdm
from soli.evaluation.run import evaluate
from soli.evaluation.selection import choose_names
from soli.evaluation.stem_folders import StemFolder, save_estimates

LONG = 30000
MONO_11025 = Msdm(sample_rate=11025, chunk=4096)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    for index, name in enumerate(("One", "Two")):
        write(tmp_path / "set" / "test" / name, with_mixture(parts(FOUR, n_channels=2 - index, n_samples=LONG)))
    return open_dataset(tmp_path / "set")


def test_where_fewer_sources_are_told_apart_an_estimate_stands_for_several(dataset: Dataset) -> None:
    example = read_example(dataset.tracks[0], FOUR, Global(sample_rate=44100))
    found = find_estimator("hpss")(example)
    assert torch.equal(found["drums"], found["percussive"])
    for source in ("vocals", "bass", "other"):
        assert torch.equal(found[source], found["harmonic"])
    assert check_estimator("hpss") == ("", ("harmonic", "percussive", "drums", "vocals", "bass", "other"))
    total = found["harmonic"] + found["percussive"]
    torch.testing.assert_close(total, example.mixture, rtol=0, atol=1e-5)


def test_baselines_stand_in_a_table_beside_models_and_oracles(dataset: Dataset, tmp_path: Path) -> None:
    models = ("mixture", "hpss", "repet", "nmf", "oracle:ratio")
    result = evaluate(models, dataset, Global(), tmp_path / "results.json", limit=1)
    assert [record.error for record in result.records] == [""] * 5
    assert set(result.facts["sources"]) == set(FOUR)


def test_unknown_names_list_what_there_is() -> None:
    with pytest.raises(
        SoliError, match=r"unknown model 'nope'.* or mixture, oracle:binary.*nmf.*spleeter:PYTHON, folder"
    ):
        check_estimator("nope")
    with pytest.raises(SoliError, match="'spleeter'; allowed: spleeter:PYTHON"):
        check_estimator("spleeter")


def test_rows_of_the_table_have_short_names() -> None:
    names = (
        "htdemucs-onnx:/models/a.onnx",
        "open-unmix:/umx",
        "open-unmix:/umxhq",
        "folder:/kept/slow",
        "runs/x/model",
    )
    short = ["htdemucs-onnx", "open-unmix:/umx", "open-unmix:/umxhq", "slow", "model"]
    assert choose_names(names) == dict(zip(short, names, strict=True))


def test_saved_estimates_are_measured_as_the_method_itself(dataset: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    files = save_estimates(find_estimator("hpss"), dataset.tracks, folder, FOUR)
    assert files == [folder / "test" / name / f"{source}.wav" for name in ("One", "Two") for source in FOUR]
    for track in dataset.tracks:
        example = read_example(track, FOUR, Global())
        found, kept = find_estimator("hpss")(example), find_estimator(f"folder:{folder}")(example)
        assert all(torch.equal(kept[source], found[source]) for source in FOUR)


def test_stretches_are_cut_where_they_lie(dataset: Dataset, tmp_path: Path) -> None:
    """True stems as estimates are perfect under a protocol that resamples, mixes down and cuts."""
    example = read_example(dataset.tracks[0], FOUR, MONO_11025)
    part, kept = estimate(StemFolder(tmp_path / "set"), example, MONO_11025)
    assert part.mixture.shape[-1] > 2 * 4096
    torch.testing.assert_close(kept, torch.stack(list(part.references.values())), rtol=0, atol=1e-6)


def test_what_is_there_is_not_made_again(dataset: Dataset, tmp_path: Path) -> None:
    calls: list[str] = []

    def estimator(example):  # type: ignore[no-untyped-def]
        calls.append(example.track)
        return dict.fromkeys(FOUR, example.mixture)

    save_estimates(estimator, dataset.tracks[:1], tmp_path / "kept", FOUR)
    save_estimates(estimator, dataset.tracks, tmp_path / "kept", FOUR)
    assert calls == ["test/One", "test/Two"]


def test_tracks_are_found_without_their_split(dataset: Dataset, tmp_path: Path) -> None:
    example = read_example(dataset.tracks[0], ("bass",), Global())
    (tmp_path / "flat" / "One").mkdir(parents=True)
    save(tmp_path / "flat" / "One" / "bass.wav", example.mixture, RATE, "FLOAT")
    torch.testing.assert_close(StemFolder(tmp_path / "flat")(example)["bass"], example.mixture, rtol=0, atol=0)


def test_folders_that_do_not_fit_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    example = read_example(dataset.tracks[0], ("bass",), Global())
    with pytest.raises(SoliError, match="there is no such folder"):
        check_estimator(f"folder:{tmp_path / 'nowhere'}")
    folder = tmp_path / "kept" / "One"
    folder.mkdir(parents=True)
    estimator = StemFolder(tmp_path / "kept")
    with pytest.raises(SoliError, match="there is no file of 'bass'"):
        estimator(example)
    save(folder / "bass.wav", example.mixture[:, :100], RATE)
    with pytest.raises(SoliError, match=r"\[2, 100\] at 8000 Hz; needed: 2 channels and 30000 samples"):
        estimator(example)
    save(folder / "bass.flac", example.mixture, RATE)
    with pytest.raises(SoliError, match=r"bass\.flac and bass\.wav are both bass"):
        estimator(example)


def test_hpss_of_the_table_is_hpss(dataset: Dataset) -> None:
    example = read_example(dataset.tracks[0], FOUR, Global(sample_rate=44100))
    due = HPSS(HPSSConfig()).separate(example.mixture, 44100)
    torch.testing.assert_close(find_estimator("hpss")(example)["drums"], due["percussive"], rtol=0, atol=1e-5)
