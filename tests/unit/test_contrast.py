"""Text stays readable in both themes and under any brand: measured from the stylesheet itself."""

import re
from itertools import product
from math import cos, radians, sin

import pytest

from storefront.assets import asset_named
from storefront.domain.look import CORNERS, PAIRS, PAPERS, Look, checks

HUES = range(0, 360, 5)
CHROMAS = (0, 0.125, 0.3)
THEMES = ("light", "dark")
GROUNDS = [{"--paper-h": hue, "--paper-c": times} for hue, times in PAPERS.values()]
OURS = {
    "--brand-h": 262,
    "--brand-c": 0.125,
    "--accent-h": 52,
    "--accent-c": 0.155,
    "--paper-h": 85,
    "--paper-c": 1,
}


def declarations():
    css = asset_named("app.css").body.decode()
    root = css[css.index(":root{") : css.index("[data-theme")]
    return dict(re.findall(r"(--[\w-]+):([^;]+)", root))


ROLES = declarations()


def number(text, brand):
    """Evaluate one part of a colour: a number, ``var(…)`` or ``calc(a * b)``."""
    text = re.sub(r"var\((--[\w-]+)\)", lambda m: str(brand[m[1]]), text.strip())
    inner = re.fullmatch(r"calc\((.*)\)", text)
    if not inner:
        return float(text)
    left, sign, right = inner[1].split(" ")
    values = float(left), float(right)
    return {"*": values[0] * values[1], "-": values[0] - values[1], "+": sum(values)}[sign]


def rgb(role, theme, brand=None):
    """Return linear sRGB of a role, cut off at the screen's limits as a browser does."""
    colours = re.findall(r"oklch\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)", ROLES[role])
    colour = colours[0] if theme == "light" or len(colours) == 1 else colours[1]
    parts = re.findall(r"(?:[\w.-]+\((?:[^()]|\([^()]*\))*\)|[\w.-]+)", colour)
    lightness, chroma, hue = (number(part, brand or OURS) for part in parts[:3])
    a, b = chroma * cos(radians(hue)), chroma * sin(radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
    )
    return [min(max(channel, 0), 1) for channel in linear]


def contrast(front, behind, theme, brand=None):
    bright, dim = sorted(
        (
            sum(
                w * c
                for w, c in zip((0.2126, 0.7152, 0.0722), rgb(role, theme, brand), strict=True)
            )
            for role in (front, behind)
        ),
        reverse=True,
    )
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(
    ("front", "behind", "least"),
    [
        ("--text", "--bg", 13),
        ("--text", "--surface", 13),
        ("--text", "--raised", 13),
        ("--muted", "--bg", 6.5),
        ("--muted", "--sunken", 6.5),
        ("--muted", "--surface", 6.5),
        ("--link", "--bg", 7),
        ("--on-action", "--action", 7),
        ("--on-action", "--action-hover", 7),
        ("--on-accent", "--accent", 6),
        ("--accent-text", "--bg", 4.5),
        ("--control", "--surface", 3),
        ("--control", "--sunken", 3),
        ("--focus", "--bg", 3),
        ("--focus", "--surface", 3),
    ],
)
def test_our_own_colours_are_readable(front, behind, least, theme):
    assert contrast(front, behind, theme) >= least


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(
    ("front", "behind", "least"),
    [
        ("--on-action", "--action", 4.5),
        ("--on-action", "--action-hover", 4.5),
        ("--action", "--bg", 4.5),
        ("--link", "--bg", 4.5),
        ("--link", "--surface", 4.5),
        ("--link", "--raised", 4.5),
        ("--link", "--sunken", 4.5),
        ("--link", "--action-soft", 4.5),
        ("--text", "--action-soft", 7),
        ("--muted", "--action-soft", 4.5),
        ("--accent-text", "--bg", 4.5),
        ("--accent-text", "--surface", 4.5),
        ("--on-accent", "--accent", 4.5),
    ],
)
def test_no_brand_can_make_a_page_unreadable(front, behind, least, theme):
    worst = min(
        (contrast(front, behind, theme, brand), brand["--brand-h"], brand["--brand-c"])
        for brand in (
            {**paper, "--brand-h": h, "--brand-c": c, "--accent-h": h, "--accent-c": c}
            for paper, h, c in product(GROUNDS, HUES, CHROMAS)
        )
    )
    assert worst[0] >= least, worst


@pytest.mark.parametrize(
    "look", [Look(), Look(135, 85, 350, 120, "cool"), Look(90, 300, 0, 0, "grey"), Look(0, 0)]
)
def test_the_admin_measures_what_the_stylesheet_does(look):
    hue, strength = PAPERS[look.paper]
    brand = {
        "--brand-h": look.brand_hue,
        "--brand-c": look.brand_chroma / 1000,
        "--accent-h": look.accent_hue,
        "--accent-c": look.accent_chroma / 1000,
        "--paper-h": hue,
        "--paper-c": strength,
    }
    for one in checks(look):
        front, behind = f"--{one.front}", f"--{one.behind}"
        assert one.light == pytest.approx(contrast(front, behind, "light", brand), rel=0.03)
        assert one.dark == pytest.approx(contrast(front, behind, "dark", brand), rel=0.03)


def test_what_the_admin_calls_good_holds_for_every_look():
    missed = [
        (look, one)
        for hue, chroma, paper in product(range(0, 360, 15), (0, 125, 300), PAPERS)
        for look in [Look(hue, chroma, hue, chroma, paper)]
        for one in checks(look)
        if not one.holds
    ]
    assert missed == []
    assert {least for _front, _behind, least in PAIRS} == {4.5, 3}


def test_our_corners_are_those_of_the_stylesheet():
    radii = tuple(int(ROLES[f"--r-{step}"].removesuffix("px")) for step in (1, 2, 3))
    assert radii == CORNERS["soft"]


def test_the_measure_itself_is_right():
    # Known pair: black on white is 21, and our text on our ground is computed as 15.5.
    assert contrast("--text", "--bg", "light") == pytest.approx(15.5, abs=0.1)
