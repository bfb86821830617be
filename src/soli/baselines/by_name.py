"""Baselines by name: classical methods, and peers whose weights are not soli's.

A name may be followed by a colon and what the method needs, such as `htdemucs-onnx:models/htdemucs.onnx`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from soli.errors import SoliError
from soli.separator import Separator

_FOUR = ("vocals", "drums", "bass", "other")
_BAND = ("drums", "bass", "other")


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """How to get a baseline ready.

    Attributes:
        place: module and callable; a class with a `Config` is built from its defaults, anything else is called with
            what follows the colon.
        sources: what it returns.
        needs: what follows the colon; empty where nothing may, in brackets where it may be left out.
        stands_for: estimate -> sources it is the best guess of, where the method tells fewer sources apart.
    """

    place: str
    sources: tuple[str, ...] = _FOUR
    needs: str = ""
    stands_for: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


_STRUCK = {"percussive": ("drums",), "harmonic": ("vocals", "bass", "other")}

BASELINES: Mapping[str, Baseline] = {
    "hpss": Baseline(place="soli.baselines.hpss:HPSS", sources=("harmonic", "percussive"), stands_for=_STRUCK),
    "repet": Baseline(
        place="soli.baselines.repet:Repet", sources=("vocals", "accompaniment"), stands_for={"accompaniment": _BAND}
    ),
    "nmf": Baseline(place="soli.baselines.nmf:NMF", sources=("harmonic", "percussive"), stands_for=_STRUCK),
    "open-unmix": Baseline(place="soli.baselines.open_unmix_weights:load_upstream", needs="FOLDER"),
    "htdemucs-onnx": Baseline(place="soli.baselines.htdemucs_onnx:load_htdemucs_onnx", needs="FILE"),
    "demucs": Baseline(place="soli.baselines.demucs:load_demucs", needs="[MODEL]"),
    "spleeter": Baseline(
        place="soli.baselines.spleeter:Spleeter",
        sources=("vocals", "accompaniment"),
        needs="PYTHON",
        stands_for={"accompaniment": _BAND},
    ),
}
"""Name -> how to get it ready."""


def find_baseline(name: str) -> Baseline | None:
    """Look a name up.

    Args:
        name: with or without what follows its colon.

    Returns:
        The baseline, or None for a name that is none.

    Raises:
        SoliError: when what must follow the name is missing, or something follows that must not.
    """
    head, colon, rest = name.partition(":")
    baseline = BASELINES.get(head)
    if baseline is None:
        return None
    optional = baseline.needs.startswith("[")
    if (not rest and (colon or not optional) and baseline.needs) or (colon and not baseline.needs):
        raise SoliError(f"{name!r}; allowed: {usage(head)}")
    return baseline


def load_baseline(name: str) -> Separator:
    """Get a baseline ready.

    Args:
        name: as for `find_baseline`.

    Returns:
        The separator in evaluation mode, on the CPU.

    Raises:
        SoliError: for an unknown name, or one whose file, folder or package is not there.
    """
    baseline = find_baseline(name)
    if baseline is None:
        raise SoliError(f"unknown baseline {name!r}; allowed: {', '.join(map(usage, BASELINES))}")
    module, _, attribute = baseline.place.partition(":")
    build = getattr(import_module(module), attribute)
    rest = name.partition(":")[2]
    separator = build(build.Config()) if hasattr(build, "Config") else build(*([rest] if rest else []))
    return separator.eval()


def usage(head: str) -> str:
    """How a name is written.

    Args:
        head: the name without what follows.

    Returns:
        Such as `htdemucs-onnx:FILE`.
    """
    needs = BASELINES[head].needs
    return f"{head}[:{needs[1:]}" if needs.startswith("[") else head + (f":{needs}" if needs else "")


def baseline_digest(name: str) -> str:
    """SHA-256 of the weights a name points at.

    Args:
        name: of a baseline.

    Returns:
        In hexadecimal, of several files that of their digests; empty where the name points at no file.

    Raises:
        SoliError: for a file or folder that is not there.
    """
    head, _, rest = name.partition(":")
    if head == "open-unmix":
        from soli.baselines.open_unmix_weights import upstream_files

        files = list(upstream_files(rest).values())
    elif head == "htdemucs-onnx":
        files = [Path(rest)]
    else:
        return ""
    digests = [_file_digest(path) for path in files]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise SoliError(f"{path}: cannot be read ({error.strerror or error})") from error
