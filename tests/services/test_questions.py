"""What the worker asks before it works: no job with something to do is passed over.

Every story of ``tests/scenarios`` and every day of the simulation asks too, see
``tests.support.asking``; here is one example for each thing that a job looks for.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from storefront.domain.boxes import CycleState
from storefront.domain.charging import AttemptState
from storefront.domain.lifecycle import HoldReason
from storefront.jobs.ticker import WHOLE_EVERY, Ticker
from storefront.jobs.work import (
    CLOSE_CYCLES,
    DUNNING,
    EXPIRE,
    EXPORT,
    JOBS,
    LOOK_UPS,
    OUTBOX,
    PLAN_CYCLES,
    PRICE_CHANGES,
    REFERRALS,
    REFUNDS,
    RENEWALS,
    TAX_IDS,
    Job,
)
from storefront.jobs.worker import TICKS
from storefront.models import (
    BoxCycle,
    ChargeAttempt,
    DunningCase,
    Plan,
    Refund,
    ShopSettings,
    Subscription,
)
from storefront.runtime import Runtime
from storefront.services.cancellations import cancel
from storefront.services.finishing import Outcome, finish_checkout
from storefront.services.price_changes import MigrationDraft, draft_migration, schedule
from storefront.services.referrals import code_for
from storefront.services.renewals import open_due, run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront.testing.population import populate
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff
from tests.support.asking import run_asked, says_yes
from tests.support.boxes import cycles_of, make_box, make_subscribed
from tests.support.changing import bring_card, go
from tests.support.orders import begin, choose, order, paid
from tests.support.statements import counting

DUE = date(2027, 3, 12)


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    return make.make_plan(rt)


def due(rt: Runtime, clock: FrozenClock, plan: Plan, card: str = "4242") -> None:
    """Let one subscription with ``card`` be due."""
    populate(rt, plan, make.price_of(rt, plan), 1, DUE, card=card)
    clock.advance(days=(DUE - rt.today()).days)


def one(rt: Runtime, model: Any) -> Any:
    rt.session.rollback()
    rt.session.expire_all()
    row = rt.session.scalars(sa.select(model)).one()
    rt.session.expunge(row)
    rt.session.rollback()
    return row


def asked_for(rt: Runtime, job: Job) -> None:
    """Say that ``job`` has something to do, does it, and has nothing left."""
    assert says_yes(rt, job)
    assert run_asked(rt, job)
    assert not says_yes(rt, job)


def test_nothing_is_asked_of_an_empty_shop(rt: Runtime) -> None:
    with_questions = [job for job in JOBS if job.questions]
    assert [job.name for job in with_questions if says_yes(rt, job)] == []
    for job in with_questions:
        assert run_asked(rt, job)


def test_ticks_that_come_often_ask_and_the_others_work_whole() -> None:
    for jobs, seconds in TICKS.values():
        is_often = timedelta(seconds=seconds) < WHOLE_EVERY
        assert {job.name for job in jobs if bool(job.questions) != is_often} == set()


def test_a_name_means_the_same_in_every_question(rt: Runtime) -> None:
    values: dict[str, Any] = {}
    for job in JOBS:
        for question in job.questions:
            for name, value in question.values(rt.moment()).items():
                assert values.setdefault(name, value) == value, f"{name} of {job.name}"


def test_a_charge_without_an_answer_is_looked_up(
    rt: Runtime, clock: FrozenClock, plan: Plan
) -> None:
    due(rt, clock, plan, "0408")
    run_renewals(rt)
    assert not says_yes(rt, LOOK_UPS)

    clock.advance(minutes=6)

    asked_for(rt, LOOK_UPS)


def test_an_order_left_lying_ends(rt: Runtime, clock: FrozenClock, plan: Plan) -> None:
    begin(rt, plan)
    clock.advance(hours=1)
    assert not says_yes(rt, EXPIRE)

    clock.advance(hours=2)

    asked_for(rt, EXPIRE)


def test_an_order_left_at_the_bank_ends(
    rt: Runtime, clock: FrozenClock, plan: Plan, demo_gateway: DemoGateway
) -> None:
    key = begin(rt, plan)
    choose(demo_gateway, order(rt, key), "3220")
    assert finish_checkout(rt, key).outcome is Outcome.ACTION
    assert not says_yes(rt, EXPIRE)

    clock.advance(hours=3)

    assert says_yes(rt, EXPIRE)
    assert run_asked(rt, EXPIRE)


def test_a_change_that_is_never_confirmed_ends(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    group = make.make_group(rt, cycles=20)
    sub = make.make_subscription(rt, plan=make.make_plan(rt, group=group))
    yearly = make.make_plan(rt, group=group, amount_minor=28080, unit="year")
    bring_card(rt, demo_gateway, "3220")
    assert go(rt, sub, yearly)[1].outcome == "action"
    assert not says_yes(rt, EXPIRE)

    clock.advance(hours=2)

    asked_for(rt, EXPIRE)


@pytest.mark.parametrize("held", ["the subscription", "all charging"])
def test_a_leaver_whom_the_renewal_run_passes_over_ends(
    rt: Runtime, clock: FrozenClock, plan: Plan, held: str
) -> None:
    sub = make.make_subscription(rt, plan=plan)
    cancel(rt, sub.customer_id, sub.public_id)
    if held == "all charging":
        rt.session.execute(sa.update(ShopSettings).values(charging_held_at=rt.now()))
    else:
        values = {"held_at": rt.now(), "hold_reason": HoldReason.STAFF}
        rt.session.execute(sa.update(Subscription).values(values))
    rt.session.commit()
    assert not says_yes(rt, EXPIRE)

    clock.advance(days=(one(rt, Subscription).cancel_on - rt.today()).days)

    asked_for(rt, EXPIRE)


def test_a_tax_number_is_looked_up_when_it_is_new_and_a_day_later(
    rt: Runtime, clock: FrozenClock
) -> None:
    make.make_customer(rt, tax_id="FR12345678901", tax_id_state="pending")
    assert says_yes(rt, TAX_IDS)

    make.make_customer(
        rt,
        email="b@example.org",
        tax_id="FR12345678901",
        tax_id_state="pending",
        tax_id_checked_at=rt.now(),
    )
    clock.advance(hours=20)
    assert says_yes(rt, TAX_IDS)


def test_a_new_price_is_told(rt: Runtime, plan: Plan) -> None:
    make.make_subscription(rt, plan=plan)
    dearer = make.make_price(rt, plan, amount_minor=2900)
    who = make_staff(rt)
    ref = draft_migration(rt, who, MigrationDraft("Spring", dearer.public_id, date(2027, 5, 1)))
    assert not says_yes(rt, PRICE_CHANGES)

    assert schedule(rt, who, ref)

    assert says_yes(rt, PRICE_CHANGES)
    assert run_asked(rt, PRICE_CHANGES)


def test_what_is_due_is_renewed(rt: Runtime, clock: FrozenClock, plan: Plan) -> None:
    populate(rt, plan, make.price_of(rt, plan), 1, DUE)
    assert not says_yes(rt, RENEWALS)
    clock.advance(days=(DUE - rt.today()).days)
    asked_for(rt, RENEWALS)


@pytest.mark.parametrize("job", [RENEWALS, DUNNING], ids=lambda job: job.name)
def test_a_charge_that_a_dead_worker_left_planned_is_sent(
    rt: Runtime, clock: FrozenClock, plan: Plan, job: Job
) -> None:
    due(rt, clock, plan)
    open_due(rt)
    assert one(rt, ChargeAttempt).state is AttemptState.PLANNED

    asked_for(rt, job)

    assert one(rt, ChargeAttempt).state is AttemptState.SUCCEEDED


def test_a_declined_charge_is_chased(rt: Runtime, clock: FrozenClock, plan: Plan) -> None:
    due(rt, clock, plan, "0341")
    run_renewals(rt)
    assert not says_yes(rt, DUNNING)

    clock.set(one(rt, DunningCase).next_at)

    asked_for(rt, DUNNING)


def test_a_charge_that_is_never_confirmed_is_given_up_though_its_subscription_is_held(
    rt: Runtime, clock: FrozenClock, plan: Plan
) -> None:
    due(rt, clock, plan, "0341")
    run_renewals(rt)
    later = rt.now() + timedelta(days=1)
    rt.session.execute(sa.update(ChargeAttempt).values(state=AttemptState.ACTION_REQUIRED))
    rt.session.execute(sa.update(DunningCase).values(next_action="last_action", next_at=later))
    held = {"held_at": rt.now(), "hold_reason": HoldReason.STAFF}
    rt.session.execute(sa.update(Subscription).values(held))
    rt.session.commit()
    assert not says_yes(rt, DUNNING)

    clock.set(later)

    assert says_yes(rt, DUNNING)


def test_a_refund_is_sent_and_looked_up(
    rt: Runtime, clock: FrozenClock, plan: Plan, demo_gateway: DemoGateway
) -> None:
    sub = make.make_subscription(rt, plan=plan)
    plan_refund(rt, sub)
    assert says_yes(rt, REFUNDS)
    rt.session.execute(
        sa.update(Refund).values(state=AttemptState.SENT, check_at=rt.now() + timedelta(minutes=5))
    )
    rt.session.commit()
    assert not says_yes(rt, REFUNDS)

    clock.advance(minutes=5)

    asked_for(rt, REFUNDS)


def plan_refund(rt: Runtime, sub: Subscription) -> None:
    attempt = one(rt, ChargeAttempt)
    row = Refund(
        public_id="ref_1",
        attempt_id=attempt.id,
        amount_minor=100,
        currency="EUR",
        reason="surplus",
        state=AttemptState.PLANNED,
        created_at=rt.now(),
    )
    make.save(rt, row)


def test_a_friend_who_paid_is_credited(rt: Runtime, plan: Plan, demo_gateway: DemoGateway) -> None:
    make.make_shop(rt, referral_giver_minor=500, referral_friend_minor=300)
    giver = make.make_customer(rt, email="grace@example.org")
    assert code_for(rt, giver.id)
    key = begin(rt, plan, referrer_id=giver.id)
    assert not says_yes(rt, REFERRALS)

    assert paid(rt, demo_gateway, key) is Outcome.DONE

    asked_for(rt, REFERRALS)


def test_a_group_without_cycles_gets_some_and_the_next_is_opened(
    rt: Runtime, clock: FrozenClock
) -> None:
    make.make_group(rt, cycles=0)
    asked_for(rt, PLAN_CYCLES)

    rt.session.execute(sa.update(BoxCycle).values(state=CycleState.PLANNED))
    rt.session.commit()
    asked_for(rt, PLAN_CYCLES)


def test_a_cycle_opens_on_the_day_after_the_cut_off_before_it(
    rt: Runtime, clock: FrozenClock
) -> None:
    group = make.make_group(rt)
    assert run_asked(rt, PLAN_CYCLES)
    assert not says_yes(rt, PLAN_CYCLES)

    clock.advance(days=(cycles_of(rt, group)[0].cutoff_on - rt.today()).days + 1)

    asked_for(rt, PLAN_CYCLES)


def test_a_box_without_a_cycle_is_seated(rt: Runtime) -> None:
    group = make.make_group(rt)
    plan = make.make_plan(rt, group=group)
    assert run_asked(rt, PLAN_CYCLES)
    sub = make_subscribed(rt, plan)
    make_box(rt, plan, cycles_of(rt, group)[0], subscription=sub)
    assert not says_yes(rt, PLAN_CYCLES)

    make_box(rt, plan, None, subscription=sub, number=1)

    asked_for(rt, PLAN_CYCLES)


@pytest.fixture
def boxed(rt: Runtime, clock: FrozenClock) -> Iterator[BoxCycle]:
    """A cycle with a box, on its lock day."""
    group = make.make_group(rt)
    plan = make.make_plan(rt, group=group)
    make.make_recipe(rt, plan, variants=[make.make_variant(rt, on_hand=10)])
    cycle = cycles_of(rt, group)[0]
    make_box(rt, plan, cycle)
    clock.advance(days=(cycle.lock_on - rt.today()).days)
    return cycle


def test_a_cycle_is_locked_and_its_boxes_leave(
    rt: Runtime, clock: FrozenClock, boxed: BoxCycle
) -> None:
    assert not says_yes(rt, CLOSE_CYCLES)
    clock.advance(days=1)
    asked_for(rt, CLOSE_CYCLES)
    asked_for(rt, EXPORT)


def test_a_box_paid_after_the_lock_is_decided_and_leaves_the_next_day(
    rt: Runtime, clock: FrozenClock, boxed: BoxCycle
) -> None:
    clock.advance(days=1)
    for job in (CLOSE_CYCLES, EXPORT):
        assert run_asked(rt, job)
    plan = one(rt, Plan)
    make_box(rt, plan, boxed)
    asked_for(rt, CLOSE_CYCLES)
    assert not says_yes(rt, EXPORT)

    clock.advance(days=1)

    asked_for(rt, EXPORT)


def test_a_message_is_delivered(rt: Runtime, plan: Plan) -> None:
    make.make_subscription(rt, plan=plan)
    asked_for(rt, OUTBOX)


def test_all_questions_of_a_tick_are_one_statement(rt: Runtime) -> None:
    for jobs, _seconds in TICKS.values():
        if not any(job.questions for job in jobs):
            continue
        ticker = Ticker(jobs)
        assert [job.name for job in ticker.tick(rt)] == [job.name for job in jobs]
        # The first time nothing has to do, so that it is noted.
        ticker.tick(rt)
        with counting() as asked:
            assert ticker.tick(rt) == []
        selects = [text for text in asked if not text.startswith(("BEGIN", "PRAGMA"))]
        # The settings, and everything else.
        assert len(selects) == 2, selects
        assert all(text.startswith("SELECT") for text in selects)
