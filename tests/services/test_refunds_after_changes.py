"""Refunds after a change of plan: each card gets what it paid for what is unused, no more."""

import pytest
import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.invoices import CreditReason
from storefront.domain.money import Money
from storefront.domain.refunds import Afterwards, NothingToRefund, RefundTooHigh, Way, WayNotOffered
from storefront.models import (
    Box,
    ChargeAttempt,
    CreditMove,
    CreditNote,
    Invoice,
    InvoiceLine,
    LedgerTransfer,
    Refund,
    SubscriptionPeriod,
)
from storefront.operations.earning import deferred_of
from storefront.queries.invariants import broken
from storefront.services import refunding
from storefront.services.downgrades import downgrade, quote_downgrade
from storefront.services.refunds import send_refunds
from storefront.testing import factories
from tests.support.admin import make_staff
from tests.support.changing import AGREED, boxes_sent, fresh, go, wish_of


@pytest.fixture(autouse=True)
def invariants(rt):
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def group(rt):
    return factories.make_group(rt, cycles=40)


@pytest.fixture
def sub(rt, group):
    return factories.make_subscription(
        rt, plan=factories.make_plan(rt, group=group, amount_minor=4000, unit="year")
    )


@pytest.fixture
def sixty(rt, group, sub):
    return factories.make_plan(rt, group=group, amount_minor=6000, unit="year", name="Big pot")


@pytest.fixture
def who(rt):
    return make_staff(rt)


def wish_for(rt, invoice, amount=None, way=Way.CARD, afterwards=Afterwards.KEEP):
    line = refunding.offer(rt, invoice.public_id).lines[0]
    minor = line.left if amount is None else amount
    return refunding.Wish({line.head.id: minor}, way, CreditReason.REFUND, afterwards)


def back(rt, who, invoice, amount=None, way=Way.CARD, afterwards=Afterwards.KEEP):
    wish = wish_for(rt, invoice, amount, way, afterwards)
    quote = refunding.quote_refund(rt, invoice.public_id, wish)
    refunding.refund(rt, who, invoice.public_id, wish, quote.quote_hash)
    return quote


def to_cards(rt):
    """Return what goes back to the card of each invoice, in minor units."""
    rows = rt.session.execute(
        sa.select(ChargeAttempt.invoice_id, sa.func.sum(Refund.amount_minor))
        .join(Refund, Refund.attempt_id == ChargeAttempt.id)
        .group_by(ChargeAttempt.invoice_id)
        .order_by(ChargeAttempt.invoice_id)
    )
    return [int(minor) for _invoice, minor in rows]


def account(rt, name):
    rows = fresh(rt, LedgerTransfer)
    return sum(row.amount_minor * ((row.debit == name) - (row.credit == name)) for row in rows)


@pytest.mark.parametrize("when", ["now", "restart"])
def test_an_upgrade_that_goes_back_whole_repays_both_cards(rt, who, sub, sixty, clock, when):
    boxes_sent(clock, 3)
    go(rt, sub, sixty, when=when)
    first, second = fresh(rt, Invoice)
    due, worth = (1500, 4500) if when == "now" else (3000, 6000)
    assert second.total_minor == due

    quote = back(rt, who, second, afterwards=Afterwards.STOP_NOW)

    assert (quote.total.minor, quote.earlier) == (worth, ((first.number, Money(3000, "EUR")),))
    assert to_cards(rt) == [3000, due]
    assert [note.total_minor for note in fresh(rt, CreditNote)] == [due, 3000]
    first, second = fresh(rt, Invoice)
    assert (first.paid_minor, second.paid_minor) == (1000, 0)
    # Three boxes were sent of the first forty; nothing else is earned or owed.
    assert {box.state for box in fresh(rt, Box)[3:]} == {BoxState.CANCELED}
    assert send_refunds(rt).done == 2
    assert account(rt, "refunds_due") == 0
    assert account(rt, "clearing:demo") == 1000
    assert (
        account(rt, "revenue") + account(rt, "tax_payable") + account(rt, "deferred_revenue")
        == -1000
    )
    tax = sum(line.tax_minor for line in fresh(rt, InvoiceLine))
    assert account(rt, "tax_payable") == -(tax - sum(n.tax_minor for n in fresh(rt, CreditNote)))


def test_money_of_the_upgrade_goes_back_first_then_what_it_took_over(rt, who, sub, sixty, clock):
    boxes_sent(clock, 3)
    go(rt, sub, sixty)
    invoice = fresh(rt, Invoice)[1]

    for minor in (1, 1400, 1099, 1000):
        back(rt, who, invoice, minor)

    assert to_cards(rt) == [2000, 1500]
    with pytest.raises(RefundTooHigh):
        back(rt, who, invoice, 1001)
    back(rt, who, invoice)
    assert to_cards(rt) == [3000, 1500]
    with pytest.raises(NothingToRefund):
        back(rt, who, invoice)
    # Of the first forty nobody gets more than paid for the boxes sent.
    assert refunding.offer(rt, fresh(rt, Invoice)[0].public_id).left == 1000


