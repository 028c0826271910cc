"""Orders of plans whose first box leaves at once, or not before a day, through to the parcel."""

from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa

from storefront.jobs.work import CLOSE_CYCLES, EXPORT, PLAN_CYCLES, RENEWALS
from storefront.models import (
    Box,
    BoxCycle,
    CycleGroup,
    FirstBoxPlace,
    Plan,
    PlanPlaces,
    Subscription,
)
from storefront.operations.checkout import Market
from storefront.operations.places import places_of
from storefront.queries.account_home import home
from storefront.queries.checkout import confirmation
from storefront.queries.invariants import broken
from storefront.queries.mails import subscription_facts
from storefront.queries.pricing import plan_page
from storefront.runtime import Runtime
from storefront.services.checkout import Step
from storefront.services.finishing import Outcome, finish_checkout
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.asking import run_asked
from tests.support.boxes import cycles_of
from tests.support.orders import begin, choose, count, only, order, paid


def on(clock: FrozenClock, rt: Runtime, month: int, day: int) -> None:
    clock.set(datetime(2027, month, day, 9, 0, tzinfo=UTC))
    work(rt)


def work(rt: Runtime) -> None:
    for job in (PLAN_CYCLES, RENEWALS, CLOSE_CYCLES, EXPORT):
        assert run_asked(rt, job)
    rt.session.rollback()


def sell(rt: Runtime, **rule: object) -> Plan:
    plan = make.make_plan(rt, **rule)
    make.make_recipe(rt, plan)
    return plan


def boxes(rt: Runtime) -> list[tuple[str, str]]:
    """Month and state of each box, in the order they were made."""
    rows = rt.session.execute(
        sa.select(BoxCycle.key, Box.state).join(Box, Box.cycle_id == BoxCycle.id).order_by(Box.id)
    ).all()
    rt.session.rollback()
    return [(row.key, row.state.value) for row in rows]


def shown_boxes(
    rt: Runtime,
) -> tuple[tuple[str, date | None] | None, list[tuple[str, date]]]:
    """The box the account shows large, and the last ones: state and day."""
    whose = rt.session.scalars(sa.select(Subscription.customer_id)).one()
    [one] = home(rt.session, whose, rt.moment(), rt.shop.taxes).subscriptions
    rt.session.rollback()
    large = (one.next_box.state, one.next_box.ship_from) if one.next_box else None
    return large, [(box.state, box.ship_from) for box in one.past]


def next_payment(rt: Runtime) -> date:
    day = rt.session.scalars(sa.select(Subscription.anchor_on)).one()
    rt.session.rollback()
    return day


