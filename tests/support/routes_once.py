"""Register our own blueprints with the first application of a process, and copy that to the others.

The blueprints are the same objects each time, and what registering 250 routes leaves in an
application depends on nothing else. The plugins' blueprints are made anew for each application
and registered as always. Measured: 9 of the 20 ms that making an application takes.
"""

from __future__ import annotations

from typing import Any

from flask import Flask
from werkzeug.routing import Map
from werkzeug.routing.matcher import State

import storefront.app
from storefront.plugins import Hooks

#: Where Flask keeps functions by blueprint; None stands for the whole application.
_LISTS = (
    "before_request_funcs",
    "after_request_funcs",
    "teardown_request_funcs",
    "template_context_processors",
    "url_value_preprocessors",
    "url_default_functions",
)
_register = storefront.app._register_blueprints
_ours = storefront.app.BLUEPRINTS
_first: Registered | None = None


class Registered:
    """What an application has from our blueprints."""

    def __init__(self, app: Flask) -> None:
        """Register them with ``app``, which has no route yet, and remember what that did."""
        before = {name: {key: len(each) for key, each in getattr(app, name).items()}
                  for name in _LISTS}  # fmt: skip
        handled = set(app.error_handler_spec)
        filters, known = len(app.jinja_env.filters), set(app.jinja_env.globals)
        assert not app.view_functions
        assert not app.blueprints
        _register(app, Hooks())
        # Nobody does this today; whoever does, makes this class copy it.
        assert filters == len(app.jinja_env.filters)
        assert not any(blueprint.cli.commands for blueprint in app.blueprints.values())
        self._map = _copy_of_map(app.url_map)
        self._globals = {
            name: value for name, value in app.jinja_env.globals.items() if name not in known
        }
        self._views, self._blueprints = dict(app.view_functions), dict(app.blueprints)
        self._lists = {
            name: {
                key: added
                for key, each in getattr(app, name).items()
                if (added := each[before[name].get(key, 0) :])
            }
            for name in _LISTS
        }
        self._handlers = {
            key: {code: dict(by_error) for code, by_error in spec.items()}
            for key, spec in app.error_handler_spec.items()
            if key not in handled
        }

    def copy_to(self, app: Flask) -> None:
        """Leave ``app`` as registering them would."""
        app.url_map = _copy_of_map(self._map)
        app.view_functions.update(self._views)
        app.blueprints.update(self._blueprints)
        app.jinja_env.globals.update(self._globals)
        for name, lists in self._lists.items():
            kept: Any = getattr(app, name)
            for key, added in lists.items():
                kept.setdefault(key, []).extend(added)
        for key, spec in self._handlers.items():
            for code, by_error in spec.items():
                app.error_handler_spec[key][code].update(by_error)


def register_once() -> None:
    """Have ``create_app`` take the routes of the application before. Again changes nothing."""
    storefront.app._register_blueprints = _register_or_copy


def _register_or_copy(app: Flask, hooks: Hooks) -> None:
    global _first  # noqa: PLW0603 - worked out once per process
    if storefront.app.BLUEPRINTS is not _ours:
        _register(app, hooks)
        return
    if _first is None:
        _first = Registered(app)
    else:
        _first.copy_to(app)
    storefront.app.BLUEPRINTS = type(_ours)()
    try:
        _register(app, hooks)
    finally:
        storefront.app.BLUEPRINTS = _ours


def _copy_of_map(routes: Map) -> Map:
    """Return a map with the same rules, to which others can be added."""
    copy = Map()
    copy.__dict__.update(routes.__dict__)
    copy._remap_lock = copy.lock_class()
    copy.converters = routes.converters.copy()
    copy._rules_by_endpoint = {name: [*rules] for name, rules in routes._rules_by_endpoint.items()}
    copy._matcher = type(routes._matcher)(routes.merge_slashes)
    copy._matcher._root = _copy_of_state(routes._matcher._root)
    return copy


def _copy_of_state(state: State) -> State:
    return State(
        [(part, _copy_of_state(each)) for part, each in state.dynamic],
        [*state.rules],
        {text: _copy_of_state(each) for text, each in state.static.items()},
    )
