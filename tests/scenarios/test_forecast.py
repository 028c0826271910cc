"""What was forecast in March against what three cycles then packed."""

from collections import Counter
from datetime import date

import pytest
import sqlalchemy as sa

from storefront.models import Box, BoxCycle, BoxItem, Plan, Subscription
from storefront.queries.units import forecast
from storefront.runtime import Runtime
from storefront.services.cancellations import cancel
from storefront.services.pauses import pause
from storefront.services.skips import skip_box
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.scenarios._diary import Diary


def cycle_of(rt: Runtime, key: str) -> str:
    public = rt.session.scalars(sa.select(BoxCycle.public_id).where(BoxCycle.key == key)).one()
    rt.session.rollback()
    return public


def packed(rt: Runtime) -> tuple[Counter[str], Counter[tuple[str, int]]]:
    """Return the boxes that left the lock by cycle, and their pieces by cycle and variant."""
    boxes, pieces = Counter[str](), Counter[tuple[str, int]]()
    done = sa.select(BoxCycle.key, Box.id).join(Box, Box.cycle_id == BoxCycle.id)
    for row in rt.session.execute(done.where(Box.locked_at.is_not(None))):
        boxes[row.key] += 1
    items = done.with_only_columns(BoxCycle.key, BoxItem.variant_id, BoxItem.quantity)
    for row in rt.session.execute(
        items.join(BoxItem, BoxItem.box_id == Box.id).where(Box.locked_at.is_not(None))
    ):
        pieces[row.key, row.variant_id] += row.quantity
    rt.session.rollback()
    return boxes, pieces


def subscribe(rt: Runtime, plan: Plan) -> Subscription:
    return make.make_subscription(rt, plan=plan)


@pytest.mark.slow
def test_subscribers_who_change_nothing_are_packed_as_was_forecast(
    rt: Runtime, clock: FrozenClock
) -> None:
    group = make.make_group(rt)
    pot = make.make_plan(rt, group=group)
    season = make.make_plan(rt, group=group, amount_minor=7410, count=3)
    short = make.make_plan(rt, group=group, max_boxes=2)
    assam, sencha = make.make_variant(rt, on_hand=12), make.make_variant(rt, on_hand=1000)
    make.make_recipe(rt, pot, variants=[assam, sencha])
    make.make_recipe(rt, season, variants=[sencha])
    make.make_recipe(rt, short, variants=[assam])
    steady, skips, rests, leaves = (subscribe(rt, pot) for _each in range(4))
    prepaid, _two = subscribe(rt, season), subscribe(rt, short)

    def owner(one: Subscription) -> int:
        return one.customer_id or 0

    skip_box(rt, owner(skips), skips.public_id, cycle_of(rt, "2027-04"))
    skip_box(rt, owner(prepaid), prepaid.public_id, cycle_of(rt, "2027-03"))
    pause(rt, owner(rests), rests.public_id, date(2027, 5, 1))
    cancel(rt, owner(leaves), leaves.public_id)

    found = forecast(rt.session, rt.today(), 3)
    rt.session.rollback()
    assert found.leaving == 0
    keys = [cycle.key for cycle in found.cycles]
    # March: four pots and the short one; April: steady, two, prepaid; May: steady, skips,
    # rests, prepaid.
    assert keys == ["2027-03", "2027-04", "2027-05"]
    assert [cycle.expected for cycle in found.cycles] == [5, 3, 4]

    diary = Diary(rt, clock, steady)
    diary.live_until(date(2027, 5, 17))
    boxes, pieces = packed(rt)
    assert {cycle.key: cycle.expected for cycle in found.cycles} == dict(boxes)
    assert {
        (key, by_id): count
        for one, by_id in ((_of(found, assam), assam.id), (_of(found, sencha), sencha.id))
        for key, count in zip(keys, one.expected, strict=True)
        if count
    } == dict(pieces)
    assert _of(found, assam).needed == sum(
        count for (_key, variant), count in pieces.items() if variant == assam.id
    )


def _of(found, variant):  # type: ignore[no-untyped-def]
    return next(one for one in found.variants if one.sku == variant.sku)
