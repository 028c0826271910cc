"""Somebody leaves an invoice for several: nobody else is stuck, stopped or charged for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from storefront import charges
from storefront.domain.boxes import BoxState
from storefront.domain.charging import AttemptState
from storefront.domain.invoices import CreditReason, InvoiceState
from storefront.domain.lifecycle import PeriodState, SubscriptionState
from storefront.domain.refunds import Afterwards, Way
from storefront.models import (
    Box,
    CarriedAmount,
    ChargeAttempt,
    CreditNote,
    DunningCase,
    Invoice,
    PaymentMethod,
    Plan,
    Subscription,
    SubscriptionPeriod,
)
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services import refunding
from storefront.services.cancellations import cancel, quote_cancellation
from storefront.services.dunning import chase_due
from storefront.services.invoice_desk import Then, give_up, void
from storefront.services.pauses import pause, resume
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.cards import OK, PENDING
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff
from tests.support.baskets import bought, renew_together
from tests.support.orders import only


@pytest.fixture(autouse=True)
def invariants(rt: Runtime) -> Any:
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def two(rt: Runtime, demo_gateway: DemoGateway, clock: FrozenClock) -> list[Subscription]:
    """Tea for 26.00 and a pot for 19.07, both due today; the card is refused from now on."""
    tea = make.make_plan(rt, code="tea", amount_minor=2600)
    pot = make.make_plan(rt, code="pot", amount_minor=1907)
    found = bought(rt, demo_gateway, tea, pot, card="0341")
    until_due(rt, clock)
    return found


def until_due(rt: Runtime, clock: FrozenClock) -> None:
    clock.advance(days=32)
    run_renewals(rt)
    clock.advance(days=9)


def rows(rt: Runtime, model: type) -> list[sa.Row]:
    table = model.__table__  # type: ignore[attr-defined]
    found = list(rt.session.execute(sa.select(table).order_by(table.c.id)))
    rt.session.rollback()
    return found


def invoice(rt: Runtime, key: int) -> sa.Row:
    return next(row for row in rows(rt, Invoice) if row.id == key)


def states(rt: Runtime) -> list[str]:
    return [row.state for row in rows(rt, Subscription)]


def script(rt: Runtime, gateway: DemoGateway, *answers: Any) -> None:
    """Have the bank answer the next charges of the stored card so."""
    token = rt.session.execute(sa.select(PaymentMethod.token)).scalar_one()
    rt.session.rollback()
    gateway.bank.script(token, list(answers))


def goes(rt: Runtime, one: Subscription) -> None:
    assert one.customer_id is not None
    cancel(rt, one.customer_id, one.public_id)


def test_who_stays_for_nothing_goes_on_when_the_other_leaves(rt: Runtime, two: list[Subscription]):
    key = renew_together(rt, free=1)
    charges.send_planned(rt)
    assert (invoice(rt, key).due_minor, states(rt)) == (2600, ["past_due", "past_due"])

    goes(rt, two[0])

    owing = invoice(rt, key)
    assert (owing.state, owing.due_minor, owing.credited_minor) == (InvoiceState.PAID, 0, 2600)
    assert states(rt) == [SubscriptionState.CANCELED, SubscriptionState.ACTIVE]
    assert only(rt, DunningCase).state == "recovered"
    paid_for = [row.state for row in rows(rt, SubscriptionPeriod) if row.number == 2]
    assert paid_for == [PeriodState.VOID, PeriodState.PAID]
    assert [row.subscription_id for row in rows(rt, Box)][2:] == [two[1].id]


def test_credit_that_pays_the_rest_exactly_lets_the_other_go_on(
    rt: Runtime, two: list[Subscription]
):
    key = renew_together(rt, credit=1907)
    charges.send_planned(rt)

    goes(rt, two[0])

    owing = invoice(rt, key)
    assert (owing.state, owing.applied_minor, owing.due_minor) == (InvoiceState.PAID, 1907, 0)
    assert states(rt) == [SubscriptionState.CANCELED, SubscriptionState.ACTIVE]


def test_before_the_charge_goes_off_a_rest_of_nothing_asks_for_nothing(
    rt: Runtime, two: list[Subscription]
):
    renew_together(rt, free=1)
    goes(rt, two[0])

    charges.send_planned(rt)

    last = rows(rt, ChargeAttempt)[-1]
    assert (last.state, last.sent_at) == (AttemptState.ABANDONED, None)
    assert states(rt) == [SubscriptionState.CANCELED, SubscriptionState.ACTIVE]


def test_a_charge_on_its_way_goes_back_in_full_where_nothing_is_owed_any_more(
    rt: Runtime, two: list[Subscription], demo_gateway: DemoGateway
):
    key = renew_together(rt, free=1)
    script(rt, demo_gateway, PENDING)
    charges.send_planned(rt)
    goes(rt, two[0])
    assert invoice(rt, key).state == InvoiceState.PAID

    attempt = rows(rt, ChargeAttempt)[-1]
    demo_gateway.bank.settle(attempt.public_id, OK)
    charges.look_up(rt, attempt.id)

    attempt = rows(rt, ChargeAttempt)[-1]
    assert (attempt.settles, attempt.refunded_minor) == (False, 2600)


@pytest.mark.parametrize("how", [cancel, pause])
def test_a_rest_under_the_minimum_is_carried_and_not_charged(
    rt: Runtime, demo_gateway: DemoGateway, clock: FrozenClock, how: Callable[..., Any]
):
    tea = make.make_plan(rt, code="tea", amount_minor=2600, pause_unpaid="credit")
    tiny = make.make_plan(rt, code="tiny", amount_minor=30)
    first, second = bought(rt, demo_gateway, tea, tiny)
    until_due(rt, clock)
    key = renew_together(rt)
    assert rt.minimums["demo"]["EUR"] > 30

    how(rt, first.customer_id, first.public_id, **({"until": None} if how is pause else {}))
    charges.send_planned(rt)

    assert all(row.amount_minor > 30 for row in rows(rt, ChargeAttempt) if row.sent_at)
    assert [row.amount_minor for row in rows(rt, CarriedAmount)][-1:] == [30]
    assert (invoice(rt, key).state, states(rt)[1]) == (InvoiceState.PAID, "active")
    assert [row.subscription_id for row in rows(rt, Box)][-1] == second.id


@pytest.mark.parametrize("close", [void, give_up])
@pytest.mark.parametrize("then", list(Then))
def test_what_staff_do_with_an_invoice_leaves_alone_who_left_it(
    rt: Runtime,
    two: list[Subscription],
    demo_gateway: DemoGateway,
    clock: FrozenClock,
    close: Callable[..., None],
    then: Then,
):
    """The first left with a pause, came back and has paid for another period."""
    rt.session.execute(sa.update(Plan).values(pause_unpaid="credit"))
    rt.session.commit()
    key = renew_together(rt)
    charges.send_planned(rt)
    first, _ = two
    pause(rt, first.customer_id, first.public_id, None)
    script(rt, demo_gateway, *[OK] * 5)
    resume(rt, first.customer_id, first.public_id, today=False)
    for _ in range(40):
        run_renewals(rt)
        if states(rt)[0] == "active" and len(rows(rt, Invoice)) > 2:
            break
        clock.advance(days=1)
    mine = [(row.id, row.state) for row in rows(rt, Box) if row.subscription_id == first.id]
    assert len(mine) == 2

    close(rt, make_staff(rt), invoice(rt, key).public_id, then)

    now = SubscriptionState.CANCELED if then is Then.STOP else SubscriptionState.ACTIVE
    assert states(rt) == [SubscriptionState.ACTIVE, now]
    assert [(row.id, row.state) for row in rows(rt, Box) if row.subscription_id == first.id] == mine


def test_a_write_off_keeps_the_packed_box_of_who_left(
    rt: Runtime, two: list[Subscription], clock: FrozenClock
):
    """It was made unpaid and locked before they left; only what still waits is stopped."""
    rt.session.execute(sa.update(Plan).values(past_due_shipping="ship"))
    rt.session.commit()
    key = renew_together(rt)
    charges.send_planned(rt)
    chase_due(rt)
    boxes = rows(rt, Box)[2:]
    assert [row.subscription_id for row in boxes] == [one.id for one in two]
    rt.session.execute(sa.update(Box).where(Box.id == boxes[0].id).values(state=BoxState.LOCKED))
    rt.session.commit()
    goes(rt, two[0])

    give_up(rt, make_staff(rt), invoice(rt, key).public_id, Then.GO_ON)

    assert [row.state for row in rows(rt, Box)[2:]] == [BoxState.LOCKED, BoxState.CANCELED]


@pytest.mark.parametrize("credit", [1906, 4506])
@pytest.mark.parametrize("leaves", [0, 1])
def test_what_is_dropped_is_what_the_credit_note_says(
    rt: Runtime, two: list[Subscription], credit: int, leaves: int
):
    renew_together(rt, credit=credit)
    charges.send_planned(rt)
    one = two[leaves]
    assert one.customer_id is not None
    quoted = quote_cancellation(rt, one.customer_id, one.public_id)

    goes(rt, one)

    assert quoted.dropped is not None
    assert quoted.dropped.minor == only(rt, CreditNote).total_minor == [2600, 1907][leaves]


def test_of_two_boxes_one_cancelled_the_other_can_end_with_its_paid_time(
    rt: Runtime, demo_gateway: DemoGateway
):
    tea = make.make_plan(rt, code="tea", amount_minor=2600)
    first, second = bought(rt, demo_gateway, tea, make.make_plan(rt, code="pot"))
    goes(rt, first)
    ref = only(rt, Invoice).public_id

    offered = refunding.offer(rt, ref)
    assert Afterwards.PERIOD_END in offered.afterwards
    lines = {one.head.subscription_id: one.head.id for one in offered.lines}
    for chosen in ([second.id], [first.id, second.id]):
        wish = refunding.Wish(
            {lines[one]: 100 for one in chosen},
            Way.CARD,
            CreditReason.REFUND,
            Afterwards.PERIOD_END,
        )
        quoted = refunding.quote_refund(rt, ref, wish)
        assert quoted.ends == (("Pot", second.next_on),)

    alone = refunding.Wish(
        {lines[first.id]: 100}, Way.CARD, CreditReason.REFUND, Afterwards.PERIOD_END
    )
    with pytest.raises(refunding.WayNotOffered):
        refunding.quote_refund(rt, ref, alone)
