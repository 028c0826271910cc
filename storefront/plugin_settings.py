"""A plugin's settings: its own dataclass, filled from the process environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any, get_type_hints

_WORDS = {"1": True, "true": True, "yes": True, "on": True}
_WORDS |= {"": False, "0": False, "false": False, "no": False, "off": False}


def _flag(raw: str) -> bool:
    return _WORDS[raw.strip().lower()]


def _names(raw: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in raw.split(",") if part.strip())


_READERS: dict[Any, Callable[[str], Any]] = {
    str: str,
    int: int,
    float: float,
    bool: _flag,
    Path: Path,
    date | None: lambda raw: date.fromisoformat(raw) if raw.strip() else None,
    tuple[str, ...]: _names,
}


def prefix_of(plugin: str) -> str:
    """Return how a plugin's variables begin.

    >>> prefix_of("gift-note")
    'STOREFRONT_GIFT_NOTE_'
    """
    return f"STOREFRONT_{plugin.replace('-', '_').upper()}_"


def read_plugin_settings(
    cls: type[Any] | None, plugin: str, environ: Mapping[str, str], given: Mapping[str, str]
) -> Any:
    """Return an instance of ``cls``: its defaults, under ``given``, under ``environ``.

    A secret may come from a file named by ``<VARIABLE>_FILE``. Raises ``ValueError`` naming the
    variable (never its value) that cannot be read.
    """
    if cls is None:
        return None
    types, values = get_type_hints(cls), {}
    for each in fields(cls):
        variable = prefix_of(plugin) + each.name.upper()
        raw = _raw(variable, environ, given.get(each.name))
        if raw is None:
            continue
        try:
            values[each.name] = _READERS[types[each.name]](raw)
        except (KeyError, ValueError):
            raise ValueError(f"{variable} cannot be read as {types[each.name]}") from None
    return cls(**values)


def _raw(variable: str, environ: Mapping[str, str], given: str | None) -> str | None:
    if variable in environ:
        return environ[variable]
    named = environ.get(f"{variable}_FILE")
    return Path(named).read_text("utf-8").strip() if named else given
