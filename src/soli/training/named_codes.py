"""Names for what was learned without any: which code the recordings of each class have, counted after the training."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import torch

from soli.data.cache import Cache, CachedStem
from soli.evaluation.metrics import class_code_histogram
from soli.separator import Separator
from soli.systems.vqquery.discovery import CodeSeparator

_ACTIVE_DBFS = -50.0
_MOST = 100
_UNSAFE = re.compile(r"[^\w -]")


def name_codes(separator: Separator, caches: list[Cache], seconds: float, *, most: int = _MOST) -> None:
    """Count the codes of excerpts of each class, and let the separator remember the counts.

    Recordings held out for validation are asked where there are any of a class, else those of the training. Classes are
    equally represented, as far as there are excerpts that are not silent.

    Args:
        separator: named where it has codes.
        caches: labelled recordings at the separator's rate.
        seconds: length of an excerpt.
        most: excerpts of a class.
    """
    if not isinstance(separator, CodeSeparator):
        return
    length = round(seconds * separator.sample_rate)
    found = {split: _by_label(caches, split) for split in ("train", "validation")}
    classes, codes = [], []
    names = sorted(found["train"] | found["validation"])
    device = next(separator.parameters()).device
    for index, name in enumerate(names):
        stems = found["validation"].get(name) or found["train"][name]
        excerpts = list(_excerpts(stems, length, most, seed=index))
        if excerpts:
            heard = separator.codes_of(torch.from_numpy(np.stack(excerpts)).to(device)).cpu()
            codes.append(heard)
            classes.append(torch.full_like(heard, index))
    if codes:
        counts = class_code_histogram(
            torch.cat(classes), torch.cat(codes), n_classes=len(names), n_codes=len(separator.sources)
        )
        separator.name([_UNSAFE.sub("_", name) for name in names], counts)


def _by_label(caches: list[Cache], split: str) -> dict[str, list[tuple[Cache, CachedStem]]]:
    stems: dict[str, list[tuple[Cache, CachedStem]]] = defaultdict(list)
    for cache in caches:
        for stem in cache.stems:
            if stem.split == split:
                stems[stem.label].append((cache, stem))
    return stems


def _excerpts(stems: list[tuple[Cache, CachedStem]], length: int, most: int, *, seed: int) -> Iterator[np.ndarray]:
    """Some of the excerpts that are not silent, mixed down to mono, `[T]`."""
    places = [
        (cache, stem, start) for cache, stem in stems for start in range(0, max(stem.n_samples - length, 0) + 1, length)
    ]
    n_found = 0
    for place in np.random.default_rng(seed).permutation(len(places)):
        cache, stem, start = places[place]
        if cache.level(stem, start, length) > _ACTIVE_DBFS:
            yield cache.read(stem, start, length).mean(axis=0)
            n_found += 1
        if n_found == most:
            return
