"""Choosing four of twelve in a real browser: on a phone, wide, and without any script."""

from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.serving import make_server

from storefront.domain.choices import Rule
from storefront.models import BoxChoiceItem, Product, ProductVariant, Subscription
from storefront.runtime import Runtime
from storefront.services.packing import Ingredient, save_recipe
from storefront.testing.factories import (
    make_customer,
    make_plan,
    make_subscription,
    make_variant,
)
from tests.browser.test_account import ADA, fits, sign_in

if TYPE_CHECKING:
    from tests.support.databases import Database, Databases

TEAS = (
    "Spring Sencha",
    "Malty Assam",
    "Muscatel Darjeeling",
    "Iron Oolong",
    "Roasted Kukicha",
    "Little Pu-erh",
    "Bergamot Grey",
    "Frost Nilgiri",
    "Azores White",
    "Garden Peppermint",
    "Cederberg Rooibos",
    "Dark Barley",
)


@pytest.fixture
def database(databases: "Databases", tmp_path: Path) -> "Database":
    """SQLite only: what a browser shows does not depend on the kind."""
    return databases.sqlite(tmp_path)


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    plan = make_plan(rt)
    pool = [make_variant(rt, name=name, on_hand=0 if name == TEAS[2] else 40) for name in TEAS]
    items = [Ingredient(one.public_id, 1, is_choice=True) for one in pool]
    save_recipe(rt, plan.public_id, None, "", items, rule=Rule(4))
    return make_subscription(rt, plan=plan, customer=make_customer(rt, email=ADA))


@pytest.fixture
def site(app: Flask, sub: Subscription) -> Iterator[str]:
    """The address of a server with Ada's subscription."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    app.config["SERVER_NAME"] = f"127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(params=[(360, True), (1280, True), (360, False)], ids=["phone", "wide", "bare"])
def page(request: pytest.FixtureRequest, chromium: Any, site: str) -> Iterator[Any]:
    """A page; the console must stay silent."""
    width, has_script = request.param
    context = chromium.new_context(
        viewport={"width": width, "height": 740},
        java_script_enabled=has_script,
        base_url=site,
        locale="en-GB",
    )
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    yield page
    context.close()
    # A refused form is an answer like any other, only the console calls it an error.
    assert [text for text in problems if "422" not in text] == []


def test_four_of_twelve_are_chosen_with_the_thumb(
    rt: Runtime, page: Any, request: pytest.FixtureRequest
) -> None:
    sign_in(rt, page)
    page.get_by_role("link", name="Choose contents").first.click()
    page.get_by_role("heading", level=1).wait_for()
    has_script = "bare" not in request.node.name
    assert page.get_by_role("checkbox").count() == len(TEAS)
    assert page.get_by_role("checkbox", name=TEAS[2]).is_disabled()
    assert fits(page)

    for name in (TEAS[0], TEAS[3], TEAS[4], TEAS[9]):
        page.get_by_text(name, exact=True).click()
    if has_script:
        page.get_by_text("4 of 4 chosen").wait_for()
        page.get_by_text(TEAS[1], exact=True).click()
        assert not page.get_by_role("checkbox", name=TEAS[1]).is_checked()
    else:
        page.get_by_text(TEAS[1], exact=True).click()
        page.get_by_role("button", name="Save my box").click()
        page.get_by_text("Take 1 out.").first.wait_for()
        assert page.get_by_role("checkbox", name=TEAS[9]).is_checked()
        page.get_by_text(TEAS[1], exact=True).click()
    page.get_by_role("button", name="Save my box").click()

    page.get_by_text("Saved. You can change it until").first.wait_for()
    chosen = sa.select(Product.name).join(ProductVariant).join(BoxChoiceItem)
    assert set(rt.session.scalars(chosen)) == {TEAS[0], TEAS[3], TEAS[4], TEAS[9]}
    rt.session.rollback()


def test_the_keyboard_alone_is_enough(rt: Runtime, page: Any) -> None:
    sign_in(rt, page)
    page.get_by_role("link", name="Choose contents").first.click()
    page.get_by_role("heading", level=1).wait_for()

    page.get_by_role("checkbox", name=TEAS[0]).focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.get_by_role("button", name="Save my box").focus()
    page.keyboard.press("Enter")

    page.get_by_text("Saved. We add 2 for you").first.wait_for()
