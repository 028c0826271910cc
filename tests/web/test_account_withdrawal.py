"""What a subscriber reads of the right to withdraw, and of what was declared about a contract."""

import re

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.models import Customer, Product, Subscription
from storefront.runtime import Runtime
from storefront.testing import factories as make
from tests.support.visitor import Visitor, customer_with_password, text_of

ADA = "ada@example.org"


@pytest.mark.parametrize(("country", "may"), [("DE", True), ("CH", False)])
def test_a_box_names_what_nobody_may_withdraw_from_where_the_law_gives_the_right(
    rt: Runtime, app: Flask, country: str, *, may: bool
) -> None:
    customer = rt.session.get(Customer, customer_with_password(rt, ADA))
    assert customer is not None
    rt.session.expunge(customer)
    rt.session.rollback()
    plan = make.make_plan(rt)
    things = [make.make_variant(rt, name=name) for name in ("Kukicha", "Mango", "Balm")]
    make.make_recipe(rt, plan, variants=things)
    make.make_subscription(rt, plan=plan, customer=customer)
    make.make_shop(rt, countries=[country])
    for name, reason in (("Mango", "perishable"), ("Balm", "sealed")):
        named = sa.update(Product).where(Product.name == name)
        rt.session.execute(named.values(no_withdrawal=reason))
    rt.session.commit()

    page = Visitor.of(app).sign_in(ADA).get("/account/").text

    words = "No right of withdrawal: Mango (spoils quickly) and Balm (sealed: not once it was"
    assert "Kukicha" in page
    assert (words in page) is may


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    customer = rt.session.get(Customer, customer_with_password(rt, ADA))
    assert customer is not None
    rt.session.expunge(customer)
    rt.session.rollback()
    plan = make.make_plan(rt, group=make.make_group(rt, cycles=6))
    make.make_recipe(rt, plan)
    return make.make_subscription(rt, plan=plan, customer=customer)


def declare(app: Flask, path: str, sub: Subscription, **values: str) -> None:
    """Send the form of a page about contracts without having signed in."""
    anybody = Visitor.of(app)
    once = re.search(r'name="once"[^>]*value="([^"]+)"', anybody.get(path).text)
    assert once
    own = {"name": "Ada", "email": ADA, "contract": sub.public_id, "once": once[1]}
    anybody.post(path, step="send", **own, **values)


def test_the_account_says_why_a_withdrawn_subscription_is_on_hold(
    app: Flask, sub: Subscription
) -> None:
    declare(app, "/contracts/withdraw", sub)

    ada = Visitor.of(app).sign_in(ADA)
    for path in ("/account/", f"/account/subscriptions/{sub.public_id}"):
        page = text_of(ada.get(path).text)
        assert "we got a declaration to withdraw from this contract" in page, path
        assert "nothing is charged and no box is sent" in page, path
        assert "looking into a payment. No box" not in page, path


@pytest.mark.parametrize(
    ("wished", "said"),
    [
        ("1.1.2028", "to end this contract on Sat 1 January 2028. We are looking at it"),
        ("01/03/2027", "we got a declaration to end this contract ."),
    ],
)
def test_an_end_that_was_declared_stands_on_the_subscriptions_page(
    app: Flask, sub: Subscription, wished: str, said: str
) -> None:
    path = f"/account/subscriptions/{sub.public_id}"
    ada = Visitor.of(app).sign_in(ADA)
    assert "declaration" not in ada.get(path).text

    declare(app, "/contracts/end", sub, how="ordinary", wished_on=wished)

    assert said.replace(" .", ".") in text_of(ada.get(path).text)
