"""Contract checks: what every separator promises, run on yours by `check_separator`.

Each check is a small function that raises an AssertionError saying what was promised and what came out. A check
that does not apply to a system (saving one without a config, querying one that cannot be queried) does nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from soli.errors import SoliError
from soli.separator import Discoverer, Estimates, Queryable, Separator

NULL_DBFS = -90.0
TOLERANCE = 1e-4
"""Largest difference between results that should be the same but may be rounded differently: -80 dBFS."""
_CARD = "---\nlicence: none\nsummary: written by a contract check\n---\n"


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A separator and the signals it is checked with.

    Attributes:
        separator: what is checked.
        seconds: length of most signals.
        longest_seconds: length of the longest one.
        device: where the separator is.
    """

    separator: Separator
    seconds: float
    longest_seconds: float
    device: torch.device

    def noise(self, *shape: int, seed: int = 0) -> Tensor:
        """Noise at -20 dBFS, the same for the same seed; without a shape stereo of the usual length."""
        generator = torch.Generator().manual_seed(seed)
        shape = shape or (2, self.n_samples(self.seconds))
        return (0.1 * torch.randn(*shape, generator=generator)).to(self.device)

    def n_samples(self, seconds: float) -> int:
        """Seconds in samples, at least one."""
        return max(1, round(seconds * self.separator.sample_rate))

    def run(self, mixture: Tensor, seed: int = 0) -> Estimates:
        """Separate with a fixed seed, leaving the caller's random state as it was."""
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(seed)
            return self.separator.separate(mixture, self.separator.sample_rate)


