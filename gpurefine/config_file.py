"""Options in a TOML file: one table for each group of :mod:`gpurefine.config`, one key for each option.

Generated from the dataclasses, so that the file knows exactly the options that the command line knows.  Paths are
relative to the current folder, as on the command line.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .config import GROUPS, Config
from .errors import InputError, UsageError

MARK = "# Options of a run of gpurefine, written with its results and replaced with them."
"""First line of a file made here: such a file may be replaced, one that somebody wrote may not."""

FILES = ("model", "data_file", "prefix")
"""Keys that stand before the tables."""

Values = dict[str, Any]


def read_config_file(path: str | Path) -> Values:
    """What a TOML file says: ``model``, ``data_file``, ``prefix`` and for each group a dictionary of options.

    Only what the file states is there, checked for names and types.

    Raises:
        InputError: the file cannot be read or is not TOML.
        UsageError: a group or an option does not exist, or its value makes no sense.
    """
    try:
        with open(path, "rb") as file:
            tree = tomllib.load(file)
    except FileNotFoundError:
        raise InputError(f"The option file {path} does not exist.") from None
    except OSError as error:
        raise InputError(f"The option file {path} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise InputError(f"The option file {path} is not a text file in UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"The option file {path} is not valid TOML: {error}.") from None
    return check_values(tree, f"The option file {path}")


def check_values(tree: Mapping[str, Any], place: str) -> Values:
    """Names and types of everything in ``tree`` checked; ``place`` begins the sentence of an error.

    Raises:
        UsageError: a group or an option does not exist, or its value makes no sense.
    """
    values: Values = {}
    for key, value in tree.items():
        if key in FILES:
            if not isinstance(value, str):
                raise UsageError(f"{place}: {key} must be text in quotes, not {_shown(value)}.")
            values[key] = value
        elif key in GROUPS:
            if not isinstance(value, Mapping):
                advice = " (the file with the measurements is called data_file)" if key == "data" else ""
                raise UsageError(f"{place}: {key} is a group of options and must be written as [{key}]{advice}.")
            values[key] = _check_group(key, value, place)
        else:
            raise UsageError(f"{place}: {_unknown(key, [*FILES, *GROUPS], 'group')}")
    return values


def merged(*layers: Mapping[str, Any]) -> Values:
    """Values of which a later layer wins over an earlier one, option by option."""
    out: Values = {}
    for layer in layers:
        for key, value in layer.items():
            out[key] = {**out.get(key, {}), **value} if key in GROUPS else value
    return out


def config_from_values(values: Mapping[str, Any]) -> Config:
    """The configuration; options that are not in ``values`` have their defaults.

    Raises:
        UsageError: a value makes no sense.
    """
    groups = {name: kind(**values.get(name, {})) for name, kind in GROUPS.items()}
    return Config(**{key: values[key] for key in FILES}, **groups)


def config_text(config: Config) -> str:
    """The configuration as TOML that :func:`read_config_file` reads back; options without a value are left out."""
    lines = [MARK, "# To repeat the run: gpurefine refine --config THIS_FILE", ""]
    lines += [f"{key} = {_toml(getattr(config, key))}" for key in FILES]
    for name in GROUPS:
        group = getattr(config, name)
        lines += ["", f"[{name}]"]
        for field in dataclasses.fields(group):
            value = getattr(group, field.name)
            lines.append(f"# {field.name} is not set" if value is None else f"{field.name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def is_ours(path: str | Path) -> bool:
    """Whether the file was made by :func:`config_text` and may be replaced; yes also where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(len(MARK.encode())) == MARK.encode()
    except OSError:
        return True


def _check_group(name: str, table: Mapping[str, Any], place: str) -> Values:
    kind = GROUPS[name]
    fields = {field.name: field for field in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind)
    chosen: Values = {}
    for key, value in table.items():
        if key not in fields:
            raise UsageError(f"{place}, group [{name}]: {_unknown(key, list(fields), 'option')}")
        if value is True and "bare" in fields[key].metadata:
            value = fields[key].metadata["bare"]
        chosen[key] = _converted(value, hints[key], f"{place}, group [{name}]: {key}")
        choices = fields[key].metadata.get("choices")
        if choices and chosen[key] not in choices:
            raise UsageError(f"{place}, group [{name}]: {key} must be one of {', '.join(choices)}, not '{value}'.")
    try:
        kind(**chosen)
    except UsageError as error:
        raise UsageError(f"{place}, group [{name}]: {error}") from None
    return chosen


def _converted(value: Any, hint: Any, subject: str) -> Any:
    """``value`` as the type that ``hint`` names.

    Raises:
        UsageError: it is of another type.
    """
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise UsageError(f"{subject} must be a list of texts in quotes, not {_shown(value)}.")
        return tuple(value)
    kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)] or [hint]
    kind = kinds[0]
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        wanted = {
            str: "text in quotes", bool: "true or false", int: "a whole number", float: "a number",
        }[kind]  # fmt: skip
        raise UsageError(f"{subject} must be {wanted}, not {_shown(value)}.")
    return value


def _unknown(key: str, known: list[str], what: str) -> str:
    near = difflib.get_close_matches(key.replace("-", "_"), known, 1)
    advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}."
    return f"there is no {what} '{key}'; {advice}"


def _shown(value: Any) -> str:
    """A value as it stands in the file, shortened."""
    text = repr(value) if not isinstance(value, bool) else str(value).lower()
    return text if len(text) <= 40 else text[:37] + "..."


def _toml(value: Any) -> str:
    """A value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON's escapes are TOML's too, except that DEL must be escaped as well
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return repr(value)
