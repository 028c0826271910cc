"""Colours of the brand as other media want them."""

from __future__ import annotations

import math

#: From the cube roots of cone responses to linear light, and back to red, green and blue.
_TO_CONES = (
    (1.0, 0.3963377774, 0.2158037573),
    (1.0, -0.1055613458, -0.0638541728),
    (1.0, -0.0894841775, -1.2914855480),
)
_TO_RGB = (
    (4.0767416621, -3.3077115913, 0.2309699292),
    (-1.2684380046, 2.6097574011, -0.3413193965),
    (-0.0041960863, -0.7034186147, 1.7076147010),
)


def rgb_of(lightness: float, chroma: float, hue: float) -> tuple[int, int, int]:
    """Return an ``oklch()`` colour as red, green and blue from 0 to 255.

    ``hue`` is in degrees. What a screen cannot show is cut to the nearest channel value.
    Source: Ottosson, "A perceptual color space for image processing", 2020.

    >>> rgb_of(1, 0, 0), rgb_of(0, 0, 0)
    ((255, 255, 255), (0, 0, 0))
    """
    angle = math.radians(hue)
    lab = (lightness, chroma * math.cos(angle), chroma * math.sin(angle))
    cones = [sum(f * v for f, v in zip(row, lab, strict=True)) ** 3 for row in _TO_CONES]
    linear = [sum(f * v for f, v in zip(row, cones, strict=True)) for row in _TO_RGB]
    red, green, blue = (_encoded(value) for value in linear)
    return red, green, blue


def _encoded(linear: float) -> int:
    """Apply the transfer curve of sRGB."""
    value = min(max(linear, 0.0), 1.0)
    curved = 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
    return round(curved * 255)
