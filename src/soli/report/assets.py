"""The files beside this one: style, script and pieces of HTML."""

from __future__ import annotations

from importlib.resources import files
from string import Template


def asset(name: str) -> str:
    """Read one of the package's text files.

    Args:
        name: such as `style.css`.

    Returns:
        Its content.
    """
    return files("soli.report").joinpath(name).read_text(encoding="utf-8")


def fill(name: str, /, **fields: object) -> str:
    """Fill the `$name` fields of a piece of HTML; the values must be safe already.

    Args:
        name: such as `lane.html`.
        **fields: a value for every field in it.

    Returns:
        HTML.
    """
    return Template(asset(name)).substitute(fields)
