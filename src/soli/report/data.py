"""What a report shows, as plain numbers and arrays: nothing here knows of models or files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One time-frequency image.

    Attributes:
        values: `[F N]`, lowest frequency first.
        frequencies: centre of each row in Hz, `[F]`, rising; the rows need not be evenly spaced.
        seconds: what the N frames span.
        low: the value drawn darkest.
        high: the value drawn brightest.
    """

    values: Array
    frequencies: Array
    seconds: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class EmbeddingMap:
    """The embedding space of one mixture in two dimensions (seed 004, figure 2).

    Attributes:
        points: `[P 2]`, one row per time-frequency bin.
        labels: index into `classes` of each point, `[P]`.
        classes: names, in the order of the labels.
        centres: the mean of each class's Gaussian, `[S 2]`.
        spreads: covariance of each class's Gaussian in the plane, `[S 2 2]`.
        explained: share of the variance that each of the two axes keeps, `[2]`.
    """

    points: Array
    labels: NDArray[np.integer[Any]]
    classes: tuple[str, ...]
    centres: Array
    spreads: Array
    explained: Array


@dataclass(frozen=True, kw_only=True)
class QueryPanels:
    """Query by example in four images (seed 004, figure 4).

    Attributes:
        mixture: level of what was searched, in dB.
        example: level of what was looked for, in dB.
        masked: level of what was found, in dB.
        mask: from 0 to 1.
        about: what the example is, such as "three seconds of the drums".
    """

    mixture: Panel
    example: Panel
    masked: Panel
    mask: Panel
    about: str


@dataclass(frozen=True, kw_only=True)
class DimensionPanels:
    """The embedding dimension in which one class varies least, beside the mixture (seed 004, figure 3).

    Attributes:
        mixture: level of the mixture in dB.
        dimension: value of that embedding coordinate.
        index: which coordinate it is.
        source: the class whose variance is lowest there.
        variance: that variance.
    """

    mixture: Panel
    dimension: Panel
    index: int
    source: str
    variance: float


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """Everything one page shows; whatever is left out is simply not on the page.

    Attributes:
        title: the song's name.
        sample_rate: of all audio here, in Hz.
        mixture: `[C T]`.
        stems: name -> `[C T]`; the residual, where there is one, is the stem called `residual`.
        truths: name of a stem -> the true one, `[C T]`.
        sdr: name of a stem -> SDR of its estimate in dB; NaN where the true stem is silent.
        mixture_sdr: the same with the mixture taken as the estimate.
        seconds: how long the separation took.
        total_seconds: length of the song, if `mixture` holds only its beginning.
        null_dbfs: peak of the mixture minus everything written, in dB re full scale; minus infinity for nothing at all.
        model: name of the model.
        facts: whatever else is worth a line about the model or the run.
        files: name of a stem -> link to its file, relative to the page.
        embedding: figure 2 of seed 004.
        dimension: figure 3 of seed 004.
        query: figure 4 of seed 004.
    """

    title: str
    sample_rate: int
    mixture: Array
    stems: Mapping[str, Array]
    truths: Mapping[str, Array] = field(default_factory=dict)
    sdr: Mapping[str, float] = field(default_factory=dict)
    mixture_sdr: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None
    total_seconds: float | None = None
    null_dbfs: float | None = None
    model: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    embedding: EmbeddingMap | None = None
    dimension: DimensionPanels | None = None
    query: QueryPanels | None = None

    @property
    def duration(self) -> float:
        """Length of the song in seconds."""
        return self.total_seconds or self.mixture.shape[-1] / self.sample_rate
