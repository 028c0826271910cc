"""How the shop looks is tried beside the form, saved for all its pages and mails, and undone."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from storefront.domain.look import OURS, Look
from storefront.models import ShopLook
from storefront.pictures import NINE_KETTLES, palette_of
from storefront.runtime import Runtime
from storefront.services import look as service
from storefront.testing import factories as make
from tests.support.admin import Desk, desk
from tests.support.brands import MARGIN_AND_MOSS, MOSS_TYPED, WORDS

SAVE = {**MOSS_TYPED, "save": "1"}


@pytest.fixture
def owner(app: Flask, rt: Runtime) -> Desk:
    browser = desk(app, rt)
    browser.get("/admin/look")
    return browser


def stylesheet(page: str) -> str:
    """Return the address of the look's stylesheet, empty for a page that looks as ours."""
    found = re.search(r'href="(/assets/[0-9a-f]+/brand/[^"]+)"', page)
    return found[1] if found else ""


def worn(rt: Runtime) -> Look:
    rt.forget_shop()
    return rt.shop.look


def frames(page: str) -> list[str]:
    return [url.replace("&amp;", "&") for url in re.findall(r'<iframe[^>]*src="([^"]+)"', page)]


def test_a_second_brand_is_made_in_the_admin_and_worn_by_the_shop(rt: Runtime, owner: Desk) -> None:
    assert stylesheet(owner.client.get("/").text) == ""
    owner.post("/admin/settings/shop", WORDS)
    assert owner.post("/admin/look", SAVE).status_code == 303
    assert worn(rt) == MARGIN_AND_MOSS
    page = owner.client.get("/").text
    assert "Margin &amp; Moss" in page
    answer = owner.client.get(stylesheet(page))
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.text == (
        ":root{--brand-h:135;--brand-c:0.085;--accent-h:345;--accent-c:0.12;"
        "--paper-h:85;--paper-c:0;--font-head:var(--font-text);"
        "--r-1:0px;--r-2:0px;--r-3:0px;--air:1.3}"
    )


def test_the_admin_never_wears_it(owner: Desk) -> None:
    owner.post("/admin/look", SAVE)
    for path in ("/admin/look", "/admin/settings"):
        assert stylesheet(owner.get(path).text) == ""


@pytest.mark.parametrize("partial", [True, False])
def test_a_draft_is_shown_and_nothing_is_saved(rt: Runtime, owner: Desk, partial: bool) -> None:
    page = owner.post("/admin/look", MOSS_TYPED, partial=partial)
    assert page.status_code == 200
    assert ("<html" in page.text) != partial
    assert "Not saved yet. Nobody but you sees it." in page.text
    assert worn(rt) == OURS
    assert stylesheet(owner.client.get("/").text) == ""
    for url in frames(page.text):
        sample = owner.get(url)
        assert "135-0.085-345-0.12-grey-sans-square-airy" in stylesheet(sample.text)


def test_the_sample_stands_in_a_frame_of_the_admin_and_of_nobody_else(owner: Desk) -> None:
    page = owner.get("/admin/look")
    assert "frame-src 'self'" in page.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    light, dark = (owner.get(url) for url in frames(page.text))
    assert "frame-ancestors 'self'" in light.headers["Content-Security-Policy"]
    assert 'data-theme="light"' in light.text
    assert 'data-theme="dark"' in dark.text
    assert "frame-src" not in owner.client.get("/").headers["Content-Security-Policy"]


def test_a_colour_that_hides_words_is_made_darker_and_the_page_says_so(
    rt: Runtime, owner: Desk
) -> None:
    page = owner.post("/admin/look", {**MOSS_TYPED, "main_colour": "#ffcc00"}, partial=True).text
    assert "White words on #ffcc00 would reach 1.51:1, and 4.5:1 is needed." in page
    assert "too little" not in page
    assert owner.post("/admin/look", {**SAVE, "main_colour": "#ffcc00"}).status_code == 303
    assert worn(rt).brand_hue == 90


