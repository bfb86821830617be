"""Results of several evaluations as one: what was measured alike stands in one leaderboard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soli.errors import SoliError

if TYPE_CHECKING:
    from soli.evaluation.protocols import Protocol
    from soli.report.results import Results

ALIKE = ("protocol", "dataset", "sources", "tracks")


def read_results(paths: Sequence[Path]) -> list[Results]:
    """Read evaluations; those by the same protocol on the same tracks and sources become one.

    Args:
        paths: of files that `soli evaluate` has written.

    Returns:
        As many as there are different ones, in the order of the files.

    Raises:
        SoliError: for a file that cannot be read or is something else, and one that is given twice.
    """
    from soli.report.results import parse, read_json

    if len({path.resolve() for path in paths}) < len(paths):
        raise SoliError(f"files {', '.join(map(str, paths))}: each only once")
    groups: list[list[tuple[Path, dict[str, Any]]]] = []
    for path in paths:
        content = read_json(path)
        group = next((group for group in groups if _alike(group[0][1], content)), None)
        if group is None:
            groups.append(group := [])
        group.append((path, content))
    return [parse(join(group), str(group[0][0])) for group in groups]


def join(group: Sequence[tuple[Path, Mapping[str, Any]]]) -> Mapping[str, Any]:
    """Make one evaluation of several that were measured alike; models of one name get the name of their file.

    Args:
        group: files and their contents.

    Returns:
        The only content, or all records with a new summary.

    Raises:
        SoliError: where this version has no such protocol any more.
    """
    if len(group) == 1:
        return group[0][1]
    from soli.evaluation.journal import from_json, to_json
    from soli.evaluation.summary import summarise

    count = Counter(model for _, content in group for model in content["models"])
    models, records = {}, []
    for path, content in group:
        names = {model: model if count[model] == 1 else f"{model} ({path})" for model in content["models"]}
        models |= {names[model]: facts for model, facts in content["models"].items()}
        records += [from_json({**record, "model": names[record["model"]]}) for record in content["records"]]
    first = group[0][1]
    summary = summarise(records, _protocol(first["protocol"], group[0][0]), first["sources"])
    return {
        **first,
        "models": models,
        "summary": summary.to_json(),
        "records": [to_json(record) for record in records],
    }


def _alike(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    return all(a[key] == b[key] for key in ALIKE)


def _protocol(described: Mapping[str, Any], path: Path) -> Protocol:
    """The protocol that describes itself so."""
    from soli.evaluation.protocols import find_protocol

    kind = type(find_protocol(described["name"]))
    known = {field.name for field in fields(kind)}
    protocol = kind(**{name: value for name, value in described.items() if name in known})
    if protocol.describe() != described:
        raise SoliError(f"{path}: protocol {described['name']} has changed since; evaluate again to join files")
    return protocol
