from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from soli.errors import SoliError
from soli.losses import Task
from soli.training.checkpoint import load_checkpoint
from soli.training.fit import BEST, CHECKPOINT, LOG, FitConfig, clip_gradients, fit, learning_rate
from soli.training.optimizer import make_optimizer

CONFIG = FitConfig(
    steps=12, batch_size=2, learning_rate=1e-2, warmup=3, ema=0.9, precision="no", validate_every=4, checkpoint_every=1
)


class Toy(Task):
    """Learns to scale its input by two; dropout makes it depend on the random state."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(3))
        self.noise = nn.Dropout(0.5)

    def losses(self, stems: Tensor) -> dict[str, Tensor]:
        return {"error": (self.noise(stems) * self.scale - 2 * stems).square().mean()}


class Apart(Task):
    """Parts that share nothing, one for each stem; a stem of NaN spoils the loss of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.each = nn.ModuleList(nn.Linear(1, 1) for _ in range(3))

    @property
    def parts(self) -> tuple[nn.Module, ...]:
        return tuple(self.each)

    def losses(self, stems: Tensor) -> dict[str, Tensor]:
        heard = (part(stem[:, None]) for part, stem in zip(self.each, stems.T, strict=True))
        return {str(index): values.square().mean() for index, values in enumerate(heard)}


def batches(first: int) -> Iterator[Tensor]:
    while True:
        yield torch.stack([torch.full((3,), 1.0 + 0.1 * (index % 7)) for index in range(first, first + 2)])
        first += 2


class Killed(Exception):
    pass


def train(folder: Path, *, resume: bool = False, kill_at: int | None = None, config: FitConfig = CONFIG) -> Task:
    def on_step(step: int, values: dict[str, float]) -> None:
        if step == kill_at:
            raise Killed

    torch.manual_seed(0)
    return fit(
        Toy(), batches, config, folder, resume=resume, on_step=on_step, validate=lambda task: float(-task.scale.mean())
    )


