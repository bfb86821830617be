from __future__ import annotations

import importlib
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from audio_fakes import noise, save
from rqvae_models import RATE
from rqvae_music import CARD, codec, music
from soli import zoo
from soli.data.build import DataSource, open_caches
from soli.data.cache import Cache
from soli.data.tracks import Track
from soli.errors import SoliError
from soli.separator import Generative
from soli.systems.rqvae.music.sampling import WANTED, Sampling, complete
from soli.training import code_sets
from soli.training.code_sets import Songs, batches, frequencies, open_codes, read_codes
from soli.training.fit import LOG
from soli.training.music import level_nll
from soli.training.run import run_recipe

RECIPE = """
system = "rqvae"
preset = "music"
output = "{folder}/run"
cache = "{folder}/cache"
codec = "{folder}/codec"

[model]
n_frames = 16
n_features = 16
n_layers = 1
n_heads = 2
depth_features = 16
depth_layers = 1
depth_heads = 2

[training]
steps = 3
batch_size = 2
warmup = 1
precision = "no"
checkpoint_every = 1
validate_every = 2

[[data]]
collection = "mine"
kind = "dataset"
layout = "stems"
path = "{folder}/songs"
"""


class Killed(Exception):
    pass


def recipe(folder: Path) -> Path:
    """Two songs to train on and one to validate on, of bass, drums and a voice that the codec does not know."""
    for position, name in enumerate(("train/one", "train/two", "validation/three")):
        for index, label in enumerate(("bass", "drums", "vocals")):
            (folder / "songs" / name).mkdir(parents=True, exist_ok=True)
            save(folder / "songs" / name / f"{label}.wav", noise(1, RATE, seed=10 * position + index), RATE)
    zoo.save(codec(), folder / "codec", CARD)
    path = folder / "music.toml"
    path.write_text(RECIPE.format(folder=folder))
    return path


def log(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "run" / LOG).read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def test_a_recipe_becomes_music_and_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    said: list[str] = []
    whole, killed = (tmp_path / name for name in ("whole", "killed"))
    folder = run_recipe(recipe(whole), [], False, report=said.append)
    model = zoo.load(folder)
    assert isinstance(model, Generative)
    assert model.sample(0.2, seed=1).mixture.abs().max() > 0
    assert [line for line in said if "codes" in line][:2] == [
        "mine/one (train): 63 frames of codes",
        "mine/two (train): 63 frames of codes",
    ]
    assert sum(f"ln V {math.log(32):.3f}" in line for line in said) == 2
    lines = log(whole)
    assert [sorted(line) for line in lines if "validation" in line] == [["step", "validation"]] * 2

    def kill(step: int, steps: int, losses: dict[str, float]) -> None:
        if step == 2:
            raise Killed

    path = recipe(killed)
    with pytest.raises(Killed):
        run_recipe(path, [], False, on_step=kill)
    torch.manual_seed(99)  # whatever a new process would start with
    said.clear()
    resumed = run_recipe(path, [], True, report=said.append)
    assert not any("frames of codes" in line for line in said)
    assert log(killed) == lines
    assert (resumed / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()

    (codes,) = (killed / "cache").glob("mine-train-*.codes.safetensors")
    mixture = noise(1, RATE, seed=0) + noise(1, RATE, seed=1)
    songs = read_codes(codes)
    alike = (codec().encode(mixture, RATE)[0] == songs["mine/one"]).float().mean()
    assert alike > 0.9  # the cache rounds to 16 bits
    (codes).write_bytes(b"no codes")
    with pytest.raises(SoliError, match="not a file of codes"):
        run_recipe(path, [], True)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("colour=1", "unknown key 'colour'; known: system, preset, output, cache, codec"),
        ("model.colour=1", "unknown key 'model.colour'"),
        ("model.codec=1", r"unknown key 'model\.codec'"),
        ("task.colour=1", r"\[task\] of this recipe does not fit MusicTask .*'colour'"),
        ("model.n_frames=9999", "no song of 9999 frames"),
        ("codec=nowhere", "unknown model 'nowhere'"),
        ("n_songs=-1", "n_songs = -1; allowed: 0 or more"),
        ("validation_songs=-1", "validation_songs = -1"),
        ("threads=-1", "threads = -1"),
        ("model.n_heads=3", "n_heads = 3; 16 features do not divide"),
        ("task.depth_every=0", "depth_every = 0"),
        ("data=[]", "no song to train on; collections in this recipe: none"),
    ],
)
def test_mistakes_in_a_recipe_are_one_line(tmp_path: Path, override: str, message: str) -> None:
    path, said = recipe(tmp_path), []
    with pytest.raises(SoliError, match=message) as caught:
        run_recipe(path, [override], False, report=said.append)
    assert "\n" not in str(caught.value)
    assert not said or override == "model.n_frames=9999"  # songs say how long they are only when they are encoded


