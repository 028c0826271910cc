"""A cycle as who packs goes through it: recipe, lock, check, file, papers, parcels."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pypdf import PdfReader

from storefront.models import Plan
from storefront.runtime import Runtime
from storefront.testing.factories import make_customer, make_subscription
from tests.browser.people import sign_in_as_owner
from tests.browser.support import DESK, PHONE, Visitor
from tests.support.availability import is_long

pytestmark = pytest.mark.browser

LOOKS = [
    pytest.param(PHONE, False, id="without-script"),
    pytest.param(PHONE, True, id="phone"),
    pytest.param(DESK, True, id="desk"),
]
#: What is seen is much the same, and each takes its time.
LOOKS = LOOKS if is_long() else LOOKS[:2]


def subscribe(rt: Runtime) -> None:
    """Let Ada have a Cup, whose recipe is fixed, from March on."""
    cup = rt.session.scalars(sa.select(Plan).where(Plan.code == "cup")).one()
    rt.session.expunge(cup)
    rt.session.rollback()
    ada = make_customer(rt, name="Ada Lovelace", email="ada@example.org")
    make_subscription(rt, plan=cup, customer=ada)


@pytest.mark.parametrize(("size", "script"), LOOKS)
def test_a_cycle_goes_from_its_recipe_to_its_batch(
    chromium: Any, live: Any, clock: Any, size: tuple[int, int], script: bool
) -> None:
    live.do(subscribe)
    with Visitor(chromium, live, size, script=script, accept_downloads=True) as greta:
        sign_in_as_owner(greta)
        board = open_march(greta)
        assert "standing recipe" in greta.see("March")
        chosen = write_recipe(greta)
        assert "own recipe" in greta.see("March")

        # After the lock day, before a worker comes by. She was signed in for twelve hours.
        clock.advance(days=14)
        sign_in_as_owner(greta)
        greta.page.goto(board)
        greta.press("Lock cycle")
        greta.says("Cycle locked. 1 box locked.")
        greta.follow("Check before export")
        greta.see("Check")
        greta.page.goto(board)
        greta.press("Export 1 box")
        greta.says("Exported 1 box in batch 1.")
        rows = list(csv.DictReader(io.StringIO(download(greta, "main table a[href$='/file']"))))
        assert [row["name"] for row in rows] == ["Ada Lovelace"]
        assert rows[0]["contents"].count(" x ") == 2
        greta.press("Check file")
        greta.says("made again: same bytes, 1 boxes.")

        look_at_papers(greta, chosen)
        greta.page.goto(board)
        greta.follow("Mark as shipped")
        greta.see("Batch 1")
        greta.fill({"Carrier": "DHL"})
        greta.press("Mark as shipped")
        greta.says("1 box is on its way.")
        assert "1 of 1" in greta.see("March")


def open_march(greta: Visitor) -> str:
    greta.go("/admin/cycles", "Boxes")
    greta.page.locator("main th a").filter(has_text="March").first.click()
    greta.see("March")
    return greta.page.url


def write_recipe(greta: Visitor) -> list[str]:
    """Put two products into March's Cup and go back to the cycle; returns their names."""
    greta.page.locator("#cycle-board ol a").filter(has_text="Cup").click()
    greta.see("Recipe of Cup")
    greta.says("Nothing is written for this cycle.")
    names = []
    for number in (1, 2):
        adding = greta.page.get_by_label("Add a product")
        option = adding.locator("option").nth(number).inner_text()
        names.append(option.rpartition(" (")[0])
        adding.select_option(index=number)
        greta.press("Add")
        greta.page.locator("#recipe-form tbody th").filter(has_text=names[-1]).wait_for()
    greta.press("Save recipe")
    greta.says("Recipe saved.")
    greta.see("Recipe of Cup")
    greta.follow("Cycle of March")
    return names


def look_at_papers(greta: Visitor, chosen: list[str]) -> None:
    """Make slips and labels, and read what is printed on them."""
    greta.follow("Papers")
    greta.see("Papers of batch 1")
    papers = greta.page.url
    greta.follow("Open pick list")
    page = greta.see("Pick list")
    assert all(name in page for name in chosen)
    for press, word in (("Make packing slips", "slips"), ("Make labels", "labels")):
        greta.page.goto(papers)
        greta.see("Papers of batch 1")
        greta.press(press)
        greta.says("Being made")
        greta.shop.tick()
        greta.page.goto(papers)
        greta.see("Papers of batch 1")
        link = greta.page.locator("#made li").filter(has_text=word).locator("a").first
        with greta.page.expect_download() as loading:
            link.click()
        path = Path(loading.value.path())
        pages = PdfReader(path).pages
        text = pages[0].extract_text()
        assert len(pages) == 1
        assert "Lindenweg 4" in text
        assert word == "labels" or all(name in text for name in chosen)


def download(greta: Visitor, link: str) -> str:
    with greta.page.expect_download() as loading:
        greta.page.locator(link).first.click()
    return Path(loading.value.path()).read_text(encoding="utf-8-sig")
