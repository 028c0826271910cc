"""A subscriber puts something into a box that is paid for, and pays it at once."""

import re

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.models import Consent, Customer, Invoice, OutboxMessage, Subscription
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import desk
from tests.support.changing import bring_card
from tests.support.visitor import Visitor, customer_with_password

ADA = "ada@example.org"


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    customer = rt.session.get(Customer, customer_with_password(rt, ADA))
    assert customer is not None
    rt.session.expunge(customer)
    rt.session.rollback()
    plan = make.make_plan(rt, code="pot", name="Pot", amount_minor=7500, count=3)
    return make.make_subscription(rt, plan=plan, customer=customer)


def fields(text: str) -> dict[str, str]:
    """Return the hidden fields of the form that pays."""
    form = text.partition('id="addon-now"')[2].partition("</form>")[0]
    return dict(re.findall(r'name="(addon|quantity|reach|shown|once)" value="([^"]*)"', form))


def totals(rt: Runtime) -> list[int]:
    found = list(rt.session.scalars(sa.select(Invoice.total_minor).order_by(Invoice.id)))
    rt.session.rollback()
    return found


@pytest.mark.parametrize("htmx", [False, True])
def test_the_price_is_clear_before_it_is_paid_and_a_mail_says_it_after(
    app: Flask, rt: Runtime, sub: Subscription, htmx: bool
):
    honey = make.make_addon(rt, 500, name="Honey", variant=make.make_variant(rt, on_hand=9))
    me, url = Visitor.of(app).sign_in(ADA), f"/account/subscriptions/{sub.public_id}/box"
    assert "only with the box of Thu 18 March" in me.get(url).text

    text = me.get(f"{url}?addon={honey.public_id}&quantity=2&reach=next").text
    for said in ("€10.00", "Visa ending 4242", "leaves on Thu 18 March", "Pay €10.00 now"):
        assert said in text
    sent = fields(text)
    for _click in range(2):
        answer = me.post(f"{url}/now", htmx=htmx, **sent)
        assert answer.status_code == (200 if htmx else 303)

    assert totals(rt) == [7500, 1000]
    assert "In boxes that are paid for" in me.get(url).text
    topics = rt.session.scalars(sa.select(OutboxMessage.topic)).all()
    rt.session.rollback()
    assert topics.count("box_added") == 1
    staff = desk(app, rt)
    who = rt.session.scalars(sa.select(Customer.public_id)).one()
    rt.session.rollback()
    page = staff.get(f"/admin/subscribers/{who}").text
    assert "Added to a paid box: 2 × Honey, for €10.00." in page
    assert not any(broken(rt.session).values())


def test_what_goes_on_is_agreed_to_and_what_is_wrong_is_said(
    app: Flask, rt: Runtime, sub: Subscription, demo_gateway: DemoGateway
):
    honey = make.make_addon(rt, 500, name="Honey", variant=make.make_variant(rt, on_hand=3))
    me, url = Visitor.of(app).sign_in(ADA), f"/account/subscriptions/{sub.public_id}/box"
    asked = f"{url}?addon={honey.public_id}&quantity=%s&reach=rest"
    assert "So many are not there any more" in me.get(asked % 2).text
    answer = me.get(asked % 0)
    assert (answer.status_code, "from 1 to 20" in answer.text) == (422, True)

    text = me.get(asked % 1).text
    assert "each of the 3 boxes that are paid for" in text
    assert "your payment on Sat 12 June is €90.00 then" in text
    sent = fields(text)
    answer = me.post(f"{url}/now", **{**sent, "shown": "another"})
    assert (answer.status_code, "Something changed meanwhile" in answer.text) == (422, True)
    bring_card(rt, demo_gateway, "0002")
    me.post(f"{url}/now", **fields(me.get(asked % 1).text))
    assert "Nothing was charged and nothing was added." in me.get(url).text
    bring_card(rt, demo_gateway, "4242")
    me.post(f"{url}/now", **fields(me.get(asked % 1).text))

    consent = rt.session.scalars(sa.select(Consent).order_by(Consent.id.desc())).first()
    assert consent is not None
    assert (consent.amount_minor, consent.text in text.replace("&#39;", "'")) == (9000, True)
    rt.session.rollback()
    assert totals(rt) == [7500, 1500, 1500]
    other = make.make_subscription(rt)
    theirs = f"/account/subscriptions/{other.public_id}/box"
    assert me.post(f"{theirs}/now", **sent).status_code == 404
