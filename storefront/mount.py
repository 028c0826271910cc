"""Put the storefront into the shop you already have.

    application = mount(application, "/boxes", settings)                    # any WSGI host
    Storefront(settings, plugins=[Bridge()]).init_app(app, "/boxes")        # a Flask host

Ours is always an application of its own: own database, own cookies below its own path, own
extensions. Nothing is registered on the host; taking the line out leaves it as it was.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from wsgiref.types import StartResponse, WSGIApplication

from storefront import shell
from storefront.adapters.clock import Clock
from storefront.app import create_app
from storefront.extensions import db
from storefront.migrate import require_current_schema
from storefront.plugins import HOST_APP, HOST_ENVIRON
from storefront.settings import Settings

if TYPE_CHECKING:
    from flask import Flask

#: The name under which a host's own hooks are registered.
BRIDGE = "host"


class MountError(ValueError):
    """The storefront cannot be mounted like this; the text says what to change."""


class Mounted:
    """A WSGI application: ours below ``prefix``, the host's everywhere else."""

    def __init__(
        self, host: WSGIApplication, prefix: str, storefront: Flask, host_app: Any = None
    ) -> None:
        self.host, self.prefix, self.storefront = host, prefix, storefront
        self._host_app = host_app

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == self.prefix:
            # Our cookies belong to the folder; without the slash the browser would not send them.
            return self._add_slash(environ, start_response)
        if not path.startswith(f"{self.prefix}/"):
            return self.host(environ, start_response)
        inner = dict(environ)
        inner[HOST_APP] = self._host_app
        inner[HOST_ENVIRON] = _for_the_host(environ)
        inner["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + self.prefix
        inner["PATH_INFO"] = path[len(self.prefix) :]
        return self.storefront.wsgi_app(inner, start_response)

    def _add_slash(self, environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        query = f"?{environ['QUERY_STRING']}" if environ.get("QUERY_STRING") else ""
        target = f"{environ.get('SCRIPT_NAME', '')}{self.prefix}/{query}"
        start_response("308 Permanent Redirect", [("Location", target), ("Content-Length", "0")])
        return []


class Storefront:
    """For a Flask host, in the manner of its extensions."""

    def __init__(
        self, settings: Settings, *, plugins: Sequence[object] = (), clock: Clock | None = None
    ) -> None:
        """``plugins`` are objects with hooks of the host's own, such as who is signed in."""
        self._settings, self._plugins, self._clock = settings, tuple(plugins), clock

    def init_app(self, host: Flask, url_prefix: str = "/boxes") -> Mounted:
        """Serve the storefront below ``url_prefix``; a second time changes nothing.

        Raises :class:`MountError` for a bad prefix or a cookie name the host uses itself, and
        what ``create_app`` and the schema check raise.
        """
        prefix = _checked(url_prefix)
        found = _mounted_at(host.wsgi_app, prefix)
        if found is not None:
            return found
        if host.config["SESSION_COOKIE_NAME"] == self._settings.cookie_name:
            name = self._settings.cookie_name
            raise MountError(f"the host's session cookie is called {name} too; change cookie_name")
        ours = _build(self._settings, prefix, self._plugins, self._clock)
        mounted = Mounted(host.wsgi_app, prefix, ours, host_app=host)
        host.wsgi_app = mounted  # type: ignore[method-assign]
        return mounted


def mount(
    host: WSGIApplication,
    prefix: str,
    settings: Settings,
    *,
    plugins: Sequence[object] = (),
    clock: Clock | None = None,
) -> Mounted:
    """Return ``host`` with the storefront below ``prefix``; a second time changes nothing.

    Raises as ``Storefront.init_app`` does.
    """
    prefix = _checked(prefix)
    if isinstance(host, Mounted) and _mounted_at(host, prefix):
        return host
    return Mounted(host, prefix, _build(settings, prefix, tuple(plugins), clock), host_app=host)


def _build(
    settings: Settings, prefix: str, plugins: Sequence[object], clock: Clock | None
) -> Flask:
    app = create_app(replace(settings, url_prefix=prefix), clock=clock)
    with app.app_context():
        require_current_schema(db.engine)
    hooks = app.extensions["storefront"].hooks
    for number, plugin in enumerate(plugins):
        hooks.register(plugin, name=getattr(plugin, "name", "") or f"{BRIDGE}-{number}")
    shell.init_app(app)
    return app


def _checked(prefix: str) -> str:
    prefix = prefix.rstrip("/")
    if not prefix.startswith("/") or "//" in prefix:
        raise MountError(f"a prefix such as /boxes is needed, not {prefix!r}")
    return prefix


def _mounted_at(host: Callable[..., Any], prefix: str) -> Mounted | None:
    while isinstance(host, Mounted):
        if host.prefix == prefix:
            return host
        host = host.host
    return None


def _for_the_host(environ: dict[str, Any]) -> dict[str, Any]:
    """Copy a request for the host to look at: who is there, but not what was sent."""
    seen = {key: value for key, value in environ.items() if not key.startswith("werkzeug.")}
    seen.pop("CONTENT_TYPE", None)
    return seen | {"REQUEST_METHOD": "GET", "CONTENT_LENGTH": "0", "wsgi.input": io.BytesIO()}
