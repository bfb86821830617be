"""Configurations: frozen keyword-only dataclasses, read from TOML and JSON with helpful errors.

Every mistake in a recipe is found before any work starts: an unknown key lists the known
ones, a wrong value names itself and the type that is allowed.
"""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from soli.errors import SoliError

T = TypeVar("T")


def from_dict(cls: type[T], mapping: Mapping[str, Any], *, where: str = "") -> T:
    """Build a config dataclass from plain values, checking every key and type.

    Fields may be `int`, `float`, `str`, `bool`, `tuple[...]`, `dict[str, ...]`, `Literal[...]`,
    an optional one of these, or another config dataclass.

    Args:
        cls: the dataclass to build.
        mapping: field name -> value, nested for nested dataclasses; lists stand for tuples.
        where: dotted name of the mapping in the file it came from, for error messages.

    Returns:
        An instance of `cls`; fields absent from `mapping` keep their defaults.

    Raises:
        SoliError: for an unknown or missing key, or a value of the wrong type.
    """
    if not isinstance(mapping, Mapping):
        raise SoliError(f"{where or cls.__name__} = {mapping!r}; allowed: a table of {_known(cls)}")
    fields = {field.name: field for field in dataclasses.fields(_dataclass(cls)) if field.init}
    for key in mapping:
        if key not in fields:
            raise SoliError(f"unknown key {_join(where, str(key))!r}; known: {_known(cls)}")
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in mapping:
            values[name] = _convert(hints[name], mapping[name], _join(where, name))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise SoliError(f"key {_join(where, name)!r} is missing; it needs {_describe(hints[name])}")
    return cls(**values)


def to_dict(config: Any) -> dict[str, Any]:
    """Turn a config dataclass into plain values that JSON and TOML can hold.

    Args:
        config: a dataclass instance.

    Returns:
        Field name -> value, nested for nested dataclasses; tuples become lists.
    """
    return {field.name: _plain(getattr(config, field.name)) for field in dataclasses.fields(config) if field.init}


