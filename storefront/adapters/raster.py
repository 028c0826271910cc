"""Pictures of points from drawings: networks show PNG beside a shared link, never SVG."""

from __future__ import annotations

import resvg_py


def png_of(svg: str) -> bytes:
    """Return a drawing of ours as PNG, as large as it says it is.

    It is drawn without fonts and without files: what we draw holds no text.
    """
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True))
