"""From what priors say of a recording to the data of its page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from soli.cli.run_facts import command, model_facts, model_record, sha256_of, version_facts, versions
from soli.report.presence import InstrumentCurves, PresenceData

if TYPE_CHECKING:
    from soli.presence import Presence
    from soli.separator import Separator


def report_on_presence(found: Presence, priors: str, model: Separator) -> PresenceData:
    """Gather what the page shows.

    Args:
        found: what the priors say.
        priors: their names and folders, separated by commas.
        model: all of them as one.

    Returns:
        The data.

    Raises:
        SoliError: for a recording that cannot be read again.
    """
    from soli.files import track_name
    from soli.zoo import model_info

    name = f"flowprior:{priors}"
    info = model_info(name)
    parts = [model_info(f"flowprior:{part}") for part in priors.split(",")]
    weights = {source: part.sha256 for part in parts for source in part.sources}
    run: dict[str, Any] = {
        "command": command(),
        "input": {"name": found.source.name, "sha256": sha256_of(found.source), "seconds": found.seconds},
        "model": model_record(name, info, model),
        "priors": weights,
        "window_seconds": found.window_seconds,
        "versions": versions(),
    }
    facts = {
        **model_facts(info),
        **({f"SHA-256 of {source}": digest for source, digest in weights.items()} if len(parts) > 1 else {}),
        "SHA-256 of the input": run["input"]["sha256"],
        **version_facts(run),
        "Windows": f"{found.window_seconds:.2f} s, overlapping by half",
    }
    return PresenceData(
        title=track_name(found.source),
        seconds=found.seconds,
        times=np.minimum(found.starts + found.window_seconds / 2, found.seconds),
        instruments={
            source: InstrumentCurves(
                probability=found.probability[index],
                deviations=found.deviations[index],
                share_db=found.share_db[index],
                spans=found.spans(source),
                sounding=found.sounding(source),
            )
            for index, source in enumerate(found.instruments)
        },
        facts=facts,
        manifest=run,
    )
