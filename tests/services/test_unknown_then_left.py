"""A charge without an answer, its customer leaves, adds another card, and then it was a success.

In every order of the last three: nothing is tried again, all of it goes back once under one
credit note, and the subscription stays canceled.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import permutations

import pytest
import sqlalchemy as sa

from storefront import charges
from storefront.domain.charging import AttemptState
from storefront.domain.lifecycle import SubscriptionState
from storefront.models import (
    Box,
    ChargeAttempt,
    CreditNote,
    Customer,
    GatewaySetup,
    PaymentMethod,
    Refund,
    Subscription,
)
from storefront.models.base import Base, table_of
from storefront.operations.keys import AnyRow
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.cancellations import cancel
from storefront.services.dunning import chase_due
from storefront.services.methods import begin_card, finish_card
from storefront.services.refunds import send_refunds
from storefront.services.renewals import run_renewals
from storefront.testing.clock import FrozenClock
from storefront.testing.factories import make_subscription
from storefront_demo_gateway.cards import LOST
from storefront_demo_gateway.gateway import DemoGateway

RENEWAL = datetime(2027, 4, 12, 9, 0, tzinfo=UTC)


def rows(rt: Runtime, model: type[Base]) -> list[AnyRow]:
    table = table_of(model)
    found = rt.session.execute(sa.select(table).order_by(table.c.id)).all()
    rt.session.rollback()
    return list(found)


def leave(rt: Runtime, clock: FrozenClock, bank: DemoGateway) -> None:
    [subscription] = rows(rt, Subscription)
    cancel(rt, subscription.customer_id, subscription.public_id)


def add_card(rt: Runtime, clock: FrozenClock, bank: DemoGateway) -> None:
    [customer] = rows(rt, Customer)
    page = begin_card(rt, customer.id, "http://localhost/back")
    bank.bank.choose(page.rpartition("/")[2], "4242")
    finish_card(rt, customer.id, rows(rt, GatewaySetup)[-1].public_id, {})


def learn(rt: Runtime, clock: FrozenClock, bank: DemoGateway) -> None:
    clock.advance(minutes=10)
    charges.look_up_open(rt)


Step = Callable[[Runtime, FrozenClock, DemoGateway], None]


@pytest.mark.parametrize("steps", list(permutations((leave, add_card, learn))))
def test_what_was_unknown_when_they_left_goes_back_once(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway, steps: tuple[Step, ...]
) -> None:
    make_subscription(rt)
    [card] = rows(rt, PaymentMethod)
    clock.set(datetime(2027, 4, 5, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    demo_gateway.bank.script(card.token, [LOST])
    clock.set(RENEWAL)
    run_renewals(rt)
    assert rows(rt, ChargeAttempt)[-1].state == AttemptState.UNKNOWN

    for step in steps:
        step(rt, clock, demo_gateway)
    for _day in range(45):
        run_renewals(rt)
        chase_due(rt)
        charges.look_up_open(rt)
        send_refunds(rt)
        clock.advance(days=1)

    left_first = steps.index(leave) < steps.index(learn)
    [subscription] = rows(rt, Subscription)
    assert subscription.state == SubscriptionState.CANCELED
    assert len(rows(rt, ChargeAttempt)) == 2, "the order's and the one without an answer"
    assert demo_gateway.bank.executed_count() == 2
    assert [row.state for row in rows(rt, ChargeAttempt)] == [AttemptState.SUCCEEDED] * 2
    assert len(rows(rt, PaymentMethod)) == 2
    assert [row.amount_minor for row in rows(rt, Refund)] == ([2600] if left_first else [])
    assert [row.total_minor for row in rows(rt, CreditNote)] == ([2600] if left_first else [])
    assert len(rows(rt, Box)) == (1 if left_first else 2)
    assert broken(rt.session) == {}
