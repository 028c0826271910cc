"""What a subscriber was sent before: new things first, then what they had longest ago."""

import pytest
import sqlalchemy as sa

from storefront.domain.choices import Rule
from storefront.models import Box, BoxItem
from storefront.operations.choices import sent_to
from storefront.services import cycles
from storefront.services.cycles import close_cycles
from storefront.services.packing import Ingredient, save_recipe
from storefront.testing.factories import make_group, make_plan, make_variant
from tests.support.boxes import cycles_of, make_box, make_subscribed


@pytest.fixture
def group(rt):
    return make_group(rt)


@pytest.fixture
def plan(rt, group):
    return make_plan(rt, group=group)


@pytest.fixture
def teas(rt, plan):
    made = [make_variant(rt, on_hand=50) for _number in range(5)]
    pool = [Ingredient(one.public_id, 1, is_choice=True) for one in made]
    save_recipe(rt, plan.public_id, None, "", pool, rule=Rule(2, never_repeats=True))
    return made


def subscribe(rt, plan, **values):
    row = make_subscribed(rt, plan, next_on=rt.today(), **values)
    rt.session.expunge_all()
    rt.session.rollback()
    return row


def packed(rt, box):
    found = rt.session.scalars(
        sa.select(BoxItem.variant_id).where(BoxItem.box_id == box.id).order_by(BoxItem.variant_id)
    ).all()
    rt.session.rollback()
    return found


def test_when_too_little_is_new_the_rest_is_what_was_sent_longest_ago(rt, clock, plan, group, teas):
    mine, boxes = subscribe(rt, plan), []
    for number, at in enumerate(cycles_of(rt, group)[:4]):
        boxes.append(make_box(rt, plan, at, subscription=mine, number=number))
        clock.advance(days=31 if number else 14)
        close_cycles(rt)

    keys = [[teas.index(one) for one in teas if one.id in packed(rt, box)] for box in boxes]
    assert keys[:3] == [[0, 1], [2, 3], [0, 4]]
    # Of March one is repeated; in April the other of January and the first of February are next.
    assert keys[3] == [1, 2]


@pytest.mark.parametrize("size", [1, 100])
def test_boxes_of_one_round_are_alike_however_the_lock_is_cut(
    rt, clock, monkeypatch, plan, group, teas, size
):
    monkeypatch.setattr(cycles, "SLICE", size)
    at = cycles_of(rt, group)[0]
    one = subscribe(rt, plan)
    other = subscribe(rt, plan, customer_id=one.customer_id)
    boxes = [make_box(rt, plan, at, subscription=each) for each in (one, other)]

    clock.advance(days=14)
    close_cycles(rt)

    assert [packed(rt, box) for box in boxes] == [[teas[0].id, teas[1].id]] * 2
    again = sent_to(rt.session, [one.id], [teas[0].id])
    assert again == {one.id: {teas[0].id: at.ship_from}}
    rt.session.rollback()
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(Box)) == 2
