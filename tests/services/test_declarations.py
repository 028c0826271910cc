"""Ends and withdrawals that come without a sign-in: stored, done or put before staff."""

from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.domain.boxes import BoxState
from storefront.domain.declarations import DeclarationKind
from storefront.domain.invoices import CreditReason
from storefront.domain.lifecycle import SubscriptionState
from storefront.domain.refunds import Afterwards, Way
from storefront.mails import compose
from storefront.models import (
    AuditEntry,
    Base,
    Box,
    BoxItem,
    Checkout,
    Customer,
    Declaration,
    DeclarationOutcome,
    Invoice,
    Product,
    ProductVariant,
    Subscription,
)
from storefront.queries.declarations import queue, settled
from storefront.queries.invariants import broken
from storefront.queries.own_data import everything_of
from storefront.queries.worklists import counts
from storefront.runtime import Runtime
from storefront.services.cancellations import cancel
from storefront.services.cycles import close_cycles
from storefront.services.declarations import (
    AlreadySettled,
    DeclarationNotFound,
    Statement,
    note_ended,
    receive,
    remind_of_refunds,
    settle,
)
from storefront.services.endings import end_passed_over
from storefront.services.erasure import ask_erasure, finish_erasures
from storefront.services.fulfilment import export_all, exportable_cycles, ship_batch
from storefront.services.merging import merge_customers
from storefront.services.outbox import deliver_due
from storefront.services.refunding import Wish, offer, quote_refund, refund
from storefront.services.reminders import remind
from storefront.services.renewals import run_renewals
from storefront.services.retention import blank_old
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.admin import make_staff
from tests.support.orders import in_parallel
from tests.support.paying import waiting_mails
from tests.support.withdrawal import mark_products

EMAIL = "ada.lovelace@example.org"
END, WITHDRAW = DeclarationKind.END, DeclarationKind.WITHDRAW


@pytest.fixture(autouse=True)
def nothing_is_broken(rt: Runtime):
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    plan = make.make_plan(rt, group=make.make_group(rt, cycles=6))
    make.make_recipe(rt, plan)
    ada = make.make_customer(rt, email=EMAIL)
    return make.make_subscription(rt, plan=plan, customer=ada)


def said(kind: DeclarationKind, contract: str, once: str = "a", **values: Any) -> Statement:
    email = values.pop("email", EMAIL)
    return Statement(kind, once, "Ada Lovelace", email, contract, "en", **values)


def now_of(rt: Runtime, sub: Subscription) -> Subscription:
    rt.session.rollback()
    rt.session.expire_all()
    found = rt.session.scalars(sa.select(Subscription).where(Subscription.id == sub.id)).one()
    rt.session.expunge_all()
    rt.session.rollback()
    return found


def rows(rt: Runtime, model: type[Base] = Declaration) -> int:
    found = rt.session.scalar(sa.select(sa.func.count()).select_from(model))
    rt.session.rollback()
    return int(found or 0)


def waits(rt: Runtime) -> int:
    found = counts(rt.session, rt.moment(), "EUR")["declared"].count
    assert found == len(queue(rt.session, rt.moment()))
    rt.session.rollback()
    return found


def ship(rt: Runtime, clock: FrozenClock) -> None:
    clock.set(datetime(2027, 3, 16, 9, tzinfo=UTC))
    close_cycles(rt)
    for cycle in exportable_cycles(rt):
        for batch in export_all(rt, cycle):
            ship_batch(rt, batch.public_id)


def test_number_and_e_mail_name_a_contract_that_the_account_s_cancellation_then_ends(
    rt: Runtime, sub: Subscription
) -> None:
    order = rt.session.scalar(sa.select(Checkout.public_id))
    rt.session.rollback()
    for once, words in enumerate((sub.public_id, f"my box, no. {order}.", sub.public_id.upper())):
        got = receive(rt, said(END, words, str(once)))
        assert got.to_cancel == (sub.customer_id, sub.public_id)
    assert waits(rt) == 3
    done = cancel(rt, sub.customer_id, sub.public_id)
    note_ended(rt, got.ref, done.ends_on)
    assert waits(rt) == 2
    (last,) = settled(rt.session, rt.moment())
    assert (last.outcome, last.said.ends_on, last.is_sure) == ("ended", done.ends_on, True)


