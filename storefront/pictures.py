"""Still lifes drawn from data: every product and every box has a picture from its first day.

A product is a silhouette with one patterned label; which one, and in which colours, is
decided by a stable hash of its code: same product, same tin, for ever. A box is three to
seven of them on one shelf line, and one small accident, never two. Flat shapes, the lamp
stands upper left: an ink line on that side only, one highlight, no gradients. Everything
is an attribute (a strict content policy allows no inline style); the classes let a
stylesheet swap paper, shelf and ink in the dark theme.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from itertools import pairwise

from markupsafe import Markup, escape

from storefront.domain.colours import hex_of, rgb_of
from storefront.domain.look import OURS, Look

#: One item is drawn on this grid; it stands on the line ``FLOOR``.
WIDTH, HEIGHT, FLOOR = 160, 200, 196
BOX_WIDTH, BOX_HEIGHT, SHELF = 480, 300, 266

PAPER, INK, SHEET = "#fcfaf6", "#1b2a4e", "#f1e9d8"
#: What networks show a shared link at; Open Graph names no size, all large ones take this.
SHARE_WIDTH, SHARE_HEIGHT = 1200, 630


@dataclass(frozen=True)
class Palette:
    """Six colours of a brand and the triples (body, label, mark) that read well together."""

    fills: tuple[str, str, str, str, str, str]
    triples: tuple[tuple[int, int, int], ...]


#: Enamel blue, persimmon, butter, celadon, sage, tin night.
NINE_KETTLES = Palette(
    ("#274c93", "#e87e34", "#f3dd99", "#b7dbca", "#85b18e", "#21335e"),
    (
        (0, 2, 1),
        (1, 2, 5),
        (3, 5, 2),
        (2, 0, 1),
        (4, 2, 5),
        (5, 3, 1),
        (0, 3, 2),
        (2, 1, 5),
        (3, 0, 1),
        (5, 2, 4),
        (1, 5, 2),
        (4, 5, 3),
        (2, 4, 5),
        (3, 2, 0),
    ),
)


#: Lightness, strength (times that of the brand's colour) and turn of hue in degrees of the six,
#: and whether they are made of the main or of the second colour; read off those above.
_TONES = (
    (0.43, 1.0, 0, "main"),
    (0.7, 1.0, 0, "second"),
    (0.9, 0.55, 38, "second"),
    (0.86, 0.4, -30, "main"),
    (0.72, 0.6, -50, "main"),
    (0.3, 0.7, 4, "main"),
)


@cache
def palette_of(look: Look) -> Palette:
    """Return the colours of the pictures of a shop; those of our own look were chosen by eye.

    >>> palette_of(Look()) is NINE_KETTLES, palette_of(Look(brand_hue=135)).fills[0]
    (True, '#2e5e01')
    """
    colours = {
        "main": (look.brand_chroma / 1000, look.brand_hue),
        "second": (look.accent_chroma / 1000, look.accent_hue),
    }
    ours = {"main": (OURS.brand_chroma / 1000, OURS.brand_hue),
            "second": (OURS.accent_chroma / 1000, OURS.accent_hue)}  # fmt: skip
    if colours == ours:
        return NINE_KETTLES
    fills = []
    for lightness, strength, turn, which in _TONES:
        chroma, hue = colours[which]
        fills.append(hex_of(rgb_of(lightness, chroma * strength, (hue + turn) % 360)))
    one, two, three, four, five, six = fills
    return Palette((one, two, three, four, five, six), NINE_KETTLES.triples)


@dataclass(frozen=True)
class Silhouette:
    """The outline of one kind of thing; every path stands on the 160 x 200 grid.

    ``ink`` and ``lid_ink`` are the open lines on the lamp's side, ``band`` the label's top
    and height, ``left``/``right``/``top`` the space it takes.
    """

    body: str
    lid: str
    ink: str
    lid_ink: str
    shine: str
    band: tuple[int, int]
    left: int
    right: int
    top: int
    holds: frozenset[str] = frozenset()


SILHOUETTES: dict[str, Silhouette] = {
    "tall-tin": Silhouette(
        body="M42 44h76v145q0 7-7 7H49q-7 0-7-7z",
        lid="M38 48V31q0-8 8-8h68q8 0 8 8v17z",
        ink="M42 48v141q0 7 7 7h62",
        lid_ink="M114 23H46q-8 0-8 8v17h72",
        shine="M51 58h9v122h-9z",
        band=(84, 66),
        left=38,
        right=122,
        top=23,
        holds=frozenset({"lid"}),
    ),
    "squat-tin": Silhouette(
        body="M28 110h104v77q0 9-9 9H37q-9 0-9-9z",
        lid="M24 114v-12q0-9 9-9h94q9 0 9 9v12zM70 93q0-12 10-12t10 12z",
        ink="M28 114v73q0 9 9 9h80",
        lid_ink="M127 93H90q0-12-10-12T70 93H33q-9 0-9 9v12h98",
        shine="M38 122h9v62h-9z",
        band=(128, 48),
        left=24,
        right=136,
        top=81,
        holds=frozenset({"lid"}),
    ),
    "pouch": Silhouette(
        body="M42 62h76l8 126q0 8-8 8H42q-8 0-8-8z",
        lid="M46 34h68l5 30H41z",
        ink="M41 64l-7 124q0 8 8 8h72",
        lid_ink="M108 34H46l-5 30h68",
        shine="M50 74h8l-5 110h-9z",
        band=(92, 70),
        left=34,
        right=126,
        top=34,
        holds=frozenset({"tag"}),
    ),
    "jar": Silhouette(
        body="M46 70q0-10 10-10h48q10 0 10 10v116q0 10-10 10H56q-10 0-10-10z",
        lid="M50 60V44q0-6 6-6h48q6 0 6 6v16z",
        ink="M50 60q-4 2-4 10v116q0 10 10 10h46",
        lid_ink="M102 38H56q-6 0-6 6v16h54",
        shine="M54 76h8v106h-8z",
        band=(96, 62),
        left=46,
        right=114,
        top=38,
        holds=frozenset({"tag", "spoon"}),
    ),
    "biscuit-box": Silhouette(
        body="M14 144h132v45q0 7-7 7H21q-7 0-7-7z",
        lid="M10 148v-14q0-7 7-7h126q7 0 7 7v14z",
        ink="M14 148v41q0 7 7 7h112",
        lid_ink="M140 127H17q-7 0-7 7v14h126",
        shine="M22 154h9v34h-9z",
        band=(156, 30),
        left=10,
        right=150,
        top=127,
        holds=frozenset({"crumb", "lid"}),
    ),
    "bottle": Silhouette(
        body="M67 30h26v28q0 9 10 17 13 10 13 26v86q0 9-9 9H53q-9 0-9-9v-86q0-16 13-26 10-8 10-17z",
        lid="M63 32V17q0-5 5-5h24q5 0 5 5v15z",
        ink="M67 32v26q0 9-10 17-13 10-13 26v86q0 9 9 9h48",
        lid_ink="M90 12H68q-5 0-5 5v15h26",
        shine="M52 104h8v78h-8z",
        band=(110, 58),
        left=44,
        right=116,
        top=12,
        holds=frozenset({"tag"}),
    ),
    "cup": Silhouette(
        body="M38 128h84q0 60-30 60H68q-30 0-30-60z",
        lid="M24 188h112q-4 8-13 8H37q-9 0-13-8z",
        ink="M112 128H38q0 60 30 60h20",
        lid_ink="M130 188H24q4 8 13 8h76",
        shine="M47 134h8q0 26 6 40-13-8-14-40z",
        band=(142, 26),
        left=24,
        right=146,
        top=128,
        holds=frozenset({"steam", "spoon"}),
    ),
}
KINDS = tuple(SILHOUETTES)

#: What shops call a product, and the silhouettes that suit it.
FAMILIES = {
    "tea": ("tall-tin", "squat-tin", "pouch", "tall-tin"),
    "herbal": ("pouch", "jar", "squat-tin"),
    "tin": ("tall-tin", "squat-tin"),
    "bake": ("biscuit-box", "jar", "biscuit-box"),
    "biscuit": ("biscuit-box",),
    "preserve": ("jar",),
    "syrup": ("bottle",),
    "teaware": ("cup",),
}

#: name: (tile width, tile height, path, drawn as line)
PATTERNS: dict[str, tuple[int, int, str, bool]] = {
    "stripes": (12, 12, "M3 0h5v12H3z", False),
    "waves": (24, 14, "M-2 9q8-9 14-2t14-2", True),
    "dots": (16, 16, "M8 4a4 4 0 1 1 0 8 4 4 0 0 1 0-8z", False),
    "scallops": (20, 14, "M0 14a10 10 0 0 1 20 0M10 4V0", True),
    "checks": (18, 18, "M0 0h9v9H0zM9 9h9v9H9z", False),
    "leaves": (26, 26, "M4 22C3 11 9 4 22 4c1 12-6 19-18 18z", False),
    "rings": (20, 20, "M10 4.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11z", True),
    "zigzag": (18, 14, "M-2 12 9 3l11 9", True),
    "terrazzo": (
        36,
        30,
        "M4 5l8-2 2 6-7 3zM22 2l7 4-5 5-6-4zM27 18l6 5-8 3zM9 18l8 2-3 7-8-3z",
        False,
    ),
}
PATTERN_NAMES = tuple(PATTERNS)

ACCIDENTS = ("lid", "crumb", "steam", "spoon", "tag")


def product_svg(
    seed: str, kind: str | None = None, alt: str = "", palette: Palette = NINE_KETTLES
) -> Markup:
    """Return the picture of one product.

    ``seed`` is its stable code, ``kind`` a silhouette, a family or None (the seed
    decides). Without ``alt`` the picture is decoration.
    """
    number = _hash(seed)
    shape = silhouette_of(number, kind)
    drawn = _item(f"s{number % 0xFFFFFF:x}", number, shape, palette)
    return _svg(WIDTH, HEIGHT, _shelf(8, WIDTH - 16, FLOOR) + drawn, alt, "product-picture")


def box_svg(
    seed: str,
    items: Sequence[str | tuple[str, str | None]] = (),
    alt: str = "",
    palette: Palette = NINE_KETTLES,
    place: str = "",
) -> Markup:
    """Return the picture of a box: three to seven of ``items`` on one shelf.

    An item is a product's code, or the code and its kind. Fewer than three are filled up
    from the seed, more than seven are cut. The tallest stands at two thirds of the width.
    ``place`` tells apart pictures of one box on the same page.
    """
    number = _hash(seed)
    things = [_thing(item) for item in items][:7]
    while len(things) < 3:
        things.append(_thing(f"{seed}/{len(things)}"))
    placed = _place(_order(things), overlap=0.12 + number % 7 / 100)
    accident, owner = _accident(number, [name for _, name in _order(things)])
    parts = [_shelf(28, BOX_WIDTH - 56, SHELF)]
    for index, code, name, x, scale in sorted(placed, key=lambda p: SILHOUETTES[p[2]].top):
        key = f"b{(number ^ code) % 0xFFFFFF:x}{index}{place}"
        lifted = accident if index == owner else ""
        y = SHELF - FLOOR * scale
        parts.append(f'<g transform="translate({x:.0f} {y:.0f}) scale({scale:.2f})">')
        parts.append(_item(key, code, name, palette, lifted) + "</g>")
    return _svg(BOX_WIDTH, BOX_HEIGHT, "".join(parts), alt, "box-picture", paper=True)


def share_svg(
    seed: str,
    items: Sequence[str | tuple[str, str | None]] = (),
    palette: Palette = NINE_KETTLES,
) -> Markup:
    """Return the picture of a box on a sheet of 1200 x 630, the size at which links are shown."""
    scale = SHARE_HEIGHT / BOX_HEIGHT
    left = (SHARE_WIDTH - BOX_WIDTH * scale) / 2
    box = box_svg(seed, items, palette=palette)
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SHARE_WIDTH} {SHARE_HEIGHT}" '
        f'width="{SHARE_WIDTH}" height="{SHARE_HEIGHT}">'
        f'<path d="M0 0h{SHARE_WIDTH}v{SHARE_HEIGHT}H0z" fill="{SHEET}"/>'
        f'<g transform="translate({left:g} 0) scale({scale:g})">{box}</g></svg>'
    )
    return Markup(text)  # noqa: S704 - every part is ours


def silhouette_of(number: int, kind: str | None) -> str:
    """Return the silhouette for a hash and a wished kind or family."""
    if kind in SILHOUETTES:
        return str(kind)
    choices = FAMILIES.get(kind or "", KINDS)
    return choices[number // 11 % len(choices)]


def _hash(seed: str) -> int:
    return int.from_bytes(blake2b(seed.encode(), digest_size=6).digest(), "big")


def _thing(item: str | tuple[str, str | None]) -> tuple[int, str]:
    code, kind = (item, None) if isinstance(item, str) else item
    return _hash(code), silhouette_of(_hash(code), kind)


def _item(key: str, number: int, name: str, palette: Palette, accident: str = "") -> str:
    shape = SILHOUETTES[name]
    body, label, mark = (palette.fills[i] for i in palette.triples[number % len(palette.triples)])
    top, height = shape.band
    span = f'x="{shape.left}" y="{top}" width="{shape.right - shape.left}" height="{height}"'
    behind, before = _extras(accident, shape, mark, label)
    handle = ""
    if name == "cup":
        handle = (
            f'<path d="M119 140q25-5 25 15t-32 19" fill="none" stroke="{body}" stroke-width="9"/>'
        )
    tilt = f' transform="rotate(-8 {shape.left} {shape.top + 30}) translate(5 -7)"'
    turn = tilt if accident == "lid" else ""
    return (
        f"{behind}<defs>{_pattern(key, number, mark)}"
        f'<clipPath id="{key}c"><path d="{shape.body}"/></clipPath></defs>{handle}'
        f'<path d="{shape.body}" fill="{body}"/>'
        f'<g clip-path="url(#{key}c)"><rect {span} fill="{label}"/>'
        f'<rect {span} fill="url(#{key}p)"/></g>'
        f'<g{turn}><path d="{shape.lid}" fill="{mark}"/>{_ink(shape.lid_ink)}</g>'
        f'<path d="{shape.shine}" fill="{PAPER}" fill-opacity=".38"/>'
        f"{_ink(shape.ink)}{before}"
    )


def _ink(path: str, width: float = 2) -> str:
    return (
        f'<path class="pic-ink" d="{path}" fill="none" stroke="{INK}" stroke-width="{width}" '
        'stroke-linecap="round" stroke-linejoin="round"/>'
    )


def _pattern(key: str, number: int, colour: str) -> str:
    names = PATTERN_NAMES
    width, height, path, is_line = PATTERNS[names[number // 17 % len(names)]]
    paint = f'fill="none" stroke="{colour}" stroke-width="3"' if is_line else f'fill="{colour}"'
    return (
        f'<pattern id="{key}p" width="{width}" height="{height}" patternUnits="userSpaceOnUse">'
        f'<path d="{path}" {paint}/></pattern>'
    )


def _extras(accident: str, shape: Silhouette, mark: str, label: str) -> tuple[str, str]:
    """Return what an accident draws behind and in front of its item."""
    middle = (shape.left + shape.right) // 2
    if accident == "steam":
        return "", _ink("M72 114q-9-11 0-21t0-21M92 112q-7-9 0-17t0-17", 3)
    if accident == "spoon":
        x, y = middle + 14, shape.top
        bowl = f'<path d="M{x + 17} {y - 36}q-4-20 12-24 12 9-2 26z" fill="{mark}"/>'
        return _ink(f"M{x - 8} {y + 20}L{x + 20} {y - 38}", 4) + bowl, ""
    if accident == "tag":
        x, y = shape.left + 14, shape.top + 38
        writing = f"M{x - 3} {y + 13}l7 1M{x - 4} {y + 20}l8 1"
        return "", (
            f"{_ink(f'M{middle} {y - 14}Q{x + 8} {y - 16} {x} {y}')}"
            f'<path d="M{x} {y - 4}l13 8-4 30-24-3 3-28z" fill="{PAPER}"/>'
            f'<path d="{writing}" stroke="{mark}" stroke-width="2"/>'
        )
    if accident == "crumb":
        x = shape.right
        crumbs = f"M{x + 3} 196q1-7 8-6t7 6zM{x - 12} 196q4-9 10 0zM{x + 22} 196q3-5 6 0z"
        return "", f'<path d="{crumbs}" fill="{label}" stroke="{INK}" stroke-width="1.5"/>'
    return "", ""


def _order(things: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """Put the tallest at two thirds, the rest falling away to both sides."""
    rest = sorted(things, key=lambda t: (SILHOUETTES[t[1]].top, t[0]))
    spot = round(2 * (len(rest) - 1) / 3)
    slots: list[tuple[int, str] | None] = [None] * len(rest)
    by_distance = sorted(range(len(rest)), key=lambda i: (abs(i - spot), i))
    for slot, thing in zip(by_distance, rest, strict=True):
        slots[slot] = thing
    return [thing for thing in slots if thing is not None]


def _place(
    things: Sequence[tuple[int, str]], overlap: float
) -> list[tuple[int, int, str, float, float]]:
    """Return (position, hash, silhouette, x, scale) with neighbours overlapping by a share."""
    widths = [SILHOUETTES[name].right - SILHOUETTES[name].left for _, name in things]
    overlaps = [overlap * min(a, b) for a, b in pairwise(widths)]
    total = sum(widths) - sum(overlaps)
    scale = min(1.22, (BOX_WIDTH - 60) / total)
    x = (BOX_WIDTH - total * scale) / 2
    placed = []
    for index, (code, name) in enumerate(things):
        placed.append((index, code, name, x - SILHOUETTES[name].left * scale, scale))
        x += (widths[index] - (overlaps[index] if index < len(overlaps) else 0)) * scale
    return placed


def _accident(number: int, names: Sequence[str]) -> tuple[str, int]:
    """Choose one accident that suits one of the items, and the item's position."""
    possible = [
        (accident, index)
        for accident in ACCIDENTS
        for index, name in enumerate(names)
        if accident in SILHOUETTES[name].holds
    ]
    return possible[number // 23 % len(possible)]


def _shelf(x: int, width: int, y: int) -> str:
    return f'<path class="pic-shelf" d="M{x} {y}h{width}v3H{x}z" fill="#d8cdb8"/>'


def _svg(
    width: int, height: int, drawn: str, alt: str, name: str, *, paper: bool = False
) -> Markup:
    label = f'role="img" aria-label="{escape(alt)}"' if alt else 'aria-hidden="true"'
    sheet = f'<path class="pic-paper" d="M0 0h{width}v{height}H0z" fill="{SHEET}"/>'
    text = (
        f'<svg class="{name}" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" preserveAspectRatio="xMidYMax" focusable="false" '
        f"{label}>{sheet if paper else ''}{drawn}</svg>"
    )
    return Markup(text)  # noqa: S704 - every part is ours; the alternative text is escaped above
