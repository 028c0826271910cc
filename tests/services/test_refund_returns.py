"""Refunds that fail: refused at once they stay owed, sent back later they are owed again."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from storefront.domain.charging import AnswerStatus, AttemptState
from storefront.domain.gateways import RefundAnswer
from storefront.domain.invoices import CreditReason
from storefront.domain.refunds import NO_ANSWER, Way
from storefront.models import (
    ChargeAttempt,
    CustomerCredit,
    Invoice,
    LedgerJournal,
    LedgerTransfer,
    ParkedWork,
    Refund,
)
from storefront.operations.audit import Who
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services import holds, refund_returns, refunding
from storefront.services.refund_returns import look_again
from storefront.services.refunds import send_again, send_refunds, to_credit
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff


@pytest.fixture(autouse=True)
def invariants(rt: Runtime) -> Any:
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def who(rt: Runtime) -> Who:
    return make_staff(rt)


@pytest.fixture
def refund(rt: Runtime, who: Who) -> str:
    """Ten euros that reached the card."""
    make.make_subscription(rt)
    invoice = rt.session.scalars(sa.select(Invoice.public_id)).one()
    rt.session.rollback()
    line = refunding.offer(rt, invoice).lines[0].head.id
    wish = refunding.Wish({line: 1000}, Way.CARD, CreditReason.REFUND)
    shown = refunding.quote_refund(rt, invoice, wish).quote_hash
    refunding.refund(rt, who, invoice, wish, shown)
    assert send_refunds(rt).done == 1
    return str(one(rt).public_id)


def one(rt: Runtime) -> Any:
    found = rt.session.execute(sa.select(Refund.__table__)).one()
    rt.session.rollback()
    return found


def owed(rt: Runtime) -> int:
    rows = rt.session.scalars(sa.select(LedgerTransfer)).all()
    sums = sum(
        row.amount_minor * ((row.credit == "refunds_due") - (row.debit == "refunds_due"))
        for row in rows
    )
    rt.session.rollback()
    return sums


def booked(rt: Runtime, kind: str) -> int:
    found = rt.session.scalar(
        sa.select(sa.func.count()).select_from(LedgerJournal).where(LedgerJournal.kind == kind)
    )
    rt.session.rollback()
    return found or 0


def test_a_refund_that_stayed_is_looked_up_once_and_then_left_alone(
    rt: Runtime, refund: str, clock: FrozenClock
) -> None:
    assert look_again(rt).stayed == 0
    clock.advance(days=8)

    assert (look_again(rt).stayed, look_again(rt).stayed) == (1, 0)

    assert (one(rt).state, one(rt).check_at, owed(rt)) == (AttemptState.SUCCEEDED, None, 0)


def test_money_that_came_back_is_owed_again_and_waits_for_staff(
    rt: Runtime, refund: str, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    demo_gateway.bank.send_back(refund)
    clock.advance(days=8)

    assert (look_again(rt).came_back, look_again(rt).came_back) == (1, 0)

    assert (one(rt).state, owed(rt), booked(rt, "refund_failed")) == ("declined", 1000, 1)
    parked = rt.session.scalars(sa.select(ParkedWork).where(ParkedWork.kind == "refund")).one()
    assert (parked.subject, parked.reason) == (refund, "account_closed")


def test_what_came_back_is_sent_again_or_given_as_credit(
    rt: Runtime, who: Who, refund: str, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    demo_gateway.bank.send_back(refund)
    clock.advance(days=8)
    look_again(rt)

    new = send_again(rt, who, refund)
    assert (send_refunds(rt).done, owed(rt), booked(rt, "refund_done")) == (1, 0, 2)

    demo_gateway.bank.send_back(new)
    clock.advance(days=8)
    assert look_again(rt).came_back == 1
    to_credit(rt, who, new)
    assert (owed(rt), booked(rt, "refund_failed")) == (0, 2)
    assert rt.session.scalars(sa.select(CustomerCredit.balance_minor)).one() == 1000
    rt.session.rollback()


def test_silence_changes_nothing_and_is_asked_again(
    rt: Runtime, refund: str, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    demo_gateway.bank.send_back(refund)
    clock.advance(days=8)
    demo_gateway.bank.set_fault("lookup_down")

    assert look_again(rt).came_back == 0
    assert (one(rt).state, owed(rt)) == (AttemptState.SUCCEEDED, 0)

    demo_gateway.bank.set_fault("lookup_down", is_on=False)
    clock.advance(days=1)
    assert look_again(rt).came_back == 1


@pytest.mark.parametrize("why", ["nobody answers", "account was changed", "gateway was removed"])
def test_a_refund_nobody_answers_for_does_not_hide_the_others(
    rt: Runtime,
    who: Who,
    clock: FrozenClock,
    demo_gateway: DemoGateway,
    monkeypatch: pytest.MonkeyPatch,
    why: str,
) -> None:
    monkeypatch.setattr(refund_returns, "AT_ONCE", 1)
    first, second = refund_two(rt, who, clock)
    values = {"account was changed": {"account": "old"}, "gateway was removed": {"gateway": "old"}}
    if why in values:
        attempt = sa.select(Refund.attempt_id).where(Refund.public_id == first).scalar_subquery()
        rt.session.execute(
            sa.update(ChargeAttempt).where(ChargeAttempt.id == attempt).values(values[why])
        )
        rt.session.commit()
    else:
        answers(monkeypatch, demo_gateway, first, None)
    demo_gateway.bank.send_back(second)

    clock.advance(days=7)
    came_back = [look_again(rt).came_back for _ in range(2)]

    assert sum(came_back) == 1


def refund_two(rt: Runtime, who: Who, clock: FrozenClock) -> list[str]:
    """Have ten euros of each of two invoices reach their cards, a minute apart."""
    plan = make.make_plan(rt)
    for _ in range(2):
        make.make_subscription(rt, plan=plan)
    invoices = rt.session.scalars(sa.select(Invoice.public_id).order_by(Invoice.id)).all()
    for invoice in invoices:
        line = refunding.offer(rt, invoice).lines[0].head.id
        wish = refunding.Wish({line: 1000}, Way.CARD, CreditReason.REFUND)
        shown = refunding.quote_refund(rt, invoice, wish).quote_hash
        refunding.refund(rt, who, invoice, wish, shown)
        assert send_refunds(rt).done == 1
        clock.advance(minutes=1)
    found = list(rt.session.scalars(sa.select(Refund.public_id).order_by(Refund.id)))
    rt.session.rollback()
    return found


def answers(
    monkeypatch: pytest.MonkeyPatch,
    gateway: DemoGateway,
    refund: str,
    answer: RefundAnswer | None,
) -> None:
    """Let the gateway say ``answer`` about one refund, and the truth about all others."""
    real = type(gateway).lookup_refund

    def say(self: DemoGateway, reference: str, *names: str) -> RefundAnswer | None:
        return answer if reference == refund else real(self, reference, *names)

    monkeypatch.setattr(type(gateway), "lookup_refund", say)


@pytest.mark.parametrize("status", [AnswerStatus.PENDING, AnswerStatus.UNKNOWN])
def test_a_refund_that_is_not_decided_yet_is_asked_for_again_the_next_day(
    rt: Runtime,
    refund: str,
    clock: FrozenClock,
    demo_gateway: DemoGateway,
    monkeypatch: pytest.MonkeyPatch,
    status: AnswerStatus,
) -> None:
    demo_gateway.bank.send_back(refund)
    clock.advance(days=8)
    with monkeypatch.context() as now:
        answers(now, demo_gateway, refund, RefundAnswer(status))
        report = look_again(rt)
    assert (report.stayed, report.waiting, one(rt).state) == (0, 1, AttemptState.SUCCEEDED)
    assert look_again(rt).waiting == 0

    clock.advance(days=1)
    assert look_again(rt).came_back == 1


def test_after_three_weeks_without_an_answer_staff_are_told_and_can_ask_once_more(
    rt: Runtime, who: Who, refund: str, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    demo_gateway.bank.send_back(refund)
    demo_gateway.bank.set_fault("lookup_down")
    asked = 0
    for _ in range(40):
        clock.advance(days=1)
        asked += look_again(rt).waiting
    # From the seventh day to the twenty-first, both asked.
    assert (asked, one(rt).check_at, one(rt).state) == (15, None, AttemptState.SUCCEEDED)
    parked = rt.session.scalars(sa.select(ParkedWork)).one()
    key, kind, subject = parked.id, parked.kind, parked.subject
    rt.session.rollback()
    assert (kind, subject) == (NO_ANSWER, refund)

    assert holds.try_again(rt, who, key)
    demo_gateway.bank.set_fault("lookup_down", is_on=False)
    assert look_again(rt).came_back == 1


def test_a_refund_refused_at_once_stays_owed_and_books_nothing(
    rt: Runtime, who: Who, demo_gateway: DemoGateway
) -> None:
    make.make_subscription(rt)
    invoice = rt.session.scalars(sa.select(Invoice.public_id)).one()
    rt.session.rollback()
    line = refunding.offer(rt, invoice).lines[0].head.id
    wish = refunding.Wish({line: 1000}, Way.CARD, CreditReason.REFUND)
    refunding.refund(rt, who, invoice, wish, refunding.quote_refund(rt, invoice, wish).quote_hash)
    spend_elsewhere(rt, demo_gateway)

    assert send_refunds(rt).refused == 1
    assert (owed(rt), booked(rt, "refund_done"), booked(rt, "refund_failed")) == (1000, 0, 0)


def spend_elsewhere(rt: Runtime, gateway: DemoGateway) -> None:
    """Have the bank give the whole charge back by another hand, so that no more can go."""
    row = rt.session.execute(sa.select(ChargeAttempt.public_id, ChargeAttempt.amount_minor)).one()
    rt.session.rollback()
    details = {
        "charge_reference": row.public_id,
        "amount_minor": row.amount_minor,
        "currency": "EUR",
    }
    gateway.bank.refund("by-hand", details)
