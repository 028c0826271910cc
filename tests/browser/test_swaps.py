"""Swapping a product in a real browser: on a phone, wide, and without any script."""

from typing import Any

import pytest
import sqlalchemy as sa

from storefront.models import BoxSwap, Product, ProductVariant, Subscription
from storefront.runtime import Runtime
from storefront.services.packing import Ingredient, save_recipe
from storefront.services.swaps import offer_swaps
from storefront.testing.factories import (
    make_customer,
    make_plan,
    make_subscription,
    make_variant,
)
from tests.browser.test_account import ADA, fits, sign_in
from tests.browser.test_choices import TEAS, database, page, site

__all__ = ["database", "page", "site"]


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    plan = make_plan(rt)
    teas = [
        make_variant(rt, name=name, on_hand=0 if name == TEAS[3] else 40, price_minor=800)
        for name in TEAS[:6]
    ]
    recipe = [Ingredient(one.public_id, 1) for one in teas[:3]]
    save_recipe(rt, plan.public_id, None, "", recipe)
    offer_swaps(rt, plan.public_id, [one.public_id for one in teas[3:]])
    return make_subscription(rt, plan=plan, customer=make_customer(rt, email=ADA))


def instead(rt: Runtime) -> list[tuple[str, bool]]:
    rows = rt.session.execute(
        sa.select(Product.name, BoxSwap.is_standing)
        .join(ProductVariant, ProductVariant.product_id == Product.id)
        .join(BoxSwap, BoxSwap.instead_id == ProductVariant.id)
    ).all()
    rt.session.rollback()
    return [tuple(row) for row in rows]


def test_a_tea_is_swapped_from_now_on_and_taken_back(rt: Runtime, page: Any, sub: Any) -> None:
    sign_in(rt, page)
    page.get_by_role("link", name="Swap something").first.click()
    page.get_by_role("heading", name="Box of", level=1).wait_for()
    assert fits(page)
    page.locator("summary", has_text=TEAS[0]).click()
    assert page.get_by_label(TEAS[3]).first.is_disabled()
    line = page.locator("li", has=page.locator("summary", has_text=TEAS[0]))
    line.get_by_label(TEAS[4]).check()
    line.get_by_label("From now on").check()
    assert fits(page)
    line.get_by_role("button", name="Swap").click()
    page.get_by_text(f"instead of {TEAS[0]}, from this box on").wait_for()
    assert fits(page)
    assert instead(rt) == [(TEAS[4], True)]

    page.get_by_role("button", name="Undo").first.click()
    page.locator("summary", has_text=TEAS[0]).wait_for()
    assert instead(rt) == []
