"""Gibbs sampling over stems (Manilow et al. 2022): a network that can be told some of the stems corrects itself.

x <- f(y), then for n = 1 … N: draw a subset M of the stems and replace those by f(y, the other stems of x). The
network gives its best guess where a Gibbs sampler would draw, so the only chance is in the choice of the subsets.
Early on most stems are estimated anew together, later few are, each beside the others as they are by then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from soli.errors import SoliError
from soli.separator import Separator
from soli.streaming import MonoSeparator

ANNEALED = 0.7
"""Part of the steps over which subsets become smaller; that of Coconet, from which the paper has the procedure."""


@runtime_checkable
class PartialStems(Protocol):
    """A separator that can be told some of the stems.

    Attributes:
        config: its `partial_stems` says whether this model was trained for that.
    """

    config: Any

    def estimate(self, mixture: Tensor, known: Tensor | None = None) -> Tensor:
        """Mono mixtures `[B T]` and stems `[B S T]`, zeros where unknown and None for none -> stems `[B S T]`."""
        ...


class Gibbs(MonoSeparator):
    """A separator whose estimates are corrected in steps, each of which costs at most as much as separating once.

    Every channel and every segment of a recording goes through the same subsets: a batch gives what its items give one
    by one, and neighbouring segments fit where they are cross-faded.

    Args:
        separator: that can be told some of the stems, in evaluation mode.
        n_steps: N; 0 is the separator by itself.
        seed: of the subsets.

    Raises:
        SoliError: for a separator that cannot be told stems, and fewer than no steps.
    """

    def __init__(self, separator: Separator, n_steps: int, seed: int = 0) -> None:
        super().__init__()
        if n_steps < 0:
            raise SoliError(f"{n_steps} Gibbs steps; allowed: 0 or more")
        self.sample_rate, self.sources = separator.sample_rate, separator.sources
        self.segment_seconds, self.context_seconds = separator.segment_seconds, separator.context_seconds
        if not (isinstance(separator, PartialStems) and separator.config.partial_stems):
            raise SoliError("Gibbs steps need a model with partial_stems = true; this one hears the mixture only")
        self.separator: PartialStems = separator
        self.n_steps, self.seed = n_steps, seed

    def chain(self, mixture: Tensor) -> Iterator[Tensor]:
        """The estimates as they become better.

        Args:
            mixture: mono, `[B T]`, no longer than a segment.

        Yields:
            `[B S T]` after 0, 1, … N steps.
        """
        yield from self._steps(mixture, draw_subsets(len(self.sources), self.n_steps, self.seed))

    def end(self, mixture: Tensor) -> Tensor:
        """What `chain` yields last, without the steps that leave nothing there.

        A step that estimates all stems anew forgets what was before and is one pass: the chain can begin with it.

        Args:
            mixture: mono, `[B T]`, no longer than a segment.

        Returns:
            `[B S T]` after N steps.
        """
        subsets = draw_subsets(len(self.sources), self.n_steps, self.seed)
        whole = subsets.all(dim=1).nonzero()
        *_, stems = self._steps(mixture, subsets[int(whole[-1]) + 1 :] if len(whole) else subsets)
        return stems

    @torch.inference_mode()
    def _steps(self, mixture: Tensor, subsets: Tensor) -> Iterator[Tensor]:
        """One pass, and what each of the subsets `[N S]` makes of it."""
        stems = self.separator.estimate(mixture)
        yield stems
        for subset in subsets:
            anew = subset.to(stems.device)[:, None]  # [S 1]
            stems = torch.where(anew, self.separator.estimate(mixture, stems.masked_fill(anew, 0.0)), stems)
            yield stems

    def _separate_mono(self, mixture: Tensor) -> Tensor:
        return self.end(mixture)


def probability(step: int, n_steps: int, n_sources: int) -> float:
    """How likely a stem is to be estimated anew, before `draw_subsets` fills empty subsets.

    Falls linearly from 1 to 1/S (one stem on average) over the first part `ANNEALED` of the steps and stays there:
    alpha_n = max(1/S, 1 - (1 - 1/S) n / (0.7 N)), the schedule of Yao et al. 2014.

    Args:
        step: n, from 1 to N.
        n_steps: N.
        n_sources: S.

    Returns:
        alpha_n.
    """
    least = 1 / n_sources
    return max(least, 1 - (1 - least) * step / (ANNEALED * n_steps))


def draw_subsets(n_sources: int, n_steps: int, seed: int = 0) -> Tensor:
    """Draw which stems are estimated anew in each step.

    Every stem is drawn with `probability`, and where that gives none, one stem with equal chances.

    Args:
        n_sources: S.
        n_steps: N.
        seed: the same gives the same subsets on every machine and device.

    Returns:
        `[N S]`, boolean, at least one true in each row.
    """
    generator = torch.Generator().manual_seed(seed)
    chances = torch.tensor([probability(step, n_steps, n_sources) for step in range(1, n_steps + 1)])
    drawn = torch.rand(n_steps, n_sources, generator=generator) < chances[:, None]
    single = torch.randint(n_sources, (n_steps, 1), generator=generator)
    empty = ~drawn.any(dim=1, keepdim=True)
    return drawn | (empty & (torch.arange(n_sources) == single))
