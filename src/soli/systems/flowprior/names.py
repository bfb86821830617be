"""What sets of priors are called."""

from __future__ import annotations

import os
from pathlib import Path

PRIORS = "flowprior"
"""`flowprior:drums,my/cello` names bundled instruments, or folders, as one model."""

DEFAULT_PRIORS = ("vocals", "drums", "bass", "other")
"""What the name `flowprior` alone stands for."""


def priors_label(name: str) -> str:
    """What several priors are called in file names and tables.

    Args:
        name: such as `flowprior:drums,my/cello`, or `flowprior`.

    Returns:
        Such as `flowprior-drums+cello`.
    """
    parts = [Path(os.path.abspath(part.strip())).name for part in name.partition(":")[2].split(",") if part.strip()]
    return "-".join((PRIORS, *(["+".join(parts)] if parts else [])))
