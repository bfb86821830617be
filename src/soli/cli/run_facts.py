"""What every report tells of a run: command, versions, model, and what its files hold."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soli.errors import SoliError

if TYPE_CHECKING:
    from torch import Tensor

    from soli.separator import Separator
    from soli.zoo import ModelInfo


def command() -> str:
    """As it was typed."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def versions() -> dict[str, str]:
    """Of what computed."""
    import platform

    import numpy as np
    import torch

    from soli import __version__

    return {
        "soli": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def model_record(model: str, info: ModelInfo, separator: Separator) -> dict[str, Any]:
    """What tells a model from all others.

    Args:
        model: a name or folder for `soli.load`.
        info: what its folder says.
        separator: the model itself.

    Returns:
        Plain JSON.
    """
    from soli.files import model_name

    config: Any = getattr(separator, "config", None)
    return {
        "name": model_name(model),
        "system": info.system,
        "preset": info.preset,
        "sha256": info.sha256,
        "config": asdict(config) if is_dataclass(config) and not isinstance(config, type) else None,
    }


def model_facts(info: ModelInfo) -> dict[str, str]:
    """Lines about a model for the card at the end of a page."""
    return {
        "Method": f"{info.system}, {info.preset} preset",
        "Summary": info.summary,
        "Parameters": f"{info.n_parameters / 1e6:.2f} million, {info.bytes / 1e6:.1f} MB on disk",
        "Licence of the weights": info.licence,
        "SHA-256 of the weights": info.sha256,
    }


def version_facts(run: Mapping[str, Any]) -> dict[str, str]:
    """Lines about command and versions, from a manifest that has both."""
    found = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    return {"Command": run["command"], "Versions": found}


def link(file: Path, folder: Path) -> str:
    """A link from a page in a folder to a file; absolute where there is no relative one."""
    from os.path import relpath
    from urllib.parse import quote

    try:
        return quote(Path(relpath(file, folder)).as_posix())
    except ValueError:  # two drives
        return file.resolve().as_uri()


def sha256_of(path: Path) -> str:
    """Of a file's content."""
    import hashlib

    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise SoliError(f"{path}: cannot be read ({error.strerror or error})") from error


def loudness(signal: Tensor, sample_rate: int) -> float:
    """Of `[C T]`, in LUFS."""
    from soli.dsp.loudness import integrated_loudness

    return float(integrated_loudness(signal, sample_rate))
