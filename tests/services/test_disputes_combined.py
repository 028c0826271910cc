"""A disputed invoice for several subscriptions holds each of them, and lets each go."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from storefront.models import Box, ChargeAttempt, Dispute, Subscription
from storefront.operations.audit import Who
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services import disputes, holds
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff
from tests.support.baskets import bought
from tests.support.hooks import send


@pytest.fixture(autouse=True)
def invariants(rt: Runtime) -> Any:
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def who(rt: Runtime) -> Who:
    return make_staff(rt)


@pytest.fixture
def pair(rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway) -> list[Subscription]:
    """Tea and pot on one invoice, whose payment is disputed."""
    tea = make.make_plan(rt, code="tea", amount_minor=2600)
    pot = make.make_plan(rt, code="pot", amount_minor=1907)
    make.make_subscription(rt, plan=tea)
    subscriptions = [one for one in bought(rt, demo_gateway, tea, pot) if one.checkout_position]
    order = rt.session.scalars(sa.select(ChargeAttempt.public_id).order_by(ChargeAttempt.id)).all()
    rt.session.rollback()
    demo_gateway.bank.dispute(order[-1])
    send(client, rt, about="dispute", reference=order[-1])
    return subscriptions


def held(rt: Runtime) -> list[bool]:
    rows = rt.session.scalars(sa.select(Subscription.held_at).order_by(Subscription.id)).all()
    rt.session.rollback()
    return [at is not None for at in rows]


def states(rt: Runtime) -> list[str]:
    rows = rt.session.scalars(sa.select(Box.state).order_by(Box.id)).all()
    rt.session.rollback()
    return [state.value for state in rows]


def dispute(rt: Runtime) -> str:
    found = rt.session.scalars(sa.select(Dispute.public_id)).one()
    rt.session.rollback()
    return found


def test_every_subscription_on_the_invoice_is_held_and_no_other(
    rt: Runtime, pair: list[Subscription]
) -> None:
    assert held(rt) == [False, True, True]
    assert states(rt) == ["planned", "held", "held"]


def test_all_go_on_together(rt: Runtime, pair: list[Subscription], who: Who) -> None:
    assert len(disputes.resume(rt, who, dispute(rt))) == 2
    assert held(rt) == [False, False, False]
    assert states(rt) == ["planned", "planned", "planned"]


def test_one_that_staff_let_go_leaves_the_other_held(
    rt: Runtime, pair: list[Subscription], who: Who
) -> None:
    first = rt.session.scalars(
        sa.select(Subscription.public_id)
        .where(Subscription.held_at.is_not(None))
        .order_by(Subscription.id)
    ).first()
    rt.session.rollback()
    assert first is not None
    assert holds.release(rt, who, first)
    assert held(rt) == [False, False, True]
    assert len(disputes.resume(rt, who, dispute(rt))) == 1
    assert held(rt) == [False, False, False]


def test_both_end_and_the_one_beside_them_goes_on(
    rt: Runtime, pair: list[Subscription], who: Who
) -> None:
    assert len(disputes.end(rt, who, dispute(rt))) == 2
    found = rt.session.scalars(sa.select(Subscription.state).order_by(Subscription.id)).all()
    rt.session.rollback()
    assert [state.value for state in found] == ["active", "canceled", "canceled"]
    assert states(rt) == ["planned", "canceled", "canceled"]
