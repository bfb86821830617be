"""The modern preset learns kinds of sound that nobody has named, and what the terms of its training are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from soli.data.cache import Cache
from soli.data.mixing import MultitrackConfig, MultitrackMixer
from soli.errors import SoliError
from soli.evaluation.metrics import purity, si_sdr_improvement
from soli.systems.vqquery.separator import VQQuery
from soli.systems.vqquery.training import VQQueryTask
from soli.training.named_codes import name_codes
from vqquery_models import KINDS, RATE, small, songs, sound


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return songs(tmp_path_factory.mktemp("kinds"))


@pytest.fixture(scope="module")
def pairs(cache: Cache) -> torch.Tensor:
    return torch.from_numpy(np.stack([mixer(cache).mixture(index) for index in range(4)]))


def mixer(cache: Cache) -> MultitrackMixer:
    return MultitrackMixer([cache], MultitrackConfig(segment_seconds=1.0, most=3, fewest=2, speed=0.0))


def task(**settings: Any) -> VQQueryTask:
    return VQQueryTask(small().train(), **{"start_after": 40, "blend_steps": 40, "memory": 64, **settings})


@pytest.fixture(scope="module")
def trained(cache: Cache) -> VQQuery:
    """After 120 steps on three kinds of sound, with four codes for them."""
    torch.manual_seed(0)
    learner, drawn = task(), mixer(cache)
    optimizer = torch.optim.AdamW(learner.parameters(), lr=5e-3)
    for step in range(120):
        batch = torch.from_numpy(np.stack([drawn.mixture(4 * step + item) for item in range(4)]))
        optimizer.zero_grad()
        torch.stack(list(learner(batch).values())).sum().backward()
        optimizer.step()
    separator = learner.separator.eval()
    name_codes(separator, [cache], 1.0)
    return separator


def kinds(seed: int = 9) -> dict[str, torch.Tensor]:
    """Sounds that were not in the training."""
    rng = np.random.default_rng(seed)
    return {kind: torch.from_numpy(sound(kind, 2 * RATE, rng)) for kind in KINDS}


def test_kinds_that_nobody_named_get_codes_of_their_own(trained: VQQuery) -> None:
    assert trained.config.classes == tuple(sorted(KINDS))
    assert float(purity(torch.tensor(trained.config.histogram))) > 0.95
    codes = {kind: int(trained.codes_of(audio)[0]) for kind, audio in kinds().items()}
    assert len(set(codes.values())) == 3


def test_their_outputs_are_the_sounds(trained: VQQuery) -> None:
    true = kinds()
    mixture = torch.stack(list(true.values())).sum(dim=0)
    estimates = trained.separate(mixture, RATE)
    assert float(estimates.residual.abs().max()) < 1e-6
    for audio in true.values():
        code = int(trained.codes_of(audio)[0])
        assert float(si_sdr_improvement(audio, estimates.stems[code], mixture)) > 8


def test_only_what_sounds_is_discovered_under_its_name(trained: VQQuery) -> None:
    true = kinds()
    mixture = true["hum"] + true["clicks"]
    found = trained.discover(mixture, RATE)
    names = {name.partition(" (")[0] for name in found.sources}
    assert {"hum", "clicks"} <= names
    assert "hiss" not in names
    assert any(name.startswith("hiss (code ") for name in found.info["silent"])
    assert float((found.stems.sum(dim=0) + found.residual - mixture).abs().max()) < 1e-6


@pytest.mark.parametrize("mode", ["code", "embedding"])
def test_an_example_finds_its_like(trained: VQQuery, mode: Any) -> None:
    true, other = kinds(), kinds(seed=10)
    mixture = torch.stack(list(true.values())).sum(dim=0)
    for kind in KINDS:
        found = trained.query(mixture, other[kind], RATE, mode=mode)
        assert found.sources == ("match",)
        assert float(si_sdr_improvement(true[kind], found["match"], mixture)) > 6
        assert str(found.info["name"]).startswith(kind)


def test_until_the_codes_start_every_stem_is_asked_for_by_its_own_embedding(pairs: torch.Tensor) -> None:
    learner = task(start_after=1000)
    losses = learner(pairs)
    assert set(losses) == {"error", "silence", "contrast"}
    assert float(losses["silence"].detach()) == 0.0
    assert not bool(learner.separator.network.categories.ready)


def test_queries_move_from_the_embeddings_to_the_codes(pairs: torch.Tensor) -> None:
    learner = task(start_after=0, memory=4, blend_steps=4)
    seen = []
    for _ in range(8):
        learner(pairs)
        seen.append(learner._blend())
    assert seen[0] == 1.0
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] == 0.0


def test_the_gradient_of_a_code_reaches_the_embeddings_of_its_stems(pairs: torch.Tensor) -> None:
    learner = task(start_after=0, memory=4, blend_steps=0, contrast_weight=0.0, agreement_weight=0.0)
    for _ in range(2):
        torch.stack(list(learner(pairs).values())).sum().backward()
    gradient = learner.separator.network.encoder.out.weight.grad
    assert gradient is not None
    assert float(gradient.abs().max()) > 0


@pytest.mark.parametrize("consistent", [True, False])
def test_the_target_of_a_code_is_the_sum_of_all_its_stems_or_one(pairs: torch.Tensor, *, consistent: bool) -> None:
    learner = task(start_after=0, memory=4, consistent=consistent).eval()
    learner.separator.network.categories.ready.fill_(True)
    present = torch.tensor([[True, True, True], [True, False, True]])
    asked = torch.nn.functional.normalize(torch.randn(5, 8), dim=-1)
    targets = learner._ask(asked, torch.tensor([2, 2, 0, 1, 1]), present).targets
    due = torch.zeros(2, 4, 3)
    due[0, 2, :2] = due[1, 1, 0] = due[1, 1, 2] = due[0, 0, 2] = 1
    if not consistent:
        due[0, 2, 1] = due[1, 1, 2] = 0
    assert torch.equal(targets, due)


def test_continuous_queries_are_an_ablation_with_codes_that_follow(pairs: torch.Tensor) -> None:
    learner = task(start_after=0, memory=4, quantized=False)
    for _ in range(2):
        losses = learner(pairs)
    assert "agreement" in losses
    assert float(losses["silence"].detach()) == 0.0


def test_a_trained_state_goes_on_where_it_was_interrupted(pairs: torch.Tensor) -> None:
    learner = task(start_after=2, memory=8)
    for _ in range(3):
        learner(pairs)
    again = task(start_after=2, memory=8)
    again.load_state_dict(learner.state_dict())
    first, second = [], []
    for one, values in ((learner, first), (again, second)):
        torch.manual_seed(5)
        values.extend(float(value.detach()) for value in one(pairs).values())
    assert first == second


def test_evaluation_learns_nothing(pairs: torch.Tensor) -> None:
    learner = task(start_after=0, memory=4)
    learner(pairs)
    learner.eval()
    before = {name: value.clone() for name, value in learner.state_dict().items()}
    learner(pairs)
    assert all(torch.equal(value, before[name]) for name, value in learner.state_dict().items())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"memory": 2}, "task.memory = 2; allowed: at least 4"),
        ({"balance": 2.0}, "task.balance = 2.0; allowed: 0 to 1"),
    ],
)
def test_settings_that_cannot_be_are_one_clear_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SoliError, match=message):
        task(**settings)


def test_a_recipe_of_multitracks_becomes_a_model_with_names(tmp_path: Path) -> None:
    from audio_fakes import save
    from soli import load
    from soli.training.run import run_recipe

    rng = np.random.default_rng(0)
    for song in ("one", "two"):
        for kind in KINDS:
            path = (
                tmp_path
                / "songs"
                / "train"
                / song
                / f"{dict(zip(KINDS, ('bass', 'vocals', 'drums'), strict=True))[kind]}.wav"
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            save(path, torch.from_numpy(sound(kind, 3 * RATE, rng)), RATE)
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(
        f"""
