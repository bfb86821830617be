"""Which tracks, sources and models an evaluation means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from soli.baselines.by_name import BASELINES
from soli.data.tracks import Dataset, Track
from soli.errors import SoliError
from soli.evaluation.examples import track_key
from soli.evaluation.wrapped import find_wrapped
from soli.systems.flowprior.names import PRIORS, priors_label


def choose_tracks(dataset: Dataset, split: str | None, limit: int | None) -> tuple[Track, ...]:
    """The tracks to evaluate.

    Args:
        dataset: what there is.
        split: `scheme:split`; None for all.
        limit: only the first; None for all.

    Returns:
        At least one track.

    Raises:
        SoliError: for a split that is not there or empty, two tracks of one name, or a limit below 1.
    """
    if limit is not None and limit < 1:
        raise SoliError(f"limit={limit}; allowed: 1 or more")
    tracks = dataset.tracks
    if split is not None:
        found = {f"{scheme}:{name}": part for scheme, parts in dataset.splits.items() for name, part in parts.items()}
        if not found.get(split):
            allowed = ", ".join(name for name, part in found.items() if part) or "none, leave it out"
            raise SoliError(f"{dataset.root}: no tracks in split {split!r}; allowed: {allowed}")
        tracks = found[split]
    tracks = tracks[:limit]
    name, count = Counter(track_key(track) for track in tracks).most_common(1)[0]
    if count > 1:
        raise SoliError(f"{dataset.root}: {count} tracks are called {name!r}; names must differ")
    return tracks


def choose_sources(
    tracks: Sequence[Track], wanted: Sequence[str] | None, models: Mapping[str, Sequence[str] | None]
) -> tuple[str, ...]:
    """The sources to evaluate.

    Args:
        tracks: with true stems.
        wanted: by the user; None for those that all models return and the tracks have.
        models: name -> the sources it returns, None for any.

    Returns:
        At least one source.

    Raises:
        SoliError: for a source that the tracks do not have or a model does not return.
    """
    there = dict.fromkeys(label for track in tracks for label in (*track.labels, *track.silent))
    narrow = {name: sources for name, sources in models.items() if sources is not None}
    if wanted is None:
        # without a model that knows, the coarsest class of every stem
        first = next(iter(narrow.values()), None) or dict.fromkeys(
            stem.labels[0] for track in tracks for stem in track.stems.values() if stem.labels
        )
        wanted = [name for name in first if name in there and all(name in known for known in narrow.values())]
        if not wanted:
            returned = [f"{name} returns {', '.join(known)}" for name, known in narrow.items()]
            raise SoliError(
                "; ".join(["no source in common", f"the dataset has {', '.join(there) or 'none'}", *returned])
            )
    for name in wanted:
        if name not in there:
            raise SoliError(f"the dataset has no source {name!r}; allowed: {', '.join(there) or 'none'}")
        for model, known in narrow.items():
            if name not in known:
                raise SoliError(f"model {model} does not return {name!r}; allowed: {', '.join(known)}")
    if len(set(wanted)) < len(wanted):
        raise SoliError(f"sources {', '.join(wanted)}: each only once")
    return tuple(wanted)


def choose_names(models: Sequence[str]) -> dict[str, str]:
    """Names for a table.

    Args:
        models: as they are loaded.

    Returns:
        Name in the table -> name to load; of a path the last part, after its use if any, and of a baseline what
        precedes the colon, where that tells it from the others.

    Raises:
        SoliError: for a model that is there twice.
    """
    if len(set(models)) < len(models):
        raise SoliError(f"models {', '.join(models)}: each only once")
    count = Counter(map(_short, models))
    return {_short(name) if count[_short(name)] == 1 else name: name for name in models}


def _short(name: str) -> str:
    head = name.partition(":")[0]
    if wrapped := find_wrapped(name):
        return f"{name.removesuffix(wrapped.model)}{_short(wrapped.model)}"
    if head == PRIORS:
        return priors_label(name)
    return head if head in BASELINES else Path(name).name
