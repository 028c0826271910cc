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
#: The way back: from linear light to cone responses, and from their cube roots to lightness, a, b.
_FROM_RGB = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_TO_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
#: Chroma below which a colour is a grey.
_GREY = 0.004

#: Red, green and blue from 0 to 255.
RGB = tuple[int, int, int]


def rgb_of(lightness: float, chroma: float, hue: float) -> RGB:
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


def oklch_of(colour: RGB) -> tuple[float, float, float]:
    """Return red, green and blue as lightness, chroma and hue in degrees of ``oklch()``.

    >>> [round(part, 3) for part in oklch_of((39, 76, 147))]
    [0.43, 0.125, 261.901]
    """
    linear = [_decoded(channel) for channel in colour]
    cones = [sum(f * v for f, v in zip(row, linear, strict=True)) ** (1 / 3) for row in _FROM_RGB]
    lightness, a, b = (sum(f * v for f, v in zip(row, cones, strict=True)) for row in _TO_LAB)
    chroma = math.hypot(a, b)
    # A grey has no hue; what rounding leaves of one would be a colour drawn by lot.
    hue = math.degrees(math.atan2(b, a)) % 360 if chroma > _GREY else 0.0
    return lightness, chroma if chroma > _GREY else 0.0, hue


def contrast(one: RGB, other: RGB) -> float:
    """Return the contrast of two colours, from 1 to 21, as WCAG 2.2 defines it.

    >>> contrast((0, 0, 0), (255, 255, 255))
    21.0
    """
    dim, bright = sorted(_luminance(colour) for colour in (one, other))
    return round((bright + 0.05) / (dim + 0.05), 2)


def hex_of(colour: RGB) -> str:
    """Return a colour as stylesheets write it.

    >>> hex_of((39, 76, 147))
    '#274c93'
    """
    return "#" + "".join(f"{channel:02x}" for channel in colour)


def _luminance(colour: RGB) -> float:
    red, green, blue = (_decoded(channel) for channel in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _decoded(channel: int) -> float:
    """Take the transfer curve of sRGB away."""
    value = channel / 255
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def _encoded(linear: float) -> int:
    """Apply the transfer curve of sRGB."""
    value = min(max(linear, 0.0), 1.0)
    curved = 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
    return round(curved * 255)
