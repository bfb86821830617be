"""What both presets share: outputs by code, names for codes, and which of them sound."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from soli.dsp.level import relative_energy, window_levels
from soli.errors import SoliError
from soli.separator import Estimates
from soli.streaming import MonoSeparator


def code_names(n_codes: int) -> tuple[str, ...]:
    """Names of the outputs.

    Args:
        n_codes: N.

    Returns:
        `code00`, `code01`, …, all of one length.
    """
    digits = max(len(str(n_codes - 1)), 2)
    return tuple(f"code{index:0{digits}d}" for index in range(n_codes))


class CodeSeparator(MonoSeparator):
    """A separator with an output for each code of a codebook.

    A subclass sets `config`, which has `sounds_db`, `window_seconds`, `classes` and `histogram`, and implements
    `codes_of` beside `_separate_mono`.

    Attributes:
        names_sources: what it finds has names of its own.
    """

    config: Any
    names_sources: ClassVar[bool] = True

    @abc.abstractmethod
    def codes_of(self, examples: Tensor) -> Tensor:
        """The codes of isolated sources `[M T]`, `[M]`."""

    def name(self, classes: Sequence[str], histogram: Tensor) -> None:
        """Remember how often each class had each code, so that codes have names.

        Args:
            classes: names of the rows.
            histogram: counts `[classes N]`.

        Raises:
            SoliError: for a name that no file can have.
        """
        rows = tuple(tuple(int(count) for count in row) for row in histogram.tolist())
        self.config = replace(self.config, classes=tuple(classes), histogram=rows)

    def label(self, code: int) -> str:
        """What a code is called: its majority class, where one is known.

        Args:
            code: 0 to N - 1.

        Returns:
            Such as `drums (code 3)`, or `code 3`; a name that files can have.
        """
        counts = [row[code] for row in self.config.histogram]
        if not any(counts):
            return f"code {code}"
        return f"{self.config.classes[counts.index(max(counts))]} (code {code})"

    @torch.inference_mode()
    def discover(self, mixture: Tensor, sample_rate: int) -> Estimates:
        """Find what sounds in a mixture.

        Args:
            mixture: `[C T]`.
            sample_rate: in Hz.

        Returns:
            An estimate for every code that sounds, loudest first, by its name; the others are in the residual. `info`
            has `codes`, `energy_db` (relative to the mixture), `activity_db` `[sources W]` (of windows, relative to the
            mixture's loudest), `window_seconds`, and `silent`: the names of all other codes.

        Raises:
            SoliError: for wrong input.
        """
        if mixture.ndim != 2:
            raise SoliError(f"mixture shape {list(mixture.shape)}; allowed: [C T], as each has sources of its own")
        return self.found_in(self.separate(mixture, sample_rate))

    def found_in(self, estimates: Estimates) -> Estimates:
        """What `discover` finds, from what `separate` has made already.

        Args:
            estimates: of every code, `[N C T]`.

        Returns:
            As `discover`.
        """
        stems, mixture = estimates.stems, estimates.mixture
        window = max(round(self.config.window_seconds * estimates.sample_rate), 1)
        activity = window_levels(stems, mixture, window)
        energy = relative_energy(stems.square().mean(dim=(-2, -1)), mixture.square().mean())
        heard = [code for code in energy.argsort(descending=True).tolist() if self._sounds(activity[code])]
        return Estimates(
            stems[heard],
            sources=tuple(self.label(code) for code in heard),
            sample_rate=estimates.sample_rate,
            mixture=mixture,
            info={
                "codes": heard,
                "energy_db": energy[heard].tolist(),
                "activity_db": activity[heard].tolist(),
                "window_seconds": window / estimates.sample_rate,
                "silent": [self.label(code) for code in range(len(stems)) if code not in heard],
            },
        )

    def _sounds(self, activity: Tensor) -> bool:
        return bool(activity.max() > self.config.sounds_db)
