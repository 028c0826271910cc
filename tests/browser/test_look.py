"""A shop is given another brand in the admin: tried with and without the script, then worn."""

import pytest

from tests.browser.axe import axe_findings
from tests.browser.people import sign_in_as_owner
from tests.browser.support import DESK, PHONE, LiveShop, Visitor
from tests.support.brands import MOSS_TYPED

pytestmark = pytest.mark.browser

_ACTION = "getComputedStyle(document.querySelector('.button.filled')).backgroundColor"
_RADIUS = "getComputedStyle(document.querySelector('.card')).borderTopLeftRadius"
_HEADING = "getComputedStyle(document.querySelector('h1')).fontFamily"


def fill_in(mia: Visitor) -> None:
    mia.fill(
        {"Main colour": MOSS_TYPED["main_colour"], "Second colour": MOSS_TYPED["second_colour"]}
    )
    for choice in ("Grey", "Without serifs", "Square", "Airy"):
        mia.choose(choice)


def test_a_change_is_shown_at_once_and_worn_by_the_shop_once_saved(
    chromium, live: LiveShop
) -> None:
    with Visitor(chromium, live, DESK) as mia, Visitor(chromium, live, PHONE) as ada:
        sign_in_as_owner(mia)
        mia.go("/admin/look", "Look of the shop")
        sample = mia.page.frame_locator("#sample-light")
        fill_in(mia)
        mia.says("Not saved yet. Nobody but you sees it.")
        sample.locator("link[href*='grey-sans-square-airy']").wait_for(state="attached")
        assert mia.page.get_by_label("Airy").is_checked()
        ada.go("/")
        ours = [ada.page.evaluate(one) for one in (_ACTION, _RADIUS, _HEADING)]
        mia.press("Save the look")
        mia.says("Saved.")
        ada.go("/")
        theirs = [ada.page.evaluate(one) for one in (_ACTION, _RADIUS, _HEADING)]
        assert [one for one, other in zip(ours, theirs, strict=True) if one == other] == []
        assert theirs[1] == "0px"
        assert axe_findings(mia.page) == []


def test_the_button_pressed_right_after_typing_saves_what_was_typed(
    chromium, live: LiveShop
) -> None:
    with Visitor(chromium, live, DESK) as mia:
        sign_in_as_owner(mia)
        mia.go("/admin/look", "Look of the shop")
        box = mia.page.get_by_label("Main colour")
        box.click()
        box.press("Control+A")
        box.press_sequentially(MOSS_TYPED["main_colour"])
        # Leaving the field asks for the preview while the mouse is on the button already.
        mia.page.get_by_role("button", name="Save the look").click()
        mia.says("Saved.")
        mia.go("/admin/look", "Look of the shop")
        mia.says("This is how the shop looks now.")
        assert mia.page.get_by_label("Main colour").input_value() != "#bc3a06"
        assert mia.page.get_by_text("since").count() > 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_second_brand_is_tried_and_saved_without_the_script_and_reads_well(
    chromium, live: LiveShop, scheme: str
) -> None:
    with Visitor(chromium, live, PHONE, script=False) as mia:
        sign_in_as_owner(mia)
        mia.go("/admin/look", "Look of the shop")
        fill_in(mia)
        mia.press("Show how it looks")
        mia.says("Not saved yet. Nobody but you sees it.")
        mia.press("Save the look")
        mia.says("This is how the shop looks now.")
    with Visitor(chromium, live, PHONE, color_scheme=scheme) as ada:
        for path in ("/", "/sign-in"):
            ada.page.goto(path)
            ada.see()
            assert axe_findings(ada.page) == []
