"""What the account says of payments: what failed, which card pays, what was invoiced."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.domain.charging import AttemptState
from storefront.models import (
    Customer,
    GatewaySetup,
    PaymentMethod,
    Subscription,
)
from storefront.operations.choices import write_answer
from storefront.runtime import Runtime
from storefront.services.finishing import Outcome
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.cards import CONFIRM, DOWN, PENDING, Behaviour
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.orders import begin, paid
from tests.support.visitor import Visitor, customer_with_password, text_of

ADA = "ada@example.org"


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    """Ada's subscription, ordered on 2 March, with a recipe of two teas."""
    key = customer_with_password(rt, ADA)
    customer = rt.session.get(Customer, key)
    assert customer is not None
    rt.session.expunge(customer)
    rt.session.rollback()
    plan = make.make_plan(rt)
    teas = [make.make_variant(rt, name=name) for name in ("Kukicha", "Earl Grey")]
    make.make_recipe(rt, plan, variants=teas)
    return make.make_subscription(rt, plan=plan, customer=customer)


@pytest.fixture
def ada(app: Flask, sub: Subscription) -> Visitor:
    return Visitor.of(app).sign_in(ADA)


def test_what_could_not_be_charged_is_named_and_can_be_paid_now(
    rt: Runtime, clock: FrozenClock, ada: Visitor, sub: Subscription, demo_gateway: DemoGateway
) -> None:
    good = rt.session.execute(sa.text("SELECT token FROM payment_method")).scalar_one()
    bad = demo_gateway.bank.token_for("9995")
    rt.session.execute(sa.text("UPDATE payment_method SET token = :token"), {"token": bad})
    rt.session.commit()
    clock.set(datetime(2027, 4, 12, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    run_renewals(rt)
    page = ada.get("/account/").text
    text = text_of(page)
    assert "We could not charge €26.00 on Mon 12 April" in text
    assert "(the card does not have enough money)" in text
    assert "Next try: Thu 15 April." in text
    for path in (f"/account/subscriptions/{sub.public_id}", "/account/payment"):
        assert "We could not charge €26.00" in text_of(ada.get(path).text)
    pay = re.search(r'action="(/account/payment/pay/[^"]+)"', page)
    assert pay is not None
    ada.post(pay[1])
    assert "Your bank declined it." in text_of(ada.get("/account/payment").text)
    rt.session.execute(sa.text("UPDATE payment_method SET token = :token"), {"token": good})
    rt.session.commit()
    ada.post(pay[1])
    after = text_of(ada.get("/account/payment").text)
    assert "Paid. Thank you." in after
    assert "We could not charge" not in after
    rt.session.expire_all()
    assert rt.session.scalars(sa.select(Subscription.state)).one() == "active"
    rt.session.rollback()
    assert demo_gateway.bank.executed_count() == 2
    assert ada.post(pay[1]).status_code == 303
    assert demo_gateway.bank.executed_count() == 2


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (DOWN, "We are asking our payment partner what happened with €26.00."),
        (CONFIRM, "Your bank wants a confirmation for €26.00."),
        (PENDING, "Please do not pay again."),
    ],
)
def test_a_payment_without_an_answer_says_what_is_known(
    rt: Runtime,
    clock: FrozenClock,
    ada: Visitor,
    sub: Subscription,
    demo_gateway: DemoGateway,
    behaviour: Behaviour,
    words: str,
) -> None:
    token = rt.session.execute(sa.text("SELECT token FROM payment_method")).scalar_one()
    rt.session.rollback()
    demo_gateway.bank.script(token, [behaviour])
    clock.set(datetime(2027, 4, 12, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    run_renewals(rt)
    for path in ("/account/", f"/account/subscriptions/{sub.public_id}", "/account/payment"):
        page = ada.get(path)
        assert page.status_code == 200
        assert words in text_of(page.text)


def test_a_bank_that_wants_a_confirmation_can_be_asked_again_by_paying_now(
    rt: Runtime, clock: FrozenClock, ada: Visitor, demo_gateway: DemoGateway
) -> None:
    token = rt.session.execute(sa.text("SELECT token FROM payment_method")).scalar_one()
    rt.session.rollback()
    demo_gateway.bank.script(token, [CONFIRM])
    clock.set(datetime(2027, 4, 12, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    run_renewals(rt)
    pay = re.search(r'action="(/account/payment/pay/[^"]+)"', ada.get("/account/payment").text)
    assert pay is not None
    ada.post(pay[1])
    assert "Paid. Thank you." in text_of(ada.get("/account/payment").text)
    assert demo_gateway.bank.executed_count() == 2
    assert demo_gateway.bank.double_charges() == []


def test_a_card_that_was_tried_thrice_today_is_not_tried_again(
    rt: Runtime, clock: FrozenClock, ada: Visitor, sub: Subscription, demo_gateway: DemoGateway
) -> None:
    bad = demo_gateway.bank.token_for("9995")
    rt.session.execute(sa.text("UPDATE payment_method SET token = :token"), {"token": bad})
    rt.session.commit()
    clock.set(datetime(2027, 4, 12, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    run_renewals(rt)
    pay = re.search(r'action="(/account/payment/pay/[^"]+)"', ada.get("/account/").text)
    assert pay is not None
    for _ in range(3):
        ada.post(pay[1])

    page = ada.get("/account/payment").text
    assert pay[1] not in page
    assert "Tried 3 times today with this card. Use another card" in text_of(page)
    ada.post(pay[1])
    assert "You tried this card often enough today." in text_of(ada.get("/account/payment").text)


def test_while_something_is_owed_the_page_of_a_new_card_says_what_is_charged(
    rt: Runtime, clock: FrozenClock, ada: Visitor, sub: Subscription, demo_gateway: DemoGateway
) -> None:
    bad = demo_gateway.bank.token_for("9995")
    rt.session.execute(sa.text("UPDATE payment_method SET token = :token"), {"token": bad})
    rt.session.commit()
    clock.set(datetime(2027, 4, 12, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    run_renewals(rt)
    ada.get("/account/payment")
    start = ada.post("/account/payment/card")
    demo_gateway.bank.choose(start.location.rpartition("/")[2].partition("?")[0], "4242")
    setup = rt.session.execute(
        sa.text("SELECT public_id FROM gateway_setup ORDER BY id DESC LIMIT 1")
    ).scalar_one()
    rt.session.rollback()

    back = text_of(ada.get(f"/account/payment/card/{setup}").text)
    assert "the open €26.00 is charged on it" in back
    assert "Nothing is charged" not in back
    ada.post(f"/account/payment/card/{setup}")
    page = text_of(ada.get("/account/payment").text)
    assert "The open €26.00 is charged on it in the next minutes." in page


def test_another_card_is_added_at_the_payment_partner_and_pays_from_then_on(
    rt: Runtime, ada: Visitor, demo_gateway: DemoGateway
) -> None:
    ada.get("/account/payment")
    start = ada.post("/account/payment/card")
    assert start.status_code == 303
    demo_gateway.bank.choose(start.location.rpartition("/")[2].partition("?")[0], "0341")
    setup = rt.session.execute(
        sa.text(
            "SELECT public_id FROM gateway_setup WHERE customer_id IS NOT NULL "
            "ORDER BY id DESC LIMIT 1"
        )
    ).scalar_one()
    rt.session.rollback()
    back = f"/account/payment/card/{setup}"
    assert ada.get(back).status_code == 200
    for _ in range(2):
        assert ada.post(back).status_code == 303
    page = text_of(ada.get("/account/payment").text)
    assert "The card ending 0341 pays from now on." in page
    assert page.index("Mastercard ending 0341") < page.index("Visa ending 4242")
    rows = rt.session.execute(
        sa.text("SELECT last4 FROM payment_method WHERE is_default ORDER BY id")
    ).scalars()
    assert list(rows) == ["0341"]


@pytest.mark.parametrize("card", ["9995", "0069"])
def test_a_card_that_was_declined_at_the_checkout_is_not_offered(
    app: Flask, rt: Runtime, ada: Visitor, demo_gateway: DemoGateway, card: str
) -> None:
    plan = make.make_plan(rt, code="cup", name="Cup")
    key = begin(rt, plan, email=ADA)
    assert paid(rt, demo_gateway, key, card) is Outcome.DECLINED
    declined = rt.session.execute(
        sa.select(PaymentMethod.public_id).where(PaymentMethod.last4 == card)
    ).scalar_one()
    rt.session.rollback()

    page = ada.get("/account/payment").text
    assert re.findall(r"ending (\d{4})</b>", page) == ["4242"]
    assert ada.post(f"/account/payment/methods/{declined}/use").status_code == 404
    assert "1 stored card without its number" in text_of(ada.get("/account/privacy").text)

    assert paid(rt, demo_gateway, key, "0341") is Outcome.DONE
    page = ada.get("/account/payment").text
    assert re.findall(r"ending (\d{4})</b>", page) == ["4242", "0341"]


def test_what_was_agreed_to_with_a_declined_try_and_the_paid_one_is_listed_once(
    rt: Runtime, clock: FrozenClock, ada: Visitor, demo_gateway: DemoGateway
) -> None:
    # Whoever agreed to the same some days before has agreed twice.
    clock.set(rt.now() + timedelta(days=3))
    key = begin(rt, make.make_plan(rt, code="cup", name="Cup"), email=ADA)
    assert paid(rt, demo_gateway, key, "9995") is Outcome.DECLINED
    assert paid(rt, demo_gateway, key, "4242") is Outcome.DONE
    kept = rt.session.scalar(sa.text("SELECT count(*) FROM consent WHERE text = 'I agree.'"))
    rt.session.rollback()

    assert kept == 3
    assert ada.get("/account/privacy").text.count("I agree.") == 2


def test_the_privacy_page_names_that_it_was_said_what_must_not_be_in_a_box(
    rt: Runtime, ada: Visitor, sub: Subscription
) -> None:
    words = "what must not be in your boxes"
    for answer, is_named in (([], False), (["nuts"], True), ([], False)):
        write_answer(rt.session, sub.id, answer, rt.now())
        rt.session.commit()
        assert (words in ada.get("/account/privacy").text) is is_named


def test_a_card_that_was_added_in_the_account_stays_when_an_order_with_it_is_declined(
    rt: Runtime, ada: Visitor, demo_gateway: DemoGateway
) -> None:
    key = begin(rt, make.make_plan(rt, code="cup", name="Cup"), email=ADA)
    assert paid(rt, demo_gateway, key, "9995") is Outcome.DECLINED
    table = PaymentMethod.__table__
    method = rt.session.execute(sa.select(table).where(table.c.last4 == "9995")).one()
    rt.session.execute(
        sa.insert(GatewaySetup).values(
            public_id="set_x",
            customer_id=method.customer_id,
            gateway="demo",
            account="demo",
            state=AttemptState.SUCCEEDED,
            payment_method_id=method.id,
            created_at=rt.now(),
        )
    )
    rt.session.commit()

    page = ada.get("/account/payment").text
    assert re.findall(r"ending (\d{4})</b>", page) == ["4242", "9995"]


def test_invoices_are_listed_and_shown(rt: Runtime, ada: Visitor) -> None:
    page = ada.get("/account/invoices").text
    assert "€26.00" in page
    link = re.search(r'href="(/account/invoices/inv_[^"]+)"', page)
    assert link is not None
    document = text_of(ada.get(link[1]).text)
    assert "Nine Kettles GmbH" in document
    assert "DE136695976" in document
    assert "Net €21.85 19% VAT on €21.85 €4.15 Total €26.00 Paid −€26.00" in document
    assert "Paid with Visa ending 4242" in document
