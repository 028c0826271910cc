"""An order that ran out comes back whole, and what is not sold any more is named."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from storefront.models import Checkout, Plan
from storefront.runtime import Runtime
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.orders import count
from tests.support.shopper import Shopper, place


@pytest.fixture
def pot(rt: Runtime) -> Plan:
    return make.make_plan(rt, code="pot", name="Pot")


@pytest.fixture
def tea(rt: Runtime, pot: Plan) -> Plan:
    plan = make.make_plan(rt, code="tea", name="Leaf club", amount_minor=1900)
    make.make_options(rt, plan, choices=(("bitter", "Bitter", 0), ("sweet", "Sweet", 0)))
    return plan


@pytest.fixture
def ada(pot: Plan, tea: Plan, client: FlaskClient, demo_gateway: DemoGateway) -> Shopper:
    """A shopper with two boxes and an address in an order that is about to run out."""
    ada = Shopper(client, demo_gateway)
    ada.begin()
    ada.deliver()
    form = ada.get(f"{ada.at('add')}?plan=tea").text
    version = re.search(r'name="version" value="(\d+)"', form)
    assert version is not None
    answer = {"option-taste": "sweet"}
    added = ada.post(ada.at("add"), plan="tea", step="box", version=version[1], **answer)
    assert place(added) == "pay"
    return ada


def expire(rt: Runtime) -> None:
    rt.session.execute(sa.update(Checkout).values(state="expired"))
    rt.session.commit()


def archive(rt: Runtime, *plans: Plan) -> None:
    keys = [plan.id for plan in plans]
    rt.session.execute(sa.update(Plan).where(Plan.id.in_(keys)).values(archived_at=rt.now()))
    rt.session.commit()


def fields(page: str) -> dict[str, str]:
    """Return what a browser sends of the form of step 1: what is hidden or ticked."""
    form = page[page.index('id="box-form"') :]
    found = {}
    for tag in re.findall(r"<input[^>]+>", form[: form.index("</form>")]):
        said = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if said["type"] == "hidden" or re.search(r"\bchecked\b", tag):
            found[said["name"]] = said["value"]
    return found


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def newest(rt: Runtime) -> Checkout:
    rt.session.expire_all()
    row = rt.session.scalars(sa.select(Checkout).order_by(Checkout.id.desc())).first()
    assert row is not None
    rt.session.expunge(row)
    rt.session.rollback()
    return row


def go_on(ada: Shopper, path: str) -> str:
    """Continue from the first step; returns where that leads."""
    page = ada.get(path).text
    done = ada.post("/checkout", **fields(page))
    ada.key = done.location.split("/")[-2]
    return place(done)


def test_all_boxes_of_an_expired_order_come_back_with_their_answers_and_the_address(
    rt: Runtime, ada: Shopper
) -> None:
    expire(rt)
    again = ada.get(ada.at("pay"))
    assert again.status_code == 303
    page = ada.get(again.location).text
    assert "Your boxes are still here: start again." in page
    assert "Leaf club" in text_of(page)
    assert count(rt, Checkout) == 1

    assert go_on(ada, again.location) == "delivery"

    row = newest(rt)
    assert (row.state, row.address["city"], row.email) == ("open", "Jena", "ada@example.org")
    assert [one["options"] for one in row.more] == [{"taste": "sweet"}]
    review = text_of(ada.get(ada.at("pay")).text)
    assert "€45.00" in review
    assert "Sweet" in review


@pytest.mark.parametrize("gone", ["first", "second"])
def test_what_is_not_sold_any_more_is_named_and_the_rest_comes_back(
    rt: Runtime, ada: Shopper, pot: Plan, tea: Plan, gone: str
) -> None:
    archive(rt, pot if gone == "first" else tea)
    expire(rt)
    again = ada.get(ada.at("delivery"))
    page = ada.get(again.location).text
    name = "Pot" if gone == "first" else "Leaf club"
    assert f"Not sold any more: {name}." in page
    assert "The rest is still here: start again." in page

    go_on(ada, again.location)

    row = newest(rt)
    assert (row.plan_id, row.more) == ((tea if gone == "first" else pot).id, [])
    assert row.options == ({"taste": "sweet"} if gone == "first" else {})


def test_where_nothing_of_it_is_sold_the_plans_are_shown(
    rt: Runtime, ada: Shopper, pot: Plan, tea: Plan
) -> None:
    archive(rt, pot, tea)
    expire(rt)
    again = ada.get(ada.at("pay"))
    assert again.location.endswith("/")
    page = ada.get(again.location).text
    assert "We kept your order for two hours. Not sold any more: Pot and Leaf club." in page


def test_a_click_on_an_order_that_just_ran_out_leads_to_it_again(rt: Runtime, ada: Shopper) -> None:
    ada.get(ada.at("box"))
    expire(rt)
    again = ada.post(ada.at("box"), step="box")
    assert "again=" in again.location
    assert "still here" in ada.get(again.location).text


def test_the_address_stays_with_the_browser_that_typed_it(
    rt: Runtime, app: Flask, ada: Shopper, demo_gateway: DemoGateway
) -> None:
    expire(rt)
    stranger = Shopper(app.test_client(), demo_gateway)
    go_on(stranger, ada.get(ada.at("pay")).location)
    row = newest(rt)
    assert (len(row.more), row.address, row.email) == (1, {}, "")


@pytest.mark.parametrize("state", ["open", "paying", "done"])
def test_only_an_expired_order_lends_its_boxes(rt: Runtime, ada: Shopper, state: str) -> None:
    rt.session.execute(sa.update(Checkout).values(state=state))
    rt.session.commit()
    for key in (ada.key, "chk_nothing", "x"):
        go_on(ada, f"/checkout?plan=pot&again={key}")
        assert newest(rt).more == []
