"""A product has the same picture for ever, and it stays small and safe to put inline."""

import gzip
import re
from xml.etree import ElementTree as ET

import pytest

from storefront.domain.look import Look
from storefront.pictures import (
    ACCIDENTS,
    BOX_WIDTH,
    FAMILIES,
    KINDS,
    NINE_KETTLES,
    PATTERNS,
    SILHOUETTES,
    box_svg,
    palette_of,
    product_svg,
)
from tests.support.brands import MARGIN_AND_MOSS

SVG = "{http://www.w3.org/2000/svg}"


def parsed(picture):
    return ET.fromstring(str(picture))  # noqa: S314 - our own drawing


def boxes(count):
    return [box_svg(f"box-{n}", [f"{n}/{i}" for i in range(3 + n % 5)]) for n in range(count)]


def test_the_same_code_draws_the_same_tin_for_ever():
    picture = product_svg("TEA-KUKICHA-50")
    assert picture == product_svg("TEA-KUKICHA-50")


def test_our_own_look_keeps_the_colours_that_were_chosen_by_eye():
    assert palette_of(Look()) is NINE_KETTLES
    assert palette_of(Look(paper="grey", corners="square")) is NINE_KETTLES


def test_another_brand_has_pictures_of_its_own_in_six_colours_that_differ():
    moss = palette_of(MARGIN_AND_MOSS)
    assert len(set(moss.fills)) == 6
    assert not set(moss.fills) & set(NINE_KETTLES.fills)
    assert MARGIN_AND_MOSS.main in moss.fills
    assert MARGIN_AND_MOSS.second in moss.fills
    picture = str(product_svg("TEA-KUKICHA-50", palette=moss))
    assert not any(colour in picture for colour in NINE_KETTLES.fills[:5])


def test_codes_differ_in_shape_pattern_and_colour():
    pictures = {re.sub(r"s[0-9a-f]+([pc])", r"\1", str(product_svg(f"p-{n}"))) for n in range(60)}
    assert len(pictures) > 45


def test_the_kit_has_seven_silhouettes_and_nine_patterns():
    assert len(SILHOUETTES) == 7
    assert len(PATTERNS) == 9


@pytest.mark.parametrize("kind", KINDS)
def test_a_silhouette_has_at_most_twelve_commands_and_stands_on_the_floor(kind):
    body = SILHOUETTES[kind].body
    assert len(re.findall("[a-zA-Z]", body)) <= 12 + body.count("q")
    assert SILHOUETTES[kind].left >= 0
    assert SILHOUETTES[kind].right <= 160


@pytest.mark.parametrize("family", [*FAMILIES, *KINDS, None, "never heard of"])
def test_any_kind_of_product_has_a_picture(family):
    assert parsed(product_svg("x", family)).tag == f"{SVG}svg"


def test_a_product_is_at_most_1500_bytes():
    assert max(len(product_svg(f"p-{n}").encode()) for n in range(300)) <= 1500


def test_a_box_is_at_most_6_kilobytes_compressed():
    assert max(len(gzip.compress(box.encode())) for box in boxes(60)) <= 6 * 1024


def test_pictures_need_no_inline_style_and_no_script():
    for picture in [*boxes(10), product_svg("x")]:
        assert not re.search(r"\sstyle=|<style|<script|\son\w+=", picture)


def test_a_box_stays_inside_its_frame():
    for box in boxes(40):
        for group in parsed(box).iter(f"{SVG}g"):
            place = re.match(r"translate\((-?\d+) .*scale\(([\d.]+)\)", group.get("transform", ""))
            if place:
                x, scale = int(place[1]), float(place[2])
                assert -160 * scale < x < BOX_WIDTH


def test_a_box_shows_three_to_seven_things():
    def things(items):
        return len(re.findall(r"<clipPath", box_svg("b", items)))

    assert things([]) == 3
    assert things(["a", "b", "c", "d"]) == 4
    assert things([str(n) for n in range(12)]) == 7


def test_the_tallest_thing_stands_at_two_thirds_of_the_width():
    box = box_svg("b", [("a", "cup"), ("b", "biscuit-box"), ("c", "bottle"), ("d", "squat-tin")])
    places = {
        body: int(x)
        for x, body in re.findall(r'translate\((\d+) .*?<clipPath id="\w+"><path d="([^"]+)"', box)
    }
    order = sorted(places, key=places.__getitem__)
    assert order[2] == SILHOUETTES["bottle"].body


def test_every_accident_happens_and_never_two_at_once():
    marks = {
        "lid": "rotate(-8",
        "crumb": "q1-7 8-6t7 6z",
        "steam": "q-9-11 0-21t0-21",
        "spoon": "q-4-20 12-24 12 9-2 26z",
        "tag": "l13 8-4 30-24-3 3-28z",
    }
    seen = [[name for name in ACCIDENTS if marks[name] in box] for box in boxes(120)]
    assert {len(accidents) for accidents in seen} == {1}
    assert {name for accidents in seen for name in accidents} == set(ACCIDENTS)


def test_the_alternative_text_is_spoken_and_cannot_break_out():
    picture = parsed(product_svg("x", alt='A "tin" & <more>'))
    assert picture.get("role") == "img"
    assert picture.get("aria-label") == 'A "tin" & <more>'


def test_a_picture_without_text_is_hidden_from_screen_readers():
    assert parsed(box_svg("x")).get("aria-hidden") == "true"
