from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from audio_fakes import noise, save
from rqvae_models import RATE
from rqvae_music import CARD, codec, music
from soli import zoo
from soli.errors import SoliError
from soli.separator import Generative
from soli.training.code_sets import batches, frequencies, read_codes
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
    ],
)
def test_mistakes_in_a_recipe_are_one_line(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(SoliError, match=message) as caught:
        run_recipe(recipe(tmp_path), [override], False)
    assert "\n" not in str(caught.value)


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
