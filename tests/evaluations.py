"""Results of evaluations that nobody ran."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from soli.evaluation.journal import Record, to_json
from soli.evaluation.protocols import Museval, Protocol
from soli.evaluation.summary import summarise

SOURCES = ("vocals", "drums")


def evaluation(
    models: Mapping[str, float],
    *,
    protocol: Protocol | None = None,
    n_tracks: int = 8,
    failing: str = "",
    dataset: str = "set",
) -> dict[str, Any]:
    """The JSON of `soli evaluate`: each model is about as good as its number, but for noise of its own.

    One track has no number for vocals; the model `failing` fails on the last track.
    """
    protocol = protocol or Museval()
    tracks = [f"test/Track {index:02d}" for index in range(n_tracks)]
    records = []
    for number, (model, quality) in enumerate(models.items()):
        random = np.random.default_rng(number)
        for index, track in enumerate(tracks):
            if model == failing and index == n_tracks - 1:
                records.append(Record(model=model, track=track, error="RuntimeError: out of <memory>"))
                continue
            values = quality + index + random.standard_normal((len(protocol.metrics), len(SOURCES), 3))
            values[0, 0] = np.nan if index == 2 else values[0, 0]
            metrics = {
                metric: dict(zip(SOURCES, found.tolist(), strict=True))
                for metric, found in zip(protocol.metrics, values, strict=True)
            }
            records.append(
                Record(model=model, track=track, audio_seconds=7.0, seconds=0.7 * (1 + number), metrics=metrics)
            )
    return {
        "format": 1,
        "protocol": protocol.describe(),
        "dataset": {"name": dataset, "layout": "musdb18", "split": "official:test"},
        "sources": list(SOURCES),
        "models": {model: {"sha256": f"{number:064d}"} for number, model in enumerate(models)},
        "tracks": tracks,
        "versions": {"soli": "0.0", "torch": "0.0", "python": "0.0"},
        "summary": summarise(records, protocol, SOURCES).to_json(),
        "records": [to_json(record) for record in records],
    }
