"""An application that was given the routes of the one before has what registering them leaves."""

from __future__ import annotations

import storefront.app
from storefront.app import create_app
from tests.support import routes_once


def described(app):
    """What Flask holds of the blueprints, as something that can be compared."""
    return {
        "rules": sorted((str(rule), sorted(rule.methods), rule.endpoint, rule.build_only)
                        for rule in app.url_map.iter_rules()),
        "views": {name: view.__qualname__ for name, view in app.view_functions.items()},
        "blueprints": list(app.blueprints),
        "functions": {
            name: {key: [each.__qualname__ for each in functions]
                   for key, functions in getattr(app, name).items() if functions}
            for name in routes_once._LISTS
        },
        "handlers": {
            (key, code): {error.__name__: handler.__qualname__
                          for error, handler in by_error.items()}
            for key, spec in app.error_handler_spec.items()
            for code, by_error in spec.items()
        },
    }  # fmt: skip


def test_copied_routes_are_those_that_registering_makes(app, settings, clock, monkeypatch):
    copied = described(create_app(settings, clock=clock))
    monkeypatch.setattr(storefront.app, "_register_blueprints", routes_once._register)

    registered = described(create_app(settings, clock=clock))

    assert len(copied["rules"]) > 200
    for part, value in registered.items():
        assert copied[part] == value, part


def test_a_route_added_to_one_application_is_in_no_other(app, settings, clock):
    app.add_url_rule("/pricing/of-a-test", "t.added", lambda: "here")
    other = create_app(settings, clock=clock)

    assert app.url_map.bind("localhost").test("/pricing/of-a-test")
    assert not other.url_map.bind("localhost").test("/pricing/of-a-test")