def check_separator(separator: Separator, *, seconds: float = 1.0, longest_seconds: float = 12.0) -> tuple[str, ...]:
    """Run every contract check on a separator.

    Args:
        separator: in evaluation mode, on any device.
        seconds: length of most test signals.
        longest_seconds: length of the longest one; up to 180 is worth a try.

    Returns:
        The names of the checks, all of which passed.

    Raises:
        AssertionError: the first check that failed, by name, with what was expected and what was seen.
    """
    parameter = next(separator.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    bench = Bench(separator=separator, seconds=seconds, longest_seconds=longest_seconds, device=device)
    for check in CHECKS:
        try:
            check(bench)
        except AssertionError as error:
            raise AssertionError(f"{name_of(check)}: {error}") from error
        except Exception as error:
            raise AssertionError(f"{name_of(check)}: {type(error).__name__} where none was due: {error}") from error
    return tuple(name_of(check) for check in CHECKS)


def name_of(check: Callable[[Bench], None]) -> str:
    """The name a check goes by in messages.

    Args:
        check: one of `CHECKS`.

    Returns:
        Its function name without `check_`.
    """
    return check.__name__.removeprefix("check_")


def check_names(bench: Bench) -> None:
    """The estimates are the separator's sources, each exactly once."""
    sources, got = tuple(bench.separator.sources), tuple(bench.run(bench.noise()))
    _require(len(set(sources)) == len(sources) > 0, f"sources {sources} must be distinct and at least one")
    _require(got == sources, f"the estimates are named {got}, the sources {sources}")
    try:
        bench.run(bench.noise())["no such source"]
    except KeyError:
        return
    raise AssertionError("an unknown source name must raise KeyError")


def check_format(bench: Bench) -> None:
    """Channels, length, precision and rate of the mixture are kept."""
    length = bench.n_samples(bench.seconds) - 7  # no multiple of anything a network likes
    for channels, dtype in ((1, torch.float32), (2, torch.float32), (6, torch.float32), (2, torch.float64)):
        mixture = bench.noise(channels, length).to(dtype)
        estimates = bench.run(mixture)
        _require(estimates.sample_rate == bench.separator.sample_rate, f"rate {estimates.sample_rate} Hz")
        for name, stem in estimates.items():
            got, due = (list(stem.shape), stem.dtype), (list(mixture.shape), dtype)
            _require(got == due, f"{name!r} is {got} for a mixture {due}")


def check_input_unchanged(bench: Bench) -> None:
    """The mixture is not written to, and no estimate shares its memory."""
    mixture = bench.noise()
    before = mixture.clone()
    estimates = bench.run(mixture)
    _require(torch.equal(mixture, before), "the mixture was modified in place")
    for name, stem in estimates.items():
        shared = stem.untyped_storage().data_ptr() == mixture.untyped_storage().data_ptr()
        _require(not shared, f"{name!r} shares memory with the mixture; changing one would change the other")


def check_finite(bench: Bench) -> None:
    """Silence, a constant and full-scale square noise give finite estimates."""
    noise = bench.noise()
    signals = {"silence": 0 * noise, "DC": torch.full_like(noise, 0.5), "square noise": noise.sign()}
    for kind, signal in signals.items():
        for name, stem in bench.run(signal).items():
            _require(bool(torch.isfinite(stem).all()), f"{name!r} of {kind} has NaN or infinite samples")


def check_one_sample(bench: Bench) -> None:
    """A mixture of one sample works."""
    for channels in (1, 2):
        _check_sane(bench.run(bench.noise(channels, 1)), [channels, 1])


def check_longest(bench: Bench) -> None:
    """A long mixture works."""
    length = bench.n_samples(bench.longest_seconds)
    _check_sane(bench.run(bench.noise(2, length)), [2, length])


def check_determinism(bench: Bench) -> None:
    """The same mixture and seed give the same samples, whatever came between."""
    first = bench.run(bench.noise()).stems.clone()
    bench.run(bench.noise(seed=1))
    second = bench.run(bench.noise()).stems
    _require(torch.equal(first, second), f"a second run differs by up to {_distance(first, second):.3g}")


def check_batch(bench: Bench) -> None:
    """A batch gives what its items give one by one."""
    batch = torch.stack([bench.noise(seed=0), 0.01 * bench.noise(seed=1), 4 * bench.noise(seed=2)])
    together = bench.run(batch).stems
    due = [len(batch), len(bench.separator.sources), *batch.shape[1:]]
    _require(list(together.shape) == due, f"a batch {list(batch.shape)} gave {list(together.shape)}, not {due}")
    for index, item in enumerate(batch):
        distance = _distance(together[index], bench.run(item).stems)
        _require(distance <= TOLERANCE, f"item {index} differs by up to {distance:.3g} from the same item alone")


def check_sum(bench: Bench) -> None:
    """Estimates and residual sum to the mixture, below -90 dBFS."""
    mixture = bench.noise()
    estimates = bench.run(mixture)
    total = sum(estimates.values()) + estimates.residual
    power = float((total - mixture).double().square().mean())
    level = 10 * math.log10(power) if power else -math.inf
    _require(level < NULL_DBFS, f"stems and residual miss the mixture by {level:.1f} dBFS; allowed: {NULL_DBFS:g}")


def check_state_kept(bench: Bench) -> None:
    """Separating changes neither parameters, buffers nor the training flag."""
    separator = bench.separator
    flags = {name: module.training for name, module in separator.named_modules()}
    state = {name: value.clone() for name, value in separator.state_dict().items()}
    bench.run(bench.noise())
    changed = [name for name, module in separator.named_modules() if module.training != flags.get(name)]
    _require(not changed, f"separate() changed the training flag of {changed[:1] or ''}")
    after = separator.state_dict()
    _require(after.keys() == state.keys(), f"separate() added or removed {sorted(after.keys() ^ state.keys())[:3]}")
    changed = [name for name, value in after.items() if not torch.equal(value, state[name])]
    _require(not changed, f"separate() changed {', '.join(changed[:3])}")


def check_refusals(bench: Bench) -> None:
    """What no separator can work on is refused with a SoliError of one line."""
    good, rate = bench.noise(), bench.separator.sample_rate
    bad = good.clone()
    bad[0, -1] = math.nan
    cases: dict[str, tuple[Any, int]] = {
        "a wrong sample rate": (good, rate + 1),
        "integer samples": ((good * 1000).to(torch.int16), rate),
        "NaN": (bad, rate),
        "no samples": (good[:, :0], rate),
        "one dimension": (good[0], rate),
        "a list": (good.tolist(), rate),
    }
    for kind, (mixture, sample_rate) in cases.items():
        try:
            bench.separator.separate(mixture, sample_rate)
        except SoliError as error:
            _require(bool(str(error)) and "\n" not in str(error), f"the message for {kind} must be one line: {error}")
        else:
            raise AssertionError(f"{kind} must be refused with a SoliError")


def check_config(bench: Bench) -> None:
    """An unknown key of the configuration is refused, and the known ones are named."""
    from dataclasses import fields

    from soli.config import from_dict

    config = getattr(bench.separator, "config", None)
    if config is None:
        return
    try:
        from_dict(type(config), {"no_such_key": 1})
    except SoliError as error:
        missing = [field.name for field in fields(config) if field.name not in str(error)]
        _require(not missing, f"the message must list the known keys; {missing[:3]} are not in it")
    else:
        raise AssertionError("an unknown key of the configuration must be refused with a SoliError")


def check_save_load(bench: Bench) -> None:
    """A saved and loaded separator gives the same samples."""
    if getattr(bench.separator, "config", None) is None:
        return
    from soli import zoo

    with TemporaryDirectory() as folder:
        zoo.save(bench.separator, Path(folder) / "model", _CARD)
        loaded = zoo.load(Path(folder) / "model", device=str(bench.device))
    config = getattr(loaded, "config", None)
    _require(config == getattr(bench.separator, "config", None), f"the config came back as {config}")
    other = Bench(separator=loaded, seconds=0, longest_seconds=0, device=bench.device)
    distance = _distance(bench.run(bench.noise()).stems, other.run(bench.noise()).stems)
    _require(distance == 0, f"the loaded separator's estimates differ by up to {distance:.3g}")


def check_query(bench: Bench) -> None:
    """A query leaves its inputs alone and returns `match`, shaped as the mixture, from an example of any length."""
    if not isinstance(bench.separator, Queryable):
        return
    mixture, example = bench.noise(), bench.noise(1, bench.n_samples(bench.seconds / 2), seed=3)
    before = mixture.clone(), example.clone()
    estimates = bench.separator.query(mixture, example, bench.separator.sample_rate)
    _require(tuple(estimates) == ("match",), f"a query returned {tuple(estimates)}, not ('match',)")
    _check_sane(estimates, list(mixture.shape))
    _require(torch.equal(mixture, before[0]) and torch.equal(example, before[1]), "query() modified its input in place")


def check_discover(bench: Bench) -> None:
    """A discovery leaves its input alone, returns at least one source shaped as the mixture, and is the same twice."""
    if not isinstance(bench.separator, Discoverer):
        return
    mixture = bench.noise()
    before = mixture.clone()
    estimates = bench.separator.discover(mixture, bench.separator.sample_rate)
    _require(len(estimates) == len({*estimates}) > 0, f"sources {tuple(estimates)} must be distinct and at least one")
    _check_sane(estimates, list(mixture.shape))
    _require(torch.equal(mixture, before), "discover() modified its input in place")
    again = bench.separator.discover(mixture, bench.separator.sample_rate)
    same = tuple(again) == tuple(estimates) and _distance(again.stems, estimates.stems) <= TOLERANCE
    _require(same, "a second discovery gives something else")


CHECKS: tuple[Callable[[Bench], None], ...] = (
    check_state_kept,  # first: what it looks for, any other check would have caused already
    check_names,
    check_format,
    check_input_unchanged,
    check_finite,
    check_one_sample,
    check_determinism,
    check_batch,
    check_sum,
    check_refusals,
    check_config,
    check_save_load,
    check_query,
    check_discover,
    check_longest,
)


def _require(condition: bool, message: str) -> None:
    """An assert that survives `python -O`."""
    if not condition:
        raise AssertionError(message)


def _distance(first: Tensor, second: Tensor) -> float:
    return float((first - second).abs().max())


def _check_sane(estimates: Estimates, shape: list[int]) -> None:
    for name, stem in estimates.items():
        _require(list(stem.shape) == shape, f"{name!r} has shape {list(stem.shape)}, the mixture {shape}")
        _require(bool(torch.isfinite(stem).all()), f"{name!r} has NaN or infinite samples")