def test_after_two_changes_each_of_three_cards_is_repaid(rt, who, group, sub, sixty, clock):
    eighty = factories.make_plan(rt, group=group, amount_minor=8000, unit="year", name="Biggest")
    boxes_sent(clock, 3)
    go(rt, sub, sixty)
    go(rt, sub, eighty)
    first, second, third = fresh(rt, Invoice)
    assert [one.total_minor for one in (first, second, third)] == [4000, 1500, 1500]

    back(rt, who, third)

    assert to_cards(rt) == [3000, 1500, 1500]
    assert [one.paid_minor for one in fresh(rt, Invoice)] == [1000, 0, 0]
    assert [one.credited_minor for one in fresh(rt, InvoiceLine) if one.gross_minor > 0] == [
        3000,
        4500,
        6000,
    ]


def test_what_credit_paid_of_the_first_invoice_never_goes_to_a_card(rt, who, sub, sixty, clock):
    boxes_sent(clock, 3)
    back(rt, who, fresh(rt, Invoice)[0], 2000, way=Way.CARD)
    go(rt, sub, sixty)
    invoice = fresh(rt, Invoice)[1]
    offered = refunding.offer(rt, invoice.public_id)
    assert (offered.left, offered.ways[Way.CARD]) == (4500, 4500)

    rt.session.execute(sa.update(ChargeAttempt).values(gateway="manual"))
    rt.session.commit()

    offered = refunding.offer(rt, invoice.public_id)
    assert (Way.CARD in offered.ways, offered.ways[Way.CREDIT]) == (False, 4500)
    with pytest.raises(WayNotOffered):
        back(rt, who, invoice)
    back(rt, who, invoice, way=Way.CREDIT)
    assert [move.amount_minor for move in fresh(rt, CreditMove)] == [3000, 1500]
    rt.session.execute(sa.update(ChargeAttempt).values(gateway="demo"))
    rt.session.commit()


def test_a_change_that_was_paid_with_the_old_plan_alone_can_go_back(rt, who, group, sub, clock):
    same = factories.make_plan(rt, group=group, amount_minor=4000, unit="year", name="Same")
    boxes_sent(clock, 3)
    go(rt, sub, same)
    invoice = fresh(rt, Invoice)[1]
    assert invoice.total_minor == 0

    back(rt, who, invoice, 1000)

    assert [note.total_minor for note in fresh(rt, CreditNote)] == [0, 1000]
    assert to_cards(rt) == [1000]


def test_a_downgrade_after_an_upgrade_credits_what_both_invoices_paid(
    rt, who, group, sub, sixty, clock
):
    less = factories.make_plan(rt, group=group, amount_minor=800, unit="year")
    boxes_sent(clock, 3)
    go(rt, sub, sixty)
    wish = wish_of(rt, sub, less)
    quote = quote_downgrade(rt, sub.public_id, wish)

    downgrade(rt, who, sub.public_id, wish, quote.quote_hash, AGREED)

    # Forty-five for nine boxes, six for nine of the new plan.
    assert quote.credit.minor == 3900
    assert sum(move.rest_minor for move in fresh(rt, CreditMove)) == 3900


def test_what_waits_of_the_old_plan_stays_deferred_when_the_new_one_goes_back(
    rt, who, group, sub, sixty, clock
):
    boxes_sent(clock, 3)
    go(rt, sub, sixty, when="restart")
    old, new = fresh(rt, SubscriptionPeriod)
    before = deferred_of(rt.session, [old.id]).get(old.id, 0)
    assert before > 0

    back(rt, who, fresh(rt, Invoice)[1], 4000)

    assert deferred_of(rt.session, [old.id]).get(old.id, 0) == before
    left = fresh(rt, InvoiceLine, InvoiceLine.period_id == new.id)
    net = sum(line.gross_minor - line.tax_minor for line in left)
    note_net = sum(note.total_minor - note.tax_minor for note in fresh(rt, CreditNote))
    assert abs(deferred_of(rt.session, [new.id])[new.id] - (net - note_net)) <= 2


def test_a_preview_is_shown_again_when_the_first_invoice_gave_something_back(
    rt, who, sub, sixty, clock
):
    boxes_sent(clock, 3)
    go(rt, sub, sixty)
    first, second = fresh(rt, Invoice)
    wish = wish_for(rt, second, 4500)
    shown = refunding.quote_refund(rt, second.public_id, wish).quote_hash
    back(rt, who, first)
    # Ten for the boxes sent went back; what moved over is still there, and as it was shown.
    refunding.refund(rt, who, second.public_id, wish, shown)

    assert to_cards(rt) == [4000, 1500]
    assert [one.paid_minor for one in fresh(rt, Invoice)] == [0, 0]
