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
        name = self.class_of(code)
        return f"{name} (code {code})" if name else f"code {code}"

    def class_of(self, code: int) -> str:
        """The class that most excerpts with a code had.

        Args:
            code: 0 to N - 1.

        Returns:
            Its name; empty where none is known.
        """
        counts = [row[code] for row in self.config.histogram]
        return str(self.config.classes[counts.index(max(counts))]) if any(counts) else ""

    @torch.inference_mode()
    def discover(self, mixture: Tensor, sample_rate: int, merged: bool = False) -> Estimates:
        """Find what sounds in a mixture.

        Args:
            mixture: `[C T]`.
            sample_rate: in Hz.
            merged: add codes of one class, and call them by it.

        Returns:
            An estimate for every code, or class, that sounds, loudest first, by its name; the others are in the
            residual. `info` has `codes` (a list for each source where they are merged), `energy_db` (relative to the
            mixture), `activity_db` `[sources W]` (of windows, relative to the mixture's loudest), `window_seconds`, and
            `silent`: the names of all others.

        Raises:
            SoliError: for wrong input.
        """
        if mixture.ndim != 2:
            raise SoliError(f"mixture shape {list(mixture.shape)}; allowed: [C T], as each has sources of its own")
        return self.found_in(self.separate(mixture, sample_rate), merged=merged)

    def found_in(self, estimates: Estimates, *, merged: bool = False) -> Estimates:
        """What `discover` finds, from what `separate` has made already.

        Args:
            estimates: of every code, `[N C T]`.
            merged: as `discover`.

        Returns:
            As `discover`.
        """
        mixture, groups = estimates.mixture, self._groups(merged)
        stems = torch.stack([estimates.stems[group].sum(dim=0) for group in groups.values()])
        names = tuple(groups)
        window = max(round(self.config.window_seconds * estimates.sample_rate), 1)
        activity = window_levels(stems, mixture, window)
        energy = relative_energy(stems.square().mean(dim=(-2, -1)), mixture.square().mean())
        heard = [place for place in energy.argsort(descending=True).tolist() if self._sounds(activity[place])]
        return Estimates(
            stems[heard],
            sources=tuple(names[place] for place in heard),
            sample_rate=estimates.sample_rate,
            mixture=mixture,
            info={
                "codes": [groups[names[place]] for place in heard] if merged else heard,
                "energy_db": energy[heard].tolist(),
                "activity_db": activity[heard].tolist(),
                "window_seconds": window / estimates.sample_rate,
                "silent": [name for place, name in enumerate(names) if place not in heard],
            },
        )

    def _groups(self, merged: bool) -> dict[str, list[int]]:
        """Name -> codes."""
        groups: dict[str, list[int]] = {}
        for code in range(len(self.sources)):
            groups.setdefault((merged and self.class_of(code)) or self.label(code), []).append(code)
        return groups

    def _sounds(self, activity: Tensor) -> bool:
        return bool(activity.max() > self.config.sounds_db)
