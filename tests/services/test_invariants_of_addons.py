"""What must hold of add-ons of a period beside those added to its boxes: seen where it does not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from storefront.domain.addons import Reach
from storefront.domain.shortages import Policy
from storefront.models import Box, BoxItem, BoxShortage, Subscription
from storefront.models.base import table_of
from storefront.operations.consents import Given
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.additions import AdditionWish, add_to_boxes, quote_now
from storefront.services.baskets import BoxChoice, change_box
from storefront.services.cycles import close_cycles
from storefront.services.finishing import Outcome
from storefront.services.stock import adjust_stock, set_rule
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.orders import begin, paid

YES = Given("I agree.", "add-on-2", "192.0.2.1", "UA")


@pytest.fixture
def honey(rt: Runtime, demo_gateway: DemoGateway) -> str:
    """Three boxes: two jars with each and one once with the order, one more bought for each."""
    plan = make.make_plan(rt, amount_minor=7500, count=3, group=make.make_group(rt, cycles=12))
    make.make_recipe(rt, plan, variants=[make.make_variant(rt, sku="TEA", on_hand=50)])
    variant = make.make_variant(rt, sku="HONEY", on_hand=20, price_minor=900)
    addons = [make.make_addon(rt, minor, variant=variant) for minor in (500, 700, 600)]
    key = begin(rt, plan)
    picks = [
        {"addon": addons[0].public_id, "quantity": 2, "cadence": "every"},
        {"addon": addons[1].public_id, "quantity": 1, "cadence": "once"},
    ]
    change_box(rt, key, BoxChoice(plan.id, make.price_of(rt, plan).id, {}, picks))
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    sub = rt.session.scalars(sa.select(Subscription)).one()
    owner, ref = sub.customer_id or 0, sub.public_id
    rt.session.rollback()
    wish = AdditionWish(addons[2].public_id, 1, Reach.REST)
    shown = quote_now(rt, owner, ref, wish).quote_hash
    assert add_to_boxes(rt, owner, ref, wish, shown, "once", YES).outcome == "added"
    return variant.public_id


def found(rt: Runtime) -> dict[str, Any]:
    rt.session.rollback()
    rt.session.expire_all()
    return broken(rt.session)


def boxes(rt: Runtime) -> list[str]:
    return list(rt.session.scalars(sa.select(Box.public_id).order_by(Box.id)))


def test_a_jar_of_the_period_that_is_missing_beside_an_added_one_is_seen(
    rt: Runtime, honey: str
) -> None:
    lying = [item.quantity for item in rt.session.scalars(sa.select(BoxItem).order_by(BoxItem.id))]
    assert (lying, found(rt)) == ([4, 3, 3], {})

    for number in range(3):
        box = rt.session.scalars(sa.select(Box.id).order_by(Box.id).offset(number)).first()
        item = table_of(BoxItem)
        less = sa.update(item).where(item.c.box_id == box)
        rt.session.execute(less.values(quantity=item.c.quantity - 1))
        rt.session.commit()
        # In which order a database finds them is its own matter.
        seen = {rule: sorted(rows) for rule, rows in found(rt).items()}
        assert seen == {"F23": sorted(boxes(rt)[: number + 1])}


@pytest.mark.parametrize("wrong", [{"credit_minor": 900}, {"quantity": 2}])
def test_more_credit_on_an_addition_than_it_put_into_the_box_is_seen(
    rt: Runtime, clock: FrozenClock, honey: str, wrong: dict[str, int]
) -> None:
    set_rule(rt, honey, is_counted=True, policy=Policy.DROP)
    adjust_stock(rt, honey, "loss", -17, "")
    clock.set(datetime(2027, 3, 16, 9, 0, tzinfo=UTC))
    close_cycles(rt)
    short = rt.session.execute(sa.select(BoxShortage.quantity, BoxShortage.credit_minor)).one()
    assert (tuple(short), found(rt)) == ((1, 600), {})

    rt.session.execute(sa.update(table_of(BoxShortage)).values(**wrong))
    rt.session.commit()
    assert found(rt)["F15"][-1] == boxes(rt)[0]
