"""Stock: counters and moves agree, nothing below zero, everything once."""

import pytest
import sqlalchemy as sa

from storefront.models import ProductVariant, StockMove
from storefront.operations.stock import StockTooLow, release, ship
from storefront.services.cycles import close_cycles
from storefront.services.stock import VariantNotFound, adjust_stock
from storefront.testing.factories import make_group, make_plan, make_recipe, make_variant
from tests.support.boxes import cycles_of, make_box


def counters(rt, variant):
    table = ProductVariant.__table__
    found = rt.session.execute(
        sa.select(table.c.on_hand, table.c.committed).where(table.c.id == variant.id)
    ).one()
    rt.session.rollback()
    return tuple(found)


def test_an_adjustment_moves_the_counter_and_says_why(rt):
    variant = make_variant(rt, on_hand=10)

    assert adjust_stock(rt, variant.public_id, "loss", -4, "wet") == 6

    move = rt.session.scalars(sa.select(StockMove)).one()
    assert (move.kind, move.quantity, move.reason, move.actor) == ("loss", -4, "wet", "worker")


def test_stock_never_falls_below_zero_by_hand(rt):
    variant = make_variant(rt, on_hand=3)

    with pytest.raises(StockTooLow):
        adjust_stock(rt, variant.public_id, "loss", -4, "")

    assert counters(rt, variant) == (3, 0)
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(StockMove)) == 0


def test_what_may_be_oversold_may_fall_below_zero(rt):
    variant = make_variant(rt, on_hand=3, may_oversell=True)

    assert adjust_stock(rt, variant.public_id, "loss", -4, "") == -1


def test_an_unknown_variant_is_named(rt):
    with pytest.raises(VariantNotFound):
        adjust_stock(rt, "var_nobody", "loss", -4, "")


@pytest.mark.parametrize(("way", "after"), [(release, (10, 0)), (ship, (8, 0))])
def test_what_a_box_took_is_released_or_shipped_once(rt, clock, way, after):
    group = make_group(rt)
    plan, variant = make_plan(rt, group=group), make_variant(rt, on_hand=10)
    make_recipe(rt, plan, variants=[variant])
    box = make_box(rt, plan, cycles_of(rt, group)[0], quantity=2)
    clock.advance(days=14)
    close_cycles(rt)
    assert counters(rt, variant) == (8, 2)

    for _ in range(2):
        extra = ("box canceled",) if way is release else ()
        way(rt.session, [box.id], rt.now(), "worker", *extra)
        rt.session.commit()

    assert counters(rt, variant) == after
