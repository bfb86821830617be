from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from torch import Tensor

from rqvae_models import RATE, noise, paper, song
from soli.errors import SoliError
from soli.evaluation.metrics import si_sdr, si_sdr_improvement
from soli.systems.rqvae.bottleneck import n_learned
from soli.systems.rqvae.paper import RQVAEPaper, RQVAEPaperConfig
from soli.systems.rqvae.paper_training import RQVAEPaperTask
from soli.testing import check_quantizer, check_separator


def task(separator: RQVAEPaper, **settings: Any) -> RQVAEPaperTask:
    defaults = {"windows": [64, 512], "start_after": 5, "vectors_per_code": 4}
    return RQVAEPaperTask(separator.train(), **{**defaults, **settings})


@functools.cache
def trained(**settings: Any) -> tuple[RQVAEPaper, RQVAEPaperTask]:
    """A separator that has seen one song until it knows it."""
    separator, stems = paper(**settings), song(0.5)
    made = task(separator)
    optimizer = torch.optim.Adam(made.parameters(), lr=1e-2)
    for step in range(60):
        optimizer.param_groups[0]["lr"] = 1e-2 * (1 - step / 60)  # for the averages of the norms to catch up
        optimizer.zero_grad()
        torch.stack(list(made(torch.stack((stems, stems.flip(-1)))).values())).sum().backward()
        optimizer.step()
    separator.eval()
    return separator, made


def gain(separator: RQVAEPaper) -> Tensor:
    stems = song(0.5)
    mixture = stems.sum(dim=0)
    return si_sdr_improvement(stems, separator.separate(mixture, RATE).stems, mixture[None].expand_as(stems))


def test_the_parameters_are_those_of_the_released_model() -> None:
    separator = RQVAEPaper(RQVAEPaperConfig())
    codebooks = 12 * 4096 * 256
    assert n_learned(separator) == 19_052_566
    assert sum(parameter.numel() for parameter in separator.parameters()) == 19_052_566 - codebooks == 6_469_654
    by_gradient = RQVAEPaper(RQVAEPaperConfig(learning="gradient"))
    assert sum(parameter.numel() for parameter in by_gradient.parameters()) == 19_052_566
    convolutions = sum(p.numel() for p in separator.encoder.parameters() if p.ndim == 3)
    assert convolutions == 634_672
    assert sum(p.numel() for p in separator.before.parameters()) == 2_760_960


@pytest.mark.parametrize(("strides", "n_latents"), [((5, 5, 4, 2), 441), ((5, 5, 5, 3), 236)])
def test_four_seconds_are_so_many_latents(strides: tuple[int, ...], n_latents: int) -> None:
    separator = RQVAEPaper(RQVAEPaperConfig(strides=strides, codebook_size=2)).eval()
    separator.bottleneck.ready.fill_(True)
    mixture = noise(1, 88200)
    codes = separator.encode(mixture, 22050)
    assert codes.shape == (1, 1, 12, n_latents)
    assert separator.decode(codes, 88200).shape == (1, 4, 1, 88200)


@pytest.mark.parametrize(
    "settings",
    [{}, {"skips": False}, {"n_codebooks": 1}, {"bottleneck": "vae"}, {"bottleneck": "vae", "skips": False}],
)
def test_it_keeps_the_contract(settings: dict[str, Any]) -> None:
    check_separator(paper(**settings), seconds=0.2, longest_seconds=2.0)


def test_a_trained_one_keeps_the_contract() -> None:
    separator, _ = trained()
    check_separator(separator, seconds=0.2, longest_seconds=1.0)


def test_its_quantiser_keeps_the_contract() -> None:
    separator, _ = trained()
    mixture = torch.stack((song(0.512).sum(dim=0)[0], song(0.512).flip(-1).sum(dim=0)[0]))
    with torch.no_grad():
        latents = separator.encode_waveforms(mixture).latents[:, 0]
    check_quantizer(separator.bottleneck.stems[0], latents)


