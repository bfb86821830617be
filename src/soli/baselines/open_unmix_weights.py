"""Published weights of Open-Unmix (umx, umxhq, umxl) in our own network.

They are one file per source, `vocals-b62c91ce.pth` or `vocals.pth`, which is a pickle. soli opens it with torch's
weights-only reader alone, which builds tensors and containers and runs nothing else, and only from torch 2.6 on, before
which that reader could be tricked (CVE-2025-32434). Where a name carries the beginning of a SHA-256, as the published
ones do, the file must have it. Safetensors files of the same tensors are read as well.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from soli.baselines.open_unmix import OpenUnmix, OpenUnmixConfig
from soli.errors import SoliError

TARGETS = ("vocals", "drums", "bass", "other")
_SUFFIXES = (".pth", ".safetensors")
_UNUSED = ("stft.", "transform.", "sample_rate")
"""Tensors of older releases that hold the transform, not the network."""


def load_upstream(folder: str | Path, *, em_iterations: int = 1) -> OpenUnmix:
    """Build a separator from published weights.

    Args:
        folder: with one file per source.
        em_iterations: of the Wiener filter.

    Returns:
        In evaluation mode, on the CPU. `zoo.save` keeps it as a folder that `soli.load` takes.

    Raises:
        SoliError: for a folder without such files, a file that is damaged or no such state dict.
    """
    files = upstream_files(folder)
    states = {name: read_state(path) for name, path in files.items()}
    first = next(iter(states.values()))
    if "fc1.weight" not in first:
        raise SoliError(f"{next(iter(files.values()))}: no tensor 'fc1.weight'; not a state dict of Open-Unmix")
    config = OpenUnmixConfig(
        sources=tuple(files), hidden_size=first["fc1.weight"].shape[0], em_iterations=em_iterations
    )
    separator = OpenUnmix(config).eval()
    for name, state in states.items():
        fill_target(separator, name, state, files[name])
    return separator


def upstream_files(folder: str | Path) -> dict[str, Path]:
    """Find the file of each source.

    Args:
        folder: to look in.

    Returns:
        Source -> file, for the sources that have one, at least one.

    Raises:
        SoliError: for a folder without any, or two files of one source.
    """
    folder = Path(folder)
    found: dict[str, Path] = {}
    for name in TARGETS:
        pattern = re.compile(rf"{name}(-[0-9a-f]{{8,64}})?({'|'.join(map(re.escape, _SUFFIXES))})")
        files = sorted(path for path in folder.glob(f"{name}*") if pattern.fullmatch(path.name))
        if len(files) > 1:
            raise SoliError(f"{folder}: {files[0].name} and {files[1].name} are both for {name}; allowed: one file")
        if files:
            found[name] = files[0]
    if not found:
        names = ", ".join(f"{name}.pth" for name in TARGETS)
        raise SoliError(f"{folder}: no weights of Open-Unmix; allowed: a folder with {names}, or .safetensors")
    return found


def read_state(path: Path) -> dict[str, Tensor]:
    """Read the tensors of one file without running anything that is in it.

    Args:
        path: of a `.pth` or `.safetensors` file.

    Returns:
        Name -> tensor, on the CPU.

    Raises:
        SoliError: for a file that cannot be read, has another SHA-256 than its name says, or holds more than tensors.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SoliError(f"{path}: cannot be read ({error.strerror or error})") from error
    digest, stated = hashlib.sha256(content).hexdigest(), path.stem.partition("-")[2]
    if not digest.startswith(stated):
        raise SoliError(f"{path}: damaged or replaced; its SHA-256 is {digest}, its name says {stated}…")
    state = _safetensors(content, path) if path.suffix == ".safetensors" else _weights_only(content, path)
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise SoliError(f"{path}: holds more than named tensors; allowed: a state dict")
    return {str(name): tensor for name, tensor in state.items()}


def fill_target(separator: OpenUnmix, name: str, state: Mapping[str, Tensor], path: Path) -> None:
    """Copy a published state dict into the network of one source.

    Args:
        separator: changed in place.
        name: of the source.
        state: upstream's tensors.
        path: they came from, for messages.

    Raises:
        SoliError: for tensors that are missing, unknown or of another shape.
    """
    network = separator.targets[name]
    expected = network.state_dict()
    given = {key: value for key, value in state.items() if not key.startswith(_UNUSED)}
    for keys, problem in ((expected.keys() - given.keys(), "missing"), (given.keys() - expected.keys(), "unknown")):
        if keys:
            raise SoliError(f"{path}: {len(keys)} {problem} tensors, such as {min(keys)!r}; not weights of Open-Unmix")
    for key, tensor in given.items():
        if tensor.shape != expected[key].shape:
            shapes = f"shape {list(tensor.shape)}; this model needs {list(expected[key].shape)}"
            raise SoliError(f"{path}: tensor {key!r} has {shapes}")
    network.load_state_dict(given)


def _weights_only(content: bytes, path: Path) -> object:
    release = tuple(int(part) for part in re.findall(r"\d+", torch.__version__)[:2])
    if release < (2, 6):
        raise SoliError(f"{path}: torch {torch.__version__} does not read .pth files safely; allowed: 2.6 or newer")
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged or forged file makes the reader raise
        reason = "a pickle that holds more than tensors, or damaged"
        raise SoliError(f"{path}: refused, {reason}; allowed: a state dict of tensors") from error


def _safetensors(content: bytes, path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(content)
    except (SafetensorError, KeyError, ValueError) as error:
        raise SoliError(f"{path}: not a safetensors file ({error})") from error
