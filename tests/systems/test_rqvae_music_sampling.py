from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from rqvae_models import RATE, song
from rqvae_music import codec, music, save
from soli import zoo
from soli.errors import SoliError
from soli.separator import Generative
from soli.systems.rqvae.music import sampling as module
from soli.systems.rqvae.music.sampling import COLDEST, WANTED, Sampling, complete, first_remembered, probabilities
from soli.systems.rqvae.music.separator import RQVAEMusic
from soli.testing import check_separator

STEMS, LEVELS, SIZE = 4, 3, 32


@pytest.fixture(scope="module")
def model() -> RQVAEMusic:
    return music()


def wanted(n_frames: int, n_items: int = 1) -> Tensor:
    return torch.full((n_items, STEMS, LEVELS, n_frames), WANTED)


def test_top_k_keeps_the_k_likeliest_in_proportion() -> None:
    logits = torch.tensor([[0.5, 2.0, -1.0, 1.0]])
    found = probabilities(logits, Sampling(top_k=2))[0]
    shares = logits[0].double().exp() * torch.tensor([0, 1, 0, 1])
    torch.testing.assert_close(found, shares / shares.sum())
    assert torch.equal(probabilities(logits, Sampling(top_k=9)), logits.double().softmax(dim=-1))


@pytest.mark.parametrize(("top_p", "kept"), [(0.4, 1), (0.5, 1), (0.51, 2), (0.79, 2), (0.81, 3), (1.0, 4)])
def test_top_p_keeps_the_fewest_that_have_the_probability(top_p: float, kept: int) -> None:
    chances = torch.tensor([0.15, 0.5, 0.05, 0.3], dtype=torch.float64)
    found = probabilities(chances.log()[None], Sampling(top_p=top_p))[0]
    likeliest = chances.argsort(descending=True)[:kept]
    assert set(found.nonzero()[:, 0].tolist()) == set(likeliest.tolist())
    torch.testing.assert_close(found[likeliest], chances[likeliest] / chances[likeliest].sum())


