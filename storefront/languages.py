"""The language that an address asks for, and how it stays while somebody looks around.

Source: docs/decisions/0227-languages-by-address.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from flask import Flask, has_request_context, request

from storefront import navigation

#: Languages the product is written in, under the names their readers know.
LANGUAGES = (("en", "English"), ("de", "Deutsch"), ("fr", "Français"))
CODES = tuple(code for code, _name in LANGUAGES)
PARAMETER = "lang"
#: Blueprints in whose pages the address alone says the language: no cookie is set there, so that a
#: cache may keep them. Elsewhere the language is remembered (``blueprints/preferences.py``).
_BY_ADDRESS = {"pricing", "embed"}
#: Blueprints that do not follow: staff have a choice of their own, programs read no words.
_APART = {"admin", "api", "assets", "health", "incoming", "logo", "preferences"}
_NOT_PAGES = {"pricing.sitemap", "pricing.robots", "embed.script"}


def init_app(app: Flask) -> None:
    """Let links of pages that are read by address lead on in the same language."""
    app.url_defaults(_carry)


def known(wish: str | None) -> str | None:
    """Return the language of a wish such as ``de-AT``; None for one we do not write in."""
    code = (wish or "").partition("-")[0]
    return code if code in CODES else None


def of_address() -> str | None:
    """Return the language that this request's address asks for, if it asks for one."""
    return known(request.args.get(PARAMETER)) if has_request_context() else None


def in_language(address: str, code: str | None) -> str:
    """Return ``address`` asking for the language ``code``; None: for none.

    >>> in_language("/plans/pot?interval=3m&lang=de#faq", "fr")
    '/plans/pot?interval=3m&lang=fr#faq'
    >>> in_language("https://shop.example/?lang=de", None)
    'https://shop.example/'
    """
    parts = urlsplit(address)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    asked = [(name, value) for name, value in pairs if name != PARAMETER]
    if code:
        asked.append((PARAMETER, code))
    return urlunsplit(parts._replace(query=urlencode(asked)))


def alternates(address: str) -> Iterator[tuple[str, str]]:
    """Yield (language tag, address) of a page in each language, and for readers of another."""
    for code in CODES:
        yield code, in_language(address, code)
    yield "x-default", in_language(address, None)


def choices() -> list[tuple[str, str, str]]:
    """Return (code, name, address) of this page in each language; of the shop, if it was posted."""
    is_read = request.method in {"GET", "HEAD"}
    here = navigation.here() if is_read else navigation.page_url("pricing.index") or "/"
    return [(code, name, in_language(here, code)) for code, name in LANGUAGES]


def _carry(endpoint: str, values: dict[str, Any]) -> None:
    if not has_request_context() or (request.blueprint or "") not in _BY_ADDRESS:
        return
    blueprint, _, page = endpoint.rpartition(".")
    if page == "static" or blueprint in {"", *_APART} or endpoint in _NOT_PAGES:
        return
    asked = of_address()
    if asked:
        values.setdefault(PARAMETER, asked)
