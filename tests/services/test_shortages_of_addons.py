"""Add-ons that ran out, and boxes kept back: which line paid for what lies in which box."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from storefront.domain.invoices import CreditReason
from storefront.domain.late_changes import LateKind
from storefront.domain.refunds import Way
from storefront.domain.shortages import Policy
from storefront.models import (
    Addon,
    Box,
    BoxCycle,
    BoxShortage,
    CreditNote,
    CreditNoteLine,
    CycleGroup,
    Invoice,
    InvoiceLine,
    Plan,
    ProductVariant,
    Subscription,
)
from storefront.operations.audit import Who
from storefront.operations.change_paid import read_paid
from storefront.queries import late_changes as late_queries
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.baskets import BoxChoice, change_box
from storefront.services.cycles import close_cycles
from storefront.services.finishing import Outcome
from storefront.services.late_changes import Wish, accept_late, ask_late_for
from storefront.services.packing import retry_boxes
from storefront.services.refunding import Wish as Back
from storefront.services.refunding import quote_refund, refund
from storefront.services.stock import adjust_stock, set_rule
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff
from tests.support.changing import go
from tests.support.orders import begin, paid


@pytest.fixture(autouse=True)
def nothing_is_broken(rt: Runtime) -> Any:
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


def rows(rt: Runtime, model: Any) -> list[Any]:
    rt.session.rollback()
    rt.session.expire_all()
    return list(rt.session.scalars(sa.select(model).order_by(model.id)))


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    """Three boxes for 75.00, each with a tea of which there is plenty."""
    plan = make.make_plan(rt, amount_minor=7500, count=3, group=make.make_group(rt, cycles=12))
    make.make_recipe(rt, plan, variants=[make.make_variant(rt, sku="TEA", on_hand=50)])
    return plan


def ordered(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway, *picks: tuple[Addon, int, str]
) -> Subscription:
    """Order three boxes with these add-ons."""
    key = begin(rt, plan)
    chosen = [
        {"addon": addon.public_id, "quantity": quantity, "cadence": cadence}
        for addon, quantity, cadence in picks
    ]
    change_box(rt, key, BoxChoice(plan.id, make.price_of(rt, plan).id, {}, chosen))
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    [sub] = rows(rt, Subscription)
    return sub


def honey_of(rt: Runtime, on_hand: int) -> ProductVariant:
    honey = make.make_variant(rt, sku="HONEY", on_hand=max(on_hand, 1), price_minor=900)
    if not on_hand:
        gone.append(honey.public_id)
    return honey


#: Sold out once the order is paid: what is sold out is not offered.
gone: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_gone() -> Any:
    gone.clear()
    return


def close(rt: Runtime, clock: FrozenClock, number: int) -> Box:
    """Let the lock of the ``number``-th box pass, and return that box."""
    while gone:
        adjust_stock(rt, gone.pop(), "loss", -1, "")
    box = rows(rt, Box)[number - 1]
    lock_on = rt.session.get_one(BoxCycle, box.cycle_id).lock_on
    rt.session.rollback()
    clock.set(datetime.combine(lock_on + timedelta(days=1), time(9), UTC))
    close_cycles(rt)
    return rows(rt, Box)[number - 1]


def holds(box: Box) -> Any:
    return box.problem or (box.packing or {}).get("contents")


def notes(rt: Runtime) -> list[tuple[int, int]]:
    """Return (invoice, total) of what went back, invoices counted from 1."""
    at = {one.id: place for place, one in enumerate(rows(rt, Invoice), start=1)}
    return [(at[note.invoice_id], note.total_minor) for note in rows(rt, CreditNote)]


def keep_back(rt: Runtime, who: Who, box: Box) -> int:
    """Keep the box back for its subscriber, and return what was said and done of its money."""
    ref = ask_late_for(rt, who, box.public_id, Wish(LateKind.KEEP_BACK))
    [shown] = late_queries.queue(rt.session)
    before = sum(total for _invoice, total in notes(rt))
    accept_late(rt, who, ref)
    given = sum(total for _invoice, total in notes(rt)) - before
    assert shown.worth.minor == given
    return given


@pytest.mark.parametrize("when", ["now", "restart"])
def test_after_a_change_of_plan_the_line_of_the_older_invoice_pays_for_what_ran_out(
    rt: Runtime, clock: FrozenClock, plan: Plan, demo_gateway: DemoGateway, when: Any
) -> None:
    honey = honey_of(rt, 0)
    addon = make.make_addon(rt, 500, name="Honey", variant=honey)
    sub = ordered(rt, plan, demo_gateway, (addon, 2, "every"))
    dearer = make.make_plan(rt, amount_minor=9000, count=3, group=group_of(rt, plan))
    make.make_recipe(rt, dearer, variants=[make.make_variant(rt, sku="COFFEE", on_hand=50)])
    assert go(rt, sub, dearer, when=when)[1].outcome == "applied"
    assert len({row.invoice_id for row in rows(rt, InvoiceLine)}) == 2
    set_rule(rt, honey.public_id, is_counted=True, policy=Policy.DROP)

    box = close(rt, clock, 1)

    # Six for 30.00 on the first invoice: two are 10.00.
    assert (holds(box), notes(rt)) == ([["COFFEE", 1]], [(1, 1000)])
    [short] = rows(rt, BoxShortage)
    assert (short.quantity, short.credit_minor) == (2, 1000)


def group_of(rt: Runtime, plan: Plan) -> Any:
    return rt.session.get(CycleGroup, plan.cycle_group_id)


@pytest.mark.parametrize(
    ("on_hand", "given", "packed"),
    [(2, [700], ["TEA", "HONEY"]), (1, [1200], ["TEA", "HONEY"]), (0, [1700], ["TEA"])],
)
def test_of_two_lines_for_one_product_the_dearest_pieces_are_missing_first(
    rt: Runtime,
    clock: FrozenClock,
    plan: Plan,
    demo_gateway: DemoGateway,
    on_hand: int,
    given: list[int],
    packed: list[str],
) -> None:
    """In the first box one piece that came once for 7.00 and two of every box for 5.00."""
    honey = honey_of(rt, on_hand)
    once = make.make_addon(rt, 700, name="A taste", variant=honey)
    every = make.make_addon(rt, 500, name="Honey", variant=honey)
    ordered(rt, plan, demo_gateway, (once, 1, "once"), (every, 2, "every"))
    set_rule(rt, honey.public_id, is_counted=True, policy=Policy.DROP)

    box = close(rt, clock, 1)

    assert [sku for sku, _pieces in holds(box)] == packed
    assert [total for _invoice, total in notes(rt)] == given
    # The next box holds none of what came once.
    box = close(rt, clock, 2)
    assert holds(box) == [["TEA", 1]]
    assert notes(rt)[-1] == (1, 1000)


def test_of_one_add_on_that_comes_once_and_with_every_box_each_line_pays_for_its_pieces(
    rt: Runtime, clock: FrozenClock, plan: Plan, demo_gateway: DemoGateway
) -> None:
    honey = honey_of(rt, 0)
    addon = make.make_addon(rt, 500, name="Honey", variant=honey)
    ordered(rt, plan, demo_gateway, (addon, 1, "every"))
    set_rule(rt, honey.public_id, is_counted=True, policy=Policy.DROP)
    for number in (1, 2, 3):
        assert holds(close(rt, clock, number)) == [["TEA", 1]]
    assert notes(rt) == [(1, 500)] * 3


def test_a_line_gives_back_no_more_than_it_has_left(
    rt: Runtime, clock: FrozenClock, plan: Plan, demo_gateway: DemoGateway
) -> None:
    honey = honey_of(rt, 0)
    once = make.make_addon(rt, 700, name="A taste", variant=honey)
    every = make.make_addon(rt, 500, name="Honey", variant=honey)
    ordered(rt, plan, demo_gateway, (once, 1, "once"), (every, 1, "every"))
    set_rule(rt, honey.public_id, is_counted=True, policy=Policy.DROP)
    line = next(row for row in rows(rt, InvoiceLine) if row.text == "A taste")
    refund_line(rt, line, 650)

    close(rt, clock, 1)

    # Of the 7.00 only 0.50 are left, of the other piece all 5.00.
    assert notes(rt)[1:] == [(1, 550)]


def refund_line(rt: Runtime, line: Any, minor: int) -> None:
    invoice = rt.session.get_one(Invoice, line.invoice_id).public_id
    wish = Back({line.id: minor}, Way.CARD, CreditReason.REFUND)
    shown = quote_refund(rt, invoice, wish).quote_hash
    refund(rt, make_staff(rt), invoice, wish, shown)


@pytest.mark.parametrize("amount", [7500, 900])
@pytest.mark.parametrize("is_short", [False, True])
def test_what_came_once_is_given_back_with_its_own_box_alone(
    rt: Runtime,
    clock: FrozenClock,
    demo_gateway: DemoGateway,
    amount: int,
    is_short: bool,
) -> None:
    """12.00 for a strainer in the first box: the two others give back what they cost, no less."""
    plan = make.make_plan(rt, amount_minor=amount, count=3, group=make.make_group(rt, cycles=12))
    make.make_recipe(rt, plan, variants=[make.make_variant(rt, sku="TEA", on_hand=50)])
    strainer = honey_of(rt, 0 if is_short else 1)
    addon = make.make_addon(rt, 1200, name="Strainer", variant=strainer)
    ordered(rt, plan, demo_gateway, (addon, 1, "once"))
    set_rule(rt, strainer.public_id, is_counted=True, policy=Policy.DROP)
    own = amount // 3

    first = close(rt, clock, 1)
    assert holds(first) == ([["TEA", 1]] if is_short else [["TEA", 1], ["HONEY", 1]])
    assert notes(rt) == ([(1, 1200)] if is_short else [])
    who = make_staff(rt)
    given = [keep_back(rt, who, first)]
    given += [keep_back(rt, who, close(rt, clock, number)) for number in (2, 3)]

    # Net and tax of a box are rounded apart, so it may be a cent.
    expected = [own + (0 if is_short else 1200), own, own]
    assert all(abs(one - other) <= 1 for one, other in zip(given, expected, strict=True))
    [invoice] = rows(rt, Invoice)
    assert invoice.credited_minor == invoice.total_minor
    assert sum(part.tax_minor for part in rows(rt, CreditNoteLine)) == invoice.tax_minor


def test_a_later_box_that_is_kept_back_leaves_what_came_once_to_its_own_box(
    rt: Runtime, clock: FrozenClock, plan: Plan, demo_gateway: DemoGateway
) -> None:
    strainer = honey_of(rt, 0)
    addon = make.make_addon(rt, 1200, name="Strainer", variant=strainer)
    ordered(rt, plan, demo_gateway, (addon, 1, "once"))
    first = close(rt, clock, 1)
    assert holds(first) == "short_stock"
    assert keep_back(rt, make_staff(rt), close(rt, clock, 2)) == 2500
    set_rule(rt, strainer.public_id, is_counted=True, policy=Policy.DROP)
    cycle = rt.session.get_one(BoxCycle, first.cycle_id).public_id
    rt.session.rollback()
    retry_boxes(rt, cycle)

    assert notes(rt) == [(1, 2500), (1, 1200)]


def test_a_change_of_plan_takes_no_credit_for_an_add_on_for_one_of_the_plan(
    rt: Runtime, clock: FrozenClock, plan: Plan, demo_gateway: DemoGateway
) -> None:
    strainer = honey_of(rt, 0)
    addon = make.make_addon(rt, 1200, name="Strainer", variant=strainer)
    sub = ordered(rt, plan, demo_gateway, (addon, 1, "once"))
    set_rule(rt, strainer.public_id, is_counted=True, policy=Policy.DROP)
    close(rt, clock, 1)
    assert notes(rt) == [(1, 1200)]

    period = rows(rt, Box)[0].period_id
    found = read_paid(rt.session, period, rt.moment())
    rt.session.rollback()
    assert found.unused.given_minor == 0
    # Two boxes of three are unused: 50.00 of the 75.00, and nothing of the strainer.
    dearer = make.make_plan(rt, amount_minor=9000, count=3, group=group_of(rt, plan))
    make.make_recipe(rt, dearer)
    quote, _done = go(rt, sub, dearer)
    assert quote.credit.minor == 5000


@pytest.mark.parametrize("when", ["now", "restart"])
def test_a_product_that_ran_out_is_credited_after_a_change_of_plan_too(
    rt: Runtime, clock: FrozenClock, plan: Plan, demo_gateway: DemoGateway, when: Any
) -> None:
    """It was packed without the product, and nothing was given back."""
    sub = ordered(rt, plan, demo_gateway)
    dearer = make.make_plan(rt, amount_minor=9000, count=3, group=group_of(rt, plan))
    assam = make.make_variant(rt, sku="ASSAM", on_hand=1, price_minor=400)
    coffee = make.make_variant(rt, sku="COFFEE", on_hand=50)
    make.make_recipe(rt, dearer, variants=[assam, coffee])
    assert go(rt, sub, dearer, when=when)[1].outcome == "applied"
    gone.append(assam.public_id)
    set_rule(rt, assam.public_id, is_counted=True, policy=Policy.DROP)

    box = close(rt, clock, 1)

    assert (holds(box), notes(rt)) == ([["COFFEE", 1]], [(2, 400)])