def test_temperature_is_a_power_of_the_probabilities() -> None:
    logits = torch.randn(3, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    powers = logits.softmax(dim=-1) ** 2
    torch.testing.assert_close(probabilities(logits, Sampling(temperature=0.5)), powers / powers.sum(-1, keepdim=True))


def test_the_lowest_temperature_draws_the_likeliest() -> None:
    logits = torch.tensor([[-1e30, 3e30, 2.9e30], [0.5, 0.2, 0.4]])
    assert torch.equal(probabilities(logits, Sampling(temperature=COLDEST)).float(), torch.eye(3)[[1, 0]])


@pytest.mark.parametrize(
    "settings",
    [{"temperature": 0.0}, {"temperature": 1e-310}, {"temperature": math.nan}, {"top_k": -1}, {"top_p": 0.0}],
)
def test_what_cannot_be_drawn_with_is_named(settings: dict[str, Any]) -> None:
    with pytest.raises(SoliError, match=next(iter(settings))):
        Sampling(**settings)


def test_one_seed_gives_one_music_and_another_seed_another(model: RQVAEMusic) -> None:
    first, again, other = (complete(model.transformer, wanted(5), Sampling(), seed) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert (first != other).float().mean() > 0.5
    assert int(first.min()) >= 0
    assert int(first.max()) < SIZE


def memory(frame: int, size: int) -> int:
    """The first frame that is remembered: when the memory is full, its older half goes."""
    first = 0
    for later in range(frame + 1):
        if later - first == size:
            first = later - size // 2
    return first


@pytest.mark.parametrize("size", [1, 2, 5, 8, 13])
def test_a_full_memory_forgets_its_older_half(size: int) -> None:
    assert [first_remembered(frame, size) for frame in range(60)] == [memory(frame, size) for frame in range(60)]


@pytest.mark.parametrize(("given", "n_before", "size"), [((), 0, 16), ((1, 3), 0, 16), ((), 21, 16), ((2,), 9, 7)])
@torch.no_grad()
def test_codes_are_drawn_from_what_the_network_gives_without_a_cache(
    monkeypatch: pytest.MonkeyPatch, given: tuple[int, ...], n_before: int, size: int
) -> None:
    seen, draw = [], module.draw
    monkeypatch.setattr(module, "draw", lambda logits, *rest: (seen.append(logits), draw(logits, *rest))[1])
    n_frames, network = 30, music(n_frames=size).transformer
    start = wanted(n_frames, 2)
    start[:, given] = torch.randint(SIZE, (2, len(given), LEVELS, n_frames))
    start[..., :n_before] = torch.randint(SIZE, (2, STEMS, LEVELS, n_before))
    codes = complete(network, start, Sampling(), 0)
    order = [*given, *(stem for stem in range(STEMS) if stem not in given)]
    seen.reverse()
    for frame in range(n_before, n_frames):
        state = network.states(codes[..., memory(frame, size) : frame + 1])[:, -1]
        logits = network.logits(state, codes[..., frame], torch.tensor(order).expand(2, -1))
        for stem in order[len(given) :]:
            for level in range(LEVELS):
                torch.testing.assert_close(seen.pop(), logits[stem * LEVELS + level], atol=1e-5, rtol=1e-5)
    assert not seen


def test_of_a_given_song_only_what_is_remembered_is_heard_and_in_one_go(
    model: RQVAEMusic, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, lengths = model.transformer, []
    extend = network.spatial.extend
    monkeypatch.setattr(
        network.spatial, "extend", lambda inputs, past: (lengths.append(inputs.shape[1]), extend(inputs, past))[1]
    )
    given = torch.randint(SIZE, (1, STEMS, LEVELS, 500))
    complete(network, torch.cat((given, wanted(3)), dim=-1), Sampling(), 0)
    assert lengths == [501 - memory(500, 16), 1, 1]


def test_what_is_given_stays(model: RQVAEMusic) -> None:
    codes = wanted(8, 2)
    codes[:, 2] = torch.randint(SIZE, (2, LEVELS, 8))
    codes[..., :3] = torch.randint(SIZE, (2, STEMS, LEVELS, 3))
    before = codes.clone()
    done = complete(model.transformer, codes, Sampling(), 0)
    assert torch.equal(codes, before)
    assert torch.equal(done[before != WANTED], before[before != WANTED])
    assert int(done.min()) >= 0
    codes[0, 1, 0, 5] = 3
    with pytest.raises(SoliError, match="a stem given or wanted as a whole"):
        complete(model.transformer, codes, Sampling(), 0)


def test_samples_are_stems_that_sum_to_the_mixture(model: RQVAEMusic) -> None:
    assert isinstance(model, Generative)
    music = model.sample(0.5, seed=3)
    assert music.stems.shape == (STEMS, 1, RATE // 2)
    assert music.residual.abs().max() == 0
    decoded = model.codec.decode(music.info["codes"][None], RATE // 2)[0]
    torch.testing.assert_close(music.stems, decoded, atol=1e-5, rtol=1e-4)
    assert torch.equal(music.stems, model.sample(0.5, seed=3).stems)
    for seconds in (0.0, -1.0, math.inf, math.nan, 1e12):
        with pytest.raises(SoliError, match="seconds"):
            model.sample(seconds, seed=3)


def test_a_song_goes_on_with_its_own_codes_first(model: RQVAEMusic) -> None:
    mixture = song(0.4).sum(dim=0)
    music = model.continued(mixture, RATE, 0.3, seed=1)
    codes = model.codec.encode(mixture, RATE)[0]
    n_given = mixture.shape[-1] // model.codec.samples_per_frame - 2  # the frames after them have heard the end
    codes = torch.cat((codes[..., :n_given], wanted(music.info["codes"].shape[-1] - n_given)[0]), dim=-1)
    assert torch.equal(music.info["codes"], complete(model.transformer, codes[None], Sampling(), 1)[0])
    assert music.mixture.shape == (1, round(0.7 * RATE))


def test_a_song_shorter_than_a_frame_is_gone_on_from(model: RQVAEMusic) -> None:
    assert model.continued(song(0.01).sum(dim=0), RATE, 0.3, seed=1).mixture.shape == (1, round(0.31 * RATE))


def test_several_songs_at_once_are_refused(model: RQVAEMusic) -> None:
    songs = song(0.2).sum(dim=0)[None].expand(2, -1, -1)
    with pytest.raises(SoliError, match=r"song of shape \[2, 1, 1600\]; allowed: \[C T\]"):
        model.continued(songs, RATE, 0.3, seed=1)
    with pytest.raises(SoliError, match="song of shape"):
        model.accompanied(songs, RATE, ["bass"], seed=1)


def test_an_accompaniment_keeps_the_codes_of_the_stems_that_stay(model: RQVAEMusic) -> None:
    mixture = song(0.4).sum(dim=0)
    music = model.accompanied(mixture, RATE, ("guitar", "bass"), seed=1)
    codes = model.codec.encode(mixture, RATE)[0]
    assert torch.equal(music.info["codes"][[0, 2]], codes[[0, 2]])
    assert (music.info["codes"][[1, 3]] != codes[[1, 3]]).float().mean() > 0.3
    assert music.mixture.shape == mixture.shape
    for keep in ((), ("bass", "drums", "guitar", "piano"), ("voice",)):
        with pytest.raises(SoliError, match="some but not all of bass, drums, guitar, piano"):
            model.accompanied(mixture, RATE, keep, seed=1)


def test_a_saved_model_finds_its_codec_and_plays_the_same(model: RQVAEMusic, tmp_path) -> None:
    folder = save(tmp_path, model)
    loaded = zoo.load(folder)
    assert isinstance(loaded, RQVAEMusic)
    assert torch.equal(loaded.sample(0.3, seed=2).stems, model.sample(0.3, seed=2).stems)
    mixture = song(0.3).sum(dim=0)
    assert torch.equal(loaded.separate(mixture, RATE).stems, model.codec.separate(mixture, RATE).stems)
    stored = sum(tensor.numel() for tensor in loaded.state_dict().values())
    assert stored == sum(tensor.numel() for tensor in model.transformer.state_dict().values())


def test_another_codec_or_none_is_one_clear_line(model: RQVAEMusic, tmp_path) -> None:
    folder = save(tmp_path, model)
    other = codec()
    with torch.no_grad():
        next(other.parameters()).add_(1.0)
    zoo.save(other, tmp_path / "codec", "---\nlicence: none\nsummary: another\n---\n")
    with pytest.raises(SoliError, match=r"music: plays a codec with SHA-256 \w+; .*codec has \w+$"):
        zoo.load(folder)
    (tmp_path / "codec").rename(tmp_path / "gone")
    with pytest.raises(SoliError, match=r"music: its codec cannot be loaded: .*codec"):
        zoo.load(folder)


def test_it_is_a_separator_like_any_other(tmp_path) -> None:
    model = music()
    save(tmp_path, model)
    reference = replace(model.config.codec, name=str(tmp_path / "codec"))  # wherever the model is saved
    model.config = replace(model.config, codec=reference)
    check_separator(model, seconds=0.5, longest_seconds=2.0)
