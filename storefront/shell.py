"""Our pages inside the page of the shop around us.

The host gives a whole page with two marks (``hooks.Layout``); head and content of ours are poured
into it. Our stylesheets are served a second time, scoped to our part, so that the host's own
headings, links and forms keep their looks.
"""

from __future__ import annotations

import re
from functools import cache

from flask import Blueprint, Flask, Response, abort, current_app, make_response, request, url_for

from storefront.assets import FOR_EVER, asset_named, static_url
from storefront.hooks import Layout
from storefront.plugins import request_info, resolve_layout
from storefront.security import PUBLIC, register_policy

#: Surfaces that stay whole pages of their own: they are for staff, for machines,
#: or stand in a frame of another site already.
_OWN_FRAME = {"admin", "health", "assets", "shell", "embed"}
_STYLES = ("app.css", "parts.css")

_HEAD = re.compile(r"<head[^>]*>(.*?)</head>", re.S)
_BODY = re.compile(r"<body([^>]*)>(.*)</body>", re.S)
_HTML = re.compile(r"<html([^>]*)>")
_TITLE = re.compile(r"<title>(.*?)</title>", re.S)
#: What a page has once; the host's own holds.
_ONCE = re.compile(
    r'<meta charset[^>]*>|<meta name="(?:viewport|color-scheme)"[^>]*>|<link rel="icon"[^>]*>'
)
_CLASS = re.compile(r'\bclass="([^"]*)"')
_MAIN = re.compile(r"<(/?)main\b")
#: Height, ground, and whether it is dark, are the host's to say: light text on its light ground
#: would be unreadable.
_AS_THE_HOST = "min-block-size: 0; background: none; color-scheme: inherit;"

bp = Blueprint("shell", __name__, url_prefix="/shell")
register_policy({"shell.styles": PUBLIC})


@bp.get("/<digest>.css", defaults={"name": _STYLES[0]})
@bp.get("/<digest>/<name>")
def styles(digest: str, name: str) -> Response:
    """One of our stylesheets, scoped to our part of the host's page."""
    if name not in _STYLES:
        abort(404)
    asset = asset_named(name)
    response = make_response(scoped(asset.body.decode("utf-8")))
    response.mimetype = "text/css"
    if digest == asset.digest:
        response.headers["Cache-Control"] = FOR_EVER
    return response


def init_app(app: Flask) -> None:
    """Pour the pages of ``app`` into the host's. Call it once, before the first request."""
    app.register_blueprint(bp)
    app.after_request(_wear_shell)


def _wear_shell(response: Response) -> Response:
    if not _is_whole_page(response):
        return response
    layout = resolve_layout(current_app.extensions["storefront"], request_info(request.environ))
    if layout is None:
        return response
    response.set_data(pour(response.get_data(as_text=True), layout))
    # The host's part may name the person who is signed in there, and we never learn when it
    # changes: nobody may keep this page.
    for name in ("ETag", "Last-Modified", "Expires"):
        response.headers.pop(name, None)
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _is_whole_page(response: Response) -> bool:
    return (
        request.blueprint not in _OWN_FRAME
        and request.method != "HEAD"
        and response.mimetype == "text/html"
        and not response.direct_passthrough
        and not response.is_streamed
        and b"<html" in response.get_data()[:2000]
    )


def pour(page: str, layout: Layout) -> str:
    """Return the host's page with the head and the content of ``page`` in it.

    The host's ``main`` may be around our content, so ours becomes a plain block. A page that is
    no whole document is returned as it is.
    """
    head, body, root = _HEAD.search(page), _BODY.search(page), _HTML.search(page)
    if head is None or body is None:
        return page
    title = _TITLE.search(head[1])
    ours = _ONCE.sub("", _TITLE.sub("", head[1]))
    for name in _STYLES:
        ours = ours.replace(static_url(name), _scoped_url(name))
    attributes = f"{_with_class(body[1])}{root[1] if root else ''}"
    inner = _MAIN.sub(r"<\1div", body[2])
    content = f"<div{attributes}>{inner}</div>"
    html = layout.html
    if title is not None:
        html = _TITLE.sub(lambda _: f"<title>{title[1]}</title>", html, count=1)
    return html.replace(Layout.HEAD, ours, 1).replace(Layout.CONTENT, content, 1)


def _with_class(attributes: str) -> str:
    if _CLASS.search(attributes):
        return _CLASS.sub(r'class="storefront \1"', attributes, count=1)
    return f' class="storefront"{attributes}'


def _scoped_url(name: str) -> str:
    return url_for("shell.styles", digest=asset_named(name).digest, name=name)


@cache
def scoped(css: str) -> str:
    """Return ``css`` so that it reaches elements inside ``.storefront`` only.

    >>> print(scoped("@layer a, b; @layer a { body { margin: 0 } main a, tbody a { top: 0 } }"))
    @layer a, b;
    @scope (.storefront) {
     @layer a { :scope { margin: 0 } #main a, tbody a { top: 0 } }
    :scope { min-block-size: 0; background: none; color-scheme: inherit; }
    }
    """
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.S)
    order = re.match(r"\s*@layer [^;{]*;", css)
    top = order[0].strip() if order else ""
    rest = css[order.end() :] if order else css
    rest, moves = _without_keyframes(rest)
    # Not after a letter, dot, hash or hyphen: those are other names that end alike.
    rest = re.sub(r"(?<![\w.#-])(?:html|body)(?![\w-])|:root\b", ":scope", rest)
    # ``pour`` makes a plain block of our main element.
    rest = re.sub(r"(?<![\w.#-])main(?![\w-])", "#main", rest)
    inside = f"@scope (.storefront) {{\n{rest}\n:scope {{ {_AS_THE_HOST} }}\n}}"
    return "\n".join(part for part in (top, *moves, inside) if part)


def _without_keyframes(css: str) -> tuple[str, list[str]]:
    """Cut ``@keyframes`` out: they may not stand inside ``@scope``."""
    kept, cut, at = [], [], 0
    while (start := css.find("@keyframes", at)) >= 0:
        end = _end_of_block(css, start)
        kept.append(css[at:start])
        cut.append(css[start:end])
        at = end
    return "".join([*kept, css[at:]]), cut


def _end_of_block(css: str, start: int) -> int:
    depth = 0
    for found in re.finditer(r"[{}]", css[start:]):
        depth += 1 if found[0] == "{" else -1
        if depth == 0:
            return start + found.end()
    return len(css)
