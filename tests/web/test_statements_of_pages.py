"""How many statements the pages that are asked for most send, however much there is to show."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from storefront.extensions import db
from storefront.models import Announcement, Customer, Plan
from storefront.runtime import Runtime
from storefront.testing import factories as make
from tests.support.statements import counting
from tests.support.visitor import Visitor, customer_with_password

ADA = "ada@example.org"
#: Of the account's first page: who it is and the shop, four for boxes and payments.
#: What hangs on the catalogue alone is kept; what else there is to say is asked along.
ACCOUNT_HOME = 6


def asked(visitor: Visitor | FlaskClient, path: str) -> int:
    """Return the number of statements behind a page that was asked for before."""
    assert visitor.get(path).status_code == 200
    with counting() as seen:
        assert visitor.get(path).status_code == 200
    return len([one for one in seen if not one.startswith(("PRAGMA", "BEGIN", "SAVEPOINT"))])


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    plan = make.make_plan(rt)
    teas = [make.make_variant(rt, name=name) for name in ("Kukicha", "Earl Grey")]
    make.make_recipe(rt, plan, variants=teas)
    return plan


@pytest.fixture
def ada(rt: Runtime) -> Customer:
    key = customer_with_password(rt, ADA)
    customer = rt.session.get(Customer, key)
    assert customer is not None
    rt.session.expunge(customer)
    rt.session.rollback()
    return customer


def test_the_account_asks_the_same_for_one_subscription_and_for_five(
    rt: Runtime, app: Flask, plan: Plan, ada: Customer
) -> None:
    make.make_subscription(rt, plan=plan, customer=ada)
    visitor = Visitor.of(app).sign_in(ADA)
    assert asked(visitor, "/account/") == ACCOUNT_HOME
    for _ in range(4):
        make.make_subscription(rt, plan=plan, customer=ada)
    assert asked(visitor, "/account/") == ACCOUNT_HOME


def test_who_has_no_subscription_is_told_the_news_all_the_same(
    rt: Runtime, app: Flask, ada: Customer
) -> None:
    make.make_shop(rt)
    visitor = Visitor.of(app).sign_in(ADA)
    assert "We moved" not in visitor.get("/account/").text
    day = rt.today()
    rt.session.add(
        Announcement(
            public_id="ann_1",
            texts={"en": {"title": "We moved"}},
            from_on=day,
            until_on=day,
            created_at=rt.now(),
        )
    )
    rt.session.commit()
    assert "We moved" in visitor.get("/account/").text


def test_the_pricing_page_asks_three_times_when_made_anew_and_once_when_kept(
    rt: Runtime, app: Flask, client: FlaskClient, plan: Plan
) -> None:
    make.make_plan(rt, code="pot", name="Pot")
    assert client.get("/").status_code == 200
    app.extensions.pop("storefront_pricing_pages")
    with counting() as anew:
        client.get("/")
    assert len([one for one in anew if "SELECT" in one]) == 3
    assert asked(client, "/") == 1
    db.session.rollback()
