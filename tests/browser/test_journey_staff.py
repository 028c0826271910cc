"""A day at the desk: what is due, a subscriber, a cycle with its file, messages, a price."""

import csv
import io

import pytest

from storefront.demo.catalogue import PASSWORD, STAFF
from tests.browser.people import sign_in_as_owner, subscribe
from tests.browser.support import DESK, PHONE, Visitor

pytestmark = pytest.mark.browser

LOOKS = [
    pytest.param(PHONE, True, id="phone"),
    pytest.param(DESK, True, id="desk"),
    pytest.param(DESK, False, id="without-script"),
]


@pytest.fixture
def packed(chromium, live, clock):
    """The shop with Ada's first box locked and exported by the worker."""
    with Visitor(chromium, live) as ada:
        subscribe(ada)
    clock.advance(days=14)
    live.tick()
    return live


@pytest.mark.parametrize(("size", "script"), LOOKS)
def test_a_day_at_the_desk(chromium, packed, size, script):
    with Visitor(chromium, packed, size, script=script) as greta:
        sign_in_as_owner(greta)
        find_ada(greta)
        take_the_list(greta)
        pack(greta)
        read_a_mail(greta)
        raise_a_price(greta)
        greta.page.locator("header details summary").last.click()
        greta.press("Sign out")
        greta.see("Staff sign-in")
    with Visitor(chromium, packed) as bob:
        bob.go("/plans/pot", "Pot")
        bob.says("€27.50")


def find_ada(greta):
    search = greta.page.get_by_role("searchbox", name="Search name")
    search.fill("ada@exa")
    search.press("Enter")
    page = greta.see("Ada Lovelace")
    assert "Being packed" in page
    assert "€26.00" in page
    assert "Thu 18 March" in page


def take_the_list(greta):
    greta.go("/admin/subscribers", "Subscribers")
    # One after the other, without a new page in between.
    for what, begins in (("CSV", b"\xef\xbb\xbfsubscription,"), ("Excel", b"PK")):
        with greta.page.expect_download() as loading:
            greta.page.get_by_role("button", name=f"Download as {what}").click()
        assert loading.value.path().read_bytes().startswith(begins)


def pack(greta):
    greta.go("/admin/cycles", "Boxes")
    greta.page.locator("main th a").filter(has_text="March").first.click()
    board = greta.see("March")
    assert "Locked" in board
    assert "1 batch" in board
    with greta.page.expect_download() as loading:
        greta.page.locator("main table a[href$='/file']").click()
    text = loading.value.path().read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 1
    assert "Ada Lovelace" in rows[0].values()
    assert "07743" in rows[0].values()


def read_a_mail(greta):
    greta.go("/admin/outbox", "Messages")
    greta.follow("Order confirmed")
    assert "ada@example.org" in greta.see()
    greta.page.locator("main iframe, main article, main .card").first.wait_for()


def raise_a_price(greta):
    greta.go("/admin/plans", "Plans")
    greta.follow("Pot")
    greta.see("Pot")
    form = greta.page.locator("#prices form").first
    form.get_by_label("Monthly").fill("27,5x")
    form.get_by_role("button", name="Change").click()
    greta.says("Enter an amount like")
    assert "27,5x" in [each.input_value() for each in greta.page.locator("#prices input").all()]
    form.get_by_label("Monthly").fill("27.50")
    form.get_by_role("button", name="Change").click()
    greta.says("€27.50")
    page = greta.see("Pot")
    assert "Earlier prices" in page


#: The pages of the menu and those behind their buttons, below /admin/.
PAGES = [
    *["", "subscribers", "subscribers?q=nobody", "plans", "plans/new", "cycles", "cycle-groups"],
    *["cycle-groups/new", "products", "imports", "recipes", "codes", "codes/new", "outbox"],
    *["jobs", "settings", "log", "hold-charging", "design"],
]


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_every_page_of_the_desk_is_whole(chromium, packed, size):
    with Visitor(chromium, packed, size) as greta:
        sign_in_as_owner(greta)
        for path in PAGES:
            greta.go(f"/admin/{path}")
        for path in ("subscribers", "cycles", "products", "recipes", "outbox", "codes"):
            greta.go(f"/admin/{path}")
            greta.page.locator("main th a, main li a").locator("visible=true").first.click()
            greta.see()


def test_a_wrong_password_keeps_the_name_and_says_so(chromium, live):
    with Visitor(chromium, live, script=False) as greta:
        greta.go("/admin/plans", "Staff sign-in")
        greta.fill({"E-mail": STAFF[0].email, "Password": PASSWORD[::-1]})
        greta.press("Sign in")
        greta.see("Staff sign-in")
        assert greta.page.input_value("[name=email]") == STAFF[0].email
        assert greta.page.locator(".error-summary").is_visible()
        greta.fill({"Password": PASSWORD})
        greta.press("Sign in")
        greta.see("Plans")


def test_a_packer_sees_boxes_and_no_money(chromium, packed):
    with Visitor(chromium, packed) as jonas:
        jonas.go("/admin/", "Staff sign-in")
        jonas.fill({"E-mail": STAFF[1].email, "Password": PASSWORD})
        jonas.press("Sign in")
        jonas.link("Boxes").wait_for()
        page = jonas.see()
        assert "Promotion codes" not in page
        jonas.guard.expect("403")
        jonas.guard.expect("404")
        jonas.page.goto("/admin/codes")
        assert "LEMON" not in jonas.see()
