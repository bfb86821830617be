from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from torch import Tensor

from rqvae_models import RATE, modern, noise, song
from soli.dsp.frames import analyse
from soli.dsp.scale import compressed, expanded, magnitude_planes, usual_power
from soli.errors import SoliError
from soli.evaluation.metrics import si_sdr, si_sdr_improvement
from soli.streaming import stream
from soli.systems.rqvae.config import RQVAEConfig
from soli.systems.rqvae.losses import relative_error
from soli.systems.rqvae.masking import masked_apart, shared_out
from soli.systems.rqvae.separator import RQVAE
from soli.systems.rqvae.training import RQVAETask
from soli.testing import check_quantizer, check_separator


def task(separator: RQVAE, **settings: Any) -> RQVAETask:
    defaults = {"codec_windows": [64, 256], "start_after": 5, "vectors_per_code": 2, "subset_probability": 0.0}
    return RQVAETask(separator.train(), **{**defaults, **settings})


@functools.cache
def trained(codec_fraction: float) -> RQVAE:
    """A separator that has seen one song until it knows it."""
    separator, stems = modern(), song()
    made = task(separator, codec_fraction=codec_fraction)
    optimizer = torch.optim.Adam(made.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        torch.stack(list(made(torch.stack((stems, stems))).values())).sum().backward()
        optimizer.step()
    return separator.eval()


def test_the_released_config_has_the_sizes_it_states() -> None:
    config = RQVAEConfig()
    separator = RQVAE(config)
    assert 10e6 < sum(parameter.numel() for parameter in separator.parameters()) < 20e6
    assert config.bits_per_second == pytest.approx(22050 / 1024 * 8 * 10)
    assert config.bits_per_second < 16000


def test_it_keeps_the_contract() -> None:
    check_separator(modern(), seconds=0.5, longest_seconds=3.0)


def test_a_trained_one_keeps_the_contract() -> None:
    check_separator(trained(0.5), seconds=0.5, longest_seconds=3.0)


def test_the_quantiser_of_every_source_keeps_the_contract() -> None:
    separator = trained(1.0)
    mixture = torch.stack((song().sum(dim=0)[0], song().flip(-1).sum(dim=0)[0]))
    with torch.no_grad():
        latents = separator.network.encode(mixture).latents
    for quantizer, part in zip(separator.network.quantizer.stems, latents.unbind(dim=1), strict=True):
        check_quantizer(quantizer, part)


def test_with_skips_it_learns_to_separate() -> None:
    stems = song()
    mixture = stems.sum(dim=0)
    estimates = trained(0.5).separate(mixture, RATE).stems
    assert si_sdr_improvement(stems, estimates, mixture[None].expand_as(stems)).min() > 10


def test_codes_alone_are_learned_too() -> None:
    separator, stems = trained(1.0), song()
    mixture = stems.sum(dim=0)
    codes = separator.encode(mixture, RATE)
    assert codes.shape == (1, 4, 3, 63)
    decoded = separator.decode(codes, mixture.shape[-1])[0]
    gains = si_sdr(stems, decoded) - si_sdr(stems, mixture[None].expand_as(stems))
    assert gains.mean() > 3
    assert si_sdr(stems[:1], decoded[:1]) > 10  # the low tone


def test_more_levels_are_closer() -> None:
    separator, mixture = trained(1.0), song().sum(dim=0)
    codes = separator.encode(mixture, RATE)
    with torch.no_grad():
        latents = separator.network.encode(mixture).latents
    errors = [float((separator.network.quantizer.decode(codes[:, :, :k]) - latents).square().mean()) for k in (1, 2, 3)]
    assert float(latents.square().mean()) > errors[0] > errors[1] > errors[2]


def test_a_source_is_decoded_from_its_own_codes() -> None:
    separator = trained(0.5)
    codes = separator.encode(song().sum(dim=0), RATE)
    other = codes.clone()
    other[:, 2] = (other[:, 2] + 1) % 32
    before, after = separator.decode(codes), separator.decode(other)
    torch.testing.assert_close(after[:, [0, 1, 3]], before[:, [0, 1, 3]])
    assert (after[:, 2] - before[:, 2]).abs().max() > 1e-5


def test_estimates_alone_sum_to_the_mixture() -> None:
    mixture = noise(2, 5000)
    estimates = modern().separate(mixture, RATE)
    assert estimates.residual.abs().max() < 1e-6
    assert (estimates.stems.square().mean(dim=(1, 2)) > 1e-3 * mixture.square().mean()).all()


def test_loudness_does_not_matter() -> None:
    separator, mixture = modern(), noise(1, 6000)
    quiet = separator.separate(0.01 * mixture, RATE).stems
    torch.testing.assert_close(100 * quiet, separator.separate(mixture, RATE).stems, atol=1e-5, rtol=1e-3)


def test_what_is_longer_than_a_segment_is_separated_as_a_file_is() -> None:
    separator, mixture = modern(), noise(2, 13 * RATE)
    due = torch.cat([piece.stems for piece in stream(separator, mixture.split(5000, dim=-1), RATE)], dim=-1)
    torch.testing.assert_close(separator.separate(mixture, RATE).stems, due)
    first = separator.separate(mixture[:, : 12 * RATE], RATE).stems[..., : 10 * RATE]
    torch.testing.assert_close(due[..., : 10 * RATE], first, atol=1e-4, rtol=0)


def test_a_song_in_segments_is_separated_nearly_as_well_as_in_one_go() -> None:
    separator, stems = trained(0.5), song(6.0)
    mixture = stems.sum(dim=0)
    pieces = list(stream(separator, mixture.split(5000, dim=-1), RATE, segment_seconds=4.0))
    assert len(pieces) > 2
    streamed = torch.cat([piece.stems for piece in pieces], dim=-1)
    gains = si_sdr_improvement(stems, streamed, mixture[None].expand_as(stems))
    whole = si_sdr_improvement(stems, separator.separate(mixture, RATE).stems, mixture[None].expand_as(stems))
    assert (gains > whole - 3).all()


@pytest.mark.parametrize("seed", range(3))
def test_masks_are_those_of_the_formula(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 4, 5, 8, generator=generator)
    refinement = torch.randn(2, 4, 2, 5, 6, generator=generator)
    mixture = torch.randn(2, 5, 9, dtype=torch.complex64, generator=generator)
    shares = torch.cat((logits, logits[..., -1:]), dim=-1).softmax(dim=1)
    d = torch.zeros(2, 4, 5, 9, dtype=torch.complex64)
    d[..., :6] = torch.complex(refinement[:, :, 0], refinement[:, :, 1])
    due = shares * (1 + d - (shares * d).sum(dim=1, keepdim=True)) * mixture[:, None]
    found = shared_out(logits, refinement, mixture)
    torch.testing.assert_close(found, due)
    torch.testing.assert_close(found.sum(dim=1), mixture)


def test_masks_that_share_nothing_out_do_not_know_each_other() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 3, 5, 8, generator=generator)
    refinement = torch.randn(1, 3, 2, 5, 6, generator=generator)
    mixture = torch.randn(1, 5, 9, dtype=torch.complex64, generator=generator)
    found = masked_apart(logits, refinement, mixture)
    torch.testing.assert_close(masked_apart(logits[:, 1:2], refinement[:, 1:2], mixture), found[:, 1:2])
    torch.testing.assert_close(found[..., 6:8], logits[..., 6:].sigmoid() * mixture[:, None, :, 6:8])
    d = torch.complex(refinement[:, :, 0], refinement[:, :, 1])
    torch.testing.assert_close(found[..., :6], logits[..., :6].sigmoid() * (1 + d) * mixture[:, None, :, :6])


