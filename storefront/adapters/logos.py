"""Pictures that staff upload, drawn anew: nothing of the file but what it shows is kept.

Source: docs/decisions/0231-a-logo-of-the-shop.md.
"""

from __future__ import annotations

import hashlib
import io
from functools import lru_cache

from PIL import Image, ImageOps

from storefront.domain.logo import (
    LARGEST,
    RIM,
    SHARP,
    SMALLEST,
    Logo,
    NotAPicture,
    WrongSize,
    fitted,
)

#: A PNG of more is kept in 256 colours.
_HEAVY = 40_000


def read_logo(data: bytes) -> Logo:
    """Return the logo that a PNG or JPEG shows. Raises ``NotAPicture`` and ``WrongSize``.

    The size is read from the head of the file, before anything is unpacked.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as opened:
            _check_size(*opened.size)
            turned = ImageOps.exif_transpose(opened)
            picture = turned.convert("RGBA")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        # Whatever a broken file makes the library say.
        raise NotAPicture from error
    width, height = fitted(*picture.size)
    kept = picture.resize(fitted(*picture.size, SHARP), Image.Resampling.LANCZOS)
    png = _png(kept)
    if len(png) > _HEAVY:
        png = _png(kept.quantize(256, method=Image.Quantize.FASTOCTREE))
    return Logo(png, hashlib.sha256(png).hexdigest()[:24], width, height)


@lru_cache(maxsize=4)
def on_white(png: bytes) -> bytes:
    """Return a logo on white with a rim, for mails: their programs darken pages as they like.

    What is behind the picture would else be dark, and a dark logo gone.
    """
    with Image.open(io.BytesIO(png), formats=("PNG",)) as opened:
        picture = opened.convert("RGBA")
    rim = RIM * SHARP
    sheet = Image.new("RGBA", (picture.width + 2 * rim, picture.height + 2 * rim), "#ffffff")
    sheet.alpha_composite(picture, (rim, rim))
    return _png(sheet.convert("RGB").quantize(256))


def _check_size(width: int, height: int) -> None:
    if not (min(width, height) >= SMALLEST and max(width, height) <= LARGEST):
        raise WrongSize(width=width, height=height)


def _png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return out.getvalue()
