from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from soli import zoo
from soli.separator import Estimates, Separator
from soli.testing.separators import CHECKS, check_separator, name_of
from tiny import Tiny, TinyConfig, install


@dataclass(frozen=True, kw_only=True)
class ToyConfig:
    share: float = 0.5


class Toy(Separator):
    """Two sources by a fixed share; keeps every promise. Each defect below breaks one."""

    Config = ToyConfig
    sample_rate = 8000
    sources = ("low", "high")

    def __init__(self, config: ToyConfig | None = None) -> None:
        super().__init__()
        self.config = config or ToyConfig()
        self.weight = nn.Parameter(torch.tensor([self.config.share, 1 - self.config.share]))
        self.eval()

    def _separate(self, mixture: Tensor) -> Tensor:
        with torch.inference_mode():
            return mixture[:, None] * self.weight[None, :, None, None]


class OtherNames(Toy):
    def separate(self, mixture: Tensor, sample_rate: int) -> Estimates:
        good = super().separate(mixture, sample_rate)
        return Estimates(good.stems, sources=("a", "b"), sample_rate=sample_rate, mixture=mixture)


class TwinNames(Toy):
    sources = ("low", "low")


class NoKeyError(Toy):
    def separate(self, mixture: Tensor, sample_rate: int) -> Estimates:
        good = super().separate(mixture, sample_rate)

        class Lenient(Estimates):
            def __getitem__(self, name: str) -> Tensor:
                return self.stems[..., 0, :, :]

        return Lenient(good.stems, sources=self.sources, sample_rate=sample_rate, mixture=mixture)