@pytest.mark.parametrize(
    ("contract", "values"),
    [
        ("my tea box", {}),
        ("1", {}),
        ("", {"email": "somebody.else@example.org"}),
        ("", {"is_for_cause": True, "reason": "It was mouldy"}),
    ],
    ids=["without a number", "a number anybody could guess", "another e-mail", "for cause"],
)
def test_whatever_is_not_sure_waits_for_a_person_and_changes_nothing(
    rt: Runtime, sub: Subscription, contract: str, values: dict[str, Any]
) -> None:
    got = receive(rt, said(END, contract or sub.public_id, **values))

    assert got.to_cancel is None
    assert waits(rt) == 1
    assert len(waiting_mails(rt, "declaration_received")) == 1
    assert now_of(rt, sub).version == sub.version


def test_the_same_page_sent_twice_and_at_once_is_one_declaration(
    rt: Runtime, app: Flask, sub: Subscription
) -> None:
    one = said(END, "my tea box")
    refs = {each.ref for each in in_parallel(app, 4, lambda other, _number: receive(other, one))}
    refs.add(receive(rt, one).ref)

    assert len(refs) == 1
    assert rows(rt) == 1
    assert len(waiting_mails(rt, "declaration_received")) == 1
    # Gone back and corrected, it is another one.
    assert receive(rt, said(END, "my coffee box")).ref not in refs


def test_the_receipt_repeats_all_with_the_instant_it_came(rt: Runtime, sub: Subscription) -> None:
    wished = date(2027, 5, 1)
    receive(rt, said(END, "Tea box", is_for_cause=True, reason="Mouldy", wished_on=wished))
    (waiting,) = waiting_mails(rt, "declaration_received")
    mail = compose(rt, waiting)
    came = rt.now().astimezone(rt.shop.zone_info).isoformat(sep=" ", timespec="seconds")
    rt.session.rollback()

    assert mail is not None
    assert mail.to == EMAIL
    for words in (came, "Tea box", "for cause", "Mouldy", "1 May", "Ada Lovelace", EMAIL):
        assert words in mail.text, words


def test_a_timely_withdrawal_stops_bills_and_boxes_in_the_same_breath(
    rt: Runtime, clock: FrozenClock, sub: Subscription
) -> None:
    receive(rt, said(WITHDRAW, sub.public_id))

    held = now_of(rt, sub)
    assert held.held_at is not None
    assert (held.state, held.cancel_on) == (SubscriptionState.ACTIVE, None)
    ship(rt, clock)
    clock.advance(days=40)
    run_renewals(rt)
    assert rt.session.scalar(sa.text("SELECT count(*) FROM shipment")) == 0
    assert rt.session.scalar(sa.text("SELECT count(*) FROM invoice")) == 1
    (one,) = queue(rt.session, rt.moment())
    assert (one.has_stopped, one.withdrawable_until, one.is_sure) == (True, None, True)
    assert one.due_on == one.said.received_at.date() + timedelta(days=14)
    rt.session.rollback()


def test_staff_refund_a_withdrawal_and_end_it_and_nothing_is_left_to_leave(
    rt: Runtime, sub: Subscription
) -> None:
    receive(rt, said(WITHDRAW, sub.public_id))
    invoice = rt.session.scalars(sa.select(Invoice.public_id)).one()
    found = offer(rt, invoice)
    amounts = {line.head.id: line.left for line in found.lines}
    wish = Wish(amounts, Way.CARD, CreditReason.REFUND, Afterwards.STOP_NOW)
    refund(rt, make_staff(rt), invoice, wish, quote_refund(rt, invoice, wish).quote_hash)

    assert now_of(rt, sub).state is SubscriptionState.CANCELED
    assert rt.session.scalars(sa.select(Box.state)).all() == [BoxState.CANCELED]
    rt.session.rollback()


def test_a_withdrawal_after_the_time_for_it_stops_nothing_and_waits(
    rt: Runtime, clock: FrozenClock, sub: Subscription
) -> None:
    deliver_due(rt, partial(compose, rt))
    ship(rt, clock)
    clock.advance(days=22)
    receive(rt, said(WITHDRAW, sub.public_id))

    assert now_of(rt, sub).held_at is None
    (one,) = queue(rt.session, rt.moment())
    assert (one.has_stopped, one.withdrawable_until) == (False, date(2027, 4, 6))
    assert one.is_told
    rt.session.rollback()