def log(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


@pytest.mark.parametrize("kill_at", [1, 5, 8])
def test_a_killed_training_goes_on_bit_for_bit(tmp_path: Path, kill_at: int) -> None:
    whole = train(tmp_path / "whole")
    with pytest.raises(Killed):
        train(tmp_path / "killed", kill_at=kill_at)
    resumed = train(tmp_path / "killed", resume=True)
    assert log(tmp_path / "killed") == log(tmp_path / "whole")
    for ours, theirs in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_it_learns(tmp_path: Path) -> None:
    stems = next(batches(0))
    trained = train(tmp_path, config=replace(CONFIG, learning_rate=0.1))
    assert trained.losses(stems)["error"] < 0.8 * Toy().eval().losses(stems)["error"]


def test_without_validation_the_last_weights_count(tmp_path: Path) -> None:
    config = replace(CONFIG, validate_every=0)
    trained = train(tmp_path, config=config)
    assert not any("validation" in line for line in log(tmp_path))
    assert not (tmp_path / BEST).exists()
    last, model = Toy(), Toy()
    optimizer = make_optimizer(model, "adamw", learning_rate=1e-2, weight_decay=0.01)
    load_checkpoint(tmp_path / CHECKPOINT, model=model, ema=last, optimizer=optimizer)
    assert torch.equal(last.scale, trained.scale)


def test_best_weights_are_those_of_the_lowest_score(tmp_path: Path) -> None:
    seen: dict[float, Tensor] = {}

    def validate(task: nn.Module) -> float:
        score = abs(len(seen) - 1.0)  # the second validation is the best
        seen[score + 10 * len(seen)] = next(task.parameters()).clone()
        return score

    best = fit(Toy(), batches, CONFIG, tmp_path, validate=validate)
    assert torch.equal(next(best.parameters()), list(seen.values())[1])
    assert (tmp_path / BEST).exists()


def test_a_fresh_run_does_not_return_an_older_runs_best(tmp_path: Path) -> None:
    train(tmp_path)
    config = FitConfig(steps=1, precision="no", learning_rate=0.0)
    fresh = fit(Toy(), batches, config, tmp_path)
    assert torch.equal(next(fresh.parameters()), torch.zeros(3))


def test_rate_rises_stays_and_falls() -> None:
    config = FitConfig(steps=100, learning_rate=1.0, warmup=10, cooldown=0.5)
    rates = [learning_rate(step, config) for step in range(100)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rates[10:51] == pytest.approx([1.0] * 41)
    assert rates[75] == pytest.approx(0.5)
    assert all(later < earlier for earlier, later in itertools.pairwise(rates[51:]))


def test_a_step_that_is_not_finite_changes_nothing(tmp_path: Path) -> None:
    def poisoned(first: int) -> Iterator[Tensor]:
        while True:
            yield torch.full((2, 3), float("nan"))

    trained = fit(Toy(), poisoned, FitConfig(steps=3, precision="no"), tmp_path)
    assert torch.equal(next(trained.parameters()), torch.zeros(3))


@pytest.mark.parametrize("spoiled", [float("nan"), float("inf")])
def test_a_part_that_is_not_finite_sits_out_alone(tmp_path: Path, spoiled: float) -> None:
    def learned(first: float, name: str) -> list[Tensor]:
        torch.manual_seed(0)
        config = FitConfig(steps=3, precision="no", validate_every=0, ema=0.0)
        trained = fit(Apart(), lambda _: iter([torch.tensor([[first, 1.0, 2.0]])] * 3), config, tmp_path / name)
        return [parameter.clone() for parameter in trained.parameters()]

    torch.manual_seed(0)
    before, due, found = list(Apart().parameters()), learned(1.0, "due"), learned(spoiled, "found")
    assert all(torch.equal(one, other) for one, other in zip(found[:2], before[:2], strict=True))
    assert all(torch.equal(one, other) for one, other in zip(found[2:], due[2:], strict=True))
    assert not any(torch.equal(one, other) for one, other in zip(due, before, strict=True))


def test_gradients_are_clipped_for_each_part_on_any_device() -> None:
    elsewhere = torch.device("meta")  # where torch puts the norm of no gradients is the CPU
    parts = Apart().to(elsewhere).parts
    parts[1](torch.zeros(1, 1, device=elsewhere)).sum().backward()
    assert clip_gradients(parts, 1.0, elsewhere).shape == (3,)
    task = Apart()
    torch.stack(list(task(torch.tensor([[1.0, 200.0, 3.0]])).values())).sum().backward()
    task.each[2].zero_grad()
    raw = [float(torch.stack([p.grad.norm() for p in part.parameters()]).norm()) for part in task.each[:2]]
    assert clip_gradients(task.parts, 0.1, torch.device("cpu")).tolist() == pytest.approx([*raw, 0.0])
    clipped = [float(torch.stack([p.grad.norm() for p in part.parameters()]).norm()) for part in task.each[:2]]
    assert clipped == pytest.approx([min(norm, 0.1) for norm in raw], rel=1e-3)


def test_a_damaged_checkpoint_is_refused_by_name(tmp_path: Path) -> None:
    train(tmp_path)
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-20])
    task = Toy()
    optimizer = make_optimizer(task, "adamw", learning_rate=1.0, weight_decay=0.0)
    with pytest.raises(SoliError, match=r"checkpoint\.safetensors: cannot resume"):
        load_checkpoint(path, model=task, ema=Toy(), optimizer=optimizer)


def test_trainings_of_two_precisions_follow_each_other_in_one_process(tmp_path: Path) -> None:
    for precision in ("no", "bf16", "no"):
        config = FitConfig(steps=1, precision=precision, validate_every=0, ema=0.0)  # type: ignore[arg-type]
        fit(Toy(), batches, config, tmp_path / precision)