def test_every_pair_is_measured_in_light_and_dark(owner: Desk) -> None:
    page = owner.get("/admin/look").text
    rows = re.findall(r'<tr><th scope="row">([^<]+)</th>.*?</tr>', page)
    assert len(rows) == 12
    assert page.count(':1</b> <span class="text-positive">good</span>') == 24
    assert '<b class="number">8.26:1</b>' in page


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"main_colour": "moss"}, "Enter a colour like #274c93"),
        ({"second_colour": ""}, "Enter a colour"),
        ({"paper": "blue"}, "Choose one from the list"),
        ({"corners": ""}, "Choose one from the list"),
    ],
)
def test_what_cannot_be_a_look_is_kept_as_typed_with_the_reason(
    rt: Runtime, owner: Desk, wrong: dict[str, str], words: str
) -> None:
    page = owner.post("/admin/look", {**SAVE, **wrong}, partial=True)
    assert page.status_code == 422
    assert words in page.text
    assert 'value="#823564"' in page.text or "second_colour" in wrong
    assert worn(rt) == OURS


def test_the_look_before_and_the_first_one_come_back(rt: Runtime, owner: Desk) -> None:
    owner.post("/admin/look", SAVE)
    owner.post("/admin/look", {**SAVE, "corners": "round"})
    refs = re.findall(r'name="ref" value="([^"]*)"', owner.get("/admin/look").text)
    assert len(refs) == 3, "the look before, the one before that, and our own"
    assert owner.post("/admin/look/back", {"ref": refs[0]}).status_code == 303
    assert worn(rt) == MARGIN_AND_MOSS
    assert owner.post("/admin/look/back", {"ref": ""}).status_code == 303
    assert worn(rt) == OURS
    assert owner.post("/admin/look/back", {"ref": "look_unknown"}).status_code == 404


def test_only_the_last_looks_are_kept(rt: Runtime, owner: Desk) -> None:
    for hue in range(service.KEPT + 5):
        digits = f"{hue * 9:02x}"
        owner.post("/admin/look", {**SAVE, "main_colour": f"#20{digits}40"})
    assert rt.session.query(ShopLook).count() == service.KEPT
    rt.session.rollback()
    rt.forget_shop()
    assert len(service.past_looks(rt)) == service.KEPT - 1


def test_saving_what_is_set_changes_nothing(rt: Runtime, owner: Desk) -> None:
    owner.post("/admin/look", SAVE)
    rt.forget_shop()
    version = rt.shop.catalogue_version
    again = owner.post("/admin/look", SAVE, partial=True)
    assert "Nothing to save" in again.text
    rt.forget_shop()
    assert rt.shop.catalogue_version == version


@pytest.mark.parametrize(
    "query",
    [
        "",
        "theme=light",
        (
            "theme=light&brand_hue=x&brand_chroma=1&accent_hue=1&accent_chroma=1&paper=warm"
            "&heading=serif&corners=soft&spacing=even"
        ),
        (
            "theme=blue&brand_hue=1&brand_chroma=1&accent_hue=1&accent_chroma=1&paper=warm"
            "&heading=serif&corners=soft&spacing=even"
        ),
    ],
)
def test_a_sample_of_nothing_is_not_there(owner: Desk, query: str) -> None:
    assert owner.get(f"/admin/look/sample?{query}").status_code == 404


def test_only_who_may_change_settings_sees_or_saves_it(
    app: Flask, rt: Runtime, owner: Desk
) -> None:
    support = desk(app, rt, "support")
    sample = frames(owner.get("/admin/look").text)[0]
    for path in ("/admin/look", sample):
        assert support.get(path).status_code == 403
    for path in ("/admin/look", "/admin/look/back"):
        assert support.post(path, SAVE).status_code == 403
    assert worn(rt) == OURS
    assert owner.client.get("/").status_code == 200
    assert app.test_client().get(sample).status_code in {303, 401}


def test_pictures_are_drawn_in_the_colours_of_the_shop(rt: Runtime, owner: Desk) -> None:
    make.make_plan(rt, code="pot", name="Pot")
    drawn = re.compile(r'<figure class="still-life">.*?</figure>', re.DOTALL)
    before = "".join(drawn.findall(owner.client.get("/").text))
    assert any(colour in before for colour in NINE_KETTLES.fills)

    owner.post("/admin/look", SAVE)

    after = "".join(drawn.findall(owner.client.get("/").text))
    assert any(colour in after for colour in palette_of(MARGIN_AND_MOSS).fills)
    assert not any(colour in after for colour in NINE_KETTLES.fills)
