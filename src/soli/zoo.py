"""Models by name or folder: config.json, model.safetensors and card.md, checked before use.

Nothing here is ever unpickled, and importing this module does not import torch: `available`
reads two small text files per model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soli.config import from_dict, front_matter, to_dict
from soli.devices import resolve_device
from soli.disk import write_whole
from soli.errors import SoliError
from soli.systems.flowprior.names import DEFAULT_PRIORS, PRIORS
from soli.systems.registry import BUNDLED, SYSTEMS

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from soli.separator import Separator

FORMAT = 1
WEIGHTS = Path(__file__).parent / "weights"
CONFIG_FILE, WEIGHTS_FILE, CARD_FILE = "config.json", "model.safetensors", "card.md"
PICKLES = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth", ".th")


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """What is known of a model without loading it.

    Attributes:
        name: what `load` takes.
        system: the method.
        preset: which variant of the method.
        sources: what it separates into.
        sample_rate: in Hz.
        n_parameters: how many numbers were learned.
        bytes: size of the weights on disk.
        sha256: of the weights file.
        licence: of the weights, from the card.
        summary: one line, from the card.
    """

    name: str
    system: str
    preset: str
    sources: tuple[str, ...]
    sample_rate: int
    n_parameters: int
    bytes: int
    sha256: str
    licence: str
    summary: str


@dataclass(frozen=True, kw_only=True)
class _Header:
    """The content of config.json; all but `config` is derived when the model is saved."""

    format: int
    system: str
    preset: str
    sources: tuple[str, ...]
    sample_rate: int
    n_parameters: int
    sha256: str
    config: Any


def available() -> dict[str, ModelInfo]:
    """List the bundled models.

    Returns:
        Name -> what is known of it, for every name `load` accepts besides folders.
    """
    return {name: model_info(name) for name in available_names()}


def available_names() -> list[str]:
    """The names that `load` takes without a folder."""
    names = [name for name, folder in BUNDLED.items() if (WEIGHTS / folder).is_dir()]
    priors = bundled_priors()
    more = [f"{PRIORS}:{name}" for name in priors if name not in DEFAULT_PRIORS]
    return names + ([PRIORS] if set(DEFAULT_PRIORS) <= {*priors} else []) + more


def bundled_priors() -> tuple[str, ...]:
    """The instruments that `flowprior:NAME` finds without a folder, in alphabetical order."""
    return tuple(sorted(path.parent.name for path in (WEIGHTS / PRIORS).glob(f"*/{CONFIG_FILE}")))


def model_info(name: str | Path) -> ModelInfo:
    """Describe a model without loading it.

    Args:
        name: as for `load`.

    Returns:
        The facts in its config.json and card.md; of several priors those of all together.

    Raises:
        SoliError: for an unknown name or a damaged folder.
    """
    if (folders := _find_priors(name)) is not None:
        return _all_of(str(name), [model_info(folder) for folder in folders])
    folder = _find(name)
    header, card = _read_header(folder), _read_card(folder)
    shared = ("system", "preset", "sources", "sample_rate", "n_parameters", "sha256")
    return ModelInfo(
        name=str(name),
        bytes=_weights_path(folder).stat().st_size,
        licence=card["licence"],
        summary=card["summary"],
        **{key: getattr(header, key) for key in shared},
    )


def load(name: str | Path = "default", device: str | torch.device = "cpu") -> Separator:
    """Load a model, ready to separate.

    Args:
        name: a bundled name (see `available`), a checkpoint folder, or `flowprior:` and bundled instruments (see
            `bundled_priors`) or folders of priors separated by commas, which become one model.
        device: `cpu`, `cuda`, `cuda:N`, `mps` or `auto`.

    Returns:
        The separator in evaluation mode, with float32 weights.

    Raises:
        SoliError: for an unknown name or device, a folder that is incomplete or damaged, or priors that do not fit.
    """
    import torch

    if (folders := _find_priors(name)) is not None:
        from soli.systems.flowprior.combine import combine

        return combine([load(folder, device) for folder in folders])
    target = resolve_device(device)
    folder = _find(name)
    header = _read_header(folder)
    weights = _read_weights(folder, header)
    with torch.random.fork_rng(devices=[]):  # building a network draws random numbers; the caller's are not spent
        separator = _build(header, folder / CONFIG_FILE)
    _fill(separator, weights, folder / WEIGHTS_FILE)
    _attach_codec(separator, folder, target)
    return separator.to(target).eval()


def reconfigured(separator: Separator, changes: Mapping[str, Any]) -> Separator:
    """The same weights under another config: another engine, other settings of a search.

    Args:
        separator: with a `config`; left as it is.
        changes: of its config, field name -> value.

    Returns:
        A new separator in evaluation mode, with copies of the weights.

    Raises:
        SoliError: for an unknown key, a wrong value, and a change that does not fit the weights.
    """
    import torch

    kind: Any = type(separator)
    changed = {**to_dict(separator.config), **changes}
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers are not spent on weights nobody keeps
        other = kind(from_dict(kind.Config, changed))
    _fill(other, separator.state_dict(), Path(", ".join(f"{key} = {value}" for key, value in changes.items())))
    return other.to(next(separator.parameters()).device).eval()


def save(separator: Separator, folder: str | Path, card: str, *, half: bool = False) -> Path:
    """Write a model as a folder that `load` reads.

    Each file is written under a temporary name and renamed, config.json last; it holds the
    SHA-256 of the weights, so an interrupted save can never be mistaken for a whole one.

    Args:
        separator: of a class in `SYSTEMS`, with a `config`.
        folder: created if needed; older files of the same names are replaced.
        card: Markdown that starts with a front matter giving at least `licence` and `summary`.
        half: store the weights in float16.

    Returns:
        The folder.

    Raises:
        SoliError: for a class outside `SYSTEMS`, a card without front matter, weights that
            float16 cannot hold, or a folder that cannot be written.
    """
    from safetensors.torch import save as serialize

    folder = Path(folder)
    system, preset = _identify(separator)
    _parse_card(card, folder / CARD_FILE)
    weights = serialize(_storable(separator, half=half))
    header = _Header(
        format=FORMAT,
        system=system,
        preset=preset,
        sources=separator.sources,
        sample_rate=separator.sample_rate,
        n_parameters=sum(parameter.numel() for parameter in separator.parameters()),
        sha256=hashlib.sha256(weights).hexdigest(),
        config=to_dict(separator.config),
    )
    write_whole(folder / WEIGHTS_FILE, weights)
    write_whole(folder / CARD_FILE, card.encode())
    write_whole(folder / CONFIG_FILE, (json.dumps(to_dict(header), indent=2) + "\n").encode())
    return folder


def _find(name: str | Path) -> Path:
    """Folder of a bundled name or a path."""
    if name in BUNDLED and (WEIGHTS / BUNDLED[str(name)]).is_dir():
        return WEIGHTS / BUNDLED[str(name)]
    path = Path(name)
    if path.suffix.lower() in PICKLES:
        raise SoliError(f"{path}: nothing is ever unpickled; allowed: a folder with {CONFIG_FILE} and {WEIGHTS_FILE}")
    if path.is_dir():
        return path
    names = ", ".join(available_names())
    known = f"available: {names}" if names else "none is bundled with this copy of soli"
    raise SoliError(f"unknown model {str(name)!r}; {known}, or a folder with {CONFIG_FILE} and {WEIGHTS_FILE}")


def _find_priors(name: str | Path) -> list[Path] | None:
    """Folders of the priors that a name lists; None for a name of another kind."""
    head, colon, rest = str(name).partition(":")
    if head != PRIORS or (not colon and not bundled_priors() and Path(head).is_dir()):
        return None
    folders = []
    for part in [part.strip() for part in rest.split(",")] if colon else DEFAULT_PRIORS:
        # ./drums is a folder, whatever is bundled
        place = WEIGHTS / PRIORS / part if part in bundled_priors() else Path(part).expanduser()
        if not part or not place.is_dir():
            known = ", ".join(bundled_priors()) or "none"
            raise SoliError(f"unknown prior {part!r}; bundled: {known}; or a folder of a prior without a comma")
        folders.append(place)
    return folders


def _all_of(name: str, infos: list[ModelInfo]) -> ModelInfo:
    """What is known of several priors as one model."""
    if len(infos) == 1:
        return replace(infos[0], name=name)
    return replace(
        infos[0],
        name=name,
        sources=tuple(source for info in infos for source in info.sources),
        n_parameters=sum(info.n_parameters for info in infos),
        bytes=sum(info.bytes for info in infos),
        sha256=hashlib.sha256("".join(info.sha256 for info in infos).encode()).hexdigest(),
        licence=" · ".join(dict.fromkeys(info.licence for info in infos)),
        summary=f"one plug-in prior for each of {len(infos)} instruments",
    )


def _read_header(folder: Path) -> _Header:
    """Read and check config.json."""
    path = folder / CONFIG_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SoliError(f"{path} is missing; a model is a folder with {CONFIG_FILE} and {WEIGHTS_FILE}") from error
    except (OSError, ValueError) as error:
        raise SoliError(f"{path}: cannot be read as JSON ({error})") from error
    if isinstance(content, dict) and content.get("format") != FORMAT:
        raise SoliError(f"{path}: format {content.get('format')!r}; this soli reads format {FORMAT}")
    try:
        header = from_dict(_Header, content)
    except SoliError as error:
        raise SoliError(f"{path}: {error}") from error
    if (header.system, header.preset) not in SYSTEMS:
        known = ", ".join("/".join(key) for key in SYSTEMS)
        raise SoliError(f"{path}: unknown system {header.system}/{header.preset}; known: {known}")
    return header


def _read_card(folder: Path) -> dict[str, str]:
    """Front matter of card.md."""
    path = folder / CARD_FILE
    try:
        return _parse_card(path.read_text(encoding="utf-8"), path)
    except (OSError, UnicodeDecodeError) as error:
        raise SoliError(f"{path}: cannot read the model card ({error})") from error


def _parse_card(text: str, path: Path) -> dict[str, str]:
    """The front matter of a card, which must have a licence and a summary."""
    facts = front_matter(text)
    for key in ("licence", "summary"):
        if not facts.get(key):
            raise SoliError(f"{path}: the card must start with a front matter that gives {key!r}")
    return facts


def _weights_path(folder: Path) -> Path:
    """The weights file, which must exist."""
    path = folder / WEIGHTS_FILE
    if path.is_file():
        return path
    pickles = sorted(entry.name for entry in folder.iterdir() if entry.suffix.lower() in PICKLES)
    hint = f" ({pickles[0]} is there, but nothing is ever unpickled)" if pickles else ""
    raise SoliError(f"{path} is missing{hint}")


def _read_weights(folder: Path, header: _Header) -> dict[str, Tensor]:
    """Read the tensors after checking that the file is the one that was saved."""
    from safetensors import SafetensorError
    from safetensors.torch import load as deserialize

    path = _weights_path(folder)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SoliError(f"{path}: cannot be read ({error.strerror or error})") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != header.sha256:
        raise SoliError(f"{path}: damaged or replaced; its SHA-256 is {digest}, {CONFIG_FILE} says {header.sha256}")
    try:
        return deserialize(content)
    except (SafetensorError, KeyError, ValueError) as error:
        raise SoliError(f"{path}: not a safetensors file ({error})") from error


def _build(header: _Header, path: Path) -> Separator:
    """Make the separator a header describes, with fresh weights."""
    module, _, name = SYSTEMS[header.system, header.preset].partition(":")
    system = getattr(import_module(module), name)
    try:
        return system(from_dict(system.Config, header.config, where="config"))
    except SoliError as error:
        raise SoliError(f"{path}: {error}") from error


def _fill(separator: Separator, weights: dict[str, Tensor], path: Path) -> None:
    """Copy weights in, every one of them and nothing else; float16 becomes float32."""
    expected = separator.state_dict()
    for keys, problem in ((expected.keys() - weights.keys(), "missing"), (weights.keys() - expected.keys(), "unknown")):
        if keys:
            raise SoliError(f"{path}: {len(keys)} {problem} tensors, such as {min(keys)!r}; not weights of this model")
    for key, tensor in weights.items():
        shape, needed = list(tensor.shape), list(expected[key].shape)
        if shape != needed:
            raise SoliError(f"{path}: tensor {key!r} has shape {shape}; this model needs {needed}")
    separator.load_state_dict(weights)


def _attach_codec(separator: Any, folder: Path, device: torch.device) -> None:
    """Give a model that plays another one's codes that one, by bundled name or relative to `folder`."""
    if (reference := getattr(separator.config, "codec", None)) is None:
        return
    place = reference.name if reference.name in BUNDLED else folder / reference.name
    try:
        found = model_info(place).sha256
    except SoliError as error:
        raise SoliError(f"{folder}: its codec cannot be loaded: {error}") from error
    if found != reference.sha256:
        raise SoliError(f"{folder}: plays a codec with SHA-256 {reference.sha256}; {place} has {found}")
    separator.attach(load(place, device))


def _identify(separator: Separator) -> tuple[str, str]:
    """(system, preset) of a separator's class."""
    place = f"{type(separator).__module__}:{type(separator).__qualname__}"
    if key := next((key for key, known in SYSTEMS.items() if known == place), None):
        return key
    raise SoliError(f"cannot save a {place}; known classes: {', '.join(SYSTEMS.values())}")


def _storable(separator: Separator, *, half: bool) -> dict[str, Tensor]:
    """Copies of all tensors, on the CPU and contiguous, as safetensors wants them."""
    import torch

    tensors: dict[str, Tensor] = {}
    for key, tensor in separator.state_dict().items():
        tensors[key] = tensor.detach().cpu().contiguous().clone()
        if half and tensor.is_floating_point():
            tensors[key] = tensors[key].to(torch.float16)
        if not torch.isfinite(tensors[key]).all():
            limit = f"; float16 ends at {torch.finfo(torch.float16).max:.0f}" if half else ""
            raise SoliError(f"tensor {key!r} has NaN or infinite values and is not saved{limit}")
    return tensors