def test_a_box_that_leaves_now_joins_the_cycle_locked_last_and_is_packed_with_the_next_export(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    plan = sell(rt, first_box="now")
    on(clock, rt, 3, 24)
    page = plan_page(rt.session, plan.code, Market.of(rt.shop), rt.today())
    assert page is not None
    # March was locked on the 15th and left on the 18th; a box of today leaves tomorrow.
    shown = page.plan.coming
    assert shown is not None
    assert (shown.cutoff_on, shown.ship_from, shown.rule) == (None, date(2027, 3, 25), "now")
    assert page.plan.offers[0].renewal_on == date(2027, 4, 12)
    rt.session.rollback()

    key = begin(rt, plan)
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    done = confirmation(rt.session, key)
    assert done is not None
    assert (done.ships_on, done.boxes[0].cutoff_on) == (date(2027, 3, 25), None)
    rt.session.rollback()
    assert (boxes(rt), next_payment(rt)) == ([("2027-03", "planned")], date(2027, 4, 12))
    facts = subscription_facts(rt.session, only(rt, Subscription).public_id)
    assert facts is not None
    assert facts.ships_on == date(2027, 3, 25)

    work(rt)
    assert boxes(rt) == [("2027-03", "exported")]
    # Handed over is not gone: until its own day it stands above all others, and is being packed.
    first, later = shown_boxes(rt)
    assert first == ("exported", date(2027, 3, 25))
    assert later == []
    clock.advance(days=1)
    assert shown_boxes(rt) == (first, later)
    clock.advance(days=1)
    assert shown_boxes(rt)[1] == [("shipped", date(2027, 3, 25))]
    # The second payment brings the box of the cycle after it, and no cycle holds two.
    on(clock, rt, 4, 12)
    assert boxes(rt) == [("2027-03", "exported"), ("2027-04", "planned")]
    assert demo_gateway.bank.executed_count() == 2
    assert broken(rt.session) == {}
    rt.session.rollback()


def test_three_prepaid_boxes_begin_at_once_and_the_others_follow_by_order(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    plan = sell(rt, first_box="now", count=3, amount_minor=7410)
    # The day after the cut-off: March is not locked yet, so its box is taken.
    on(clock, rt, 3, 12)
    assert paid(rt, demo_gateway, begin(rt, plan)) is Outcome.DONE
    assert [month for month, _ in boxes(rt)] == ["2027-03", "2027-04", "2027-05"]
    assert next_payment(rt) == date(2027, 6, 12)


@pytest.mark.parametrize("rule", ["next", "later"])
def test_a_first_box_joins_the_cycle_that_was_promised_whatever_days_that_is_on_sale(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway, rule: str
) -> None:
    later = {"first_box": "later", "first_box_on": date(2027, 4, 1)}
    plan = sell(rt, **(later if rule == "later" else {}))
    on(clock, rt, 3, 10)
    group = rt.session.get_one(CycleGroup, plan.cycle_group_id)
    found = {one.key: one for one in cycles_of(rt, group)}
    march, april = found["2027-03"], found["2027-04"]
    # March's cut-off is tomorrow, but it is not sold any more.
    for key, days in ((march.id, (3, 4, 9)), (april.id, (3, 10, 31))):
        rt.session.execute(
            sa.update(BoxCycle)
            .where(BoxCycle.id == key)
            .values(sells_from=date(2027, days[0], days[1]), sells_until=date(2027, 3, days[2]))
        )
    rt.session.commit()
    key = begin(rt, plan)
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    told = confirmation(rt.session, key)
    assert told is not None
    rt.session.rollback()
    assert told.ships_on == april.ship_from
    assert boxes(rt) == [("2027-04", "planned")]
    assert next_payment(rt) == date(2027, 5, 12)
    assert broken(rt.session) == {}
    rt.session.rollback()


def test_a_plan_that_begins_in_june_is_charged_at_once_and_not_again_before_its_first_box(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    plan = sell(rt, first_box="later", first_box_on=date(2027, 6, 1))
    key = begin(rt, plan)
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    done = confirmation(rt.session, key)
    assert done is not None
    assert (done.ships_on, done.boxes[0].cutoff_on) == (date(2027, 6, 18), date(2027, 6, 11))
    rt.session.rollback()
    assert (boxes(rt), next_payment(rt)) == ([("2027-06", "planned")], date(2027, 7, 12))
    assert demo_gateway.bank.executed_count() == 1


def test_an_order_paid_on_the_second_try_goes_where_it_was_promised_then(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    plan = sell(rt, first_box="now")
    on(clock, rt, 3, 24)
    key = begin(rt, plan)
    choose(demo_gateway, order(rt, key), "0002")
    assert finish_checkout(rt, key).outcome is not Outcome.DONE
    assert count(rt, FirstBoxPlace) == 1
    rt.session.execute(sa.update(Plan).values(first_box="next"))
    rt.session.commit()
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    assert (boxes(rt), count(rt, FirstBoxPlace)) == ([("2027-04", "planned")], 0)


def test_a_box_that_leaves_now_is_sold_from_what_the_cycle_locked_last_holds(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    group = make.make_group(rt)
    plan = make.make_plan(rt, group=group, first_box="now")
    march = next(one for one in cycles_of(rt, group) if one.key == "2027-03")
    tea = make.make_variant(rt, on_hand=2)
    make.make_recipe(rt, plan)
    make.make_recipe(rt, plan, cycle=march, variants=[tea])
    rt.session.add(PlanPlaces(plan_id=plan.id, places=None, sells_by_stock=True))
    rt.session.commit()
    on(clock, rt, 3, 24)
    assert left(rt, plan) == 2
    for rest, name in ((1, "ada"), (0, "bob")):
        assert paid(rt, demo_gateway, begin(rt, plan, email=f"{name}@example.org")) is Outcome.DONE
        assert left(rt, plan) == rest
    assert order(rt, begin(rt, plan, email="cleo@example.org")).step is Step.SOLD_OUT
    work(rt)
    assert left(rt, plan) == 0


def left(rt: Runtime, plan: Plan) -> int | None:
    """How many boxes of the plan can be sold."""
    found = places_of(rt.session, [plan.id], rt.moment())[plan.id].left
    rt.session.rollback()
    return found


def test_a_day_is_needed_for_a_first_box_that_waits(rt: Runtime) -> None:
    make.make_plan(rt)
    with pytest.raises(sa.exc.IntegrityError):
        rt.session.execute(sa.update(Plan).values(first_box="later"))
    rt.session.rollback()
