"""A refund without an answer: when "nothing" of a look-up is a leave to send it once more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import sqlalchemy as sa

from storefront.domain.charging import AnswerStatus, AttemptState
from storefront.domain.gateways import NOT_SENT, RefundAnswer, RefundOrder
from storefront.domain.invoices import CreditReason
from storefront.domain.refunds import NO_ANSWER, Way
from storefront.models import Invoice, ParkedWork, Refund
from storefront.operations.refund_results import find_refund
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services import refunding
from storefront.services.refunds import send_refunds
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff

HOUR, DAY = 3600, 86_400


@pytest.fixture(autouse=True)
def invariants(rt: Runtime) -> Iterator[None]:
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@dataclass
class Partner:
    """The gateway with what it was asked to pay, and what it answers until it is let loose."""

    gateway: DemoGateway
    sent: list[str] = field(default_factory=list)
    says: RefundAnswer | None = None


@pytest.fixture
def partner(demo_gateway: DemoGateway, monkeypatch: pytest.MonkeyPatch) -> Partner:
    """No key window, "nothing" may be wrong for three hours, look-ups reach back thirty days."""
    partner = Partner(demo_gateway)
    can = replace(
        demo_gateway.capabilities,
        key_window_seconds=0,
        lookup_settle_seconds=3 * HOUR,
        lookup_reach_seconds=30 * DAY,
    )
    monkeypatch.setattr(demo_gateway, "capabilities", can)
    real = demo_gateway.refund

    def refund(order: RefundOrder) -> RefundAnswer:
        partner.sent.append(order.reference)
        return partner.says or real(order)

    monkeypatch.setattr(demo_gateway, "refund", refund)
    return partner


@pytest.fixture
def planned(rt: Runtime) -> str:
    """Ten euros that are to go back to the card."""
    make.make_subscription(rt)
    invoice = rt.session.scalars(sa.select(Invoice.public_id)).one()
    rt.session.rollback()
    line = refunding.offer(rt, invoice).lines[0].head.id
    wish = refunding.Wish({line: 1000}, Way.CARD, CreditReason.REFUND)
    shown = refunding.quote_refund(rt, invoice, wish).quote_hash
    refunding.refund(rt, make_staff(rt), invoice, wish, shown)
    return str(one(rt).public_id)


def one(rt: Runtime) -> Any:
    found = rt.session.execute(sa.select(Refund.__table__)).one()
    rt.session.rollback()
    return found


def test_before_the_settle_time_nothing_is_no_leave_to_send_it_again(
    rt: Runtime, clock: FrozenClock, partner: Partner, planned: str
) -> None:
    partner.says = RefundAnswer(AnswerStatus.UNKNOWN, reason="timeout")
    send_refunds(rt)
    partner.says = None
    for _ in range(5):
        clock.advance(minutes=30)
        assert send_refunds(rt).waiting == 1
    assert (partner.sent, one(rt).state) == ([planned], AttemptState.UNKNOWN)

    clock.advance(minutes=31)

    assert send_refunds(rt).done == 1
    assert partner.sent == [planned, planned]


def test_each_send_is_given_the_settle_time(
    rt: Runtime, clock: FrozenClock, partner: Partner, planned: str
) -> None:
    partner.says = RefundAnswer(AnswerStatus.UNKNOWN, reason="timeout")
    send_refunds(rt)
    clock.advance(hours=4)
    send_refunds(rt)
    clock.advance(minutes=10)
    send_refunds(rt)

    assert partner.sent == [planned, planned]


def test_inside_the_key_window_it_is_sent_again_with_the_same_key(
    rt: Runtime, clock: FrozenClock, partner: Partner, planned: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    can = replace(partner.gateway.capabilities, key_window_seconds=DAY)
    monkeypatch.setattr(partner.gateway, "capabilities", can)
    partner.says = RefundAnswer(AnswerStatus.UNKNOWN, reason="timeout")
    send_refunds(rt)
    partner.says = None
    clock.advance(minutes=6)

    assert send_refunds(rt).done == 1
    assert partner.sent == [planned, planned]


def test_what_surely_never_left_is_sent_as_soon_as_the_gateway_listens(
    rt: Runtime, clock: FrozenClock, partner: Partner, planned: str
) -> None:
    partner.says = RefundAnswer(AnswerStatus.UNKNOWN, reason=NOT_SENT)
    send_refunds(rt)
    partner.says = None
    clock.advance(minutes=6)

    assert send_refunds(rt).done == 1


def test_what_waited_for_a_gateway_that_was_off_is_sent_when_it_is_back(
    rt: Runtime, clock: FrozenClock, partner: Partner, planned: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as off:
        off.setattr(partner.gateway, "account", "another")
        assert send_refunds(rt).waiting == 1
    clock.advance(days=40)

    assert send_refunds(rt).done == 1
    assert partner.sent == [planned]


def test_what_a_look_up_reaches_no_more_waits_for_staff_and_is_sent_by_nobody(
    rt: Runtime, clock: FrozenClock, partner: Partner, planned: str
) -> None:
    partner.says = RefundAnswer(AnswerStatus.UNKNOWN, reason="timeout")
    send_refunds(rt)
    partner.says = None
    clock.advance(days=31)
    for _ in range(3):
        send_refunds(rt)
        clock.advance(days=1)

    assert (partner.sent, one(rt).state) == ([planned], AttemptState.UNKNOWN)
    parked = rt.session.scalars(sa.select(ParkedWork)).one()
    assert (parked.kind, parked.subject) == (NO_ANSWER, planned)


def test_a_refund_is_found_by_its_gateways_own_name_by_an_index(
    rt: Runtime, partner: Partner, planned: str
) -> None:
    send_refunds(rt)
    found = find_refund(rt.session, "", one(rt).gateway_reference, "demo")

    assert found is not None
    assert found.public_id == planned
