"""Files for the browser: an address that changes with the content, so it is cached for ever.

``/assets/<digest>/<name>`` is answered from memory, already compressed. A digest from
before a release is answered with today's file and without caching, so an open page of
the previous release keeps working while both run.
"""

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flask import Blueprint, Response, abort, make_response, request, url_for

FOLDER = Path(__file__).parent / "static"

#: Public name to file. Names are stable; nothing else in the folder is served.
FILES: dict[str, str] = {
    "app.css": "storefront/app.css",
    "admin.css": "storefront/admin.css",
    "order.css": "storefront/order.css",
    "app.js": "storefront/app.js",
    "htmx.js": "vendor/htmx.min.js",
    "icons.svg": "storefront/icons.svg",
    "favicon.svg": "storefront/favicon.svg",
}
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
FOR_EVER = "public, max-age=31536000, immutable"
BRIEFLY = "public, max-age=60"

bp = Blueprint("assets", __name__, url_prefix="/assets")


@dataclass(frozen=True)
class Asset:
    """One file: its bytes, the same bytes compressed, and the digest of both."""

    media_type: str
    body: bytes
    packed: bytes
    digest: str


@dataclass(frozen=True)
class Brand:
    """The four numbers a merchant's brand may change; lightness stays ours, so contrast holds.

    Hues in degrees, 0 to 360; chromas as in CSS ``oklch()``, 0 to 0.3.
    """

    hue: float = 262
    chroma: float = 0.125
    accent_hue: float = 52
    accent_chroma: float = 0.155


NINE_KETTLES = Brand()


def asset_named(name: str) -> Asset:
    """Return the file with this public name. Raises ``KeyError`` for an unknown one."""
    path = FOLDER / FILES[name]
    return _read(path, path.stat().st_mtime_ns)


def static_url(name: str) -> str:
    """Return the address of a file; it changes exactly when the file does."""
    return url_for("assets.file", digest=asset_named(name).digest, name=name)


def brand_url(brand: Brand) -> str:
    """Return the address of the brand's stylesheet, or nothing for our own colours."""
    if brand == NINE_KETTLES:
        return ""
    values = (brand.hue, brand.chroma, brand.accent_hue, brand.accent_chroma)
    return url_for("assets.brand", digest=_BRAND_VERSION, values="-".join(f"{v:g}" for v in values))


def brand_css(hue: float, chroma: float, accent_hue: float, accent_chroma: float) -> str:
    """Return the rules that give a page another brand's colours.

    Chromas are the light theme's; dark tones use three quarters of them, because a light
    tone at full chroma leaves the screen's colour space. Raises ``ValueError`` outside the
    ranges of ``Brand``.
    """
    for value, top in ((hue, 360), (accent_hue, 360), (chroma, 0.3), (accent_chroma, 0.3)):
        if not 0 <= value <= top:
            raise ValueError(f"{value} is not between 0 and {top}")
    return (
        f":root{{--brand-h:{hue:g};--brand-c:{chroma:g};"
        f"--accent-h:{accent_hue:g};--accent-c:{accent_chroma:g}}}"
    )


@bp.get("/<digest>/<name>")
def file(digest: str, name: str) -> Response:
    if name not in FILES:
        abort(404)
    found = asset_named(name)
    return _answer(found, immutable=digest == found.digest)


@bp.get("/<digest>/brand/<values>.css")
def brand(digest: str, values: str) -> Response:
    numbers = values.split("-")
    if len(numbers) != len(Brand.__dataclass_fields__) or not all(map(_is_number, numbers)):
        abort(404)
    try:
        text = brand_css(*(float(number) for number in numbers))
    except ValueError:
        abort(404)
    return _answer(_pack(text.encode(), ".css"), immutable=digest == _BRAND_VERSION)


def _answer(found: Asset, *, immutable: bool) -> Response:
    packed = "gzip" in request.accept_encodings
    response = make_response(found.packed if packed else found.body)
    response.content_type = found.media_type
    response.headers["Cache-Control"] = FOR_EVER if immutable else BRIEFLY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.vary.add("Accept-Encoding")
    if packed:
        response.content_encoding = "gzip"
    response.set_etag(f"{found.digest}{'-gz' if packed else ''}")
    response.make_conditional(request)
    return response


@cache
def _read(path: Path, _modified: int) -> Asset:
    body = path.read_bytes()
    if path.suffix == ".css":
        body = _tighten(body.decode()).encode()
    return _pack(body, path.suffix)


def _pack(body: bytes, suffix: str) -> Asset:
    digest = hashlib.sha256(body).hexdigest()[:16]
    return Asset(MEDIA_TYPES[suffix], body, gzip.compress(body, 9, mtime=0), digest)


def _tighten(css: str) -> str:
    """Drop comments and the spaces around braces, colons' ends and lists.

    Our stylesheets keep no such characters inside strings.
    """
    without_comments = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    return re.sub(r"\s*([{};,])\s*|\s*\n\s*|(?<=:) ", r"\1", without_comments).strip()


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d{1,3}(\.\d{1,4})?", text) is not None


#: Changes when the rules of ``brand_css`` change.
_BRAND_VERSION = hashlib.sha256(brand_css(1, 0.1, 2, 0.2).encode()).hexdigest()[:16]
