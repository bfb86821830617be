from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from torch import Tensor

from soli.evaluation.metrics import sdr_global, si_sdr_improvement
from soli.separator import Separator
from soli.streaming import stream
from soli.systems.classcond.config import ClassCondConfig
from soli.systems.classcond.gaussians import AuxiliaryNet, Covariance, posteriors
from soli.systems.classcond.network import posterior_planes
from soli.systems.classcond.query import QueryMode
from soli.systems.classcond.separator import ClassCond
from soli.systems.classcond.training import ClassCondTask
from soli.testing import check_separator

RATE = 8000
TINY = {
    "sample_rate": RATE,
    "n_fft": 512,
    "hop_length": 256,
    "level_seconds": 0.5,
    "spatial_seconds": 0.2,
    "bands": ((16, 2), (8, 8), (4, 40)),
    "n_features": 16,
    "depths": (1,),
    "dilations": (1,),
    "n_layers": 1,
    "n_heads": 2,
    "embedding_size": 8,
    "refinement_features": 8,
    "refined_groups": 2,
}
TRUNKS = ("conv", "unet", "attention")
MODES = get_args(QueryMode)


def tiny(**settings: object) -> ClassCond:
    torch.manual_seed(0)
    return ClassCond(ClassCondConfig(**{**TINY, **settings})).eval()  # type: ignore[arg-type]


