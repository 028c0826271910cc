"""Security headers, per surface: what a page may load, who may frame it, what is kept."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import cast

from flask import Flask, Response, current_app, g, request

from storefront.runtime import Runtime
from storefront.security import PUBLIC, SIGNED, access_of_request

#: Everything from ourselves, nothing inline, no frames, no plugins, no other form target.
_BASE: Mapping[str, tuple[str, ...]] = {
    "default-src": ("'none'",),
    "script-src": ("'self'",),
    "style-src": ("'self'",),
    "img-src": ("'self'", "data:"),
    "font-src": ("'self'",),
    "connect-src": ("'self'",),
    "form-action": ("'self'",),
    "manifest-src": ("'self'",),
    "frame-ancestors": ("'none'",),
    "base-uri": ("'none'",),
}
#: Blueprints whose pages speak with a gateway.
_PAYING = {"checkout", "account", "pay"}
#: Blueprints whose pages hold personal data although anybody may open them.
PRIVATE = {"checkout", "account", "admin", "auth", "pay", "gifts", "waiting", "links", "contracts"}

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    # An origin is enough for the gateway's and our own checks; a path may hold a secret link.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_ONE_YEAR = 31_536_000


class Nonce:
    """The nonce of this answer, drawn when a template first writes it, and then allowed."""

    def __str__(self) -> str:
        if "csp_nonce" not in g:
            g.csp_nonce = secrets.token_urlsafe(16)
        return cast("str", g.csp_nonce)

    def __html__(self) -> str:
        return str(self)


def allow(directive: str, source: str) -> None:
    """Let the page of this request do one thing more, such as hold a frame of ours."""
    g.setdefault("csp_more", {}).setdefault(directive, []).append(source)


def init_app(app: Flask) -> None:
    """Put the headers on every answer of ``app``."""
    app.after_request(_add_headers)


def content_security_policy(blueprint: str, *, framed_by: Sequence[str] = ()) -> str:
    """Return the policy for a page of ``blueprint``; only sites of ``framed_by`` may frame it."""
    directives = {name: list(sources) for name, sources in _BASE.items()}
    if framed_by:
        directives["frame-ancestors"] = list(framed_by)
    if "csp_nonce" in g:
        directives["script-src"].append(f"'nonce-{g.csp_nonce}'")
    for name, sources in _gateway_sources(blueprint).items():
        directives.setdefault(name, []).extend(sources)
    for name, sources in g.get("csp_more", {}).items():
        # "'none'" stands alone or not at all.
        directives[name] = [s for s in directives.get(name, ()) if s != "'none'"] + sources
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in directives.items())


def _gateway_sources(blueprint: str) -> dict[str, list[str]]:
    """Return what each gateway needs on pages of its own, and where our paying pages' forms end.

    The pages of a gateway's plugin are the blueprint of the gateway's name. On ours, which hold
    names and addresses, no script of a gateway runs; a form may lead to it by a redirect.
    """
    rt = cast("Runtime", current_app.extensions["storefront"])
    found: dict[str, list[str]] = {}
    for gateway in rt.gateways.values():
        if blueprint not in _PAYING and blueprint != gateway.name:
            continue
        for name, sources in _as_lists(gateway.csp_sources()).items():
            if blueprint == gateway.name or name == "form-action":
                found.setdefault(name, []).extend(sources)
    return found


def _as_lists(given: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Keep what can stand in a header; a source with a separator in it would add directives."""
    return {
        name: [source for source in sources if not set(source) & set("; ,\r\n")]
        for name, sources in given.items()
        if name in _BASE or name == "frame-src"
    }


def permissions_policy(blueprint: str) -> str:
    """Return what a page of ``blueprint`` may use of the browser.

    Wallets (Apple Pay, Google Pay) open from the frames of a gateway, so its plugin's own pages
    let those frames ask for a payment; no other page lets anybody.
    """
    frames = _gateway_sources(blueprint).get("frame-src", [])
    hosts = [f'"{one}"' for one in frames if one.startswith("https://") and '"' not in one]
    payment = " ".join(["self", *hosts]) if hosts else ""
    return f"camera=(), geolocation=(), microphone=(), payment=({payment}), usb=()"


def _add_headers(response: Response) -> Response:
    blueprint = (request.blueprint or "").partition(".")[0]
    headers = response.headers
    for name, value in _ALWAYS.items():
        headers.setdefault(name, value)
    headers.setdefault("Permissions-Policy", permissions_policy(blueprint))
    headers.setdefault("Content-Security-Policy", content_security_policy(blueprint))
    access = access_of_request()
    if blueprint in PRIVATE or access not in {PUBLIC, SIGNED, None}:
        headers["Cache-Control"] = "no-store"
        headers["X-Robots-Tag"] = "noindex"
    rt = cast("Runtime", current_app.extensions["storefront"])
    # Inside another shop's site the host decides about its whole domain.
    if rt.settings.is_https and not rt.settings.url_prefix:
        headers.setdefault("Strict-Transport-Security", f"max-age={_ONE_YEAR}")
    return response
