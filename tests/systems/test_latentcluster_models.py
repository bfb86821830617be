from __future__ import annotations

import pytest
import torch

from latent_models import RATE, modern, paper, slots, tone, two_instruments
from soli import zoo
from soli.errors import SoliError
from soli.evaluation.metrics import best_permutation_si_sdr, si_sdr
from soli.separator import Discoverer
from soli.systems.latentcluster.config import LatentClusterConfig, LatentSlotsConfig, SpectralConfig
from soli.systems.latentcluster.network import band_energies, repainted, roots
from soli.systems.latentcluster.paper_training import LatentClusterPaperTask
from soli.systems.latentcluster.slots import group_slots
from soli.systems.latentcluster.slots_training import LatentSlotsTask
from soli.systems.latentcluster.spectral import in_pieces
from soli.systems.latentcluster.training import LatentClusterTask
from soli.systems.latentcluster.variational import Posterior, collapse
from soli.testing import check_separator

MODELS = {"modern": modern, "slots": slots, "paper": paper}


@pytest.mark.parametrize("preset", MODELS)
def test_presets_keep_the_contract(preset: str) -> None:
    assert "discover" in check_separator(MODELS[preset](), seconds=0.5, longest_seconds=4)


@pytest.mark.parametrize("preset", MODELS)
def test_as_many_sources_are_found_as_are_asked_for_loudest_first(preset: str) -> None:
    model = MODELS[preset]()
    assert isinstance(model, Discoverer)
    mixture = two_instruments().sum(dim=0)
    found = model.discover(mixture, RATE, n_sources=2)
    assert tuple(found) == ("cluster1", "cluster2")
    assert found.info["n_sources"] == 2
    energies = found.stems.square().sum(dim=(1, 2))
    assert (energies.diff() <= 0).all()
    assert int(found.info["labels"].max()) <= 1
    assert len(found.info["latents"]) == len(found.info["labels"])


@pytest.mark.parametrize("preset", ["modern", "slots"])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_masked_sources_sum_to_the_mixture_exactly(preset: str, n_channels: int) -> None:
    mixture = two_instruments().sum(dim=0).expand(n_channels, -1) * torch.tensor([[1.0], [0.5]])[:n_channels]
    found = MODELS[preset]().discover(mixture, RATE, n_sources=2)
    assert float(found.residual.square().mean()) < 1e-12


@pytest.mark.parametrize("preset", MODELS)
def test_separating_gives_what_discovering_gives_and_silence(preset: str) -> None:
    model, mixture = MODELS[preset](), two_instruments().sum(dim=0)
    found, separated = model.discover(mixture, RATE), model.separate(mixture, RATE)
    assert len(separated) == 4
    torch.testing.assert_close(separated.stems[: len(found)], found.stems)
    assert not separated.stems[len(found) :].any()


@pytest.mark.parametrize("preset", MODELS)
def test_silence_is_one_source(preset: str) -> None:
    found = MODELS[preset]().discover(torch.zeros(2, 3000), RATE)
    assert tuple(found) == ("cluster1",)
    assert not found.stems.any()


def test_what_cannot_be_discovered_in_is_refused() -> None:
    model, mixture = modern(), torch.randn(1, 1000)
    with pytest.raises(SoliError, match="2 to 8"):
        model.discover(mixture, RATE, n_sources=9)
    with pytest.raises(SoliError, match="one mixture"):
        model.discover(mixture[None], RATE)
    with pytest.raises(SoliError, match="44100"):
        model.discover(mixture, 44100)
    for wrong in ({"max_sources": 9}, {"bands": ((3, 4),)}):
        with pytest.raises(SoliError, match="allowed"):
            SpectralConfig(**wrong)
    with pytest.raises(SoliError, match="n_slots"):
        LatentSlotsConfig(n_slots=1)


@pytest.mark.parametrize("assignment", ["soft", "nmf"])
@pytest.mark.parametrize("selection", ["silhouette", "stability", "bic"])
def test_every_assignment_and_count_gives_sources_that_sum_up(assignment: str, selection: str) -> None:
    model = modern(assignment=assignment, selection=selection, n_parts=6)
    mixture = two_instruments().sum(dim=0)
    found = model.discover(mixture, RATE)
    assert 1 <= len(found) <= 4
    assert float(found.residual.abs().max()) < 1e-6


