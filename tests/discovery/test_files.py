from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch

from command_line import noise, song
from latent_models import Decided, Halves, HalvesConfig
from soli.discovery import discover_file, instrument_names, load_front_end, load_labeller, split_off
from soli.errors import SoliError
from tiny import Tiny, TinyConfig, install


class Ear:
    """Hears a flute in what is loud, and nothing in what is quiet."""

    sources = ("flute", "harp")
    sample_rate = 22050
    window_samples = 2000

    def presence(self, mixture: torch.Tensor) -> tuple[torch.Tensor, ...]:
        windows = mixture.unfold(-1, 2000, 1000).square().mean(dim=-1).sqrt()  # [B W]
        return (torch.stack((0.9 * (windows > 0.005), 0.1 * torch.ones_like(windows)), dim=1),)


def samples(path) -> np.ndarray:
    return soundfile.read(path)[0]


@pytest.mark.parametrize("n_sources", [None, 3])
def test_files_of_found_sources_and_the_residual_sum_to_the_song(tmp_path, n_sources: int | None) -> None:
    path = song(tmp_path / "song.wav")
    done = discover_file(path, tmp_path / "out", separator=Halves(HalvesConfig()), n_sources=n_sources)
    count = n_sources or 2
    assert list(done.estimates) == [f"code{index:02}" for index in range(count)]
    assert list(done.file.paths)[:count] == list(done.estimates)
    total = sum(samples(file) for file in done.file.paths.values())
    assert np.abs(total - samples(path)).max() < 1e-4
    assert done.file.null_dbfs is not None
    assert done.file.null_dbfs < -90


def test_a_tree_holds_what_the_front_end_took_away_and_still_sums_up(tmp_path) -> None:
    path, front = song(tmp_path / "song.wav"), Tiny(TinyConfig())
    model = Halves(HalvesConfig())
    flat = discover_file(path, tmp_path / "flat", separator=model, front_end=front)
    tree = discover_file(path, tmp_path / "tree", separator=model, front_end=front, tree=True)
    assert set(flat.file.paths) == {"code00", "code01", "residual"}
    assert set(tree.file.paths) >= {"vocals", "drums", "code00", "code01"}
    assert tree.outside == flat.outside == ("vocals", "drums")
    for done in (flat, tree):
        total = sum(samples(file) for file in done.file.paths.values())
        assert np.abs(total - samples(path)).max() < 1e-4
    others = samples(path) - samples(tree.file.paths["vocals"]) - samples(tree.file.paths["drums"])
    assert np.abs(2 * samples(tree.file.paths["code00"]) - others).max() < 1e-3


def test_songs_of_other_rates_keep_rate_and_length(tmp_path) -> None:
    soundfile.write(tmp_path / "song.flac", noise(channels=1)[:10001], 32000)
    done = discover_file(tmp_path / "song.flac", tmp_path, separator=Halves(HalvesConfig(sample_rate=22050)))
    info = soundfile.info(done.file.paths["code00"])
    assert (info.frames, info.samplerate, info.channels, info.format) == (10001, 32000, 1, "FLAC")
    assert done.estimates.sample_rate == 22050


def test_the_inside_is_all_that_has_no_name() -> None:
    mixture = torch.randn(2, 60_000)
    front = Tiny(TinyConfig())
    split = split_off(front, mixture, 44100)
    share = float(front.shares.detach().softmax(0)[2])
    torch.testing.assert_close(split.inside, share * mixture, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(split.inside + sum(split.outside.values()), mixture)
    assert torch.equal(split_off(None, mixture, 44100).inside, mixture)


def test_front_ends_are_models_baselines_or_nothing(monkeypatch, tmp_path) -> None:
    install(monkeypatch, tmp_path)
    assert load_front_end("none") is None
    assert isinstance(load_front_end("default"), Tiny)
    assert "vocals" in load_front_end("repet").sources
    with pytest.raises(SoliError, match="hpss"):
        load_front_end("hpss")
    with pytest.raises(SoliError, match="nothing"):
        load_front_end("nothing")


def test_sources_are_named_after_the_surest_prior_and_numbered() -> None:
    stems = torch.stack([scale * torch.randn(2, 9000) for scale in (0.1, 1e-3, 0.2)])
    names = instrument_names(stems, ("cluster1", "cluster2", "cluster3"), 44100, Ear())
    assert names == ("flute1", "cluster2", "flute2")
    assert instrument_names(stems[:1], ("cluster1",), 44100, Ear()) == ("flute",)
    assert instrument_names(0 * stems[:1], ("cluster1",), 44100, Ear()) == ("cluster1",)


def test_names_reach_the_files(tmp_path) -> None:
    path = song(tmp_path / "song.wav")
    done = discover_file(path, tmp_path, separator=Halves(HalvesConfig()), labeller=Ear())
    assert {"flute1", "flute2"} <= set(done.file.paths)


def test_what_cannot_name_is_refused_and_nothing_names_by_default(monkeypatch, tmp_path) -> None:
    install(monkeypatch, tmp_path)
    assert load_labeller(None) is None
    with pytest.raises(SoliError, match="cannot name"):
        load_labeller("default")


def test_models_that_cannot_are_told_apart(tmp_path) -> None:
    path = song(tmp_path / "song.wav")
    with pytest.raises(SoliError, match="'tiny' cannot discover"):
        discover_file(path, tmp_path, separator=Tiny(TinyConfig()))
    with pytest.raises(SoliError, match="auto"):
        discover_file(path, tmp_path, separator=Decided(HalvesConfig()), n_sources=3)
    assert len(discover_file(path, tmp_path, separator=Decided(HalvesConfig())).estimates) == 2