def test_only_a_consistent_model_gives_the_whole_mixture_away() -> None:
    mixture = noise(1, 2000, seed=1)
    kept = modern().separate(mixture, RATE).stems.sum(dim=0)
    lost = modern(consistent=False).separate(mixture, RATE).stems.sum(dim=0)
    torch.testing.assert_close(kept, mixture, atol=1e-4, rtol=0)
    assert (lost - mixture).abs().max() > 0.01


def test_an_error_that_is_no_logarithm_counts_energies() -> None:
    stems = noise(2 * 3, 1000, seed=2).view(2, 3, 1000)
    mixture = stems.sum(dim=1).square().mean(dim=-1)
    due = (stems.square().mean(dim=-1) / mixture[:, None]).mean()
    torch.testing.assert_close(relative_error(stems, torch.zeros_like(stems)), due)
    batch, settings = song()[None].expand(2, -1, -1, -1), {"codec_fraction": 0.0}
    energy, decibels = (task(modern(), decibels=kind, **settings)(batch)["error"] for kind in (False, True))
    guesses = modern().estimate(batch.sum(dim=1).mean(dim=1))
    torch.testing.assert_close(energy, relative_error(batch.mean(dim=2), guesses), rtol=1e-2, atol=0)
    assert abs(float(decibels) - float(energy)) > 0.5


def test_separated_stems_may_be_asked_for_their_magnitudes_too() -> None:
    stems = noise(2 * 4, 1000, seed=2).view(2, 4, 1, 1000)
    found = [task(modern(), magnitude_weight=weight, codec_fraction=0.0)(stems) for weight in (0.0, 1.0, 2.0)]
    assert "magnitude" not in found[0]
    torch.testing.assert_close(found[2]["magnitude"], 2 * found[1]["magnitude"])
    torch.testing.assert_close(found[2]["error"], found[0]["error"])


