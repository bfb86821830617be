"""What does it cost an instrument to be plugged in later? Writes benchmarks/results/leave_one_out.{json,md}.

For each instrument, extractors of the others that never heard it, in no solo and in no bank, are put beside its own
prior, which is plugged in afterwards; `known` has heard every instrument. Flows hear their own instrument only, so that
to a search from the modes of the priors nothing is unknown. Excerpts from the middle of each song, mono at 22.05 kHz,
the mixture the sum of the sources; SDR of the whole excerpt, mean over songs. A gain is over the mixture as estimate;
`kept` is the gain with the instrument left out and plugged in, as a part of the gain where everything is known. The
intervals, of 95 %, are of a bootstrap over songs.

    python benchmarks/leave_one_out.py --known runs/known/model --without bass=runs/no-bass/model ... --data twin
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from clips import RESULTS, folder_name, machine, run, table, write_results
from numpy.typing import NDArray
from prior_search import middle
from torch import nn

from soli.data.layouts import open_dataset
from soli.errors import SoliError
from soli.evaluation.examples import Example, read_example
from soli.evaluation.protocols import Seed003Submix
from soli.evaluation.selection import choose_tracks
from soli.systems.flowprior.combine import combine
from soli.systems.flowprior.separator import FlowPrior
from soli.systems.flowprior.split import split
from soli.zoo import load, model_info, reconfigured

PROTOCOL = Seed003Submix()
METRIC = PROTOCOL.metrics[0]
MIXTURE, KNOWN = "mixture", "known"
N_RESAMPLES = 2000
Floats = NDArray[np.float64]


def main(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    known, flows = prior_model(arguments.known), prior_model(arguments.flows or arguments.known)
    without = dict(named(text) for text in arguments.without)
    models = {KNOWN: with_flows(known, flows)}
    models |= {name: with_flows(plugged_in(known, prior_model(path), name), flows) for name, path in without.items()}
    tracks = choose_tracks(open_dataset(arguments.data), arguments.split, arguments.limit)
    examples = [middle(read_example(track, known.sources, PROTOCOL), arguments.seconds) for track in tracks]
    mixed = np.stack([measured(None, example) for example in examples])
    excerpts = f"{len(examples)} excerpts of {arguments.seconds:g} s"
    data: dict[str, object] = {
        "data": f"{folder_name(arguments.data)}, {arguments.split}, {excerpts}",
        "models": {
            name: model_info(path).sha256
            for name, path in {KNOWN: arguments.known, "flows": arguments.flows or arguments.known, **without}.items()
        },
        "machine": machine(),
    }
    text = f"# Instruments plugged in later\n\n{data['data']}. SDR in dB, mean over excerpts, with 95 % intervals.\n"
    for engine in arguments.engines:
        found = {name: separated(model, engine, examples) for name, model in models.items()}
        rows = list(compared(found, mixed, known.sources))
        data[engine] = [dict(zip(("left out", "measured on", *COLUMNS), row, strict=True)) for row in rows]
        text += f"\n## {engine}\n\n" + table(("left out", "measured on", *COLUMNS), rows)
    write_results(arguments.output, data, text)


COLUMNS = ("mixture", "all known", "plugged in", "difference", "kept of the gain, %")


def named(text: str) -> tuple[str, str]:
    """`bass=FOLDER`, taken apart."""
    name, equals, path = text.partition("=")
    if not equals:
        raise SoliError(f"--without {text}; allowed: INSTRUMENT=FOLDER")
    return name, path


def prior_model(name: str) -> FlowPrior:
    model = load(name)
    if not isinstance(model, FlowPrior):
        raise SoliError(f"{name} has no extractors; allowed: models of flowprior/modern")
    return model


def plugged_in(known: FlowPrior, others: FlowPrior, name: str) -> FlowPrior:
    """Extractors that never heard an instrument, and its own; in the order of `known`."""
    if name in others.sources:
        raise SoliError(f"the model without {name!r} has a prior of it")
    parts = {part.sources[0]: part for part in (*split(known), *split(others))}  # the others' own come last, and stay
    return combine([parts[source] for source in known.sources])


def with_flows(model: FlowPrior, flows: FlowPrior) -> FlowPrior:
    """The same extractors beside the flows of another model."""
    copied = reconfigured(model, {})
    assert isinstance(copied, FlowPrior)
    for source, prior in zip(copied.sources, copied.priors, strict=True):
        assert isinstance(prior, nn.Module)
        prior.flow.load_state_dict(flows.priors[flows.sources.index(source)].flow.state_dict())
    return copied


def measured(model: FlowPrior | None, example: Example) -> Floats:
    """SDR of each source, `[S]`; without a model that of the mixture in place of every estimate."""
    references = torch.stack(list(example.references.values()))
    if model is None:
        estimates = example.mixture.expand_as(references)
    else:
        estimates = model.separate(example.mixture, example.sample_rate).stems
    found = PROTOCOL.measure(references, estimates, example.mixture, example.sample_rate)
    return found[METRIC][:, 0].numpy()


def separated(model: FlowPrior, engine: str, examples: list[Example]) -> Floats:
    """SDR of every excerpt and source, `[songs S]`."""
    other = reconfigured(model, {"engine": engine})
    assert isinstance(other, FlowPrior)
    found = np.stack([measured(other, example) for example in examples])
    print(f"{engine}: {np.nanmean(found):.2f} dB", flush=True)
    return found


def compared(found: dict[str, Floats], mixed: Floats, sources: tuple[str, ...]) -> Iterator[tuple[object, ...]]:
    """Rows: for each instrument left out, on itself and on all."""
    for name in (name for name in found if name != KNOWN):
        for where, index in ((name, [sources.index(name)]), ("all", [*range(len(sources))])):
            cut = [values[:, index] for values in (mixed, found[KNOWN], found[name])]
            yield name, where, *numbers(cut)


def numbers(cut: list[Floats]) -> Iterator[object]:
    """What `COLUMNS` names, of mixture, known and plugged in, each `[songs sources]`."""
    means = [float(np.nanmean(values)) for values in cut]
    random = np.random.default_rng(0)
    drawn = []
    for _ in range(N_RESAMPLES):
        songs = random.integers(len(cut[0]), size=len(cut[0]))
        mixture, known, plugged = (np.nanmean(values[songs]) for values in cut)
        drawn.append((plugged - known, 100 * (plugged - mixture) / (known - mixture)))
    low, high = np.nanquantile(drawn, [0.025, 0.975], axis=0)
    yield from means
    yield f"{means[2] - means[1]:.2f} ({low[0]:.2f} to {high[0]:.2f})"
    yield f"{100 * (means[2] - means[0]) / (means[1] - means[0]):.0f} ({low[1]:.0f} to {high[1]:.0f})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--known", required=True, metavar="MODEL", help="priors that have heard every instrument")
    parser.add_argument("--flows", metavar="MODEL", help="takes the flows from here")
    parser.add_argument("--without", nargs="+", required=True, metavar="INSTRUMENT=MODEL", help="the others' priors")
    parser.add_argument("--engines", nargs="+", default=["extract", "hybrid"], metavar="ENGINE")
    parser.add_argument("--data", type=Path, required=True, help="folder of any layout")
    parser.add_argument("--split", metavar="SCHEME:SPLIT", help="only these songs")
    parser.add_argument("--limit", type=int, help="only the first songs")
    parser.add_argument("--seconds", type=float, default=12.0, help="of each song")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=RESULTS / "leave_one_out.json")
    run(main, parser)
