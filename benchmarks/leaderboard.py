"""One table of all models from the results of `soli evaluate`. Writes docs/leaderboard.md.

    soli evaluate mixture hpss repet nmf default htdemucs-onnx:htdemucs.onnx oracle:ratio oracle:phase_sensitive \\
        musdb18_7s/test --protocol museval --out docs/leaderboard/museval.json
    soli evaluate … --protocol global --out docs/leaderboard/global.json
    soli report docs/leaderboard/*.json --out docs/leaderboard/index.html
    python benchmarks/leaderboard.py docs/leaderboard/*.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from clips import run, table

DOCS = Path(__file__).parent.parent / "docs" / "leaderboard.md"
HEAD = """# Leaderboard

20 public test clips of MUSDB18's 7-second previews, in dB, with 95 % intervals by a bootstrap over clips; "all" is
the mean over sources. Oracles know the true stems. Where a classical method tells fewer sources apart, its estimate
stands for each of them, as the mixture does for all. HTDemucs has learned from all of MUSDB18's training songs, the
default model from their previews. The last column is the time a model takes relative to the length of the clip, on
two CPU cores that did other things at a low priority.

Made by the commands in `benchmarks/leaderboard.py`; all metrics, every clip, box plots and paired differences are in
the JSON files and the page in [leaderboard/](leaderboard/), which opens offline.
"""


def main(arguments: argparse.Namespace) -> None:
    text = HEAD
    for path in arguments.results:
        result = json.loads(path.read_text(encoding="utf-8"))
        text += "\n" + section(result, statistic="median")
    arguments.output.write_text(text, encoding="utf-8")
    print(text)


def section(result: dict, statistic: str) -> str:
    """The headline metric of one protocol."""
    protocol, summary = result["protocol"], result["summary"]
    metric, sources = protocol["metrics"][0], (*result["sources"], "all")
    cells = {(cell["model"], cell["source"]): cell for cell in summary["cells"] if cell["metric"] == metric}
    rows = []
    for model, work in summary["work"].items():
        digest = result["models"][model]["sha256"]
        name = f"{model} `{digest[:8]}`" if digest else model
        numbers = [interval(cells[model, source][statistic]) for source in sources]
        rows.append([name, *numbers, f"{work['real_time_factor']:.3f}"])
    about = protocol["about"].split(";")[0]
    title = f"## {metric}, {statistic}\n\nProtocol `{protocol['name']}`: {about}; {statistic} over clips.\n\n"
    return title + table(("", *sources, "time"), rows)


def interval(estimate: dict[str, float]) -> str:
    return f"**{estimate['value']:.2f}** ({estimate['low']:.2f} to {estimate['high']:.2f})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, nargs="+", help="JSON files of soli evaluate")
    parser.add_argument("--output", type=Path, default=DOCS)
    run(main, parser)
