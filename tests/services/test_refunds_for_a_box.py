"""Refunds by staff that name the one box they are for: it never gives its money back twice."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.domain.addons import Reach
from storefront.domain.invoices import CreditReason
from storefront.domain.late_changes import LateKind
from storefront.domain.refunds import RefundChanged, RefundTooHigh, Way, WayNotOffered
from storefront.domain.shortages import Policy
from storefront.models import (
    Box,
    BoxCycle,
    CreditNote,
    CycleGroup,
    Invoice,
    LateChange,
    Plan,
    Subscription,
)
from storefront.operations.audit import Who
from storefront.operations.consents import Given
from storefront.queries import late_changes as late_queries
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.additions import AdditionWish, add_to_boxes, quote_now
from storefront.services.cycles import close_cycles
from storefront.services.late_changes import Wish as Late
from storefront.services.late_changes import accept_late, ask_late_for
from storefront.services.refunding import Offer, Wish, offer, quote_refund, refund
from storefront.services.stock import adjust_stock, set_rule
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.admin import make_staff
from tests.support.changing import boxes_sent, go
from tests.support.orders import in_parallel

YES = Given("I agree.", "add-on-2", "192.0.2.1", "UA")


@pytest.fixture(autouse=True)
def nothing_is_broken(rt: Runtime) -> Any:
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    """Three boxes for 75.00."""
    plan = make.make_plan(rt, amount_minor=7500, count=3, group=make.make_group(rt, cycles=12))
    make.make_recipe(rt, plan)
    return plan


@pytest.fixture
def sub(rt: Runtime, plan: Plan) -> Subscription:
    return make.make_subscription(rt, plan=plan)


@pytest.fixture
def who(rt: Runtime) -> Who:
    return make_staff(rt)


def rows(rt: Runtime, model: Any) -> list[Any]:
    rt.session.rollback()
    rt.session.expire_all()
    return list(rt.session.scalars(sa.select(model).order_by(model.id)))


def offered(rt: Runtime, number: int = 0) -> Offer:
    return offer(rt, rows(rt, Invoice)[number].public_id)


def give(rt: Runtime, who: Who, minor: int, box: str = "", number: int = 0) -> None:
    """Refund so much of the first line of an invoice, for one box or for none."""
    ref = rows(rt, Invoice)[number].public_id
    line = offer(rt, ref).lines[0].head.id
    wish = Wish({line: minor}, Way.CREDIT, CreditReason.GOODWILL, box=box)
    refund(rt, who, ref, wish, quote_refund(rt, ref, wish).quote_hash)


def keep_back(rt: Runtime, clock: FrozenClock, who: Who, box: Any) -> list[int]:
    """Keep a box back once its cut-off is over; returns the new credit notes."""
    cutoff = rt.session.get_one(BoxCycle, box.cycle_id).cutoff_on
    rt.session.rollback()
    clock.set(datetime.combine(cutoff, time(9), rt.now().tzinfo) + timedelta(days=1))
    before = len(rows(rt, CreditNote))
    accept_late(rt, who, ask_late_for(rt, who, box.public_id, Late(LateKind.KEEP_BACK)))
    return [note.total_minor for note in rows(rt, CreditNote)[before:]]


def test_what_was_given_back_for_a_box_is_not_given_back_again_when_it_stays_here(
    rt: Runtime, clock: FrozenClock, sub: Subscription, who: Who
) -> None:
    first, second, third = rows(rt, Box)
    give(rt, who, 1000, second.public_id)

    assert [one.left_minor for one in offered(rt).boxes] == [2500, 1500, 2500]
    assert keep_back(rt, clock, who, first) == [2500]
    assert keep_back(rt, clock, who, second) == [1500]
    assert keep_back(rt, clock, who, third) == [2500]
    named = [note.box_id for note in rows(rt, CreditNote)]
    assert named == [second.id, first.id, second.id, third.id]
    assert offered(rt).boxes == ()


def test_a_box_that_gave_everything_back_gives_nothing_more(
    rt: Runtime, clock: FrozenClock, sub: Subscription, who: Who
) -> None:
    first, *_others = rows(rt, Box)
    give(rt, who, 4000, first.public_id)

    assert keep_back(rt, clock, who, first) == []


def test_what_names_no_box_is_shown_before_one_is_kept_back(
    rt: Runtime, clock: FrozenClock, sub: Subscription, who: Who
) -> None:
    first, second, _third = rows(rt, Box)
    give(rt, who, 700)
    give(rt, who, 300, second.public_id)
    cutoff = rt.session.get_one(BoxCycle, first.cycle_id).cutoff_on
    clock.set(datetime.combine(cutoff, time(9), rt.now().tzinfo) + timedelta(days=1))
    rt.session.rollback()
    ref = ask_late_for(rt, who, first.public_id, Late(LateKind.KEEP_BACK))

    [shown] = late_queries.queue(rt.session)
    rt.session.rollback()
    assert shown.unnamed is not None
    assert (shown.worth.minor, shown.unnamed.minor) == (2500, 700)
    accept_late(rt, who, ref)
    # What the first gave back is its own, and no money that nobody named.
    keep_back_is_asked(rt, clock, who, second)
    [shown] = late_queries.queue(rt.session)
    rt.session.rollback()
    assert shown.unnamed is not None
    assert (shown.worth.minor, shown.unnamed.minor) == (2200, 700)


def keep_back_is_asked(rt: Runtime, clock: FrozenClock, who: Who, box: Any) -> None:
    cutoff = rt.session.get_one(BoxCycle, box.cycle_id).cutoff_on
    rt.session.rollback()
    clock.set(datetime.combine(cutoff, time(9), rt.now().tzinfo) + timedelta(days=1))
    ask_late_for(rt, who, box.public_id, Late(LateKind.KEEP_BACK))


def test_before_a_change_of_plan_it_was_for_another_price(
    rt: Runtime, clock: FrozenClock, plan: Plan, sub: Subscription, who: Who
) -> None:
    first, *_others = rows(rt, Box)
    give(rt, who, 1000, first.public_id)
    dearer = make.make_plan(
        rt, amount_minor=36000, count=3, group=rt.session.get(CycleGroup, plan.cycle_group_id)
    )
    make.make_recipe(rt, dearer)
    clock.advance(days=1)
    assert go(rt, sub, dearer, when="restart")[1].outcome == "applied"

    first, *_others = rows(rt, Box)
    assert keep_back(rt, clock, who, first) == [first.net_minor + first.tax_minor]


def test_of_what_was_added_a_box_gives_back_the_rest(
    rt: Runtime, clock: FrozenClock, sub: Subscription, who: Who
) -> None:
    honey = make.make_variant(rt, sku="HONEY", on_hand=9)
    addon = make.make_addon(rt, 600, variant=honey)
    wish = AdditionWish(addon.public_id, 1, Reach.REST)
    owner = sub.customer_id or 0
    shown = quote_now(rt, owner, sub.public_id, wish).quote_hash
    assert add_to_boxes(rt, owner, sub.public_id, wish, shown, "once", YES).outcome == "added"
    first, second, _third = rows(rt, Box)
    give(rt, who, 250, first.public_id, 1)

    assert [one.left_minor for one in offered(rt, 1).boxes] == [350, 600, 600]
    assert sorted(keep_back(rt, clock, who, first)) == [350, 2500]
    assert sorted(keep_back(rt, clock, who, second)) == [600, 2500]


def test_a_box_of_another_invoice_cannot_be_named(
    rt: Runtime, plan: Plan, sub: Subscription, who: Who
) -> None:
    make.make_subscription(rt, plan=plan)
    other = rows(rt, Box)[-1].public_id
    with pytest.raises(WayNotOffered):
        give(rt, who, 100, other)
    rt.session.rollback()
    assert rows(rt, CreditNote) == []


@pytest.mark.parametrize("number", [0, 1])
def test_a_change_of_plan_counts_what_went_back_for_a_box_with_that_box(
    rt: Runtime, clock: FrozenClock, plan: Plan, sub: Subscription, who: Who, number: int
) -> None:
    """Two boxes of 25.00 are not sent yet: 10.00 for the one that was lowers them by nothing."""
    give(rt, who, 1000, rows(rt, Box)[number].public_id)
    boxes_sent(clock, 1)
    group = rt.session.get(CycleGroup, plan.cycle_group_id)
    dearer = make.make_plan(rt, amount_minor=9000, count=3, group=group)
    make.make_recipe(rt, dearer)

    assert go(rt, sub, dearer)[0].credit.minor == (4000 if number else 5000)


def test_what_ran_out_gives_no_more_than_is_left_of_the_box(
    rt: Runtime, clock: FrozenClock, who: Who
) -> None:
    plan = make.make_plan(rt, group=make.make_group(rt))
    tea = make.make_variant(rt, sku="TEA", on_hand=0, price_minor=400)
    make.make_recipe(rt, plan, variants=[tea, make.make_variant(rt, sku="CUP", on_hand=9)])
    make.make_subscription(rt, plan=plan)
    [box] = rows(rt, Box)
    give(rt, who, 2500, box.public_id)
    set_rule(rt, tea.public_id, is_counted=True, policy=Policy.DROP)
    clock.set(datetime(2027, 3, 16, 9, tzinfo=rt.now().tzinfo))
    close_cycles(rt)

    assert [note.total_minor for note in rows(rt, CreditNote)] == [2500, 100]


@pytest.mark.parametrize(("before", "then"), [(600, []), (250, [350])])
def test_a_piece_that_ran_out_gives_no_more_than_is_left_of_its_box(
    rt: Runtime, clock: FrozenClock, sub: Subscription, who: Who, before: int, then: list[int]
) -> None:
    """18.00 for three boxes: what is given back for the first is not taken from the others."""
    honey = make.make_variant(rt, sku="HONEY", on_hand=3, price_minor=900)
    addon = make.make_addon(rt, 600, variant=honey)
    wish = AdditionWish(addon.public_id, 1, Reach.REST)
    owner = sub.customer_id or 0
    shown = quote_now(rt, owner, sub.public_id, wish).quote_hash
    assert add_to_boxes(rt, owner, sub.public_id, wish, shown, "once", YES).outcome == "added"
    give(rt, who, before, rows(rt, Box)[0].public_id, 1)
    adjust_stock(rt, honey.public_id, "loss", -3, "")
    set_rule(rt, honey.public_id, is_counted=True, policy=Policy.DROP)
    clock.set(datetime(2027, 3, 16, 9, tzinfo=rt.now().tzinfo))
    close_cycles(rt)

    assert rows(rt, Box)[0].problem == ""
    assert [note.total_minor for note in rows(rt, CreditNote)][1:] == then


def test_refunded_and_kept_back_in_the_same_moment_it_gives_its_price_once(
    app: Flask, rt: Runtime, clock: FrozenClock, who: Who
) -> None:
    plan = make.make_plan(rt, group=make.make_group(rt))
    make.make_recipe(rt, plan)
    make.make_subscription(rt, plan=plan)
    [box], [invoice] = rows(rt, Box), rows(rt, Invoice)
    ref, line = invoice.public_id, offer(rt, invoice.public_id).lines[0].head.id
    wish = Wish({line: 1000}, Way.CREDIT, CreditReason.GOODWILL, box=box.public_id)
    shown = quote_refund(rt, ref, wish).quote_hash
    keep_back_is_asked(rt, clock, who, box)
    asked = rows(rt, LateChange)[0].public_id
    rt.session.rollback()

    def act(own: Runtime, number: int) -> None:
        try:
            if number:
                refund(own, who, ref, wish, shown)
            else:
                accept_late(own, who, asked)
        except (RefundChanged, WayNotOffered, RefundTooHigh):
            own.session.rollback()

    in_parallel(app, 2, act)

    given = [note.total_minor for note in rows(rt, CreditNote)]
    assert given in ([1000, 1600], [2600])
