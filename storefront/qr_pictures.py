"""QR codes as pictures in a page: drawn here, so that no other host learns a secret."""

from __future__ import annotations

from markupsafe import Markup, escape

from storefront.domain.qr_codes import qr_code

#: Light modules around the symbol; scanners need them.
_MARGIN = 4
#: Pixels on a page, about; each module has a whole number of them.
_WIDTH = 240


def qr_svg(text: str, alt: str) -> Markup:
    """Return ``text`` as a picture, dark on light in any scheme. Raises ``TextTooLong``."""
    rows = qr_code(text)
    size = len(rows) + 2 * _MARGIN
    width = size * max(_WIDTH // size, 3)
    dark = "".join(
        f"M{column + _MARGIN} {row + _MARGIN}h1v1h-1z"
        for row, line in enumerate(rows)
        for column, is_dark in enumerate(line)
        if is_dark
    )
    drawn = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" width="{width}"'
        f' height="{width}" shape-rendering="crispEdges" role="img" focusable="false"'
        f' aria-label="{escape(alt)}"><path fill="#fff" d="M0 0h{size}v{size}H0z"/>'
        f'<path fill="#000" d="{dark}"/></svg>'
    )
    return Markup(drawn)  # noqa: S704 - every part is ours; the alternative text is escaped above
