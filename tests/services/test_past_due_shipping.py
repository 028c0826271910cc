"""Boxes of those who pay late: kept back, sent all the same, or sent once."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from storefront.charges import look_up_open
from storefront.demo.shopping import replace_card
from storefront.domain.boxes import BoxState
from storefront.domain.charging import AnswerStatus
from storefront.domain.gateways import ChargeAnswer, ChargeOrder
from storefront.domain.lifecycle import SubscriptionState
from storefront.models import Box, BoxCycle, Invoice, Subscription
from storefront.models.base import table_of
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.cancellations import cancel
from storefront.services.cycles import close_cycles
from storefront.services.fulfilment import export_boxes, ship_batch
from storefront.services.invoice_desk import Then, give_up
from storefront.services.methods import pay_now
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff

RENEWAL = datetime(2027, 4, 12, 9, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def nothing_is_broken(rt: Runtime):
    yield
    assert not any(broken(rt.session).values())
    rt.session.rollback()


def declined(rt: Runtime, clock: FrozenClock, policy: str) -> Subscription:
    """Return a subscription whose renewal of 12 April the bank declined."""
    plan = make.make_plan(rt, past_due_shipping=policy)
    make.make_recipe(rt, plan, variants=[make.make_variant(rt, on_hand=9)])
    sub = make.make_subscription(rt, plan=plan, card="0341")
    clock.set(RENEWAL)
    run_renewals(rt)
    run_renewals(rt)
    return sub


def boxes(rt: Runtime) -> list[str]:
    rows = rt.session.scalars(sa.select(Box.state).order_by(Box.id)).all()
    rt.session.rollback()
    return [BoxState(state).value for state in rows]


def pack_the_last(rt: Runtime) -> None:
    """Let the newest box be packed."""
    newest = sa.select(sa.func.max(Box.id)).scalar_subquery()
    rt.session.execute(
        sa.update(table_of(Box)).where(Box.id == newest).values(state=BoxState.LOCKED)
    )
    rt.session.commit()


def send_all(rt: Runtime) -> None:
    """Pack and send the boxes whose day has come."""
    close_cycles(rt)
    cycles = rt.session.scalars(
        sa.select(BoxCycle.public_id).where(BoxCycle.state == "locked")
    ).all()
    rt.session.rollback()
    for cycle in cycles:
        batch = export_boxes(rt, cycle)
        if batch is not None:
            ship_batch(rt, batch.public_id, carrier="DHL", tracking={})


def pay_the_rest(rt: Runtime, sub: Subscription) -> None:
    owner = sub.customer_id or 0
    replace_card(rt, owner, "4242")
    owed = rt.session.scalars(sa.select(Invoice.public_id).where(Invoice.state == "open")).first()
    rt.session.rollback()
    if owed:
        pay_now(rt, owner, owed)


@pytest.mark.parametrize(("policy", "made"), [("hold", 1), ("ship", 2), ("ship_once", 2)])
def test_an_unpaid_box_is_made_only_where_the_plan_ships_all_the_same(
    rt: Runtime, clock: FrozenClock, policy: str, made: int
):
    declined(rt, clock, policy)

    assert len(boxes(rt)) == made
    assert rt.session.scalar(sa.select(Subscription.state)) == SubscriptionState.PAST_DUE


@pytest.mark.parametrize("policy", ["hold", "ship", "ship_once"])
def test_paid_later_a_period_has_its_box_once(rt: Runtime, clock: FrozenClock, policy: str):
    sub = declined(rt, clock, policy)

    pay_the_rest(rt, sub)

    assert boxes(rt) == ["planned", "planned"]
    assert rt.session.scalar(sa.select(Subscription.state)) == SubscriptionState.ACTIVE


def test_leaving_takes_back_the_box_that_is_neither_paid_nor_packed(
    rt: Runtime, clock: FrozenClock
):
    sub = declined(rt, clock, "ship")

    cancel(rt, sub.customer_id or 0, sub.public_id)

    assert boxes(rt) == ["planned", "canceled"]


def test_a_box_that_left_unpaid_stays_sent_when_its_customer_leaves(
    rt: Runtime, clock: FrozenClock
):
    sub = declined(rt, clock, "ship")
    pack_the_last(rt)

    done = cancel(rt, sub.customer_id or 0, sub.public_id)

    assert (done.dropped, [amount.minor for _, amount in done.stays_due]) == (None, [2600])
    assert boxes(rt) == ["planned", "locked"]


@pytest.mark.parametrize(("policy", "made"), [("hold", 1), ("ship", 3), ("ship_once", 2)])
def test_once_means_once_until_it_is_paid(rt: Runtime, clock: FrozenClock, policy: str, made: int):
    """The staff write off what was sent unpaid and let it go on; then it is not paid again."""
    declined(rt, clock, policy)
    clock.advance(days=8)
    send_all(rt)
    owed = rt.session.scalars(sa.select(Invoice.public_id).where(Invoice.state == "open")).one()
    rt.session.rollback()
    give_up(rt, make_staff(rt), owed, Then.GO_ON)
    for day in (12, 13):
        clock.set(datetime(2027, 5, day, 9, 0, tzinfo=UTC))
        run_renewals(rt)

    assert rt.session.scalar(sa.select(Subscription.state)) == SubscriptionState.PAST_DUE
    assert len(boxes(rt)) == made


@pytest.mark.parametrize(("policy", "made"), [("hold", 1), ("ship", 2)])
def test_a_payment_that_takes_days_lets_a_box_go_only_where_the_merchant_allows_it(
    rt: Runtime,
    clock: FrozenClock,
    demo_gateway: DemoGateway,
    monkeypatch: pytest.MonkeyPatch,
    policy: str,
    made: int,
):
    """G-17; paid in the end it brings no second box."""
    make.make_subscription(rt, plan=make.make_plan(rt, past_due_shipping=policy))
    clock.set(RENEWAL)
    late = ChargeAnswer(AnswerStatus.PENDING, gateway_reference="ch_1")

    def wait(_order: ChargeOrder) -> ChargeAnswer:
        return late

    monkeypatch.setattr(demo_gateway, "charge", wait)
    run_renewals(rt)
    run_renewals(rt)
    assert len(boxes(rt)) == made
    assert rt.session.scalar(sa.select(Subscription.state)) == SubscriptionState.ACTIVE
    rt.session.rollback()

    def paid(*_names: str) -> ChargeAnswer:
        return ChargeAnswer(AnswerStatus.SUCCEEDED, gateway_reference="ch_1")

    monkeypatch.setattr(demo_gateway, "lookup", paid)
    clock.advance(hours=2)
    look_up_open(rt)

    assert len(boxes(rt)) == 2
