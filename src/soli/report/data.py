"""What a report shows, as plain numbers and arrays: nothing here knows of models or files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    """The embedding space of one mixture in two dimensions (seed 004, figure 2), or another system's latents.

    Attributes:
        points: `[P 2]`, one row per time-frequency bin.
        labels: index into `classes` of each point, `[P]`.
        classes: names, in the order of the labels.
        centres: the mean of each class's Gaussian, `[S 2]`.
        spreads: covariance of each class's Gaussian in the plane, `[S 2 2]`.
        explained: share of the variance that each of the two axes keeps, `[2]`.
        title: of the section.
        about: a sentence or two before the figure.
        unit: what the points are.
    """

    points: Array
    labels: NDArray[np.integer[Any]]
    classes: tuple[str, ...]
    centres: Array
    spreads: Array
    explained: Array
    title: str = "The embedding space"
    about: str = (
        "The network gives every time\N{EN DASH}frequency bin a place in one common space, and each class a Gaussian"
        " there. The posterior of a bin under these Gaussians is its mask."
    )
    unit: str = "bins"


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
class ClassCodes:
    """How often each query code was chosen for each class of isolated sounds (seed 000).

    Attributes:
        counts: `[classes codes]`, whole numbers.
        classes: name of each row.
        codes: name of each column.
        measures: further numbers about the table, such as purity; name -> value.
    """

    counts: NDArray[Any]
    classes: tuple[str, ...]
    codes: tuple[str, ...]
    measures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SeparationGrid:
    """Several mixtures and what every query made of each (seed 000).

    Attributes:
        rows: name of each mixture.
        columns: name of each picture of a row, such as "mixture", "code 0".
        panels: a picture for every row and column; None leaves the place empty.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    panels: Sequence[Sequence[Panel | None]]


@dataclass(frozen=True, kw_only=True)
class ClusterTable:
    """What was measured of every cluster that a mixture was split into (seed 001).

    Attributes:
        clusters: names.
        energy: share of the mixture's energy in each, `[clusters]`; need not sum to 1.
        measures: name of a column -> a number per cluster; NaN where there is none.
        about: how the clusters were found, in a sentence.
    """

    clusters: tuple[str, ...]
    energy: Array
    measures: Mapping[str, Sequence[float]] = field(default_factory=dict)
    about: str = ""


@dataclass(frozen=True, kw_only=True)
class ActivityCurves:
    """When each source sounds.

    Attributes:
        sources: names.
        levels: of windows, in dB relative to the loudest window of the mixture, `[sources W]`.
        window_seconds: length of a window.
        sounds_db: above this level a source sounds.
    """

    sources: tuple[str, ...]
    levels: Array
    window_seconds: float
    sounds_db: float


@dataclass(frozen=True, kw_only=True)
class TrainingCurves:
    """What a training logged.

    Attributes:
        series: name -> steps `[n]` and values `[n]`.
    """

    series: Mapping[str, tuple[Array, Array]]


@dataclass(frozen=True, kw_only=True)
class SearchPath:
    """Where a search among latents stood after some of its steps; what is not finite is not drawn.

    Attributes:
        iterations: updates so far, `[n]`, rising.
        seconds: passed so far, `[n]`, rising.
        sdr: of what was found, in dB, `[n]`.
        divergence: of the mixture from the sum of the sources, `[n]`; the lower, the more likely is the mixture.
        energy: half the mean square of the latents, `[n]`; the lower, the more likely are they.
    """

    iterations: Array
    seconds: Array
    sdr: Array
    divergence: Array
    energy: Array


@dataclass(frozen=True, kw_only=True)
class SearchCurves:
    """How priors were searched for the sources of a mixture (seed 003).

    Attributes:
        paths: name of a source, of a mean over sources, or of a way to search -> how its search went.
        about: what was searched, in a sentence.
    """

    paths: Mapping[str, SearchPath]
    about: str = ""


Figure = (
    EmbeddingMap
    | QueryPanels
    | DimensionPanels
    | ClassCodes
    | SeparationGrid
    | ClusterTable
    | ActivityCurves
    | TrainingCurves
    | SearchCurves
)
"""Whatever a system has to show of itself."""


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
        loudness: "mixture" or name of a stem -> integrated loudness in LUFS; minus infinity for silence.
        seconds: how long it took.
        total_seconds: length of the song, if `mixture` holds only its beginning.
        null_dbfs: peak of the mixture minus everything written, in dB re full scale; minus infinity for nothing at all.
        model: name of the model.
        generated: whether the model made the music, instead of separating it.
        facts: whatever else is worth a line about the model or the run.
        files: name of a stem -> link to its file, relative to the page.
        figures: of the system, in the order of the page.
        manifest: the run for machines, as plain JSON: hashes, config, versions, command.
    """

    title: str
    sample_rate: int
    mixture: Array
    stems: Mapping[str, Array]
    truths: Mapping[str, Array] = field(default_factory=dict)
    sdr: Mapping[str, float] = field(default_factory=dict)
    mixture_sdr: Mapping[str, float] = field(default_factory=dict)
    loudness: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None
    total_seconds: float | None = None
    null_dbfs: float | None = None
    model: str = ""
    generated: bool = False
    facts: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    figures: Sequence[Figure] = ()
    manifest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def duration(self) -> float:
        """Length of the song in seconds."""
        return self.total_seconds or self.mixture.shape[-1] / self.sample_rate


@dataclass(frozen=True, kw_only=True)
class Excerpt:
    """A part of a track of a dataset.

    Attributes:
        title: the track's name.
        sample_rate: in Hz.
        mixture: `[C T]`.
        stems: name -> `[C T]`.
        about: where it was taken from, in a few words.
    """

    title: str
    sample_rate: int
    mixture: Array
    stems: Mapping[str, Array]
    about: str = ""
