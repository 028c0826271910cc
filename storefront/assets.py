"""Files for the browser: an address that changes with the content, so it is cached for ever.

``/assets/<digest>/<name>`` is answered from memory, already compressed. A digest from
before a release is answered with today's file and without caching, so an open page of
the previous release keeps working while both run.
"""

import gzip
import hashlib
import os
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from flask import (
    Blueprint,
    Response,
    abort,
    has_request_context,
    make_response,
    request,
    url_for,
)

from storefront.domain.look import CORNERS, OURS, PAPERS, SPACING, Look, NotALook

FOLDER = Path(__file__).parent / "static"

#: Public name to file. Names are stable; nothing else in the folder is served.
FILES: dict[str, str] = {
    "app.css": "storefront/app.css",
    "parts.css": "storefront/parts.css",
    "admin.css": "storefront/admin.css",
    "prices.css": "storefront/prices.css",
    "order.css": "storefront/order.css",
    "app.js": "storefront/app.js",
    "embed.css": "storefront/embed.css",
    "embed.js": "storefront/embed.js",
    "embed-frame.js": "storefront/embed-frame.js",
    "htmx.js": "vendor/htmx.min.js",
    "icons.svg": "storefront/icons.svg",
    "favicon.svg": "storefront/favicon.svg",
}
_PATHS = {name: str(FOLDER / file) for name, file in FILES.items()}
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


def asset_named(name: str) -> Asset:
    """Return the file with this public name. Raises ``KeyError`` for an unknown one."""
    path = _PATHS[name]
    return _read(path, os.stat(path).st_mtime_ns)  # noqa: PTH116 - asked for each icon of a page


def static_url(name: str) -> str:
    """Return the address of a file; it changes exactly when the file does."""
    digest = asset_named(name).digest
    # A page names the same file for each of its icons.
    if has_request_context():
        return _address_below(request.root_path, digest, name)
    return url_for("assets.file", digest=digest, name=name)


def brand_url(look: Look) -> str:
    """Return the address of a look's stylesheet, or nothing for our own."""
    if look == OURS:
        return ""
    numbers = (look.brand_hue, look.brand_chroma, look.accent_hue, look.accent_chroma)
    values = [f"{number / 1000 if place % 2 else number:g}" for place, number in enumerate(numbers)]
    values += [look.paper, look.heading, look.corners, look.spacing]
    return url_for("assets.brand", digest=_BRAND_VERSION, values="-".join(values))


def brand_css(look: Look) -> str:
    """Return the rules that give a page another look than ours; what is ours is left out.

    Chromas are the light theme's; dark tones use three quarters of them, because a light
    tone at full chroma leaves the screen's colour space.
    """
    rules = [
        f"--brand-h:{look.brand_hue};--brand-c:{look.brand_chroma / 1000:g}",
        f"--accent-h:{look.accent_hue};--accent-c:{look.accent_chroma / 1000:g}",
    ]
    if look.paper != OURS.paper:
        hue, strength = PAPERS[look.paper]
        rules.append(f"--paper-h:{hue};--paper-c:{strength:g}")
    if look.heading != OURS.heading:
        rules.append("--font-head:var(--font-text)")
    if look.corners != OURS.corners:
        rules += [f"--r-{step}:{size}px" for step, size in enumerate(CORNERS[look.corners], 1)]
    if look.spacing != OURS.spacing:
        rules.append(f"--air:{SPACING[look.spacing]:g}")
    return f":root{{{';'.join(rules)}}}"


@bp.get("/<digest>/<name>")
def file(digest: str, name: str) -> Response:
    if name not in FILES:
        abort(404)
    found = asset_named(name)
    return answer(found, FOR_EVER if digest == found.digest else BRIEFLY)


@bp.get("/<digest>/brand/<values>.css")
def brand(digest: str, values: str) -> Response:
    look = _look_named(values)
    if look is None:
        abort(404)
    text = brand_css(look)
    return answer(_pack(text.encode(), ".css"), FOR_EVER if digest == _BRAND_VERSION else BRIEFLY)


def answer(found: Asset, caching: str) -> Response:
    """Answer with a file, compressed for those who read that, or that it is the same as before."""
    packed = "gzip" in request.accept_encodings
    response = make_response(found.packed if packed else found.body)
    response.content_type = found.media_type
    response.headers["Cache-Control"] = caching
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.vary.add("Accept-Encoding")
    if packed:
        response.content_encoding = "gzip"
    response.set_etag(f"{found.digest}{'-gz' if packed else ''}")
    response.make_conditional(request)
    return response


@lru_cache(maxsize=256)
def _address_below(_mount: str, digest: str, name: str) -> str:
    return url_for("assets.file", digest=digest, name=name)


@cache
def _read(named: str, _modified: int) -> Asset:
    path = Path(named)
    body = path.read_bytes()
    if path.suffix == ".css":
        body = _tighten(body.decode()).encode()
    elif path.name == "app.js":
        body = _tighten_script(body.decode()).encode()
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


def _tighten_script(text: str) -> str:
    """Drop lines of comments alone, indentation and empty lines.

    Our script holds no text that goes over a line.
    """
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//")) + "\n"


def _look_named(values: str) -> Look | None:
    """Return the look that an address of ``brand_url`` names, None for anything else."""
    parts = values.split("-")
    if len(parts) != len(Look.__dataclass_fields__) or not all(map(_is_number, parts[:4])):
        return None
    hue, chroma, accent_hue, accent_chroma = (float(part) for part in parts[:4])
    try:
        return Look(
            round(hue),
            round(chroma * 1000),
            round(accent_hue),
            round(accent_chroma * 1000),
            *parts[4:],
        )
    except NotALook:
        return None


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d{1,3}(\.\d{1,4})?", text) is not None


#: Changes when the rules of ``brand_css`` change.
_BRAND_VERSION = hashlib.sha256(
    brand_css(Look(1, 100, 2, 200, "grey", "sans", "round", "airy")).encode()
).hexdigest()[:16]
