from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor

from soli.data.cache import Cache, CacheWriter
from soli.data.mixing import Mixer, MixingConfig, batches

SIZE = 2
CONFIG = MixingConfig(
    sources=("drums", "bass"),
    segment_seconds=0.3,
    tempo=0.5,
    pitch=0.5,
    reverb=0.5,
    equalise=0.5,
    equal_loudness=True,
    loudness="lufs",
)


pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker processes")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    folder, rng = tmp_path_factory.mktemp("cache"), np.random.default_rng(0)
    with CacheWriter(folder) as writer:
        for song in range(3):
            for label in ("drums", "bass"):
                audio = 0.1 * rng.standard_normal((2, 44100)).astype(np.float32)
                writer.add(audio, collection="a", track=f"{song}", label=label)
    return Cache(folder)


@pytest.fixture(scope="module")
def mixer(cache: Cache) -> Mixer:
    return Mixer([cache], CONFIG)


@pytest.fixture(scope="module")
def due(mixer: Mixer) -> Tensor:
    """The first ten mixtures."""
    return torch.stack([torch.from_numpy(mixer.mixture(index)) for index in range(10)])


def collect(mixer: Mixer, n: int, **settings: int) -> Tensor:
    return torch.cat(list(islice(batches(mixer, batch_size=SIZE, **settings), n)))


@pytest.mark.parametrize("n_workers", [0, 1, 2, 3])
def test_batches_are_the_same_for_any_number_of_workers(mixer: Mixer, due: Tensor, n_workers: int) -> None:
    assert torch.equal(collect(mixer, 5, n_workers=n_workers), due)


@pytest.mark.parametrize(("before", "after"), [(2, 3), (3, 0), (0, 2)])
def test_a_resumed_stream_goes_on_with_other_workers_exactly(
    mixer: Mixer, due: Tensor, before: int, after: int
) -> None:
    began = collect(mixer, 2, n_workers=before)
    went_on = collect(mixer, 3, n_workers=after, first=2 * SIZE, prefetch=1)
    assert torch.equal(torch.cat((began, went_on)), due)


def test_another_seed_gives_other_mixtures(cache: Cache, due: Tensor) -> None:
    other = Mixer([cache], CONFIG, seed=1)
    assert not torch.equal(torch.from_numpy(other.mixture(0)), due[0])


def test_the_state_of_torchs_generator_is_left_alone(mixer: Mixer) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    collect(mixer, 1, n_workers=1)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("n_workers", [0, 2])
def test_processes_have_every_mixture_once_between_them(mixer: Mixer, due: Tensor, n_workers: int) -> None:
    shares = [batches(mixer, batch_size=SIZE, n_workers=n_workers, share=(rank, 2)) for rank in range(2)]
    found = torch.cat([next(stream) for _ in range(2) for stream in shares])
    assert torch.equal(found, due[: 4 * SIZE])
