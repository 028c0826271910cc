"""A fault at any statement of a decision about money leaves the database as it was before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from storefront.charges import look_up_open
from storefront.domain.changes import Wish
from storefront.domain.invoices import CreditReason
from storefront.domain.money import Money
from storefront.domain.refunds import Afterwards, Way
from storefront.extensions import db
from storefront.models import Base, Customer, CycleGroup, Invoice, Plan, Subscription
from storefront.operations.audit import Who
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services import refunding
from storefront.services.cancellations import cancel
from storefront.services.changes import change, quote_change
from storefront.services.credit import give_credit
from storefront.services.downgrades import downgrade, quote_downgrade
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff
from tests.support.changing import AGREED, boxes_sent, go, wish_of

#: A statement that changes something.
_WRITES = ("INSERT", "UPDATE", "DELETE")


class Pulled(RuntimeError):
    """Somebody pulled the plug."""


@contextmanager
def plug_pulled_at(number: int) -> Iterator[list[int]]:
    """Fail the writing statement with this number; the answer counts those that came."""
    seen = [0]

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.lstrip().upper().startswith(_WRITES):
            seen[0] += 1
            if seen[0] == number:
                raise Pulled(statement[:60])

    sa.event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(db.engine, "before_cursor_execute", note)


def everything(rt: Runtime) -> dict[str, list[Any]]:
    """Return all rows of all tables."""
    rt.session.rollback()
    found = {
        table.name: sorted(map(repr, rt.session.execute(sa.select(table)).all()))
        for table in Base.metadata.sorted_tables
    }
    rt.session.rollback()
    return found


def each_fault(rt: Runtime, work: Callable[[], object]) -> int:
    """Do ``work`` with a fault at each of its writes, then without; returns how many there are."""
    before = everything(rt)
    for number in range(1, 200):
        with plug_pulled_at(number) as seen:
            try:
                work()
            except Pulled:
                pass
            else:
                assert seen[0] < number
                return number - 1
        assert everything(rt) == before, f"half-written at write {number}"
    raise AssertionError("more writes than anybody counted on")


@pytest.fixture(autouse=True)
def invariants(rt: Runtime) -> Iterator[None]:
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def who(rt: Runtime) -> Who:
    return make_staff(rt)


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    plan = make.make_plan(rt, group=make.make_group(rt, cycles=30), amount_minor=4000, unit="year")
    return make.make_subscription(rt, plan=plan)


@pytest.fixture
def plans(rt: Runtime, sub: Subscription) -> tuple[Plan, Plan]:
    """A dearer plan and a cheaper one in the same rhythm."""
    group = rt.session.scalars(sa.select(CycleGroup)).one()
    rt.session.expunge(group)
    rt.session.rollback()
    return (
        make.make_plan(rt, group=group, amount_minor=6000, unit="year", name="Big"),
        make.make_plan(rt, group=group, amount_minor=800, unit="year", name="Less"),
    )


def test_a_refund_after_an_upgrade(
    rt: Runtime, who: Who, sub: Subscription, plans: tuple[Plan, Plan], clock: FrozenClock
) -> None:
    boxes_sent(clock, 2)
    go(rt, sub, plans[0])
    invoice = rt.session.scalars(sa.select(Invoice.public_id).order_by(Invoice.id.desc())).first()
    rt.session.rollback()
    assert invoice is not None
    line = refunding.offer(rt, invoice).lines[0]
    wish = refunding.Wish(
        {line.head.id: line.left}, Way.CARD, CreditReason.REFUND, Afterwards.STOP_NOW
    )
    shown = refunding.quote_refund(rt, invoice, wish).quote_hash

    assert each_fault(rt, lambda: refunding.refund(rt, who, invoice, wish, shown)) > 15


def test_a_downgrade_by_staff(
    rt: Runtime, who: Who, sub: Subscription, plans: tuple[Plan, Plan], clock: FrozenClock
) -> None:
    boxes_sent(clock, 2)
    wish = wish_of(rt, sub, plans[1])
    shown = quote_downgrade(rt, sub.public_id, wish).quote_hash

    assert each_fault(rt, lambda: downgrade(rt, who, sub.public_id, wish, shown, AGREED)) > 15


def test_a_change_that_credit_pays(
    rt: Runtime, who: Who, sub: Subscription, plans: tuple[Plan, Plan], clock: FrozenClock
) -> None:
    boxes_sent(clock, 2)
    customer = rt.session.get_one(Customer, sub.customer_id).public_id
    rt.session.rollback()
    give_credit(rt, who, customer, Money(5000, "EUR"), "sorry")
    wish = wish_of(rt, sub, plans[0])
    shown = quote_change(rt, sub.customer_id, sub.public_id, wish).quote_hash

    def work() -> object:
        return change(rt, sub.customer_id, sub.public_id, wish, shown, AGREED)

    assert each_fault(rt, work) > 15


def test_leaving_with_a_change_that_waits(
    rt: Runtime, sub: Subscription, plans: tuple[Plan, Plan]
) -> None:
    go(rt, sub, plans[1])

    assert each_fault(rt, lambda: cancel(rt, sub.customer_id, sub.public_id)) > 3


def test_credit_by_staff(rt: Runtime, who: Who, sub: Subscription) -> None:
    customer = rt.session.get_one(Customer, sub.customer_id).public_id
    rt.session.rollback()

    assert each_fault(rt, lambda: give_credit(rt, who, customer, Money(500, "EUR"), "sorry")) > 3


def finished_by_the_worker(rt: Runtime, clock: FrozenClock) -> None:
    """Let the jobs that look after broken-off charges run until nothing is left to do."""
    for _turn in range(4):
        clock.advance(minutes=20)
        look_up_open(rt)
        run_renewals(rt)
    rt.session.rollback()
    assert broken(rt.session) == {}
    rt.session.rollback()


@pytest.mark.parametrize("number", [1, 2, 3, 5, 8, 12, 17, 23, 30])
def test_a_change_by_card_broken_off_at_any_write_is_paid_once_or_not_at_all(
    rt: Runtime,
    sub: Subscription,
    plans: tuple[Plan, Plan],
    clock: FrozenClock,
    demo_gateway: DemoGateway,
    number: int,
) -> None:
    boxes_sent(clock, 2)
    wish: Wish = wish_of(rt, sub, plans[0])
    shown = quote_change(rt, sub.customer_id, sub.public_id, wish)
    with plug_pulled_at(number):
        try:
            change(rt, sub.customer_id, sub.public_id, wish, shown.quote_hash, AGREED)
        except Pulled:
            rt.session.rollback()

    finished_by_the_worker(rt, clock)

    row = rt.session.get_one(Subscription, sub.id)
    charged = demo_gateway.bank.executed_total("EUR") - 4000
    is_new = row.plan_id == plans[0].id
    rt.session.rollback()
    assert charged == (shown.due_today.minor if is_new else 0)


@pytest.mark.parametrize("number", [1, 2, 4, 7, 11, 16, 22, 29, 37, 46])
def test_renewals_broken_off_at_any_write_charge_everybody_once(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway, number: int
) -> None:
    plan = make.make_plan(rt, group=make.make_group(rt, cycles=6))
    for n in range(3):
        make.make_subscription(
            rt, plan=plan, customer=make.make_customer(rt, email=f"ada{n}@example.org")
        )
    clock.advance(days=41)
    with plug_pulled_at(number):
        try:
            run_renewals(rt)
        except Pulled:
            rt.session.rollback()

    finished_by_the_worker(rt, clock)

    assert demo_gateway.bank.executed_total("EUR") == 6 * 2600
    numbers = rt.session.scalars(sa.select(Invoice.number).order_by(Invoice.number)).all()
    rt.session.rollback()
    assert numbers == list(range(1, 7))
