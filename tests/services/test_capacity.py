"""Boxes that a cycle can make: what is left to sell, who gets the last, where the next one goes."""

import sqlalchemy as sa

from storefront.models import Box, BoxCycle, CycleGroup, FirstBoxPlace
from storefront.operations.capacity import uses_of
from storefront.operations.places import places_of
from storefront.queries.invariants import broken
from storefront.queries.places import full_plans
from storefront.services.cancellations import cancel
from storefront.services.checkout import Step
from storefront.services.finishing import Outcome
from storefront.services.waiting import invite_waiting, join_list
from storefront.testing import factories as make
from tests.support.boxes import make_subscribed
from tests.support.orders import begin, count, in_parallel, order, paid


def limited(rt, boxes, **plan):
    group = make.make_group(rt)
    sold = make.make_plan(rt, group=group, **plan)
    make.make_recipe(rt, sold)
    rt.session.execute(
        sa.update(CycleGroup).where(CycleGroup.id == sold.cycle_group_id).values(capacity=boxes)
    )
    rt.session.commit()
    return sold


def used(rt, plan):
    """Boxes used of the next three cycles that are not locked."""
    found = uses_of(rt.session, [plan.cycle_group_id], rt.moment())
    rt.session.rollback()
    return [one.used for one in found.values()][:3]


def left(rt, plan):
    found = places_of(rt.session, [plan.id], rt.moment())[plan.id].left
    rt.session.rollback()
    return found


def months(rt):
    rows = rt.session.scalars(
        sa.select(BoxCycle.key).join(Box, Box.cycle_id == BoxCycle.id).order_by(Box.id)
    ).all()
    rt.session.rollback()
    return list(rows)


def test_the_last_box_of_a_cycle_goes_to_one_of_ten(app, rt, demo_gateway):
    plan = limited(rt, 1)
    keys = [begin(rt, plan, email=f"shopper{n}@example.org") for n in range(10)]
    steps = in_parallel(app, 10, lambda own, n: order(own, keys[n]).step)
    assert sorted(steps) == [Step.PAY] + [Step.SOLD_OUT] * 9
    winner = keys[steps.index(Step.PAY)]
    assert paid(rt, demo_gateway, winner) is Outcome.DONE
    assert demo_gateway.bank.executed_count() == 1
    assert (left(rt, plan), used(rt, plan)) == (0, [1, 1, 1])
    assert full_plans(rt.session, rt.moment()) == {plan.code}
    rt.session.rollback()


def test_an_order_joins_the_next_cycle_with_room_and_was_told_so(rt, demo_gateway):
    plan = limited(rt, 2)
    rt.session.execute(sa.update(BoxCycle).where(BoxCycle.key == "2027-03").values(capacity=0))
    rt.session.commit()
    assert paid(rt, demo_gateway, begin(rt, plan)) is Outcome.DONE
    assert (months(rt), count(rt, FirstBoxPlace)) == (["2027-04"], 1)
    assert broken(rt.session) == {}
    rt.session.rollback()
    # Somebody who runs is never cut, and an override above the default holds for its cycle alone.
    make_subscribed(rt, plan)
    make_subscribed(rt, plan)
    assert (left(rt, plan), used(rt, plan)) == (0, [3, 3, 3])
    assert order(rt, begin(rt, plan, email="bob@example.org")).step is Step.SOLD_OUT
    rt.session.execute(sa.update(BoxCycle).where(BoxCycle.key == "2027-06").values(capacity=4))
    rt.session.commit()
    bob = begin(rt, plan, email="bob@example.org")
    assert paid(rt, demo_gateway, bob) is Outcome.DONE
    assert months(rt) == ["2027-04", "2027-06"]


def test_who_leaves_makes_room_from_their_end_on_and_who_waits_is_invited_first(rt, demo_gateway):
    plan = limited(rt, 1)
    ada = make_subscribed(rt, plan)
    assert left(rt, plan) == 0
    join_list(rt, plan.code, "cleo@example.org", "en")
    assert invite_waiting(rt).invited == 0
    cancel(rt, ada.customer_id, ada.public_id)
    assert invite_waiting(rt).invited == 1
    assert order(rt, begin(rt, plan, email="bob@example.org")).step is Step.SOLD_OUT
    assert paid(rt, demo_gateway, begin(rt, plan, email="cleo@example.org")) is Outcome.DONE
    assert left(rt, plan) == 0