def test_staff_see_what_of_the_boxes_that_left_nobody_may_withdraw_from(
    rt: Runtime, clock: FrozenClock, sub: Subscription
) -> None:
    ship(rt, clock)
    lain = sa.select(ProductVariant.product_id).join(BoxItem)
    name = rt.session.scalars(sa.select(Product.name).where(Product.id.in_(lain))).first()
    mark = sa.update(Product).where(Product.name == name)
    rt.session.execute(mark.values(no_withdrawal="sealed"))
    rt.session.commit()
    mark_products(rt, "perishable")
    receive(rt, said(WITHDRAW, sub.public_id))

    (one,) = queue(rt.session, rt.moment())
    assert one.excluded == ((name, "sealed"),)
    rt.session.rollback()


@pytest.mark.parametrize("second", [True, False])
def test_who_goes_on_after_a_trial_has_a_second_right_where_the_plan_gives_it(
    rt: Runtime, clock: FrozenClock, second: bool
) -> None:
    ada = make.make_customer(rt, email=EMAIL)
    plan = make.make_plan(rt, ships=False, trial_days=14, second_withdrawal=second)
    sub = make.make_subscription(rt, plan=plan, customer=ada)
    deliver_due(rt, partial(compose, rt))
    clock.advance(days=11)
    remind(rt)
    (mail,) = [compose(rt, one) for one in waiting_mails(rt, "trial_ends")]
    assert mail is not None
    assert ("withdraw from this contract once more" in mail.text) is second
    clock.advance(days=3)
    converted = rt.today()
    run_renewals(rt)
    clock.advance(days=14)
    receive(rt, said(WITHDRAW, sub.public_id))

    assert (now_of(rt, sub).held_at is not None) is second
    (one,) = queue(rt.session, rt.moment())
    last = converted + timedelta(days=14) if second else converted
    assert one.withdrawable_until == last
    rt.session.rollback()


def test_who_got_no_mail_that_tells_of_the_right_has_it_for_twelve_months_more(
    rt: Runtime, clock: FrozenClock, sub: Subscription
) -> None:
    ship(rt, clock)
    clock.advance(days=300)
    receive(rt, said(WITHDRAW, sub.public_id))

    assert now_of(rt, sub).held_at is not None
    (one,) = queue(rt.session, rt.moment())
    assert (one.has_stopped, one.withdrawable_until) == (True, date(2028, 4, 6))
    assert not one.is_told
    rt.session.rollback()


def test_staff_note_once_that_it_is_done_and_the_log_says_who(
    rt: Runtime, sub: Subscription
) -> None:
    who = make_staff(rt)
    got = receive(rt, said(WITHDRAW, "tea"))
    settle(rt, who, got.ref, "Refunded, ended")

    with pytest.raises(AlreadySettled):
        settle(rt, who, got.ref, "again")
    with pytest.raises(DeclarationNotFound):
        settle(rt, who, "dec_missing", "")
    assert waits(rt) == 0
    assert rows(rt, DeclarationOutcome) == 1
    entries = rt.session.scalars(sa.select(AuditEntry.action)).all()
    rt.session.rollback()
    assert entries.count("declaration.settled") == 1


def test_the_shop_is_reminded_of_money_to_go_back_until_somebody_notes_it_as_done(
    rt: Runtime, clock: FrozenClock, sub: Subscription
) -> None:
    first = receive(rt, said(WITHDRAW, sub.public_id))
    receive(rt, said(END, "tea", "b"))
    reminded = []
    for day in range(20):
        reminded += [day] * remind_of_refunds(rt)["refunds_due"]
        assert remind_of_refunds(rt) == {"refunds_due": 0}
        clock.advance(days=1)

    # The last day for the money is the fourteenth.
    assert reminded == [10, 13, 15]
    mails = waiting_mails(rt, "withdrawal_due")
    mail = compose(rt, mails[0])
    assert mail is not None
    assert mail.to == rt.shop.support_email
    for words in ("Ada Lovelace", EMAIL, sub.public_id, "/admin/declarations", "should be back"):
        assert words in mail.text, words

    settle(rt, make_staff(rt), first.ref, "Refunded")
    assert compose(rt, mails[-1]) is None
    rt.session.rollback()