def test_channels_are_separated_each_on_its_own() -> None:
    separator, mixture = paper(), noise(2, 3000)
    both = separator.separate(mixture, RATE).stems
    for channel in range(2):
        alone = separator.separate(mixture[channel : channel + 1], RATE).stems
        torch.testing.assert_close(both[:, channel : channel + 1], alone, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("settings", [{}, {"n_codebooks": 1}, {"bottleneck": "vae"}])
def test_it_learns_a_song(settings: dict[str, Any]) -> None:
    separator, _ = trained(**settings)
    assert gain(separator).min() > 4


def test_without_skips_everything_passes_the_bottleneck() -> None:
    separator, _ = trained(skips=False)
    mixture = song(0.5).sum(dim=0)
    codes = separator.encode(mixture, RATE)
    decoded = separator.decode(codes, mixture.shape[-1])[0]
    torch.testing.assert_close(decoded, separator.separate(mixture, RATE).stems, atol=1e-5, rtol=1e-4)
    assert (song(0.5) - decoded).square().sum() < 0.95 * song(0.5).square().sum()  # 1 is silence; it learns slowly


def test_skips_go_round_the_bottleneck() -> None:
    separator, _ = trained()
    mixture = song(0.5).sum(dim=0)
    alone = separator.decode(separator.encode(mixture, RATE), mixture.shape[-1])[0]
    assert si_sdr(song(0.5), alone).mean() < si_sdr(song(0.5), separator.separate(mixture, RATE).stems).mean() - 10


def test_the_gradient_passes_the_codes_into_the_encoder() -> None:
    separator, made = trained(skips=False)
    separator.train().zero_grad()
    made(song(0.5)[None])["waveform"].backward()
    first = separator.encoder.blocks[0][1]
    assert first.weight.grad is not None
    assert float(first.weight.grad.abs().max()) > 0
    separator.zero_grad()
    separator.eval()


def test_terms_are_the_equations() -> None:
    separator, made = trained()
    made.eval()
    stems = song(0.5)[None]
    with torch.no_grad():
        losses = made(stems)
        estimates = separator.separate(stems[0].sum(dim=0), RATE).stems
        latents = separator.encode_waveforms(stems[:, :, 0].sum(dim=1)).latents
    error = ((stems[0] - estimates) / separator.config.level).square().mean(dim=-1).sum()
    torch.testing.assert_close(losses["waveform"], error, rtol=1e-4, atol=0)
    quantizer = separator.bottleneck.stems[0]
    codes = quantizer.encode(latents[:, 0])
    # r_1 = z, r_(d+1) = r_d - e_d: the pull on z of the sums of the first d entries, and of the first entry again
    levels = [float((latents[:, 0] - quantizer.decode(codes[:, : d + 1])).square().mean()) for d in range(3)]
    assert float(losses["commitment"]) == pytest.approx(sum(levels) + levels[0], rel=1e-4)


def test_codebooks_by_gradient_have_a_term_of_their_own() -> None:
    made = task(paper(learning="gradient"), start_after=1, vectors_per_code=1)
    made(song(0.5)[None])
    losses = made(song(0.5)[None])
    assert set(losses) == {"waveform", "mel", "commitment", "codebook"}
    losses["codebook"].backward()
    entries = made.separator.bottleneck.stems[0].codebooks[2].vectors
    assert entries.grad is not None
    assert float(entries.grad.abs().max()) > 0
    assert made.separator.encoder.blocks[0][1].weight.grad is None


def test_known_stems_are_heard() -> None:
    separator = paper(partial_stems=True)
    stems = song(0.5)[None, :, 0]
    mixture = stems.sum(dim=1)
    with torch.no_grad():
        unknown = separator.estimate(mixture)
        torch.testing.assert_close(unknown, separator.estimate(mixture, torch.zeros_like(stems)))
        known = stems * torch.tensor([1.0, 0, 0, 1])[:, None]
        assert (separator.estimate(mixture, known) - unknown).abs().max() > 1e-4
    losses = task(separator)(stems[:, :, None])
    assert torch.isfinite(torch.stack(list(losses.values()))).all()


def test_wrong_use_is_one_line() -> None:
    separator = paper()
    with pytest.raises(SoliError, match="not initialised"):
        separator.encode(noise(1, 800), RATE)
    with pytest.raises(SoliError, match="partial_stems"):
        separator.estimate(noise(1, 800), noise(1, 4, 800))
    with pytest.raises(SoliError, match='bottleneck = "vae" has no codes'):
        paper(bottleneck="vae").encode(noise(1, 800), RATE)
    with pytest.raises(SoliError, match="codes of 2 sources; this model has 1"):
        separator.decode(torch.zeros(1, 2, 3, 5, dtype=torch.int64))
    with pytest.raises(SoliError, match=r"allowed: integers \[B S K N\]"):
        separator.decode(torch.zeros(1, 3, 5, dtype=torch.int64))
    with pytest.raises(SoliError, match="codes from 0 to 32; allowed: -1 to 31"):
        separator.decode(torch.arange(33).view(1, 1, 1, 33))
