"""What a merchant sets becomes a look that can be read, whatever colour is typed."""

import pytest

from storefront.domain.colours import contrast, hex_of, oklch_of, rgb_of
from storefront.domain.look import Look, NotAColour, NotALook, correction, look_of, read_colour


@pytest.mark.parametrize("typed", ["", "#12", "#12345", "blue", "#ggg", "#1234567", "##123456"])
def test_what_is_no_colour_is_refused(typed):
    with pytest.raises(NotAColour):
        read_colour(typed)


@pytest.mark.parametrize("colour", [(39, 76, 147), (255, 204, 0), (0, 0, 0), (255, 255, 255)])
def test_a_colour_comes_back_from_its_lightness_chroma_and_hue(colour):
    assert rgb_of(*oklch_of(colour)) == pytest.approx(colour, abs=1)


def test_a_grey_has_no_hue():
    assert oklch_of((120, 120, 120))[1:] == (0, 0)
    assert Look().with_colours("#777", "#e87e34").brand_chroma == 0


def test_a_typed_colour_keeps_its_hue():
    look = Look().with_colours("#ffcc00", "#1d9999")
    assert (look.brand_hue, look.accent_hue) == (90, 195)


def test_what_is_shown_already_changes_nothing_when_it_is_sent_back():
    # Of a strength no screen shows: read from the screen it would be another.
    look = Look(brand_hue=150, brand_chroma=300, accent_hue=200, accent_chroma=280)
    assert look.with_colours(look.main, look.second) == look


@pytest.mark.parametrize("typed", ["#ffcc00", "#ffffff", "#00ff00", "#ff69b4"])
def test_a_colour_on_which_words_cannot_be_read_is_made_darker_and_says_so(typed):
    look = Look().with_colours(typed, "#e87e34")
    found = correction(typed, look)
    assert found is not None
    assert found.was_unreadable
    assert found.after >= 4.5
    assert found.shown == look.main != typed


def test_a_colour_that_can_be_read_is_corrected_without_alarm():
    found = correction("#002b80", Look().with_colours("#002b80", "#e87e34"))
    assert found is not None
    assert not found.was_unreadable


def test_our_own_colour_needs_no_correction():
    assert correction("#274C93", Look()) is None


@pytest.mark.parametrize(
    "values",
    [
        {"brand_hue": 361},
        {"accent_chroma": 301},
        {"brand_hue": -1},
        {"paper": "blue"},
        {"heading": "x"},
        {"corners": ""},
        {"spacing": "wide"},
    ],
)
def test_a_look_that_no_page_offers_is_refused(values):
    with pytest.raises(NotALook):
        Look(**values)


def test_a_look_is_stored_and_read_back_whole():
    look = Look(1, 2, 3, 4, "cool", "sans", "round", "close")
    assert look_of({**look.values(), "name": "of another column"}) == look


def test_contrast_is_the_same_both_ways():
    assert contrast((255, 255, 255), (39, 76, 147)) == contrast((39, 76, 147), (255, 255, 255))
    assert hex_of((1, 2, 255)) == "#0102ff"