system = "vqquery"
preset = "modern"
output = "{tmp_path}/run"
cache = "{tmp_path}/cache"
[model]
codebook_size = 4
code_size = 8
sample_rate = 8000
n_fft = 512
hop_length = 256
bands = [[16, 4], [12, 16]]
n_features = 8
depths = [1]
dilations = [1]
query_fft = 256
query_mels = 16
query_widths = [8, 8]
[task]
start_after = 1
memory = 4
[multitracks]
segment_seconds = 0.5
most = 3
[training]
steps = 3
batch_size = 2
precision = "no"
n_workers = 0
validate_every = 0
[[data]]
collection = "mine"
kind = "dataset"
layout = "stems"
path = "{tmp_path}/songs"
labels = "stems"
"""
    )
    model = load(run_recipe(recipe, [], False))
    assert isinstance(model, VQQuery)
    assert model.config.classes == ("bass", "drums", "vocals")
    assert torch.tensor(model.config.histogram).sum(dim=1).tolist() == [12, 12, 12]
    recipe.write_text(recipe.read_text().replace("[multitracks]\nsegment_seconds = 0.5\nmost = 3\n", ""))
    with pytest.raises(SoliError, match=r"vqquery/modern learns from \[multitracks\]; allowed: that table, and no"):
        run_recipe(recipe, [], False)


def test_a_batch_of_silence_teaches_nothing_and_breaks_nothing() -> None:
    learner = task()
    loss = sum(learner(torch.zeros(2, 2, 3, 1, RATE)).values())
    loss.backward()
    assert float(loss) == 0
    assert not any(p.grad.any() for p in learner.parameters() if p.grad is not None)
