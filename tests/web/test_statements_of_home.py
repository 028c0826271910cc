"""The account's first page asks six things of the database, however much there is to say."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.money import Money
from storefront.models import (
    Announcement,
    Box,
    BoxAddress,
    BoxCycle,
    BoxShortage,
    ChargeAttempt,
    Customer,
    CycleGroup,
    Dispute,
    Gift,
    PaymentMethod,
    Price,
    ProductVariant,
    Subscription,
    SubscriptionAddon,
)
from storefront.models.base import public_id, table_of
from storefront.operations.customer_credit import grant_credit
from storefront.runtime import Runtime
from storefront.services.changes import Wish, change, quote_change
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.gifts import make_gift, wish_for
from tests.support.hooks import send
from tests.support.statements import counting
from tests.support.visitor import Visitor, customer_with_password

ADA = "ada@example.org"
MOST = 6


def asked(visitor: Visitor) -> list[str]:
    """Return the statements behind the page, when it was asked for before."""
    assert visitor.get("/account/").status_code == 200
    with counting() as seen:
        assert visitor.get("/account/").status_code == 200
    return [one for one in seen if not one.startswith(("PRAGMA", "BEGIN", "SAVEPOINT"))]


def text_of(page: str) -> str:
    """Return what is read, without marks and with plain spaces."""
    return " ".join(re.sub(r"<[^>]+>", "", page).replace("&#160;", " ").split())


@pytest.fixture
def ada(rt: Runtime) -> Customer:
    key = customer_with_password(rt, ADA)
    customer = rt.session.get(Customer, key)
    assert customer is not None
    rt.session.expunge(customer)
    rt.session.rollback()
    return customer


def write(rt: Runtime, *statements: sa.Executable) -> None:
    for one in statements:
        rt.session.execute(one)
    rt.session.commit()


def give_and_announce(rt: Runtime, ada: Customer, gift: Gift) -> None:
    """Let there be a gift, credit and something that the merchant announces."""
    of_gift = sa.update(table_of(Gift)).where(table_of(Gift).c.id == gift.id)
    write(rt, of_gift.values(giver_id=ada.id))
    grant_credit(rt.session, ada.id, Money(620, "EUR"), "goodwill", "left out", rt.moment())
    day = rt.today()
    texts = {"en": {"title": "We moved"}}
    known = {"public_id": "ann_1", "texts": texts, "created_at": rt.now()}
    write(
        rt,
        sa.insert(table_of(Announcement)).values(
            from_on=day, until_on=day + timedelta(days=90), **known
        ),
    )


def book_a_change(rt: Runtime, sub: Subscription, group: CycleGroup) -> None:
    """Let it cost less from the next payment on."""
    cup = make.make_plan(rt, group=group, code="cup", name="Cup")
    write(rt, sa.update(table_of(Price)).where(Price.plan_id == cup.id).values(amount_minor=1600))
    wish = Wish(make.price_of(rt, cup).public_id)
    quote = quote_change(rt, sub.customer_id or 0, sub.public_id, wish)
    rt.session.rollback()
    change(rt, sub.customer_id or 0, sub.public_id, wish, quote.quote_hash)


def load_boxes(rt: Runtime, sub: Subscription) -> None:
    """Let its box lack something and be sent again, the next go elsewhere, a tin come along."""
    now = rt.now()
    box = rt.session.execute(
        sa.select(table_of(Box)).where(Box.subscription_id == sub.id).limit(1)
    ).one()
    cycles = rt.session.scalars(sa.select(BoxCycle.id).order_by(BoxCycle.ship_from)).all()
    tea = rt.session.scalars(sa.select(ProductVariant.id).limit(1)).one()
    rt.session.rollback()
    addon = make.make_addon(rt)
    again = {
        name: value
        for name, value in box._mapping.items()
        if name not in {"id", "public_id", "invoice_line_id"}
    }
    write(
        rt,
        sa.insert(table_of(BoxShortage)).values(
            box_id=box.id, variant_id=tea, quantity=1, credit_minor=0
        ),
        sa.update(table_of(Box)).where(Box.id == box.id).values(state=BoxState.SHIPPED),
        sa.insert(table_of(Box)).values(
            **again
            | {
                "public_id": public_id("box"),
                "kind": BoxKind.REPLACEMENT,
                "replaces_id": box.id,
                "cycle_id": cycles[1],
            }
        ),
        sa.insert(table_of(BoxAddress)).values(
            subscription_id=sub.id, cycle_id=cycles[2], address_id=sub.address_id, given_at=now
        ),
        sa.insert(table_of(SubscriptionAddon)).values(
            public_id=public_id("sad"),
            subscription_id=sub.id,
            addon_id=addon.id,
            quantity=1,
            unit_minor=900,
            cadence="every",
            created_at=now,
        ),
    )


def hold(rt: Runtime, client: FlaskClient, gateway: DemoGateway, sub: Subscription) -> None:
    """Let a bank take its first payment back, and then decide that it stays."""
    payment = rt.session.scalars(
        sa.select(ChargeAttempt.public_id).order_by(ChargeAttempt.id).limit(1)
    ).one()
    rt.session.rollback()
    gateway.bank.dispute(payment)
    send(client, rt, about="dispute", reference=payment)
    reference = rt.session.scalars(sa.select(Dispute.gateway_reference)).one()
    rt.session.rollback()
    gateway.bank.decide_dispute(reference, True)
    send(client, rt, about="dispute", reference=payment)
    held = sa.select(Subscription.held_at).where(Subscription.id == sub.id)
    assert rt.session.scalar(held) is not None
    rt.session.rollback()


def test_an_account_of_which_everything_is_to_be_said_asks_no_more_than_a_plain_one(
    rt: Runtime,
    app: Flask,
    client: FlaskClient,
    clock: FrozenClock,
    demo_gateway: DemoGateway,
    ada: Customer,
) -> None:
    teas = [make.make_variant(rt, name=name) for name in ("Kukicha", "Earl Grey")]
    group = make.make_group(rt)
    plan = make.make_plan(rt, group=group)
    make.make_recipe(rt, plan, variants=teas)
    asks = make.make_plan(rt, code="asks", name="Asks")
    make.make_options(rt, asks)
    make.make_code(rt, "SPRING", percent=50, duration="forever", cycles=None)
    held = make.make_subscription(rt, plan=plan, customer=ada)
    assert len(asked(Visitor.of(app).sign_in(ADA))) == MOST

    gift = make_gift(rt, plan, wish_for(rt.today()))
    make.make_subscription(rt, plan=plan, customer=ada, code="SPRING")
    mild = make.make_subscription(rt, plan=asks, customer=ada, options={"taste": "mild"})
    make.make_subscription(rt, plan=plan, customer=ada, card="0341")
    hold(rt, client, demo_gateway, held)
    write(rt, sa.update(table_of(PaymentMethod)).values(exp_year=2027, exp_month=4))
    clock.set(datetime(2027, 4, 12, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    run_renewals(rt)
    changed = make.make_subscription(rt, plan=plan, customer=ada)
    clock.advance(days=3)
    book_a_change(rt, changed, group)
    load_boxes(rt, mild)
    give_and_announce(rt, ada, gift)

    visitor = Visitor.of(app).sign_in(ADA)
    page = text_of(visitor.get("/account/").text)
    for words in (
        "We moved",
        "A payment did not go through.",
        "We could not charge €26.00",
        "is good until 04/2027",
        "The box waits until that is settled.",
        "Your subscription rests until you say that it goes on.",
        "From 12 JunCup, monthly",
        "€13.00 on Wed 12 May",
        "€6.20, used before the card",
        "€35.00 · ships 18 May",
        "Other address",
        "Sent again",
        "Gifts you gave",
    ):
        assert words in page
    assert len(asked(visitor)) == MOST
