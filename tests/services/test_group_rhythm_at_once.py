"""A group gets another rhythm while somebody pays for a box of it, and while the worker plans."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date
from itertools import pairwise

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.domain.errors import DomainError
from storefront.models import Box, BoxCycle, CycleGroup, Subscription
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.cycles import close_cycles, plan_ahead
from storefront.services.finishing import Outcome, finish_checkout
from storefront.services.group_rhythm import RhythmDraft, change_group, preview_group
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff
from tests.support.orders import begin, choose, in_parallel, order

ROUNDS = range(4)
#: Cut-off, lock and ship day another number of days from the charge than in ``make_group``.
OTHER = RhythmDraft("Slow boxes", 5, 4, 9, 2, moves_paid=True)


@pytest.fixture(autouse=True)
def nothing_is_broken(rt: Runtime) -> Iterator[None]:
    yield
    assert not any(broken(rt.session).values())
    rt.session.rollback()


def days_of(rt: Runtime, key: str) -> tuple[date, date]:
    row = rt.session.execute(
        sa.select(BoxCycle.charge_on, BoxCycle.ship_from).where(BoxCycle.key == key)
    ).one()
    rt.session.rollback()
    return row.charge_on, row.ship_from


def changing(rt: Runtime, group: CycleGroup) -> Callable[[Runtime], None]:
    """Return what saves the rhythm that staff were shown, or is refused as not shown any more."""
    who, ref = make_staff(rt), group.public_id
    shown = preview_group(rt, ref, OTHER)

    def change(own: Runtime) -> None:
        with suppress(DomainError):
            change_group(own, who, ref, OTHER, shown.version, shown.seen)

    return change


@pytest.mark.parametrize("_round", ROUNDS)
def test_who_pays_while_the_rhythm_changes_gets_the_days_that_were_shown(
    app: Flask, rt: Runtime, demo_gateway: DemoGateway, _round: int
) -> None:
    group = make.make_group(rt)
    plan = make.make_plan(rt, group=group)
    change = changing(rt, group)
    key = begin(rt, plan)
    choose(demo_gateway, order(rt, key))
    before = days_of(rt, "2027-03")

    def act(own: Runtime, number: int) -> Outcome | None:
        if number == 0:
            change(own)
            return None
        return finish_checkout(own, key).outcome

    said = set(in_parallel(app, 3, act)) - {None}

    charged = demo_gateway.bank.charges_since("")
    sold = rt.session.scalars(sa.select(Subscription.id)).all()
    cycle = rt.session.scalar(
        sa.select(BoxCycle.key).join(Box, Box.cycle_id == BoxCycle.id).order_by(Box.id)
    )
    rt.session.rollback()
    assert len(charged) == len(sold) == (1 if Outcome.DONE in said else 0)
    if sold:
        # What the buyer was shown before paying is what holds.
        assert cycle == "2027-03"
        assert days_of(rt, "2027-03") == before
    else:
        assert Outcome.CHANGED in said


@pytest.mark.parametrize("_round", ROUNDS)
def test_the_worker_plans_charges_and_locks_while_the_rhythm_changes_and_no_box_is_lost(
    app: Flask, rt: Runtime, clock: FrozenClock, _round: int
) -> None:
    group = make.make_group(rt)
    plan = make.make_plan(rt, group=group)
    make.make_recipe(rt, plan, variants=[make.make_variant(rt, on_hand=100)])
    subs = [make.make_subscription(rt, plan=plan).id for _ in range(3)]
    change = changing(rt, group)
    clock.advance(days=(date(2027, 4, 12) - rt.today()).days)
    works: list[Callable[[Runtime], object]] = [change, plan_ahead, run_renewals, close_cycles]

    in_parallel(app, len(works), lambda own, number: works[number](own))
    plan_ahead(rt)
    run_renewals(rt)

    rows = rt.session.execute(
        sa.select(Box.subscription_id, BoxCycle.key)
        .join(BoxCycle, BoxCycle.id == Box.cycle_id)
        .where(Box.subscription_id.in_(subs))
    ).all()
    days = rt.session.execute(
        sa.select(BoxCycle.charge_on, BoxCycle.cutoff_on, BoxCycle.lock_on, BoxCycle.ship_from)
        .where(BoxCycle.group_id == group.id)
        .order_by(BoxCycle.ship_from)
    ).all()
    rt.session.rollback()
    assert sorted(tuple(row) for row in rows) == sorted(
        (sub, key) for sub in subs for key in ("2027-03", "2027-04")
    )
    for one, following in pairwise(days):
        assert all(early < late for early, late in zip(one, following, strict=True))
