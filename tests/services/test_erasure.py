"""Somebody is erased on request: nothing says who it was but what law wants kept, for its time."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront import charges
from storefront.adapters.mail import Mail, MailError
from storefront.domain.erasure import AlreadyErased, SubscriptionRuns, Waiting
from storefront.domain.events import EventKind
from storefront.domain.merging import MergeRefused
from storefront.domain.money import Money
from storefront.mails import compose
from storefront.models import (
    AllergyAnswer,
    Base,
    Box,
    ChargeAttempt,
    Checkout,
    Customer,
    ErasureRequest,
    Invoice,
    OutboxMessage,
    PaymentMethod,
    ProviderParcel,
    Refund,
    Subscription,
    SubscriptionEvent,
    WaitingPlace,
)
from storefront.models.base import table_of
from storefront.operations.customer_credit import grant_credit
from storefront.operations.outbox import LAST_MAIL
from storefront.operations.timeline import Entry, record
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.addresses import PostalAddress, change_address
from storefront.services.cancellations import cancel
from storefront.services.cycles import close_cycles
from storefront.services.endings import end_passed_over
from storefront.services.erasure import Asked, ask_erasure, finish_erasures, withdraw_erasure
from storefront.services.fulfilment import export_all, exportable_cycles, ship_batch
from storefront.services.gifts import claim, run_gifts
from storefront.services.merging import merge_customers
from storefront.services.method_changes import forget_methods
from storefront.services.outbox import Delivery, deliver_due, stop
from storefront.services.refunds import send_refunds
from storefront.services.renewals import run_renewals
from storefront.services.retention import blank_old
from storefront.services.sessions import start_session
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront.testing.repeating import repeatable
from storefront_demo_gateway.cards import LOST
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff
from tests.support.gifts import HOME, code_of, make_gift, wish_for
from tests.support.orders import in_parallel
from tests.support.paying import waiting_mails

EMAIL = "ada.lovelace@example.org"
NEW = PostalAddress("Ada Lovelace", "Am Markt 1", "07745", "Jena", "DE", extra="2nd floor")
#: What says who she is, wherever it stands.
WORDS = ("lovelace", "lindenweg", "am markt", "jena", "07743", "07745", "it was too much tea")
#: Tables that keep it: what law asks for, evidence, and the log of the staff.
KEPT = {"invoice", "credit_note", "consent", "audit_entry"}
EVENTS = ("subscription_event", "invoice")
ROUNDS = range(3)


@pytest.fixture(autouse=True)
def nothing_is_broken(rt: Runtime):
    yield
    assert broken(rt.session) == {}
    rt.session.rollback()


@repeatable
def make_ada(rt: Runtime) -> Customer:
    """Return somebody who subscribed, moved, said what she does not tolerate, and cancelled."""
    plan = make.make_plan(rt, group=make.make_group(rt, cycles=6))
    make.make_recipe(rt, plan)
    ada = make.make_customer(rt, email=EMAIL, password_hash="x", referral_code="ADA")
    sub = make.make_subscription(rt, plan=plan, customer=ada)
    start_session(rt, ada.id, "password", "192.0.2.1", "test")
    change_address(rt, ada.id, sub.public_id, NEW)
    grant_credit(rt.session, ada.id, Money(100, "EUR"), "goodwill", "Ada Lovelace", rt.moment())
    rt.session.add(
        AllergyAnswer(subscription_id=sub.id, number=1, allergens=["nuts"], answered_at=rt.now())
    )
    rt.session.commit()
    return ada


def sub_of(rt: Runtime, customer: Customer) -> str:
    ref = rt.session.scalar(
        sa.select(Subscription.public_id).where(Subscription.customer_id == customer.id)
    )
    rt.session.rollback()
    return str(ref)


def came_from(rt: Runtime, ref: str) -> None:
    """Say that her subscription was taken over from a shop where its number was ``ref``."""
    key, sub = rt.session.execute(sa.select(Subscription.id, Subscription.public_id)).one()
    kind, data = EventKind.SUBSCRIPTION_IMPORTED, {"from": "other", "ref": ref, "on": "2027-03-12"}
    record(rt.session, [Entry(key, sub, kind, data=data, ref=ref)], rt.moment())
    rt.session.commit()


def leave(rt: Runtime, clock: FrozenClock, ada: Customer) -> None:
    """Let her cancel, her paid box leave the house, and the paid time end."""
    cancel(rt, ada.id, sub_of(rt, ada), why="other", note="It was too much tea, says Lovelace")
    ship(rt, clock)


def ship(rt: Runtime, clock: FrozenClock) -> None:
    """Let the box of March leave the house."""
    clock.set(datetime(2027, 3, 16, 9, tzinfo=UTC))
    close_cycles(rt)
    for cycle in exportable_cycles(rt):
        for batch in export_all(rt, cycle):
            ship_batch(rt, batch.public_id)


def said(rt: Runtime) -> dict[str, set[str]]:
    """Return which of ``WORDS`` stand in which table, once the last mail to somebody is out."""
    last = sa.select(OutboxMessage.id).where(OutboxMessage.topic == LAST_MAIL)
    if rt.session.scalar(last) is not None:
        rt.session.rollback()
        deliver_due(rt, partial(compose, rt))
    found: dict[str, set[str]] = {}
    for table in Base.metadata.sorted_tables:
        text = str([tuple(row) for row in rt.session.execute(sa.select(table))]).casefold()
        if words := {word for word in (*WORDS, EMAIL) if word in text}:
            found[table.name] = words
    rt.session.rollback()
    return found


def state_of(rt: Runtime, ada: Customer) -> str:
    state = rt.session.scalar(
        sa.select(ErasureRequest.state).where(ErasureRequest.customer_id == ada.id)
    )
    rt.session.rollback()
    return str(state)


def test_all_that_says_who_it_was_goes_as_soon_as_nothing_is_under_way(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    ada = make_ada(rt)
    with pytest.raises(SubscriptionRuns):
        ask_erasure(rt, ada.public_id)
    leave(rt, clock, ada)
    # A provider was to hand the box over, and had something against its address.
    box = rt.session.scalar(sa.select(Box.id))
    refused = {"provider": "demo", "way": "box", "created_at": rt.now()}
    rt.session.add(ProviderParcel(box_id=box, **refused, error="Am Markt 1 is unknown"))
    rt.session.commit()
    assert set(said(rt)) >= {"provider_parcel"}
    came_from(rt, "lovelace-17")
    assert set(said(rt)) >= {"customer", "address", "box", "checkout", "credit_move", *EVENTS}

    # Paid time goes on until 12 April; meanwhile the request waits, and can be taken back.
    assert ask_erasure(rt, ada.public_id) == Asked(False, (Waiting.SUBSCRIPTION,))
    assert withdraw_erasure(rt, ada.public_id)
    assert not withdraw_erasure(rt, ada.public_id)
    assert not ask_erasure(rt, ada.public_id).is_done
    assert finish_erasures(rt) == {"erased": 0, "waiting": 1, "tokens": 0}
    clock.advance(days=40)
    run_renewals(rt)
    end_passed_over(rt)
    assert finish_erasures(rt)["erased"] == 1

    assert set(said(rt)) <= KEPT
    assert state_of(rt, ada) == "done"
    with pytest.raises(AlreadyErased):
        ask_erasure(rt, ada.public_id)
    # The gateway is asked to forget the card; then its name there goes as well.
    assert forget_methods(rt)["forgotten"] == 1
    assert finish_erasures(rt) == {"erased": 0, "waiting": 0, "tokens": 1}
    token = rt.session.scalar(sa.select(PaymentMethod.token))
    assert str(token).startswith("erased:pm_")
    assert rt.session.scalar(sa.select(sa.func.count(AllergyAnswer.id))) == 0
    rt.session.rollback()
    # What happened is still there, and the address is free.
    assert rt.session.scalar(sa.select(sa.func.count(SubscriptionEvent.id))) > 3
    assert make.make_customer(rt, email=EMAIL).id != ada.id


def test_who_is_erased_is_told_once_and_the_mail_s_row_goes_with_it(rt: Runtime) -> None:
    for how in ("sent", "stopped", "given up"):
        gone = make.make_customer(rt, email=EMAIL, locale="de")
        assert ask_erasure(rt, gone.public_id).is_done
        (waiting,) = waiting_mails(rt, LAST_MAIL)
        mail = compose(rt, waiting)
        rt.session.rollback()
        assert mail is not None
        assert (mail.to, "gelöscht" in mail.subject) == (EMAIL, True)
        if how == "stopped":
            assert stop(rt, waiting.public_id, make_staff(rt))
        elif how == "given up":
            deliver_due(rt, _refused)
        else:
            deliver_due(rt, partial(compose, rt))
        assert waiting_mails(rt, LAST_MAIL) == []
        rt.session.rollback()
        assert set(said(rt)) <= KEPT
        rt.session.execute(sa.delete(table_of(ErasureRequest)))
        rt.session.commit()


def _refused(_delivery: Delivery) -> Mail:
    raise MailError(f"{EMAIL}: no such mailbox", permanent=True)


def test_documents_keep_the_name_for_as_long_as_the_law_asks_and_not_longer(
    rt: Runtime, clock: FrozenClock
) -> None:
    ada = make_ada(rt)
    leave(rt, clock, ada)
    clock.advance(days=40)
    run_renewals(rt)
    end_passed_over(rt)
    assert ask_erasure(rt, ada.public_id).is_done
    assert blank_old(rt) == {
        "invoices": 0,
        "credit_notes": 0,
        "consents": 0,
        "gifts": 0,
        "declarations": 0,
        "given": 0,
    }

    clock.set(datetime(2037, 12, 31, 12, tzinfo=UTC))
    kept = blank_old(rt)
    assert (kept["invoices"], kept["consents"]) == (0, 1)
    clock.set(datetime(2038, 1, 1, 12, tzinfo=UTC))
    assert blank_old(rt)["invoices"] == 1
    assert blank_old(rt) == {
        "invoices": 0,
        "credit_notes": 0,
        "consents": 0,
        "gifts": 0,
        "declarations": 0,
        "given": 0,
    }
    assert set(said(rt)) <= {"audit_entry"}
    row = rt.session.execute(sa.select(Invoice.number, Invoice.total_minor, Invoice.snapshot)).one()
    rt.session.rollback()
    assert (row.number, row.total_minor) == (1, 2600)
    assert row.snapshot["ship_to"] == {"region": "", "country": "DE"}
    # Nobody blanks what is not erased, or says anything else in its place.
    for values in ({"snapshot": {}}, {"content_hash": "x"}):
        with pytest.raises(sa.exc.DatabaseError):
            rt.session.execute(sa.update(table_of(Invoice)).values(**values))
        rt.session.rollback()


def test_c17_a_request_during_an_open_charge_waits_for_its_final_state(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    ada = make_ada(rt)
    ship(rt, clock)
    token = rt.session.scalar(sa.select(PaymentMethod.token))
    demo_gateway.bank.script(token, [LOST])
    clock.set(datetime(2027, 4, 12, 9, tzinfo=UTC))
    run_renewals(rt)
    cancel(rt, ada.id, sub_of(rt, ada))

    assert ask_erasure(rt, ada.public_id) == Asked(False, (Waiting.CHARGE,))
    assert finish_erasures(rt)["erased"] == 0
    bo, who = make.make_customer(rt, name="Bo"), make_staff(rt)
    with pytest.raises(MergeRefused) as refused:
        merge_customers(rt, who, bo.public_id, ada.public_id)
    assert "erasure_asked" in refused.value.params["problems"]

    # It was a success, too late: first it goes back, then she goes.
    clock.advance(minutes=10)
    charges.look_up_open(rt)
    for state in ("declined", "planned"):  # Refused, until a person says what becomes of it.
        rt.session.execute(sa.update(table_of(Refund)).values(state=state))
        rt.session.commit()
        assert ask_erasure(rt, ada.public_id) == Asked(False, (Waiting.REFUND,))
    send_refunds(rt)
    assert finish_erasures(rt)["erased"] == 1
    assert set(said(rt)) <= KEPT


@pytest.mark.parametrize("_round", ROUNDS)
def test_an_account_is_erased_once_and_nothing_begins_in_it_meanwhile(
    app: Flask, rt: Runtime, clock: FrozenClock, _round: int
) -> None:
    ada = make_ada(rt)
    leave(rt, clock, ada)
    ask_erasure(rt, ada.public_id)
    clock.advance(days=40)

    def act(own: Runtime, number: int) -> None:
        if number % 2:
            run_renewals(own)
            end_passed_over(own)
        finish_erasures(own)

    in_parallel(app, 4, act)
    # A renewal passes over what somebody looks at; the next tick has it.
    run_renewals(rt)
    end_passed_over(rt)
    finish_erasures(rt)
    assert state_of(rt, ada) == "done"
    assert set(said(rt)) <= KEPT
    assert rt.session.scalar(sa.select(sa.func.count(ChargeAttempt.id))) == 1
    assert rt.session.scalar(sa.select(sa.func.count(Box.id))) == 1
    rt.session.rollback()


def test_erasing_takes_accounts_along_that_were_merged_into_it(
    rt: Runtime, clock: FrozenClock
) -> None:
    ada = make_ada(rt)
    leave(rt, clock, ada)
    clock.advance(days=40)
    run_renewals(rt)
    end_passed_over(rt)
    kept, who = make.make_customer(rt, name="A. Lovelace"), make_staff(rt)
    # What is found by nothing but her old e-mail: a place on a list, an order she left.
    plan_id = rt.session.scalar(sa.select(Subscription.plan_id))
    waits = {"public_id": "wai_1", "email": EMAIL, "created_at": rt.now()}
    rt.session.add(WaitingPlace(plan_id=plan_id, **waits))
    order = rt.session.scalars(sa.select(Checkout)).one()
    order.customer_id, order.avoids = None, ["nuts"]
    rt.session.commit()
    merge_customers(rt, who, kept.public_id, ada.public_id)
    assert "waiting_place" not in said(rt)
    assert rt.session.scalar(sa.select(WaitingPlace.email)) == kept.email
    rt.session.rollback()
    with pytest.raises(AlreadyErased):
        ask_erasure(rt, ada.public_id)
    assert ask_erasure(rt, kept.public_id, who).is_done
    assert set(said(rt)) <= KEPT
    rows = rt.session.scalars(sa.select(Customer.erased_at)).all()
    assert rt.session.scalars(sa.select(Checkout.avoids)).all() == [[]]
    rt.session.rollback()
    assert all(rows)


def test_neither_side_of_a_gift_is_left_with_the_other(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    plan = make.make_plan(rt, code="pot", group=make.make_group(rt, cycles=6))
    make.make_recipe(rt, plan)
    gift = make_gift(rt, plan, wish_for(rt.today(), email=EMAIL, message="It was too much tea"))
    run_gifts(rt)
    ada = make.make_customer(rt, email=EMAIL)
    assert not ask_erasure(rt, ada.public_id).is_done
    claim(rt, code_of(rt, gift), EMAIL, HOME, customer_id=ada.id)
    ship(rt, clock)
    clock.advance(days=40)
    run_renewals(rt)
    end_passed_over(rt)
    words = said(rt)
    assert EMAIL in words["outbox_message"] & words["checkout"] & words["gift"]
    assert "it was too much tea" in words["box"]

    finish_erasures(rt)
    left = said(rt)
    assert not {word for table in left.keys() - KEPT for word in left[table]} - {
        "it was too much tea"
    }
    rest = rt.session.scalars(sa.select(Customer).where(Customer.erased_at.is_(None))).one()
    rt.session.rollback()
    assert ask_erasure(rt, rest.public_id).is_done
    assert set(said(rt)) <= KEPT
    topics = sa.select(OutboxMessage.payload).where(OutboxMessage.topic == "gift_received")
    assert rt.session.scalars(topics).all() == [{}]


def test_the_card_of_who_gave_goes_from_boxes_of_others(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    plan = make.make_plan(rt, code="pot", group=make.make_group(rt, cycles=6))
    make.make_recipe(rt, plan)
    gift = make_gift(rt, plan, wish_for(rt.today(), message="It was too much tea"))
    run_gifts(rt)
    claim(rt, code_of(rt, gift), "bo@example.org", {**HOME, "name": "Bo"})
    ship(rt, clock)
    giver = rt.session.get(Customer, gift.giver_id)
    assert giver is not None
    ref = giver.public_id
    rt.session.rollback()
    assert "it was too much tea" in said(rt)["box"]

    assert ask_erasure(rt, ref).is_done
    assert "it was too much tea" not in said(rt).get("box", set())
