"""Drum kits of the Hydrogen drum machine: a folder with `drumkit.xml` and its samples.

Read are all forms of that file: one sample per instrument, velocity layers, and layers within components. Volumes,
gains, pan, pitch, mute groups, attack, decay and sustain are played as Hydrogen plays them; filters, random pitch,
release and effects are left out.
"""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree

from soli.data.render.kits import Instrument, Kit, Layer
from soli.data.render.pieces import keys_of
from soli.errors import SoliError

KIT_FILE = "drumkit.xml"

_ENVELOPE_RATE = 44100  # attack and decay are written in samples; this is the rate they are taken at
_SEMITONES = 24.0  # Hydrogen's own range


def read_kit(folder: str | Path) -> Kit:
    """Read a kit; its samples are read when they are first played.

    Args:
        folder: with `drumkit.xml`, such as those in `/usr/share/hydrogen/data/drumkits`.

    Returns:
        The kit; its instruments have keys by their names (`pieces.keys_of`), in the kit's order.

    Raises:
        SoliError: for a packed kit, a file that is missing or not a kit, a value that is not a number, an instrument
            that lacks some of its samples, and a kit with no instrument that a key plays.
    """
    path = Path(folder) / KIT_FILE
    if Path(folder).is_file():
        raise SoliError(f"{folder}: a file; allowed: the folder of a kit (unpack a .h2drumkit with tar -xzf)")
    root = _parse(path)
    volumes = {
        _text(component, tag): _number(path, component, "volume", 1.0)
        for component in root.iterfind("componentList/drumkitComponent")
        for tag in ("id", "name")
    }
    instruments: dict[int, Instrument] = {}
    unmapped, without_samples = [], []
    for element in root.iterfind("instrumentList/instrument"):
        name = _text(element, "name")
        components = _components(path, element, volumes)
        if not components or _text(element, "isMuted") == "true":
            continue  # an empty place of the kit's table
        key = next((key for key in keys_of(name) if key not in instruments), None)
        samples = [layer.sample for layers in components for layer in layers]
        missing = [sample for sample in samples if not sample.is_file()]
        if key is None:
            unmapped.append(name)
        elif len(missing) == len(samples):
            without_samples.append(name)
        elif missing:
            raise SoliError(f"{path}: {name!r} needs {missing[0].name}, which is missing; allowed: all of its layers")
        else:
            instruments[key] = _instrument(path, element, components)
    if not instruments:
        raise SoliError(f"{path}: no instrument that a percussion key plays; needed: one named kick, snare, tom, ...")
    licence = _text(root, "license") or _text(root, "licence")
    return Kit(_text(root, "name"), licence, instruments, tuple(unmapped), tuple(without_samples))


def _parse(path: Path) -> ElementTree.Element:
    """The root, without the namespace that only newer files have."""
    try:
        root = ElementTree.parse(path).getroot()
    except OSError as error:
        raise SoliError(f"{path}: cannot be read ({error.strerror}); allowed: a kit's {KIT_FILE}") from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise SoliError(f"{path}: not XML ({error}); allowed: a kit's {KIT_FILE}") from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    if root.tag != "drumkit_info":
        raise SoliError(f"{path}: <{root.tag}>; allowed: a kit, which begins with <drumkit_info>")
    return root


def _instrument(path: Path, element: ElementTree.Element, components: tuple[tuple[Layer, ...], ...]) -> Instrument:
    level = _number(path, element, "volume", 1.0) * _number(path, element, "gain", 1.0)
    pan = _number(path, element, "pan", 0.0)  # -1 to 1, in the newest files instead of the other two
    return Instrument(
        name=_text(element, "name"),
        gains=(
            level * _number(path, element, "pan_L", 1 - max(pan, 0.0)),
            level * _number(path, element, "pan_R", 1 + min(pan, 0.0)),
        ),
        components=components,
        mute_group=int(_number(path, element, "muteGroup", -1)),
        attack=_number(path, element, "Attack", 0.0) / _ENVELOPE_RATE,
        decay=_number(path, element, "Decay", 0.0) / _ENVELOPE_RATE,
        sustain=_number(path, element, "Sustain", 1.0),
        by_velocity=_text(element, "applyVelocity") != "false",
    )


def _components(path: Path, element: ElementTree.Element, volumes: dict[str, float]) -> tuple[tuple[Layer, ...], ...]:
    """The layers of each component; those of an old kit are one component, its one sample is one layer."""
    pitch = _number(path, element, "pitchOffset", 0.0, _SEMITONES)
    plain = [element] if _text(element, "filename") else element.findall("layer")
    groups = [(1.0, plain)]
    for part in element.iterfind("instrumentComponent"):
        volume = volumes.get(_text(part, "component_id") or _text(part, "name"), 1.0)
        groups.append((volume * _number(path, part, "gain", 1.0), part.findall("layer")))
    found = (
        tuple(
            Layer(
                sample=path.parent / _text(layer, "filename"),
                lowest=_number(path, layer, "min", 0.0),
                highest=_number(path, layer, "max", 1.0),
                gain=level * (1.0 if layer is element else _number(path, layer, "gain", 1.0)),
                semitones=pitch + (0.0 if layer is element else _number(path, layer, "pitch", 0.0, _SEMITONES)),
            )
            for layer in layers
            if _text(layer, "filename")
        )
        for level, layers in groups
    )
    return tuple(layers for layers in found if layers)


def _text(element: ElementTree.Element, tag: str) -> str:
    return (element.findtext(tag) or "").strip()


def _number(path: Path, element: ElementTree.Element, tag: str, default: float, limit: float = 1e9) -> float:
    text = _text(element, tag)
    try:
        value = float(text.replace(",", ".")) if text else default  # some files have a decimal comma
    except ValueError:
        value = math.nan
    if not abs(value) <= limit:
        name = _text(element, "name") or _text(element, "filename")
        raise SoliError(f"{path}: {tag} = {text!r} in {name!r}; allowed: a number from {-limit:g} to {limit:g}")
    return value
