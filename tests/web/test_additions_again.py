"""Something for a paid box is being paid: the second click, the way to the bank and back."""

import re

import pytest
import sqlalchemy as sa
from flask import Flask
from markupsafe import escape

from storefront.domain.money import Money
from storefront.mails import compose
from storefront.models import Addon, Customer, Invoice, PaymentMethod, Subscription
from storefront.operations.customer_credit import grant_credit
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.changes_lapsed import expire_changes
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.changing import bring_card
from tests.support.paying import waiting_mails
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


@pytest.fixture
def honey(rt: Runtime) -> Addon:
    return make.make_addon(rt, 500, name="Honey", variant=make.make_variant(rt, on_hand=1))


def box_of(sub: Subscription) -> str:
    return f"/account/subscriptions/{sub.public_id}/box"


def form(me: Visitor, sub: Subscription, honey: Addon) -> dict[str, str]:
    """Return the hidden fields of the form that pays."""
    text = me.get(f"{box_of(sub)}?addon={honey.public_id}&quantity=1&reach=next").text
    shown = text.partition('id="addon-now"')[2].partition("</form>")[0]
    return dict(re.findall(r'name="(addon|quantity|reach|shown|once)" value="([^"]*)"', shown))


def states(rt: Runtime) -> list[tuple[int, str]]:
    rows = rt.session.execute(
        sa.select(Invoice.total_minor, Invoice.state).order_by(Invoice.id)
    ).all()
    rt.session.rollback()
    return [(row.total_minor, str(row.state)) for row in rows]


def confirm(rt: Runtime, demo_gateway: DemoGateway, says: bool) -> str:
    """Let the customer answer their bank; returns the page they come back to."""
    table = sa.table("charge_attempt", sa.column("id"), sa.column("gateway_reference"))
    reference = rt.session.scalars(
        sa.select(table.c.gateway_reference).order_by(table.c.id.desc())
    ).first()
    invoice = rt.session.scalars(sa.select(Invoice.public_id).order_by(Invoice.id.desc())).first()
    rt.session.rollback()
    demo_gateway.bank.confirm_charge(str(reference), says)
    return f"/account/payment/back/{invoice}"


def test_a_second_click_finds_the_first_also_where_it_took_the_last_piece(
    app: Flask, rt: Runtime, sub: Subscription, honey: Addon
):
    me = Visitor.of(app).sign_in(ADA)
    sent = form(me, sub, honey)
    for _click in range(2):
        answer = me.post(f"{box_of(sub)}/now", **sent)
        assert (answer.status_code, answer.location) == (303, box_of(sub))
        assert "It is in your box." in me.get(box_of(sub)).text
    # A form without a name could not be told from another.
    answer = me.post(f"{box_of(sub)}/now", **{**sent, "once": ""})
    assert answer.status_code == 422
    assert states(rt) == [(7500, "paid"), (500, "paid")]
    assert not any(broken(rt.session).values())


def test_the_way_to_the_bank_is_found_again_and_back_is_spoken_of_the_box(
    app: Flask, rt: Runtime, sub: Subscription, honey: Addon, demo_gateway: DemoGateway
):
    bring_card(rt, demo_gateway, "3220")
    me = Visitor.of(app).sign_in(ADA)
    sent = form(me, sub, honey)
    bank = me.post(f"{box_of(sub)}/now", **sent).location
    # The browser dropped that answer: the second click leads there as well, and so does the page.
    assert me.post(f"{box_of(sub)}/now", **sent).location == bank
    page = me.get(box_of(sub)).text
    assert "Your bank wants a confirmation." in page
    assert 'id="paid-boxes"' not in page
    assert re.search(f'href="{re.escape(str(escape(bank)))}"[^>]*>(<span>)?Confirm now', page)
    back = confirm(rt, demo_gateway, True)
    assert f'href="{back}"' in page
    answer = me.post(back)
    assert (answer.status_code, answer.location) == (303, box_of(sub))
    assert "It is in your box." in me.get(box_of(sub)).text
    assert waiting_mails(rt, "box_not_added") == []


def test_refused_at_the_bank_the_page_and_a_mail_say_that_nothing_was_added(
    app: Flask, rt: Runtime, sub: Subscription, honey: Addon, demo_gateway: DemoGateway
):
    bring_card(rt, demo_gateway, "3220")
    me = Visitor.of(app).sign_in(ADA)
    me.post(f"{box_of(sub)}/now", **form(me, sub, honey))
    answer = me.post(confirm(rt, demo_gateway, False))
    assert (answer.status_code, answer.location) == (303, box_of(sub))
    page = me.get(box_of(sub)).text
    assert "Nothing was charged and nothing was added." in page
    assert "old plan" not in page
    [mail] = [compose(rt, one) for one in waiting_mails(rt, "box_not_added")]
    assert mail is not None
    assert "Not added: 1 × Honey." in mail.text
    assert f"{box_of(sub)}" in mail.text
    assert states(rt) == [(7500, "paid"), (500, "discarded")]


def test_left_at_the_bank_a_mail_says_so_and_a_refusal_on_the_page_needs_none(
    app: Flask,
    rt: Runtime,
    clock: FrozenClock,
    sub: Subscription,
    honey: Addon,
    demo_gateway: DemoGateway,
):
    me = Visitor.of(app).sign_in(ADA)
    bring_card(rt, demo_gateway, "0002")
    me.post(f"{box_of(sub)}/now", **form(me, sub, honey))
    assert waiting_mails(rt, "box_not_added") == []
    bring_card(rt, demo_gateway, "3220")
    me.post(f"{box_of(sub)}/now", **form(me, sub, honey))
    clock.advance(hours=2)
    assert expire_changes(rt) == 1
    assert len(waiting_mails(rt, "box_not_added")) == 1


def test_who_has_credit_needs_no_card_and_who_has_neither_is_asked_for_one(
    app: Flask, rt: Runtime, sub: Subscription, honey: Addon
):
    rt.session.execute(sa.update(PaymentMethod).values(detached_at=rt.now(), is_default=False))
    rt.session.commit()
    me = Visitor.of(app).sign_in(ADA)
    assert "There is no card that could pay." in me.get(box_of(sub)).text
    grant_credit(rt.session, sub.customer_id or 0, Money(300, "EUR"), "goodwill", "", rt.moment())
    rt.session.commit()
    asked = f"{box_of(sub)}?addon={honey.public_id}&quantity=1&reach=next"
    assert "There is no card that could pay." in me.get(asked).text
    grant_credit(rt.session, sub.customer_id or 0, Money(200, "EUR"), "goodwill", "", rt.moment())
    rt.session.commit()
    me.post(f"{box_of(sub)}/now", **form(me, sub, honey))
    assert states(rt) == [(7500, "paid"), (500, "paid")]
    assert not any(broken(rt.session).values())
