"""Rhythms beside months: every 10 days on one day for all, every 6 weeks on one's own."""

from __future__ import annotations

from datetime import date

import pytest
import sqlalchemy as sa

from storefront.models import Subscription
from storefront.runtime import Runtime
from storefront.services.finishing import Outcome
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.scenarios._diary import Diary
from tests.support.orders import begin, paid


@pytest.mark.slow
@pytest.mark.parametrize(
    ("group", "shipping", "charged"),
    [
        (
            {"unit": "day", "count": 10, "charge_day": 1},
            ("day", 10),
            [date(2027, 3, 2), date(2027, 3, 21), date(2027, 3, 31)],
        ),
        (
            {"unit": "week", "count": 1, "charge_day": None},
            ("week", 6),
            [date(2027, 3, 2), date(2027, 4, 13)],
        ),
    ],
)
def test_boxes_are_paid_and_sent_every_so_many_days_or_weeks(
    rt: Runtime,
    clock: FrozenClock,
    demo_gateway: DemoGateway,
    group: dict[str, object],
    shipping: tuple[str, int],
    charged: list[date],
) -> None:
    unit, count = shipping
    packed = make.make_group(rt, cycles=14, anchor_on=date(2027, 3, 1), **group)
    rhythm = {"shipping_unit": unit, "shipping_count": count}
    plan = make.make_plan(rt, group=packed, unit=unit, count=count, **rhythm)
    make.make_recipe(rt, plan)
    assert paid(rt, demo_gateway, begin(rt, plan)) is Outcome.DONE
    subscription = rt.session.scalars(sa.select(Subscription)).one()
    rt.session.expunge(subscription)
    rt.session.rollback()
    diary = Diary(rt, clock, subscription)

    diary.live_until(charged[-1])

    assert [on for _number, on, _total, state in diary.invoices if state == "paid"] == charged
    assert len(diary.boxes) == len(charged)
