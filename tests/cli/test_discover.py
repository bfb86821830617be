from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from command_line import Run, files_in, song
from latent_models import Halves, HalvesConfig, modern, two_instruments
from soli import zoo
from soli.cli.discover_reporting import discovery_figures
from soli.report import ActivityCurves, ClusterTable, EmbeddingMap, SeparationGrid
from soli.report.page import figure_section
from soli.systems.vqquery.separator import VQQuery
from tiny import CARD
from vqquery_models import small


@pytest.fixture
def halves(tiny, monkeypatch, tmp_path) -> Halves:
    """A bundled model that discovers, called vqquery, as the default is."""
    monkeypatch.setitem(zoo.SYSTEMS, ("halves", "paper"), "latent_models:Halves")
    monkeypatch.setitem(zoo.BUNDLED, "vqquery", "halves")
    model = Halves(HalvesConfig())
    zoo.save(model, tmp_path / "weights" / "halves", CARD)
    return model


def test_sources_and_residual_sum_to_the_song(run: Run, halves) -> None:
    path = song("song.wav")
    outcome = run("discover", path)
    assert (outcome.code, outcome.err) == (0, "")
    assert "2 sources" in outcome.out
    names = files_in("stems")
    assert names[:2] == ["stems/song/code00.wav", "stems/song/code01.wav"]
    total = sum(soundfile.read(name)[0] for name in names)
    assert np.abs(total - soundfile.read(path)[0]).max() < 1e-4


def test_a_number_a_tree_and_json(run: Run, halves) -> None:
    outcome = run("discover", song("song.wav"), "--sources", "3", "--front-end", "default", "--tree", "--json")
    facts = json.loads(outcome.out)
    assert (facts["n_sources"], facts["front_end"], facts["model"]) == (3, "default", "vqquery")
    assert facts["found"] == ["code00", "code01", "code02"]
    assert {"vocals", "drums", "code00"} <= set(facts["paths"])


def test_a_report_is_written_beside_the_stems(run: Run, halves) -> None:
    outcome = run("discover", song("song.wav", seconds=1.0), "--report", "--json")
    page = json.loads(outcome.out)["report"]
    text = Path(page).read_text(encoding="utf-8")
    assert "Clusters" in text
    assert "code01" in text


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--sources", "many"), "'many'"),
        (("--sources", "9"), "2 to 8"),
        (("--sources", "1"), "2 to 8"),
        (("--tree",), "--front-end"),
        (("--merge",), "no classes"),
        (("--model", "default"), "cannot discover"),
        (("--model", "nothing"), "'nothing'"),
        (("--front-end", "hpss"), "hpss"),
        (("--names", "default"), "cannot name"),
        (("--format", "wma"), "wma"),
        (("--filename", "{x}.{ext}"), "{x}"),
    ],
)
def test_a_mistake_gets_one_line_and_leaves_nothing(run: Run, halves, options, part) -> None:
    song("song.wav")
    outcome = run("discover", "song.wav", *options)
    assert outcome.code == 2
    assert part in outcome.complaint
    assert files_in("stems") == []


def test_figures_show_clusters_spectrograms_and_latents() -> None:
    found = modern().discover(two_instruments().sum(dim=0), 8000, n_sources=2)
    figures = discovery_figures(found)
    assert [type(figure) for figure in figures] == [ClusterTable, ActivityCurves, SeparationGrid, EmbeddingMap]
    table, activity, grid, plane = figures
    assert activity.levels.shape == (2, -(-found.mixture.shape[-1] // 4000))
    assert activity.levels.max() <= 0.1
    assert table.energy.sum() == pytest.approx(float(found.stems.square().sum() / found.mixture.square().sum()))
    assert np.isfinite(table.measures["Silhouette"]).all()
    assert grid.columns == ("mixture", "cluster1", "cluster2")
    assert plane.points.shape == (len(found.info["labels"]), 2)
    assert plane.explained[0] >= plane.explained[1]
    pages = [figure_section(figure) for figure in figures]
    assert "The latent space" in pages[3]
    assert "points" in pages[3]


def test_the_plane_is_that_of_the_covariance() -> None:
    found = modern().discover(two_instruments().sum(dim=0), 8000, n_sources=2)
    plane = discovery_figures(found)[3]
    latents = found.info["latents"].double()
    values = torch.linalg.eigvalsh(torch.cov(latents.mT)).flip(0)
    np.testing.assert_allclose(plane.points.var(axis=0, ddof=1), values[:2].numpy(), rtol=1e-4)


def test_without_latents_there_is_no_map() -> None:
    found = Halves(HalvesConfig()).discover(0.1 * torch.randn(1, 44100), 44100)
    assert [type(figure) for figure in discovery_figures(found)] == [ClusterTable, ActivityCurves, SeparationGrid]


@pytest.fixture
def codes(tiny, monkeypatch, tmp_path) -> VQQuery:
    """A bundled model with four codes, called vqquery; the first is known to be a kick."""
    monkeypatch.setitem(zoo.SYSTEMS, ("vqquery", "modern"), "soli.systems.vqquery.separator:VQQuery")
    monkeypatch.setitem(zoo.BUNDLED, "vqquery", "vqquery-small")
    model = small(sounds_db=-60.0)
    model.name(["kick"], torch.tensor([[3, 0, 0, 0]]))
    zoo.save(model, tmp_path / "weights" / "vqquery-small", CARD)
    return model


def test_codes_keep_their_names_and_say_how_loud_they_are(run: Run, codes) -> None:
    outcome = run("discover", song("song.wav", seconds=1.0), "--model", "vqquery", "--json", "--report")
    facts = json.loads(outcome.out)
    assert "kick (code 0)" in facts["found"] + facts["silent"]
    assert len(facts["found"]) + len(facts["silent"]) == 4
    assert len(facts["energy_db"]) == len(facts["codes"]) == len(facts["found"])
    assert "When they sound" in Path(facts["report"]).read_text(encoding="utf-8")


def test_where_nothing_sounds_all_is_residual(run: Run, codes) -> None:
    soundfile.write("quiet.wav", np.zeros((44100, 2)), 44100)
    outcome = run("discover", "quiet.wav", "--model", "vqquery", "--report")
    assert (outcome.code, outcome.err) == (0, "")
    assert "0 sources" in outcome.out
    assert "not heard: kick (code 0), code 1" in outcome.out


def test_merged_classes_do_not_take_the_names_of_the_front_end(run: Run, codes) -> None:
    codes.name(["vocals"], torch.tensor([[3, 1, 0, 0]]))
    zoo.save(codes, Path("named"), CARD)
    options = ("--model", "named", "--merge", "--tree", "--front-end", "default")
    outcome = run("discover", song("song.wav", seconds=1.0), *options, "--json")
    facts = json.loads(outcome.out)
    assert "vocals" in facts["paths"]
    assert "vocals-found" in facts["found"]
    total = sum(soundfile.read(path)[0] for path in facts["paths"].values())
    assert np.abs(total - soundfile.read("song.wav")[0]).max() < 1e-4