def noise(n_channels: int, seconds: float, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(n_channels, round(seconds * RATE), generator=generator)


def decibels(reference: Tensor, other: Tensor) -> float:
    return float(10 * torch.log10(reference.square().sum() / (reference - other).square().sum()))


@pytest.mark.parametrize("trunk", TRUNKS)
def test_it_keeps_the_contract(trunk: str) -> None:
    check_separator(tiny(trunk=trunk), longest_seconds=6.0)


@pytest.mark.parametrize("covariance", get_args(Covariance))
def test_estimates_alone_sum_to_the_mixture(covariance: str) -> None:
    separator = tiny(covariance=covariance)
    mixture = noise(2, 0.7)
    estimates = separator.separate(mixture, RATE)
    assert estimates.residual.abs().max() < 1e-6
    assert (estimates.stems.square().mean(dim=(1, 2)) > 1e-3 * mixture.square().mean()).all()


def test_loudness_does_not_matter() -> None:
    separator, mixture, gain = tiny(), noise(2, 1.0), 10 ** (10 / 20)
    quiet, loud = separator.separate(mixture, RATE).stems, separator.separate(gain * mixture, RATE).stems
    assert decibels(gain * quiet, loud) > 80


def test_one_channel_is_heard_on_both_sides() -> None:
    separator, mono = tiny(), noise(1, 0.5)
    both = separator.separate(mono.repeat(2, 1), RATE).stems
    torch.testing.assert_close(separator.separate(mono, RATE).stems, both.mean(dim=1, keepdim=True))


def test_more_channels_are_pairs_and_a_single_one() -> None:
    separator, mixture = tiny(), noise(5, 0.5)
    stems = separator.separate(mixture, RATE).stems
    assert stems.shape == (4, 5, 4000)
    for channels in (slice(0, 2), slice(2, 4), slice(4, 5)):
        alone = separator.separate(mixture[channels], RATE).stems
        torch.testing.assert_close(stems[:, channels], alone)


@pytest.mark.parametrize("covariance", get_args(Covariance))
def test_posteriors_on_planes_are_those_of_the_e_step(covariance: Covariance) -> None:
    torch.manual_seed(0)
    auxiliary = AuxiliaryNet(4, 6, covariance, "softplus")
    torch.nn.init.normal_(auxiliary.linear.weight)
    embedding = torch.randn(2, 6, 5, 7)
    due = posteriors(embedding.movedim(1, -1), *auxiliary()).movedim(-1, 1)
    assert due.std() > 0.1
    torch.testing.assert_close(posterior_planes(embedding, auxiliary()), due)


@pytest.mark.parametrize(
    "settings",
    [
        {"trunk": "conv"},
        {"trunk": "conv", "dilations": (1, 4), "level_seconds": 0.1},
        {"trunk": "unet"},
        {"trunk": "unet", "depths": (1, 2), "dilations": (1, 2), "level_seconds": 0.2},
    ],
)
def test_nothing_beyond_the_context_has_an_influence(settings: dict[str, object]) -> None:
    separator = tiny(**settings)
    config = separator.config
    context = round(config.context_seconds * RATE)
    waveform = noise(2, (2 * context + 20 * config.hop_length) / RATE)[None].requires_grad_()
    stems = separator._separate_pair(waveform)
    reaches = []
    for frame in range(config.frame_multiple):  # where a group of frames begins decides how far each one sees
        position = waveform.shape[-1] // 2 + frame * config.hop_length
        (gradient,) = torch.autograd.grad(stems[0, 1, 0, position], waveform, retain_graph=True)
        touched = gradient.abs().amax(dim=(0, 1)).nonzero()
        reaches += [position - int(touched.min()), int(touched.max()) - position]
    assert 0.8 * context < max(reaches) <= context


@pytest.mark.parametrize("trunk", ["conv", "unet"])
def test_in_segments_it_gives_what_it_gives_in_one_go(trunk: str) -> None:
    separator, mixture = tiny(trunk=trunk), noise(2, 9.0)
    pieces = list(stream(separator, mixture.split(5000, dim=-1), RATE, segment_seconds=4.0))
    assert len(pieces) > 2
    whole, streamed = separator.separate(mixture, RATE).stems, torch.cat([piece.stems for piece in pieces], dim=-1)
    assert decibels(whole, streamed) > 60


class Recorder(Separator):
    """Stands in for a separator in `stream` and notes where its segments start."""

    sources = ("all",)

    def __init__(self, config: ClassCondConfig) -> None:
        super().__init__()
        self.sample_rate, self.context_seconds = config.sample_rate, config.context_seconds
        self.segment_seconds = ClassCond.segment_seconds
        self.starts: list[int] = []

    def _separate(self, mixture: Tensor) -> Tensor:
        self.starts += mixture[:, 0, 0].long().tolist()
        return mixture[:, None]


def test_segments_of_the_default_config_start_where_its_groups_of_frames_do() -> None:
    config = ClassCondConfig()
    recorder = Recorder(config)
    counted = torch.arange(160 * config.sample_rate, dtype=torch.float32)[None]  # each sample tells its position
    for _ in stream(recorder, [counted], config.sample_rate):
        pass
    assert len(recorder.starts) > 3
    assert {start % (config.hop_length * config.frame_multiple) for start in recorder.starts} == {0}


def song() -> Tensor:
    """Two seconds of a sweep, noise bursts, a low tone and a chord, `[S 2 T]` in the order of the classes."""
    seconds = torch.arange(2 * RATE) / RATE

    def tones(*frequencies: float) -> Tensor:
        return torch.stack([torch.sin(2 * math.pi * frequency * seconds) for frequency in frequencies]).sum(dim=0)

    sweep = 0.2 * torch.sin(2 * math.pi * (1000 * seconds + 400 * seconds.square()))
    bursts = 2 * noise(1, 2.0, seed=5)[0].diff(n=2, prepend=torch.zeros(2)) * (seconds % 0.25 < 0.1)  # a hi-hat
    mono = torch.stack([sweep, bursts, 0.25 * tones(70, 140), 0.1 * tones(440, 554, 659)])
    pans = torch.tensor([[1.0, 0.7], [0.8, 1.0], [1.0, 1.0], [0.6, 1.0]])
    return pans[:, :, None] * mono[:, None]


@pytest.fixture(scope="module")
def trained() -> tuple[ClassCond, Tensor]:
    """A separator that has seen one song until it knows it, and how much it gained in dB for each class."""
    stems = song()
    separator = tiny(trunk="conv", dilations=(1, 2))
    before = sdr_global(stems, separator.separate(stems.sum(dim=0), RATE).stems)
    task = ClassCondTask(separator.train())
    optimizer = torch.optim.Adam(task.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        some = stems * (torch.rand(4, 1, 1) < 0.4)  # an example is heard alone, so fewer sources must be known too
        torch.stack(list(task(torch.stack((stems, some))).values())).sum().backward()
        optimizer.step()
    separator.eval()
    return separator, sdr_global(stems, separator.separate(stems.sum(dim=0), RATE).stems) - before


def test_it_learns_every_class(trained: tuple[ClassCond, Tensor]) -> None:
    _, gain = trained
    assert gain.min() > 6


# Against the classes' narrower Gaussians, the broad one of a sweep or of noise wins nearly everywhere, so these two
# are left out of `posterior` here: a network that knows but one song gives them no firm place.
@pytest.mark.parametrize(
    ("mode", "wanted"), [*(("likelihood", k) for k in range(4)), ("posterior", 2), ("posterior", 3)]
)
def test_an_example_finds_its_like(trained: tuple[ClassCond, Tensor], mode: QueryMode, wanted: int) -> None:
    separator, _ = trained
    stems = song()
    mixture, example = stems.sum(dim=0), stems[wanted, :, RATE // 2 : RATE]
    match = separator.query(mixture, example, RATE, mode=mode, temperature=4.0 if mode == "likelihood" else 1.0)
    assert si_sdr_improvement(stems[wanted], match["match"], mixture) > 6


@pytest.mark.parametrize("mode", MODES)
def test_a_query_in_pieces_is_the_query_in_one_go(mode: QueryMode) -> None:
    separator = tiny(trunk="unet")
    mixture, example = noise(3, 5.0), noise(1, 0.5, seed=1)
    whole = separator.query(mixture, example, RATE, mode=mode, temperature=8.0)["match"]
    separator.segment_seconds = 1.1
    pieces = separator.query(mixture, example, RATE, mode=mode, temperature=8.0)["match"]
    assert whole.abs().max() > 1e-3
    assert decibels(whole, pieces) > 80