def load_toml(path: str | Path, overrides: Iterable[str] = ()) -> dict[str, Any]:
    """Read a TOML recipe and apply `key=value` overrides.

    Args:
        path: of the recipe.
        overrides: such as `"optimizer.lr=3e-4"`; dotted keys reach into tables, a value is
            read as TOML and, where it is not TOML, as a string.

    Returns:
        The recipe as nested dictionaries, ready for `from_dict`.

    Raises:
        SoliError: for a file that is missing or not TOML, or an override without `=`.
    """
    path = Path(path)
    try:
        recipe = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SoliError(f"{path}: cannot read this recipe ({error.strerror or error})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SoliError(f"{path}: not a TOML recipe ({error})") from error
    return overridden(recipe, overrides)


def front_matter(text: str) -> dict[str, str]:
    """The `key: value` lines between the two `---` that a Markdown file starts with.

    Args:
        text: of the file.

    Returns:
        Key -> value, both as text; empty without such lines.
    """
    lines = iter(text.splitlines())
    facts: dict[str, str] = {}
    if next(lines, "").strip() == "---":
        for line in lines:
            if line.strip() == "---":
                break
            key, _, value = line.partition(":")
            facts[key.strip()] = value.strip()
    return facts


def overridden(recipe: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Apply `key=value` overrides.

    Args:
        recipe: nested dictionaries; changed in place.
        overrides: as for `load_toml`.

    Returns:
        The same recipe.

    Raises:
        SoliError: for an override without `=`.
    """
    for override in overrides:
        _override(recipe, override)
    return recipe


def _override(recipe: dict[str, Any], override: str) -> None:
    """Set one dotted key of a recipe in place."""
    dotted, equals, text = override.partition("=")
    keys = [key.strip() for key in dotted.split(".")]
    if not equals or not all(keys):
        raise SoliError(f"override {override!r}; allowed: key=value, with dots to reach into tables")
    table = recipe
    for depth, key in enumerate(keys[:-1], start=1):
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            raise SoliError(f"override {override!r}: {'.'.join(keys[:depth])!r} is a value, not a table")
    table[keys[-1]] = _parse(text.strip())


def _parse(text: str) -> Any:
    """Read a value as TOML; text that is not TOML stands for itself, so quotes may be left out."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return parsed["value"] if list(parsed) == ["value"] else text


def _convert(hint: Any, value: Any, where: str) -> Any:
    """Check a value against a type hint; lists become tuples and whole numbers floats where asked for."""
    origin = typing.get_origin(hint)
    if origin in (Union, types.UnionType):
        return _convert_union(hint, value, where)
    if origin is tuple and isinstance(value, (list, tuple)):
        return _convert_tuple(hint, value, where)
    if origin is dict and isinstance(value, Mapping):
        item = typing.get_args(hint)[1]
        return {str(key): _convert(item, entry, _join(where, str(key))) for key, entry in value.items()}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return value if isinstance(value, hint) else from_dict(hint, value, where=where)
    if hint is Any or _is_exactly(hint, value) or (origin is dict and isinstance(value, dict)):
        return value
    if hint is float and type(value) is int:
        return float(value)
    raise SoliError(f"{where} = {value!r}; allowed: {_describe(hint)}")


def _convert_union(hint: Any, value: Any, where: str) -> Any:
    """Convert to the first member of a union that accepts the value."""
    members = typing.get_args(hint)
    if value is None and type(None) in members:
        return None
    concrete = [member for member in members if member is not type(None)]
    if len(concrete) == 1 and dataclasses.is_dataclass(concrete[0]):
        return _convert(concrete[0], value, where)  # keeps the error about the inner key
    for member in concrete:
        try:
            return _convert(member, value, where)
        except SoliError:
            continue
    raise SoliError(f"{where} = {value!r}; allowed: {_describe(hint)}")


def _convert_tuple(hint: Any, value: list[Any] | tuple[Any, ...], where: str) -> tuple[Any, ...]:
    """Convert each item; `tuple[int, int]` also fixes how many there are."""
    items = typing.get_args(hint)
    if len(items) == 2 and items[1] is Ellipsis:
        items = (items[0],) * len(value)
    if len(items) != len(value):
        raise SoliError(f"{where} = {value!r}; allowed: {_describe(hint)}")
    return tuple(
        _convert(item, entry, f"{where}[{i}]") for i, (item, entry) in enumerate(zip(items, value, strict=True))
    )


def _is_exactly(hint: Any, value: Any) -> bool:
    """Whether a value already has its type; `True` is not an int here."""
    if typing.get_origin(hint) is Literal:
        return any(value == choice and type(value) is type(choice) for choice in typing.get_args(hint))
    return isinstance(hint, type) and type(value) is hint


def _describe(hint: Any) -> str:
    """Name a type the way a user would write it."""
    origin, members = typing.get_origin(hint), typing.get_args(hint)
    if hint is type(None):
        return "none"
    if origin is Literal:
        return ", ".join(repr(choice) for choice in members)
    if origin in (Union, types.UnionType):
        return " or ".join(_describe(member) for member in members)
    if origin is dict:
        return "a table" if members[1] is Any else f"a table of {_describe(members[1])}"
    if origin is tuple and members[1:] == (Ellipsis,):
        return f"a list of {_describe(members[0])}"
    if origin is tuple:
        return f"a list of {len(members)}: {', '.join(_describe(member) for member in members)}"
    return getattr(hint, "__name__", str(hint))


def _known(cls: type) -> str:
    """The keys of a config class, for error messages."""
    return ", ".join(field.name for field in dataclasses.fields(_dataclass(cls)) if field.init)


def _dataclass(cls: Any) -> Any:
    """Type checkers accept only what they know to be a dataclass."""
    return cls


def _join(where: str, name: str) -> str:
    """Dotted name of a key."""
    return f"{where}.{name}" if where else name


def _plain(value: Any) -> Any:
    """One value as JSON and TOML know it."""
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