def test_who_was_asleep_is_reminded_once_and_of_what_is_done_never(
    rt: Runtime, clock: FrozenClock, sub: Subscription
) -> None:
    who = make_staff(rt)
    receive(rt, said(WITHDRAW, sub.public_id))
    settle(rt, who, receive(rt, said(WITHDRAW, "coffee", "b")).ref, "Refunded")
    clock.advance(days=30)

    assert remind_of_refunds(rt) == {"refunds_due": 1}
    (one,) = waiting_mails(rt, "withdrawal_due")
    assert one.payload["to"] == rt.shop.support_email
    rt.session.rollback()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE declaration SET received_at = received_at, kind = 'withdraw'",
        "UPDATE declaration SET reason = 'other'",
        "UPDATE declaration SET blanked_at = received_at, is_sure = (1 = 1)",
        "DELETE FROM declaration",
        "UPDATE declaration_outcome SET note = 'other'",
        "DELETE FROM declaration_outcome",
    ],
)
def test_what_was_declared_and_what_became_of_it_cannot_be_changed(
    rt: Runtime, sub: Subscription, statement: str
) -> None:
    got = receive(rt, said(END, "tea"))
    settle(rt, make_staff(rt), got.ref, "")
    with pytest.raises(sa.exc.DBAPIError, match="append-only"):
        rt.session.execute(sa.text(statement))
    rt.session.rollback()


def test_an_erasure_takes_the_person_out_and_leaves_that_and_when(
    rt: Runtime, clock: FrozenClock, sub: Subscription
) -> None:
    receive(rt, said(END, f"{sub.public_id} Lovelace", reason="says Lovelace"))
    receive(rt, said(END, "tea", "b", email="other@example.org"))
    ada = rt.session.scalars(sa.select(Customer).where(Customer.email == EMAIL)).one()
    mine = everything_of(rt.session, ada.id)["declarations"]
    assert [one["reason"] for one in mine] == ["says Lovelace"]
    ref, key = ada.public_id, ada.id
    rt.session.rollback()
    cancel(rt, key, sub.public_id)
    ship(rt, clock)
    ask_erasure(rt, ref)
    clock.advance(days=40)
    run_renewals(rt)
    end_passed_over(rt)
    assert finish_erasures(rt)["erased"] == 1

    table = Declaration.__table__
    first, second = rt.session.execute(sa.select(table).order_by(table.c.id)).all()
    assert (first.name, first.email, first.contract, first.reason) == ("", "", "", "")
    assert first.blanked_at is not None
    assert first.subscription_id == sub.id
    assert (second.name, second.blanked_at) == ("Ada Lovelace", None)
    stopped = [one.payload for one in waiting_mails(rt, "declaration_received")]
    assert stopped[0] == {}
    rt.session.rollback()


def test_who_declared_something_that_was_never_found_is_forgotten_after_three_years(
    rt: Runtime, clock: FrozenClock, sub: Subscription
) -> None:
    receive(rt, said(END, "tea", email="nobody@example.org"))
    receive(rt, said(END, "tea", "b", is_for_cause=True, reason="Mouldy"))
    clock.advance(days=3 * 366)
    assert blank_old(rt)["declarations"] == 0
    clock.advance(days=1)
    assert blank_old(rt)["declarations"] == 1
    assert blank_old(rt)["declarations"] == 0
    table = Declaration.__table__
    names = rt.session.scalars(sa.select(table.c.name).order_by(table.c.id)).all()
    rt.session.rollback()
    assert names == ["", "Ada Lovelace"]


def test_after_a_merge_a_declaration_is_found_by_its_subscription(
    rt: Runtime, sub: Subscription
) -> None:
    receive(rt, said(END, sub.public_id, is_for_cause=True, reason="Mouldy"))
    who, kept = make_staff(rt), make.make_customer(rt, email="kept@example.org")
    old = rt.session.scalars(sa.select(Customer.public_id).where(Customer.email == EMAIL)).one()
    rt.session.rollback()
    merge_customers(rt, who, kept.public_id, old)

    (one,) = queue(rt.session, rt.moment())
    assert one.customer == kept.public_id
    assert len(everything_of(rt.session, kept.id)["declarations"]) == 1
    rt.session.rollback()