def test_a_folder_without_songs_to_train_on_is_named(tmp_path: Path) -> None:
    path = recipe(tmp_path)
    (tmp_path / "songs" / "train").rename(tmp_path / "songs" / "test")
    with pytest.raises(SoliError, match="no song to train on; collections in this recipe: mine"):
        run_recipe(path, [], False)


def open_two(folder: Path, said: list[str], n_songs: int = 0) -> Songs:
    """Codes of the songs to train on."""
    (cache,) = (Cache(place) for place in (folder / "cache").iterdir() if place.is_dir())
    return open_codes(folder / "some.codes.safetensors", codec(), cache, "train", n_songs, said.append)


def cached(folder: Path) -> None:
    """Two songs to train on, decoded."""
    recipe(folder)
    source = DataSource(collection="mine", kind="dataset", path=str(folder / "songs"), layout="stems")
    open_caches(folder / "cache", (source,), [].append, sample_rate=RATE, n_channels=1)


def test_only_songs_that_have_no_codes_are_encoded(tmp_path: Path) -> None:
    cached(tmp_path)
    said: list[str] = []
    assert list(open_two(tmp_path, said, 1)) == ["mine/one"]
    whole = open_two(tmp_path, said)
    assert list(whole) == ["mine/one", "mine/two"]
    assert list(open_two(tmp_path, said, 1)) == ["mine/one"]
    encoded = [line.split()[0] for line in said if "frames of codes" in line]
    assert encoded == ["mine/one", "mine/two"]  # each once
    kept = read_codes(tmp_path / "some.codes.safetensors")
    assert kept.keys() == whole.keys()
    assert all(torch.equal(kept[name], whole[name]) for name in whole)


def test_codes_made_before_a_crash_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached(tmp_path)
    monkeypatch.setattr(code_sets, "_WRITTEN_TOGETHER", 1)

    class Broken(list[str]):
        def append(self, line: str) -> None:
            if "two" in line:
                raise Killed

    with pytest.raises(Killed):
        open_two(tmp_path, Broken())
    assert list(read_codes(tmp_path / "some.codes.safetensors")) == ["mine/one"]


def test_other_audio_under_the_same_names_gets_other_codes(tmp_path: Path) -> None:
    path, said = recipe(tmp_path), []
    run_recipe(path, ["training.steps=1"], False, report=said.append)
    assert sum("no song has guitar, piano; the codec does not know: vocals" in line for line in said) == 2
    (tmp_path / "songs").rename(tmp_path / "older")
    shutil.copytree(tmp_path / "older", tmp_path / "others")
    save(tmp_path / "others" / "train" / "two" / "bass.wav", noise(1, 2 * RATE, seed=99), RATE)
    text = path.read_text().replace("/songs", "/others").replace("/run", "/another")
    path.write_text(text)
    said.clear()
    run_recipe(path, ["training.steps=1"], False, report=said.append)
    assert "mine/two (train): 126 frames of codes" in said
    files = {file: read_codes(file) for file in (tmp_path / "cache").glob("mine-train-*.codes.safetensors")}
    assert sorted(songs["mine/two"].shape[-1] for songs in files.values()) == [63, 126]