def test_compression_has_an_inverse_and_keeps_phases() -> None:
    spectrogram = 3 * torch.randn(4, 5, 6, dtype=torch.complex64)
    small = compressed(spectrogram, 256)
    torch.testing.assert_close(expanded(small, 256), spectrogram, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(small.abs(), (spectrogram.abs() / usual_power(256) ** 0.5).sqrt(), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(small.angle(), spectrogram.angle())


def test_noise_of_usual_level_lies_in_the_middle_of_the_planes() -> None:
    waveform = noise(1, 64 * 99, seed=3)
    planes = magnitude_planes(waveform, analyse(waveform, 256, 64), 256, 64)
    assert planes.shape == (1, 2, 100, 128)
    power = ((planes - 2) * 4).exp()[:, :, 3:-3]
    torch.testing.assert_close(power.mean(dim=(0, 2, 3)), torch.ones(2), atol=0.1, rtol=0)


def test_a_click_lies_in_its_quarter_of_the_short_window() -> None:
    waveform = torch.zeros(1, 64 * 19)
    waveform[0, 64 * 10 - 16] = 1.0  # the centre of the second of frame 10's four short frames
    short = magnitude_planes(waveform, analyse(waveform, 256, 64), 256, 64)[0, 1]  # [N F]
    loudest = short.unflatten(-1, (-1, 4)).mean(dim=1)  # [N 4]
    assert divmod(int(loudest.argmax()), 4) == (10, 1)


def test_skips_are_dropped_for_the_items_that_are_decoded_from_codes() -> None:
    network = modern().network
    mixture = torch.stack((song().sum(dim=0)[0], song().flip(-1).sum(dim=0)[0]))
    with torch.no_grad():
        encoded = network.encode(mixture)
        mixed = network.decode(encoded.latents, encoded, torch.tensor([0.0, 1.0]))
        without, with_skips = network.decode(encoded.latents), network.decode(encoded.latents, encoded)
    torch.testing.assert_close(mixed[0], without[0])
    torch.testing.assert_close(mixed[1], with_skips[1])
    assert (without - with_skips).abs().amax(dim=(1, 2, 3, 4)).min() > 0.1


def test_both_paths_reach_the_encoder() -> None:
    for fraction in (0.0, 1.0):
        made = task(modern(), codec_fraction=fraction, start_after=1, vectors_per_code=1)
        made(song()[None].repeat(2, 1, 1, 1))
        assert made.separator.network.quantizer.ready
        torch.stack(list(made(song()[None].repeat(2, 1, 1, 1)).values())).sum().backward()
        for module in (made.separator.network.split, made.separator.network.attention, made.separator.network.phases):
            gradients = [parameter.grad for parameter in module.parameters()]
            assert all(gradient is not None and gradient.abs().max() > 0 for gradient in gradients)


def test_a_batch_trains_both_modes() -> None:
    made = task(modern(), codec_fraction=0.1)
    assert [made._n_codec(size) for size in (2, 3, 8, 40)] == [1, 1, 1, 4]
    losses = made(song()[None].repeat(3, 1, 1, 1))
    assert set(losses) == {"error", "codec_error", "codec_magnitude", "commitment"}
    torch.stack(list(losses.values())).sum().backward()
    missing = [name for name, p in made.named_parameters() if p.grad is None]
    assert not missing  # several machines wait for every gradient


def test_known_stems_are_heard() -> None:
    separator, stems = modern(partial_stems=True), song()[None, :, 0]
    mixture = stems.sum(dim=1)
    with torch.no_grad():
        unknown = separator.estimate(mixture)
        torch.testing.assert_close(unknown, separator.estimate(mixture, torch.zeros_like(stems)))
        known = stems * torch.tensor([1.0, 0, 0, 1])[:, None]
        assert (separator.estimate(mixture, known) - unknown).abs().max() > 1e-4
    made = task(separator)
    torch.stack(list(made(stems[:, :, None]).values())).sum().backward()
    weight = made.separator.network.split.weights[0].grad  # [K, value * patch * bins, D]
    assert weight is not None
    assert weight.unflatten(1, (6, -1)).abs().amax(dim=(0, 2, 3)).min() > 0
    with pytest.raises(SoliError, match="partial_stems = true"):
        modern().estimate(mixture, known)


def test_silence_gives_finite_losses_and_gradients() -> None:
    made = task(modern())
    stems = torch.stack((song(), 0 * song(), 1e-4 * song()))
    losses = made(stems)
    torch.stack(list(losses.values())).sum().backward()
    assert all(torch.isfinite(value) for value in losses.values())
    assert all(torch.isfinite(p.grad).all() for p in made.parameters() if p.grad is not None)


def test_sizes_that_do_not_fit_are_named() -> None:
    with pytest.raises(SoliError, match="32 bands and 1 depths; they must fit 2 levels"):
        modern(depths=(1,))
    with pytest.raises(SoliError, match="3 stem_widths for 2 widths"):
        modern(stem_widths=(8, 8, 8))
    with pytest.raises(SoliError, match="band layout covers 64 bins; it must cover 128"):
        modern(bands=((16, 2), (8, 4)))


def decibels(reference: Tensor, other: Tensor) -> float:
    return float(10 * torch.log10(reference.square().sum() / (reference - other).square().sum()))


def test_bfloat16_separates_alike() -> None:
    separator, mixture = trained(0.5), song().sum(dim=0)
    whole = separator.separate(mixture, RATE).stems
    with torch.autocast("cpu", torch.bfloat16):
        half = separator.separate(mixture, RATE).stems
    assert decibels(whole, half) > 15