class CutsLength(Toy):
    def _separate(self, mixture: Tensor) -> Tensor:
        return super()._separate(mixture)[..., : mixture.shape[-1] // 8 * 8 or 1]


class AlwaysStereo(Toy):
    def _separate(self, mixture: Tensor) -> Tensor:
        return super()._separate(mixture.mean(1, keepdim=True).expand(-1, 2, -1))


class OnlySinglePrecision(Toy):
    def separate(self, mixture: Tensor, sample_rate: int) -> Estimates:
        good = super().separate(mixture, sample_rate)
        return Estimates(good.stems.float(), sources=self.sources, sample_rate=sample_rate, mixture=mixture)


class OtherRate(Toy):
    def separate(self, mixture: Tensor, sample_rate: int) -> Estimates:
        good = super().separate(mixture, sample_rate)
        return Estimates(good.stems, sources=self.sources, sample_rate=16000, mixture=mixture)


class WritesInput(Toy):
    def _separate(self, mixture: Tensor) -> Tensor:
        stems = super()._separate(mixture)
        mixture.mul_(0.9)
        return stems


class SharesMemory(Toy):
    def _separate(self, mixture: Tensor) -> Tensor:
        return mixture[:, None].expand(-1, 2, -1, -1)


class DividesByLevel(Toy):
    def _separate(self, mixture: Tensor) -> Tensor:
        return super()._separate(mixture / mixture.std())


class DividesByVariation(Toy):
    def _separate(self, mixture: Tensor) -> Tensor:
        spread = mixture.amax() - mixture.amin() if mixture.any() else 1
        return super()._separate(mixture / spread * spread)


class OverflowsWhenLoud(Toy):
    def _separate(self, mixture: Tensor) -> Tensor:
        return super()._separate(mixture) / (mixture.abs().amin() < 0.999).float()


class NeedsAFrame(Toy):
    def _separate(self, mixture: Tensor) -> Tensor:
        if mixture.shape[-1] < 512:
            raise RuntimeError("kernel larger than input")
        return super()._separate(mixture)


class OutOfMemory(Toy):
    def _separate(self, mixture: Tensor) -> Tensor:
        if mixture.shape[-1] > 4 * self.sample_rate:
            raise MemoryError
        return super()._separate(mixture)


class OwnDice(Toy):
    def _separate(self, mixture: Tensor) -> Tensor:
        dice = torch.Generator()
        dice.seed()
        return super()._separate(mixture) + 1e-3 * torch.rand(1, generator=dice)


class Remembers(Toy):
    last = 0.0

    def _separate(self, mixture: Tensor) -> Tensor:
        stems = super()._separate(mixture) + self.last
        self.last = float(mixture.mean())
        return stems


class MixesBatch(Toy):
    def _separate(self, mixture: Tensor) -> Tensor:
        return super()._separate(mixture) + 0.1 * mixture.mean(0)


class OnlyFirstItem(Toy):
    def _separate(self, mixture: Tensor) -> Tensor:
        return super()._separate(mixture[:1])


class OtherMixture(Toy):
    def separate(self, mixture: Tensor, sample_rate: int) -> Estimates:
        good = super().separate(mixture, sample_rate)
        return Estimates(good.stems, sources=self.sources, sample_rate=sample_rate, mixture=0.9 * mixture)


class LeavesTraining(Toy):
    def _separate(self, mixture: Tensor) -> Tensor:
        self.train()
        return super()._separate(mixture)


class Learns(Toy):
    def _separate(self, mixture: Tensor) -> Tensor:
        stems = super()._separate(mixture)
        with torch.no_grad():
            self.weight.add_(1e-3)
        return stems


class Counts(Toy):
    def __init__(self, config: ToyConfig | None = None) -> None:
        super().__init__(config)
        self.register_buffer("calls", torch.zeros(()))

    def _separate(self, mixture: Tensor) -> Tensor:
        self.calls += 1
        return super()._separate(mixture)


class RefusesNothing(Toy):
    def separate(self, mixture: Tensor, sample_rate: int) -> Estimates:
        mixture = torch.as_tensor(mixture)
        batch = mixture if mixture.ndim == 3 else mixture[None]
        stems = self._separate(batch)
        stems = stems if mixture.ndim == 3 else stems[0]
        return Estimates(stems, sources=self.sources, sample_rate=self.sample_rate, mixture=mixture)


class RefusesWithValueError(Toy):
    def separate(self, mixture: Tensor, sample_rate: int) -> Estimates:
        if sample_rate != self.sample_rate:
            raise ValueError("wrong rate")
        return super().separate(mixture, sample_rate)


class PlainDictConfig(Toy):
    def __init__(self, config: ToyConfig | None = None) -> None:
        super().__init__(config)
        self.config = {"share": 0.5}


class ForgetsWhenSaved(Toy):
    def __init__(self, config: ToyConfig | None = None) -> None:
        super().__init__(config)
        self.hidden = torch.rand(1)  # neither parameter nor buffer

    def _separate(self, mixture: Tensor) -> Tensor:
        return super()._separate(mixture) * self.hidden


class ConfigNotKept(Toy):
    def __init__(self, config: ToyConfig | None = None) -> None:
        super().__init__(ToyConfig(share=(config or ToyConfig()).share / 2))


class QueryNamesItDrums(Toy):
    def query(self, mixture: Tensor, example: Tensor, sample_rate: int) -> Estimates:
        return Estimates(mixture[None] * 0.5, sources=("drums",), sample_rate=sample_rate, mixture=mixture)


class QueryAsLongAsExample(Toy):
    def query(self, mixture: Tensor, example: Tensor, sample_rate: int) -> Estimates:
        cut = mixture[..., : example.shape[-1]]
        return Estimates(cut[None] * 0.5, sources=("match",), sample_rate=sample_rate, mixture=cut)


class QueryWritesExample(Toy):
    def query(self, mixture: Tensor, example: Tensor, sample_rate: int) -> Estimates:
        example.zero_()
        return Estimates(mixture[None] * 0.5, sources=("match",), sample_rate=sample_rate, mixture=mixture)


class DiscoversHalf(Toy):
    def discover(self, mixture: Tensor, sample_rate: int) -> Estimates:
        half = mixture[..., : mixture.shape[-1] // 2]
        return Estimates(half[None].clone(), sources=("code",), sample_rate=sample_rate, mixture=half)


class DiscoversByChance(Toy):
    def discover(self, mixture: Tensor, sample_rate: int) -> Estimates:
        stems = torch.rand(2, 1, 1) * mixture
        return Estimates(stems, sources=("one", "two"), sample_rate=sample_rate, mixture=mixture)


MUTANTS = {
    OtherNames: "names",
    TwinNames: "names",
    NoKeyError: "names",
    CutsLength: "format",
    AlwaysStereo: "format",
    OnlySinglePrecision: "format",
    OtherRate: "format",
    WritesInput: "input_unchanged",
    SharesMemory: "input_unchanged",
    DividesByLevel: "finite",
    DividesByVariation: "finite",
    OverflowsWhenLoud: "finite",
    NeedsAFrame: "one_sample",
    OutOfMemory: "longest",
    OwnDice: "determinism",
    Remembers: "determinism",
    MixesBatch: "batch",
    OnlyFirstItem: "batch",
    OtherMixture: "sum",
    LeavesTraining: "state_kept",
    Learns: "state_kept",
    Counts: "state_kept",
    RefusesNothing: "refusals",
    RefusesWithValueError: "refusals",
    PlainDictConfig: "config",
    ForgetsWhenSaved: "save_load",
    ConfigNotKept: "save_load",
    QueryNamesItDrums: "query",
    QueryAsLongAsExample: "query",
    QueryWritesExample: "query",
    DiscoversHalf: "discover",
    DiscoversByChance: "discover",
}


def register(monkeypatch: pytest.MonkeyPatch, system: type[Separator]) -> None:
    monkeypatch.setattr(zoo, "SYSTEMS", {("toy", "paper"): f"{system.__module__}:{system.__qualname__}"})


def run(separator: Separator) -> tuple[str, ...]:
    return check_separator(separator, seconds=0.1, longest_seconds=5)


def test_a_separator_that_keeps_every_promise_passes_every_check(monkeypatch):
    register(monkeypatch, Toy)
    assert run(Toy()) == tuple(map(name_of, CHECKS))


def test_a_queryable_separator_passes(monkeypatch, tmp_path):
    run(install(monkeypatch, tmp_path))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_each_defect_is_caught_by_its_check(mutant, monkeypatch):
    register(monkeypatch, mutant)
    with pytest.raises(AssertionError, match=f"^{MUTANTS[mutant]}: ."):
        run(mutant())


def test_every_check_has_a_defect_that_only_it_catches():
    assert set(MUTANTS.values()) == set(map(name_of, CHECKS))


def test_a_separator_without_config_need_not_be_savable():
    toy = Toy()
    del toy.config
    run(toy)


def test_the_callers_random_state_is_kept(monkeypatch, tmp_path):
    tiny = install(monkeypatch, tmp_path)
    before = torch.get_rng_state()
    run(tiny)
    assert torch.equal(torch.get_rng_state(), before)


def test_seeded_randomness_is_allowed(monkeypatch):
    class Dithers(Toy):
        def _separate(self, mixture: Tensor) -> Tensor:
            generator = torch.Generator().manual_seed(torch.initial_seed())
            dither = 1e-6 * torch.rand(mixture.shape[1:], generator=generator)
            return super()._separate(mixture) + dither.to(mixture.dtype)

    toy = Dithers()
    del toy.config
    run(toy)


def test_tiny_is_a_separator_with_a_config():
    assert Tiny(TinyConfig()).config == TinyConfig()