def test_the_benchmark_refuses_songs_of_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    unheard = importlib.import_module("music").unheard
    tracks = [Track(name="one", stems={}), Track(name="two", stems={}, split="test")]
    assert unheard(tracks, {"mine/three": torch.zeros(0)}) == tracks
    with pytest.raises(SoliError, match="one is a song of the training"):
        unheard(tracks, {"mine/one": torch.zeros(0)})
    with pytest.raises(SoliError, match="four is a song of the training"):
        unheard([*tracks, Track(name="four", stems={}, split="train")], {})
    with pytest.raises(SoliError, match="songs to measure on: 1; allowed: 2 or more"):
        unheard(tracks[:1], {})


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    return importlib.import_module("music")


def test_the_benchmark_makes_as_many_pieces_of_each_kind(benchmark: Any) -> None:
    model = music()
    dice = torch.Generator().manual_seed(0)
    songs = {name: torch.randint(32, (4, 3, n), generator=dice).short() for name, n in (("a", 10), ("b", 9), ("c", 3))}
    real = benchmark.middles(songs, 6)
    assert torch.equal(real, torch.stack([songs["a"][..., 2:8], songs["b"][..., 1:7]]).long())
    with pytest.raises(SoliError, match="songs of 10 frames or more: 1; allowed: 2 or more"):
        benchmark.middles(songs, 10)
    usual = torch.zeros(4, 3, 32)
    usual[..., :2] = 0.5
    sets = benchmark.pieces(model, real, usual, Sampling(), 3)
    assert {codes.shape for codes in sets.values()} == {real.shape}
    drawn = sets["generated"]
    assert torch.equal(drawn, complete(model.transformer, torch.full_like(real, WANTED), Sampling(), 3))
    assert sets["codes by frequency"].max() == 1
    shuffled = sets["the same, shuffled in time"]
    assert not torch.equal(shuffled, real)
    frames = [sorted(map(tuple, codes.flatten(1, 2).mT.flatten(0, 1).tolist())) for codes in (shuffled, real)]
    assert frames[0] == frames[1]  # stems and levels of a frame stay together


def test_the_benchmark_names_the_longest_song_when_all_are_too_short(benchmark: Any) -> None:
    songs = {name: torch.zeros(4, 3, length).short() for name, length in (("short", 3), ("long", 9), ("other", 5))}
    with pytest.raises(SoliError, match=r"10 frames or more: 0; .*the longest, long, has 9; take fewer --seconds$"):
        benchmark.middles(songs, 10)


def beats(seed: int, *, shuffled: bool = False) -> torch.Tensor:
    """Five seconds of noise that comes and goes, at a level of its own, or its frames of 46 ms in any order."""
    dice = torch.Generator().manual_seed(seed)
    swells = (1 + torch.cos(torch.arange(108) * (0.35 + 0.1 * torch.rand((), generator=dice)))) ** 2
    sound = torch.randn(108, 1024, generator=dice) * swells[:, None] * (1 + 5 * torch.rand((), generator=dice))
    return (sound[torch.randperm(108, generator=dice)] if shuffled else sound).reshape(1, -1)


def test_the_distance_is_small_for_other_songs_and_large_for_shuffled_ones(benchmark: Any) -> None:
    def windows(seeds: range, **settings: bool) -> torch.Tensor:
        return torch.stack([benchmark.embed(beats(seed, **settings), 22050) for seed in seeds])

    reference = windows(range(20))
    axes = benchmark.Axes(reference)
    projected = axes(reference).flatten(0, 1)
    torch.testing.assert_close(torch.cov(projected.T, correction=0), torch.eye(benchmark.N_AXES).double())
    others, shuffled = (axes(windows(range(20, 30), shuffled=flag)) for flag in (False, True))
    (near, near_error), (far, far_error) = (benchmark.distance(axes(reference), found) for found in (others, shuffled))
    assert near + 2 * near_error < far - 2 * far_error


def test_the_level_of_a_piece_does_not_count(benchmark: Any) -> None:
    sound = beats(0)
    torch.testing.assert_close(
        benchmark.embed(sound, 22050), benchmark.embed(0.01 * sound, 22050), rtol=1e-4, atol=1e-3
    )


