"""Work out once per process what is the same for every application of a test.

Most of the time that making an application takes is Werkzeug reading each route and compiling a
small function for it, and Python looking through all installed packages for plugins. None of it
depends on the application. Measured: 0.12 s become 0.01 s, for each test. Templates are compiled
once per run and read once per process.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from types import CodeType
from typing import Any

import pluggy
from jinja2 import FileSystemBytecodeCache
from jinja2.bccache import Bucket
from werkzeug.routing import Rule
from werkzeug.routing.rules import RulePart

from storefront import plugin_settings, plugins
from tests.support.routes_once import register_once

_built: dict[object, Callable[..., tuple[str, str]]] = {}
_read: dict[object, tuple[list[RulePart], list[Any], dict[str, Any]]] = {}
_templates: dict[tuple[str, str], CodeType] = {}
_compile_builder = Rule._compile_builder
_parse_rule = Rule._parse_rule
_static_hook_attr = pluggy._manager._static_hook_attr
_no_hooks: set[tuple[type, bool, str]] = set()
_entry_points = functools.cache(plugins.entry_points)
_type_hints = functools.cache(plugin_settings.get_type_hints)


def build_once() -> None:
    """Have routes and plugins remembered. Calling it again changes nothing."""
    Rule._compile_builder = _compile_builder_once  # type: ignore[method-assign]
    Rule._parse_rule = _parse_rule_once  # type: ignore[method-assign]
    plugins.entry_points = _entry_points
    plugin_settings.get_type_hints = _type_hints
    pluggy._manager._static_hook_attr = _static_hook_attr_once
    register_once()


class Templates(FileSystemBytecodeCache):
    """Compiled templates: in this process's memory, else in the folder of all processes.

    The key and the checksum of a bucket stand for the template's file and its text.
    """

    def load_bytecode(self, bucket: Bucket) -> None:
        key = (bucket.key, bucket.checksum)
        bucket.code = _templates.get(key)
        if bucket.code is None:
            super().load_bytecode(bucket)
            if bucket.code is not None:
                _templates[key] = bucket.code

    def dump_bytecode(self, bucket: Bucket) -> None:
        _templates[bucket.key, bucket.checksum] = bucket.code
        super().dump_bytecode(bucket)


def _static_hook_attr_once(plugin: Any, name: str) -> Any:
    """Remember what is no hook: of a plugin's class, unless the plugin has it itself."""
    is_class = isinstance(plugin, type)
    key = (plugin if is_class else type(plugin), is_class, name)
    if key in _no_hooks and name not in getattr(plugin, "__dict__", {}):
        return None
    found = _static_hook_attr(plugin, name)
    if found is None and isinstance(plugin, type | plugins.StorefrontPlugin):
        _no_hooks.add(key)
    return found


def _compile_builder_once(rule: Rule, append_unknown: bool = True) -> Callable[..., Any]:
    key: Any = (rule.rule, tuple(rule._trace), repr(rule.defaults), append_unknown)
    if key not in _built:
        _built[key] = _compile_builder(rule, append_unknown)
    return _built[key]


def _parse_rule_once(rule: Rule, text: str) -> Iterable[RulePart]:
    """Yield the parts of ``text`` and note in ``rule`` what reading them noted the first time."""
    assert rule.map is not None
    key = (text, tuple(rule.map.converters.values()))
    if key not in _read:
        trace, converters = list(rule._trace), dict(rule._converters)
        parts = list(_parse_rule(rule, text))
        added = {name: each for name, each in rule._converters.items() if name not in converters}
        _read[key] = (parts, rule._trace[len(trace) :], added)
        return parts
    parts, trace, converters = _read[key]
    rule._trace.extend(trace)
    rule._converters.update(converters)
    rule.arguments.update(converters)
    return parts
