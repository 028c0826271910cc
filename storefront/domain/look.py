"""How a shop looks: what a merchant may set, the colours that follow, and whether they are read.

A merchant sets hue and strength of two colours. How light a colour is stays ours, and so does
contrast: whatever is typed is kept as a colour of the same hue that text can be read on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from storefront.domain.colours import RGB, contrast, hex_of, oklch_of, rgb_of
from storefront.domain.errors import DomainError

#: Ground of the pages -> its hue and how many times our own strength of colour.
PAPERS: dict[str, tuple[int, float]] = {"warm": (85, 1), "cool": (250, 1), "grey": (85, 0)}
HEADINGS = ("serif", "sans")
#: Step of roundness -> radius of marks, of fields and buttons, of cards, in pixels.
CORNERS: dict[str, tuple[int, int, int]] = {
    "square": (0, 0, 0),
    "soft": (4, 8, 14),
    "round": (8, 14, 24),
}
#: Step of airiness -> what the gaps between the parts of a page are multiplied with.
SPACING: dict[str, float] = {"close": 0.75, "even": 1, "airy": 1.3}

THEMES = ("light", "dark")
#: What WCAG 2.2 asks of text (1.4.3), and of edges and other marks (1.4.11).
TEXT, MARK = 4.5, 3.0
STRONGEST = 300
_ALL_ROUND = 360
#: Lightness of the main and of the second colour on light pages.
_MAIN, _SECOND = 0.43, 0.7


class NotAColour(DomainError):
    """Neither three nor six hexadecimal digits."""

    code = "not_a_colour"


class NotALook(DomainError):
    """A value that no page offers."""

    code = "not_a_look"


@dataclass(frozen=True, slots=True)
class Look:
    """What a merchant sets; what is not set is ours. Strengths in thousandths of ``oklch()``."""

    brand_hue: int = 262
    brand_chroma: int = 125
    accent_hue: int = 52
    accent_chroma: int = 155
    paper: str = "warm"
    heading: str = "serif"
    corners: str = "soft"
    spacing: str = "even"

    def __post_init__(self) -> None:
        hues = (self.brand_hue, self.accent_hue)
        chromas = (self.brand_chroma, self.accent_chroma)
        fine = (
            all(0 <= hue <= _ALL_ROUND for hue in hues)
            and all(0 <= chroma <= STRONGEST for chroma in chromas)
            and self.paper in PAPERS
            and self.heading in HEADINGS
            and self.corners in CORNERS
            and self.spacing in SPACING
        )
        if not fine:
            raise NotALook

    @property
    def main(self) -> str:
        """The main colour as light pages show it."""
        return hex_of(rgb_of(_MAIN, self.brand_chroma / 1000, self.brand_hue))

    @property
    def second(self) -> str:
        return hex_of(rgb_of(_SECOND, self.accent_chroma / 1000, self.accent_hue))

    def with_colours(self, main: str, second: str) -> Look:
        """Return this look with typed colours; one that is shown already changes nothing.

        Raises ``NotAColour``.
        """
        found = self
        if read_colour(main) != self.main:
            hue, chroma = _hue_and_strength(main)
            found = replace(found, brand_hue=hue, brand_chroma=chroma)
        if read_colour(second) != self.second:
            hue, chroma = _hue_and_strength(second)
            found = replace(found, accent_hue=hue, accent_chroma=chroma)
        return found

    def values(self) -> dict[str, Any]:
        return asdict(self)


OURS = Look()
FIELDS = tuple(field.name for field in fields(Look))


def look_of(values: Mapping[str, Any]) -> Look:
    """Return the look that ``values`` describe; what they do not name is ours."""
    return Look(**{name: values[name] for name in FIELDS if name in values})


def read_colour(text: str) -> str:
    """Return a typed colour as ``#rrggbb``. Raises ``NotAColour``.

    >>> read_colour(" 0AF "), read_colour("#274C93")
    ('#00aaff', '#274c93')
    """
    digits = text.strip().removeprefix("#").lower()
    if len(digits) == len("rgb"):
        digits = "".join(2 * digit for digit in digits)
    if len(digits) != len("rrggbb") or set(digits) - set("0123456789abcdef"):
        raise NotAColour
    return f"#{digits}"


def _rgb(text: str) -> RGB:
    digits = read_colour(text)[1:]
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)


def _hue_and_strength(text: str) -> tuple[int, int]:
    _lightness, chroma, hue = oklch_of(_rgb(text))
    return round(hue) % _ALL_ROUND, min(round(chroma * 1000), STRONGEST)


@dataclass(frozen=True, slots=True)
class Correction:
    """What became of a typed colour: under white text it reaches ``before``, and now ``after``."""

    typed: str
    shown: str
    before: float
    after: float

    @property
    def was_unreadable(self) -> bool:
        return self.before < TEXT


def correction(typed: str, look: Look) -> Correction | None:
    """Return how the main colour was changed so that it is read; None where it was not.

    Raises ``NotAColour``.
    """
    white: RGB = (255, 255, 255)
    if read_colour(typed) == look.main:
        return None
    return Correction(
        read_colour(typed),
        look.main,
        contrast(white, _rgb(typed)),
        contrast(white, _rgb(look.main)),
    )


@dataclass(frozen=True, slots=True)
class Check:
    """One pair of colours that meet on pages, and the contrast they reach."""

    front: str
    behind: str
    needed: float
    light: float
    dark: float
    #: The pair as light pages show it, and as dark ones do: front, behind.
    light_pair: tuple[str, str]
    dark_pair: tuple[str, str]

    @property
    def holds(self) -> bool:
        return min(self.light, self.dark) >= self.needed


#: Front, what it stands on, what it needs.
PAIRS: tuple[tuple[str, str, float], ...] = (
    ("text", "bg", TEXT),
    ("muted", "sunken", TEXT),
    ("on-action", "action", TEXT),
    ("on-action", "action-hover", TEXT),
    ("link", "bg", TEXT),
    ("link", "action-soft", TEXT),
    ("text", "action-soft", TEXT),
    ("on-accent", "accent", TEXT),
    ("accent-text", "bg", TEXT),
    ("action", "bg", MARK),
    ("control", "surface", MARK),
    ("focus", "bg", MARK),
)


def checks(look: Look) -> list[Check]:
    """Return every pair of colours that a look changes, with what it reaches in both themes."""
    light, dark = (palette(look, theme) for theme in THEMES)
    return [
        Check(
            front,
            behind,
            needed,
            contrast(light[front], light[behind]),
            contrast(dark[front], dark[behind]),
            (hex_of(light[front]), hex_of(light[behind])),
            (hex_of(dark[front]), hex_of(dark[behind])),
        )
        for front, behind, needed in PAIRS
    ]


#: Role -> lightness, strength, hue, on light and on dark pages: as ``app.css`` has them. A text
#: names the colour that strength and hue come from; then they are a factor and a turn.
_Tone = tuple[float, float, float, str]
_ROLES: dict[str, tuple[_Tone, _Tone]] = {
    "bg": ((0.985, 0.006, 0, "paper"), (0.185, 0.012, 260, "")),
    "surface": ((1, 0, 0, ""), (0.225, 0.013, 260, "")),
    "sunken": ((0.962, 0.008, 0, "paper"), (0.155, 0.011, 260, "")),
    "text": ((0.245, 0.018, 260, ""), (0.945, 0.006, 85, "")),
    "muted": ((0.455, 0.018, 260, ""), (0.765, 0.012, 260, "")),
    "control": ((0.595, 0.015, 260, ""), (0.6, 0.018, 260, "")),
    "action": ((0.43, 1, 0, "brand"), (0.78, 0.76, -7, "brand")),
    "action-hover": ((0.365, 0.92, 0, "brand"), (0.84, 0.6, -7, "brand")),
    "on-action": ((1, 0, 0, ""), (0.2, 0.03, 260, "")),
    "action-soft": ((0.945, 0.2, 0, "brand"), (0.3, 0.44, 0, "brand")),
    "link": ((0.43, 1, 0, "brand"), (0.8, 0.72, -7, "brand")),
    "accent": ((0.7, 1, 0, "accent"), (0.76, 0.9, 6, "accent")),
    "on-accent": ((0.18, 0.025, 60, ""), (0.18, 0.025, 60, "")),
    "accent-text": ((0.475, 0.8, -7, "accent"), (0.8, 0.74, 6, "accent")),
    "focus": ((0.5, 0.19, 262, ""), (0.83, 0.104, 230, "")),
}


def palette(look: Look, theme: str) -> dict[str, RGB]:
    """Return the colour of every role of a page in ``theme``, as a screen shows it."""
    return {role: _tone(look, both[THEMES.index(theme)]) for role, both in _ROLES.items()}


def _tone(look: Look, tone: _Tone) -> RGB:
    lightness, strength, turn, source = tone
    if source == "paper":
        hue, times = PAPERS[look.paper]
        return rgb_of(lightness, strength * times, hue)
    if source:
        chroma, hue = getattr(look, f"{source}_chroma"), getattr(look, f"{source}_hue")
        return rgb_of(lightness, strength * chroma / 1000, hue + turn)
    return rgb_of(lightness, strength, turn)