def test_a_long_mixture_in_pieces_is_the_mixture_at_once() -> None:
    x = torch.randn(2, 3, 1500, 2)
    kernel = torch.randn(3, 3, 5, 1)

    def smooth(piece: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv2d(piece, kernel, padding=(2, 0))

    torch.testing.assert_close(in_pieces(smooth, x, 2, 2, 16), smooth(x), atol=1e-5, rtol=1e-5)


def test_magnitudes_come_back_through_their_roots() -> None:
    spectrogram = torch.randn(2, 5, 9, dtype=torch.complex64)
    torch.testing.assert_close(repainted(roots(spectrogram, 256), spectrogram, 256), spectrogram, atol=1e-5, rtol=1e-4)


def test_bands_hold_the_energy_of_the_bins() -> None:
    config = modern().config
    power = torch.rand(3, 10, 129)
    energies = band_energies(power, config)
    assert energies.shape == (3, 24, 10)
    torch.testing.assert_close(energies.sum(dim=(1, 2)), power[..., :-1].sum(dim=(1, 2)))
    torch.testing.assert_close(energies[:, 1, 4], power[:, 4, 2:4].sum(dim=-1))


def test_turning_all_latents_off_is_silence_whatever_the_decoder_learned() -> None:
    model = modern()
    made = model.decoder(torch.zeros(1, 24, 6, 16), 6)
    torch.testing.assert_close(made[..., :-1], torch.full_like(made[..., :-1], 0.0486), atol=1e-4, rtol=0)


def test_slots_that_rise_and_fall_together_are_one_source() -> None:
    config = LatentSlotsConfig(n_slots=4)
    first, second = torch.rand(2, 400).repeat_interleave(8, dim=1)[:, :400]
    shares = torch.stack((first, second, 0.5 * first, 1e-4 * second))
    assert sorted(map(sorted, group_slots(shares, config, None))) == [[0, 2], [1, 3]]
    assert len(group_slots(shares, config, 3)) == 3
    assert len(group_slots(shares, config, 2)) == 2


@pytest.mark.parametrize(
    ("build", "task", "settings"),
    [
        (modern, LatentClusterTask, {"parts": "songs"}),
        (modern, LatentClusterTask, {"parts": "stems", "contrast_reach": 0}),
        (slots, LatentSlotsTask, {"parts": "songs"}),
        (slots, LatentSlotsTask, {"parts": "stems"}),
        (slots, LatentSlotsTask, {"mixit_weight": 0.0, "kl_weight": 0.01, "kl_warmup": 0}),
        (paper, LatentClusterPaperTask, {}),
        (paper, LatentClusterPaperTask, {"kl_weight": 0.0}),
    ],
)
def test_every_weight_learns(build, task, settings) -> None:
    trained = task(build().train(), **settings)
    if hasattr(trained, "step"):
        trained.step.fill_(10_000)  # past the warm-up
    stems = torch.stack([two_instruments(1.0, seed=seed) for seed in range(3)])
    losses = trained(stems)
    sum(losses.values()).backward()
    learned = {name: p for name, p in trained.named_parameters() if p.requires_grad}
    idle = [name for name, p in learned.items() if p.grad is None or not p.grad.any()]
    without = ("log_variance",) if settings.get("kl_weight") == 0.0 and build is paper else ()
    assert [name for name in idle if not any(part in name for part in without)] == []
    assert all(torch.isfinite(value) for value in losses.values())


def test_a_wrong_kind_of_parts_is_named() -> None:
    with pytest.raises(SoliError, match="songs, stems"):
        LatentClusterTask(modern(), parts="both")


def fitted(task, n_steps: int, *, rate: float = 5e-3):
    """Learn from pairs of instruments."""
    torch.manual_seed(1)
    optimizer = torch.optim.Adam(task.parameters(), lr=rate)
    task.train()
    for step in range(n_steps):
        stems = torch.stack([two_instruments(1.0, seed=seed) for seed in range(4 * step % 32, 4 * step % 32 + 4)])
        optimizer.zero_grad()
        sum(task(stems).values()).backward()
        optimizer.step()
    return task.separator.eval()


def gain(model, seed: int) -> float:
    """Mean SI-SDR improvement over the two instruments of a mixture."""
    truth = two_instruments(2.0, seed=seed)
    mixture = truth.sum(dim=0)
    found = model.discover(mixture, RATE, n_sources=2)
    before = torch.stack([si_sdr(one, mixture) for one in truth]).mean()
    return float(best_permutation_si_sdr(truth, found.stems).si_sdr.mean() - before)


def test_the_modern_preset_learns_to_tell_two_instruments_apart() -> None:
    task = LatentClusterTask(modern(), parts="stems", contrast_reach=0, kl_warmup=40, n_points=64)
    model = fitted(task, 160)
    assert gain(model, 100) > 5
    made = model.reconstruct(two_instruments(2.0, seed=100).sum(dim=0)[0])
    truth = two_instruments(2.0, seed=100).sum(dim=0)[0]
    assert 10 * float(((truth**2).sum() / ((truth - made) ** 2).sum()).log10()) > 6


def test_slots_learn_to_tell_two_instruments_apart_from_mixtures_of_mixtures() -> None:
    assert gain(fitted(LatentSlotsTask(slots(n_slots=2), parts="stems", kl_warmup=40), 80), 100) > 5


def test_the_paper_preset_learns_to_give_back_what_it_hears() -> None:
    torch.manual_seed(0)
    task = LatentClusterPaperTask(paper().train())
    optimizer = torch.optim.Adam(task.parameters(), lr=3e-3)
    stems = tone(220, 0.5).view(1, 1, 1, -1)
    with torch.no_grad():
        before = float(task(stems)["waveform"])
    for _ in range(120):
        optimizer.zero_grad()
        sum(task(stems).values()).backward()
        optimizer.step()
    assert float(task.eval()(stems)["waveform"]) < 0.3 * before


def test_a_strong_prior_prunes_what_is_not_needed() -> None:
    notes = torch.cat([tone(pitch, 0.25) for pitch in (220, 660, 330, 880)], dim=-1)

    def used(kl_weight: float) -> float:
        torch.manual_seed(0)
        task = LatentClusterPaperTask(paper().train(), kl_weight=kl_weight)
        optimizer = torch.optim.Adam(task.parameters(), lr=3e-3)
        for _ in range(60):
            optimizer.zero_grad()
            sum(task(notes.view(1, 1, 1, -1)).values()).backward()
            optimizer.step()
        with torch.no_grad():
            found = task.separator.encode(notes[None])
        return float(collapse(Posterior(*(part[0].mT for part in found))).variance.sum())

    assert used(10.0) < 0.1 * used(0.0)


def test_saved_models_of_every_preset_load(tmp_path) -> None:
    for preset, build in MODELS.items():
        zoo.save(build(), tmp_path / preset, "---\nlicence: none\nsummary: small\n---\n")
        info = zoo.model_info(tmp_path / preset)
        assert (info.system, info.preset) == ("latentcluster", preset)
        assert isinstance(zoo.load(tmp_path / preset), Discoverer)


def test_the_released_sizes_are_what_the_readme_says() -> None:
    torch.manual_seed(0)
    from soli.systems.latentcluster.separator import LatentCluster

    count = sum(p.numel() for p in LatentCluster(LatentClusterConfig()).parameters())
    assert 5e5 < count < 6e5


@pytest.mark.parametrize("preset", ["modern", "slots"])
def test_channels_that_cancel_are_heard(preset: str) -> None:
    mixture = two_instruments().sum(dim=0)
    found = MODELS[preset]().discover(torch.cat((mixture, -mixture)), RATE, n_sources=2)
    assert len(found) == 2
    assert float(found.residual.abs().max()) < 1e-6


def test_no_more_slots_are_sources_than_a_model_may_find() -> None:
    shares = torch.rand(6, 400) * (torch.arange(400) % 6 == torch.arange(6)[:, None])
    shares = shares.repeat_interleave(8, dim=1)
    assert len(group_slots(shares, LatentSlotsConfig(n_slots=6), None)) == 6
    assert len(group_slots(shares, LatentSlotsConfig(n_slots=6, max_sources=4), None)) == 4
