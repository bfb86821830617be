"""soli separates a recording into its sources with whatever supervision you have."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_EXPORTS = {
    "load": "soli.zoo",
    "available": "soli.zoo",
    "separate_file": "soli.files",
    "Separator": "soli.separator",
    "Estimates": "soli.separator",
    "Queryable": "soli.separator",
    "Discoverer": "soli.separator",
    "Generative": "soli.separator",
    "SoliError": "soli.errors",
    "Cancelled": "soli.errors",
}
__all__ = [*_EXPORTS, "__version__"]

if TYPE_CHECKING:
    from soli.errors import Cancelled, SoliError
    from soli.files import separate_file
    from soli.separator import Discoverer, Estimates, Generative, Queryable, Separator
    from soli.zoo import available, load


def __getattr__(name: str) -> Any:
    """Import the rooms behind the public names only when they are asked for: torch is slow to load."""
    if name not in _EXPORTS:
        raise AttributeError(f"module 'soli' has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)
