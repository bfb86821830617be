"""From what `separate_file` has written to the data of an HTML report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from soli.cli.run_facts import command, link, loudness, model_facts, model_record, sha256_of, version_facts, versions
from soli.errors import SoliError
from soli.report import DimensionPanels, EmbeddingMap, Panel, QueryPanels, ReportData, TrainingCurves
from soli.report.data import Array
from soli.report.sound import LONGEST_SECONDS

if TYPE_CHECKING:
    from torch import Tensor

    from soli.files import SeparatedFile
    from soli.separator import Separator
    from soli.zoo import ModelInfo

DIGITAL_SILENCE_DBFS = -200.0
FIGURE_SECONDS = 10.0
EXAMPLE, EXAMPLE_SECONDS = "drums", 3.0


def report_on(
    done: SeparatedFile, folder: Path, model: str, *, truths: Mapping[str, Tensor] | None = None
) -> ReportData:
    """Gather what a report of one separated file shows.

    Args:
        done: what was written.
        folder: where the page will be, for its links to the stems.
        model: a name or folder for `soli.load`; the figures of its embedding are drawn where it has one.
        truths: stem -> the true one, `[C T]`, at the rate of the stems.

    Returns:
        The data.

    Raises:
        SoliError: for stems that cannot be read again.
    """
    from soli.files import model_name, track_name
    from soli.zoo import load, model_info

    mixture, stems = read_result(done)
    sdr, mixture_sdr = scores(mixture, stems, truths or {})
    separator = load(model)
    embedding, dimension = embedding_figures(separator, mixture, done.sample_rate)
    query = None
    if truths and EXAMPLE in truths:
        example = truths[EXAMPLE][:, : round(EXAMPLE_SECONDS * done.sample_rate)]
        about = f"{EXAMPLE_SECONDS:g} s of the true {EXAMPLE}"
        query = query_figure(separator, mixture, example, done.sample_rate, about=about)
    run = manifest(done, model, separator)
    silent = done.null_dbfs is not None and done.null_dbfs <= DIGITAL_SILENCE_DBFS
    return ReportData(
        title=track_name(done.source),
        sample_rate=done.sample_rate,
        mixture=mixture.numpy(),
        stems={name: stem.numpy() for name, stem in stems.items()},
        truths={name: _fit(truth, mixture.shape[-1]).numpy() for name, truth in (truths or {}).items()},
        sdr=sdr,
        mixture_sdr=mixture_sdr,
        loudness={name: loudness(signal, done.sample_rate) for name, signal in {"mixture": mixture, **stems}.items()},
        seconds=done.elapsed_seconds,
        total_seconds=done.seconds,
        null_dbfs=-float("inf") if silent else done.null_dbfs,
        model=model_name(model),
        facts=_facts(done, model_info(model), run),
        files={name: link(file, folder) for name, file in done.paths.items()},
        figures=[figure for figure in (query, embedding, dimension, training_figure(model)) if figure is not None],
        manifest=run,
    )


def manifest(done: SeparatedFile, model: str, separator: Separator) -> dict[str, Any]:
    """What is needed to run the same again and to know that it was the same.

    Args:
        done: what was written.
        model: a name or folder for `soli.load`.
        separator: the model itself.

    Returns:
        Plain JSON: command, hashes of the input and of the weights, config, versions.
    """
    from soli.zoo import model_info

    return {
        "command": command(),
        "input": {"name": done.source.name, "sha256": sha256_of(done.source), "sample_rate": done.source_rate},
        "model": model_record(model, model_info(model), separator),
        "output": {
            "subtype": done.subtype,
            "sample_rate": done.sample_rate,
            "n_channels": done.n_channels,
            "n_samples": done.n_samples,
            "null_dbfs": done.null_dbfs,
            "peaks": done.peaks,
            "clipped": done.clipped,
        },
        "versions": versions(),
    }


def training_figure(model: str) -> TrainingCurves | None:
    """The curves of a model that lies beside the log of its training.

    Args:
        model: a name or folder for `soli.load`.

    Returns:
        The curves; None where there is no log.
    """
    from soli.report.curves import read_log

    log = Path(model) / "log.jsonl"
    return read_log(log) if log.is_file() else None


def read_result(done: SeparatedFile) -> tuple[Tensor, dict[str, Tensor]]:
    """Read the input and its stems again, as far as a report shows them.

    Args:
        done: what was written.

    Returns:
        The mixture `[C T]` and the stems by name, equally long, at the rate of the stems.
    """
    from soli.audio import read, resample

    source, rate = read(done.source, stop=LONGEST_SECONDS)
    mixture = resample(source, rate, done.sample_rate)
    stems = {name: read(path, stop=LONGEST_SECONDS)[0] for name, path in done.paths.items()}
    length = min(signal.shape[-1] for signal in (mixture, *stems.values()))
    return mixture[:, :length], {name: stem[:, :length] for name, stem in stems.items()}


def scores(
    mixture: Tensor, stems: Mapping[str, Tensor], truths: Mapping[str, Tensor]
) -> tuple[dict[str, float], dict[str, float]]:
    """Measure the stems whose truth is known.

    Args:
        mixture: `[C T]`.
        stems: name -> `[C T]`.
        truths: name -> `[C T]`; cut or filled to the mixture's length.

    Returns:
        Name -> SDR of the stem, and name -> SDR of the mixture in its place, in dB.
    """
    from soli.evaluation.metrics import sdr_global

    fitted = {name: _fit(truths[name], mixture.shape[-1]) for name in stems if name in truths}
    return (
        {name: float(sdr_global(truth, stems[name])) for name, truth in fitted.items()},
        {name: float(sdr_global(truth, mixture)) for name, truth in fitted.items()},
    )


def embedding_figures(
    separator: Separator, mixture: Tensor, sample_rate: int
) -> tuple[EmbeddingMap | None, DimensionPanels | None]:
    """Figures 2 and 3 of seed 004 for a few seconds from the middle of a mixture.

    Args:
        separator: any; only class-conditional ones have these figures.
        mixture: `[C T]`.
        sample_rate: of the mixture, in Hz.

    Returns:
        The two figures, or None twice for another system or a silent passage.
    """
    from soli.audio import resample
    from soli.systems.classcond.figures import RANGE_DB, embedding_plane, level, look, narrowest_dimension

    length = min(mixture.shape[-1], round(FIGURE_SECONDS * sample_rate))
    start = (mixture.shape[-1] - length) // 2
    view = look(separator, resample(mixture[:, start : start + length], sample_rate, separator.sample_rate))
    if view is None:
        return None, None
    try:
        plane, narrowest = embedding_plane(view), narrowest_dimension(view)
    except SoliError:
        return None, None
    low, high = np.quantile(narrowest.values, [0.01, 0.99])
    drawn = {"frequencies": view.frequencies, "seconds": view.seconds}
    return EmbeddingMap(**vars(plane), classes=view.sources), DimensionPanels(
        mixture=Panel(values=level(view.magnitude), low=-RANGE_DB, high=0.0, **drawn),
        dimension=Panel(values=narrowest.values, low=float(low), high=float(high), **drawn),
        index=narrowest.index,
        source=narrowest.source,
        variance=narrowest.variance,
    )


def query_figure(
    separator: Separator, mixture: Tensor, example: Tensor, sample_rate: int, *, about: str
) -> QueryPanels | None:
    """Figure 4 of seed 004: what an example finds in the first seconds of a mixture.

    Args:
        separator: any; only class-conditional ones have this figure.
        mixture: `[C T]`.
        example: `[C T]`, the wanted sound alone.
        sample_rate: of both, in Hz.
        about: what the example is, in a few words.

    Returns:
        The figure, or None for another system or a silent example.
    """
    from soli.audio import resample
    from soli.systems.classcond.figures import RANGE_DB, example_mask, level, look, masked_level

    longest = round(FIGURE_SECONDS * sample_rate)
    signals = (resample(signal[:, :longest], sample_rate, separator.sample_rate) for signal in (mixture, example))
    view, wanted = (look(separator, signal) for signal in signals)
    if view is None or wanted is None:
        return None
    try:
        mask = example_mask(view, wanted)
    except SoliError:
        return None

    def panel(values: Array, seconds: float, low: float = -RANGE_DB, high: float = 0.0) -> Panel:
        return Panel(values=values, frequencies=view.frequencies, seconds=seconds, low=low, high=high)

    return QueryPanels(
        mixture=panel(level(view.magnitude), view.seconds),
        example=panel(level(wanted.magnitude), wanted.seconds),
        masked=panel(masked_level(view.magnitude, mask), view.seconds),
        mask=panel(mask.T.cpu().numpy(), view.seconds, 0.0, 1.0),
        about=about,
    )


def _facts(done: SeparatedFile, info: ModelInfo, run: Mapping[str, Any]) -> dict[str, str]:
    """Lines for the card at the end of the page."""
    facts = {
        **model_facts(info),
        "SHA-256 of the input": run["input"]["sha256"],
        **version_facts(run),
        "Stems": f"{done.subtype}, {done.sample_rate} Hz, {done.n_samples} samples",
    }
    clipped = {name: count for name, count in done.clipped.items() if count}
    if clipped:
        facts["Clipped"] = ", ".join(f"{name}: {count} samples" for name, count in clipped.items())
    return facts


def _fit(signal: Tensor, length: int) -> Tensor:
    """Cut, or fill with silence, to a length."""
    from torch.nn.functional import pad

    return pad(signal, (0, length - signal.shape[-1]))