def test_the_error_of_a_distance_is_that_of_the_difference_of_means_where_that_is_all(benchmark: Any) -> None:
    dice = torch.Generator().manual_seed(0)
    reference, found = (torch.randn(n, 1, 2, generator=dice).double() for n in (400, 300))
    found[..., 0] += 50
    shift = float(found[..., 0].mean() - reference[..., 0].mean())
    value, error = benchmark.distance(reference, found)
    assert value == pytest.approx(shift**2, rel=0.001)
    spread = (reference[..., 0].var() / 400 + found[..., 0].var() / 300).sqrt()
    assert error == pytest.approx(float(2 * spread * shift), rel=0.02)


def test_the_page_of_the_benchmark_has_every_number(benchmark: Any) -> None:
    data = {
        "model": "m", "data": "d", "sampling": {"top_p": 0.5}, "seed": 1, "piece_seconds": 6.0, "n_pieces": 23,
        "n_windows": 3, "n_reference_songs": 150, "frechet": {"generated": {"distance": 1.234, "error": 0.567}},
        "nats_per_code": {"model": [5.25], "unigram": [6.5], "uniform": 6.93},
    }  # fmt: skip
    page = benchmark.as_markdown(data, 23)
    for part in (
        "| 1 | 5.25 | 6.50 | 6.93 |",
        "| generated | 1.23 | 0.57 |",
        "23 pieces of 6 s, 3 windows each",
        "150",
    ):
        assert part in page


def test_a_crop_depends_on_seed_and_index_alone() -> None:
    songs = {"a": torch.arange(50).short().expand(2, 3, -1), "b": 100 + torch.arange(30).short().expand(2, 3, -1)}
    stream = batches(songs, 8, batch_size=2, seed=0, first=0)
    several = torch.cat([next(stream) for _ in range(40)])
    later = next(batches(songs, 8, batch_size=2, seed=0, first=6))
    assert torch.equal(later, several[6:8])
    starts = several[:, 0, 0, 0]
    assert torch.equal(several, starts[:, None, None, None] + torch.arange(8).expand(80, 2, 3, -1))
    share = float((starts < 100).float().mean())  # 43 of 66 places are in song a; drawn by length it is 50 of 80
    assert 0.4 < share < 0.85


def test_frequencies_are_those_of_a_histogram_with_one_more_of_each() -> None:
    songs = {name: torch.randint(9, (4, 3, 20)).short() for name in "ab"}
    both = torch.cat([songs["a"], songs["b"]], dim=-1)
    usual = frequencies(songs, 9)
    for stem in range(4):
        for level in range(3):
            counts = torch.bincount(both[stem, level].long(), minlength=9)
            torch.testing.assert_close(usual[stem, level], (counts + 1) / 49)


def test_a_model_of_counts_alone_is_the_unigram_row() -> None:
    network = music(random=False).transformer
    songs = {name: torch.randint(32, (4, 3, 40)).short() for name in "ab"}
    usual = frequencies({"a": songs["a"]}, 32)
    network.expect(usual)
    measured = level_nll(network, songs, usual, every=3)
    torch.testing.assert_close(measured.model, measured.unigram, atol=1e-4, rtol=0)
    everything = torch.stack([-usual.log().gather(2, codes.long()) for codes in songs.values()])
    whole = level_nll(network, songs, usual)
    torch.testing.assert_close(whole.unigram, everything.mean(dim=(0, 1, 3)), atol=1e-4, rtol=0)


def test_a_last_crop_shorter_than_the_offset_is_passed_over() -> None:
    network = music(random=False).transformer
    songs = {"a": torch.randint(32, (4, 3, 2 * network.config.n_frames + 1)).short()}
    usual = frequencies(songs, 32)
    network.expect(usual)
    measured = level_nll(network, songs, usual, every=5)
    torch.testing.assert_close(measured.model, measured.unigram, atol=1e-4, rtol=0)
