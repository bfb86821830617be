from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from soli.data.cache import Cache, CacheWriter
from soli.systems.vqquery.discovery import CodeSeparator, code_names
from soli.training.named_codes import name_codes
from tiny import Plain, TinyConfig


@dataclass(frozen=True, kw_only=True)
class Config:
    classes: tuple[str, ...] = ()
    histogram: tuple[tuple[int, ...], ...] = ()


class ByLevel(CodeSeparator):
    """The code of a sound is its level in tenths."""

    sources, sample_rate = code_names(4), 1000

    def __init__(self) -> None:
        super().__init__()
        self.config = Config()
        self.weight = nn.Parameter(torch.zeros(1))

    def codes_of(self, examples: Tensor) -> Tensor:
        return (10 * examples.mean(dim=-1)).round().long()

    def _separate_mono(self, mixture: Tensor) -> Tensor:
        return mixture[:, None].expand(-1, 4, -1)


def cache(folder: Path) -> Cache:
    with CacheWriter(folder, sample_rate=1000, n_channels=1) as writer:
        for label, split, level, seconds in (
            ("bass", "train", 0.3, 5),
            ("bass", "validation", 0.1, 3),
            ("ride", "train", 0.2, 2),
            ("rest", "train", 0.0, 2),
        ):
            audio = np.full((1, 1000 * seconds), level, np.float32)
            writer.add(audio, collection="a", track=split, label=label, split=split)
    return Cache(folder)


def test_classes_are_counted_on_what_was_held_out_where_there_is_any(tmp_path: Path) -> None:
    model = ByLevel()
    name_codes(model, [cache(tmp_path)], 1.0)
    assert model.config.classes == ("bass", "rest", "ride")
    assert model.config.histogram == ((0, 3, 0, 0), (0, 0, 0, 0), (0, 0, 2, 0))
    assert model.label(1) == "bass (code 1)"
    assert model.label(3) == "code 3"


def test_no_class_has_more_excerpts_than_asked(tmp_path: Path) -> None:
    model = ByLevel()
    name_codes(model, [cache(tmp_path)], 0.1, most=4)
    assert [sum(row) for row in model.config.histogram] == [4, 0, 4]


def test_separators_without_codes_are_left_alone(tmp_path: Path) -> None:
    model = Plain(TinyConfig())
    name_codes(model, [cache(tmp_path)], 1.0)
    assert model.config == TinyConfig()
