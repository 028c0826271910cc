"""Taking something else instead of a product of the recipe, and what is packed of it."""

from datetime import timedelta
from functools import partial

import pytest
import sqlalchemy as sa

from storefront.domain.swaps import SwapBar
from storefront.mails import compose
from storefront.models import BoxItem, BoxSwap, OutboxMessage, Product, SubscriptionEvent
from storefront.operations.choices import avoided_by
from storefront.operations.swaps import wishes_of
from storefront.queries.cycles import board
from storefront.queries.invariants import broken
from storefront.queries.units import forecast
from storefront.services.choices import answer_allergies
from storefront.services.cycles import close_cycles
from storefront.services.outbox import deliver_due
from storefront.services.packing import Ingredient, save_recipe
from storefront.services.skips import skip_box, undo_skip
from storefront.services.swaps import NotFound, NotOffered, SwapTooLate, offer_swaps, take_instead
from storefront.testing.factories import make_group, make_plan, make_variant
from tests.support.boxes import cycles_of, make_box, make_subscribed
from tests.support.orders import in_parallel


@pytest.fixture
def group(rt):
    return make_group(rt)


@pytest.fixture
def plan(rt, group):
    return make_plan(rt, group=group)


@pytest.fixture
def cycles(rt, group):
    return cycles_of(rt, group)


def tea(rt, price=800, *, on_hand=50, category="Tea", **values):
    """Return a variant at this retail price."""
    variant = make_variant(rt, on_hand=on_hand, price_minor=price)
    values = {"category": category, **values}
    rt.session.execute(sa.update(Product).where(Product.id == variant.product_id).values(**values))
    rt.session.commit()
    return variant


@pytest.fixture
def teas(rt, plan):
    """Two teas of the recipe, and three that may come instead."""
    own = [tea(rt), tea(rt)]
    save_recipe(rt, plan.public_id, None, "", [Ingredient(one.public_id, 1) for one in own])
    return own + [tea(rt) for _number in range(3)]


@pytest.fixture
def offered(rt, plan, teas):
    offer_swaps(rt, plan.public_id, [one.public_id for one in teas[2:]])
    return teas[2:]


def subscribe(rt, plan, **values):
    row = make_subscribed(rt, plan, next_on=rt.today(), **values)
    rt.session.expunge_all()
    rt.session.rollback()
    return row


def swap(rt, subscription, cycle, own, instead, **more):
    """Take ``instead`` of ``own``; None takes back."""
    ref = instead.public_id if instead is not None else ""
    where = (subscription.customer_id, subscription.public_id, cycle.public_id)
    return take_instead(rt, *where, own.public_id, ref, **more)


def contents(rt, box):
    rows = rt.session.execute(
        sa.select(BoxItem.variant_id, BoxItem.quantity, BoxItem.origin)
        .where(BoxItem.box_id == box.id)
        .order_by(BoxItem.id)
    ).all()
    rt.session.rollback()
    return [tuple(row) for row in rows]


def stored(rt):
    rows = rt.session.execute(
        sa.select(BoxSwap.instead_id, BoxSwap.is_standing, BoxSwap.from_id, BoxSwap.until_id)
    ).all()
    rt.session.rollback()
    return [tuple(row) for row in rows]


def lock(rt, clock, days=14):
    clock.advance(days=days)
    close_cycles(rt)


def test_a_box_holds_what_was_taken_instead_once_and_from_then_on(
    rt, clock, plan, cycles, teas, offered
):
    mine = subscribe(rt, plan)
    boxes = [
        make_box(rt, plan, at, subscription=mine, number=place)
        for place, at in enumerate(cycles[:2])
    ]

    swap(rt, mine, cycles[0], teas[0], offered[0])
    done = swap(rt, mine, cycles[0], teas[1], offered[1], is_standing=True)
    assert done.own != done.instead
    assert done.is_standing
    need = forecast(rt.session, rt.today(), 1)
    counted = {one.sku: one.expected for one in need.variants}
    assert counted.get(offered[0].sku) == (1,)
    assert counted.get(teas[0].sku, (0,)) == (0,)
    rt.session.rollback()
    lock(rt, clock)
    # Too late for the box that is packed, and too late to change what it had.
    with pytest.raises(SwapTooLate):
        swap(rt, mine, cycles[0], teas[0], None)
    swap(rt, mine, cycles[1], teas[1], None)
    lock(rt, clock, 31)

    first, second = (contents(rt, box) for box in boxes)
    assert first == [(offered[0].id, 1, "choice"), (offered[1].id, 1, "choice")]
    assert second == [(teas[0].id, 1, "recipe"), (teas[1].id, 1, "recipe")]
    assert "F13" not in broken(rt.session)
    rt.session.rollback()


def test_taken_back_leaves_nothing_behind_and_a_skip_loses_no_swap(
    rt, clock, plan, cycles, teas, offered
):
    mine = subscribe(rt, plan)
    swap(rt, mine, cycles[0], teas[0], offered[0], is_standing=True)
    swap(rt, mine, cycles[0], teas[0], offered[1])
    swap(rt, mine, cycles[0], teas[0], None)
    assert stored(rt) == [(offered[0].id, True, cycles[0].id, None)]
    swap(rt, mine, cycles[0], teas[0], None)
    assert stored(rt) == []

    swap(rt, mine, cycles[0], teas[0], offered[2])
    where = (mine.customer_id, mine.public_id, cycles[0].public_id)
    skip_box(rt, *where)
    undo_skip(rt, *where)
    box = make_box(rt, plan, cycles[0], subscription=mine)
    lock(rt, clock)

    assert contents(rt, box) == [(teas[1].id, 1, "recipe"), (offered[2].id, 1, "choice")]
    kinds = rt.session.scalars(
        sa.select(SubscriptionEvent.kind).where(SubscriptionEvent.kind == "box.swapped")
    ).all()
    rt.session.rollback()
    assert len(kinds) == 5


def test_only_what_is_offered_of_its_kind_and_worth_no_more_comes_instead(rt, plan, cycles, teas):
    mine, other = subscribe(rt, plan), subscribe(rt, plan)
    dear, bake, none = tea(rt, 801), tea(rt, 100, category="Bakes"), tea(rt, None)
    nutty, gone = tea(rt, allergens=["nuts"]), tea(rt, on_hand=0)
    listed = [dear, bake, none, nutty, gone]
    with pytest.raises(NotFound):
        swap(rt, mine, cycles[0], teas[0], teas[2])
    offer_swaps(rt, plan.public_id, [one.public_id for one in listed])
    answer_allergies(rt, mine.customer_id, mine.public_id, ["nuts"])

    bars = {}
    for one in [*listed, teas[2]]:
        with pytest.raises(NotOffered) as refused:
            swap(rt, mine, cycles[0], teas[0], one)
        bars[one.id] = refused.value.bar
    assert bars == {
        dear.id: None,
        bake.id: None,
        none.id: None,
        teas[2].id: None,
        nutty.id: SwapBar.ALLERGEN,
        gone.id: SwapBar.SOLD_OUT,
    }
    with pytest.raises(NotFound):
        swap(rt, mine, cycles[0], dear, nutty)
    stranger = other.customer_id, mine.public_id, cycles[0].public_id
    with pytest.raises(NotFound):
        take_instead(rt, *stranger, teas[0].public_id, "")
    assert stored(rt) == []


def test_the_last_piece_is_promised_to_one_of_many(rt, app, plan, cycles, teas):
    last = tea(rt, on_hand=1)
    offer_swaps(rt, plan.public_id, [last.public_id])
    many = [subscribe(rt, plan) for _number in range(4)]

    def take(own_rt, number):
        try:
            swap(own_rt, many[number], cycles[0], teas[0], last)
        except NotOffered:
            return False
        return True

    assert sum(in_parallel(app, 4, take)) == 1


def test_only_what_the_lock_packs_is_set_aside(rt, clock, plan, cycles, teas, offered):
    rt.session.execute(
        sa.text("UPDATE product_variant SET on_hand = 1 WHERE id = :id"), {"id": offered[0].id}
    )
    rt.session.commit()
    ada, ben = subscribe(rt, plan), subscribe(rt, plan)
    swap(rt, ada, cycles[0], teas[0], offered[0], is_standing=True)
    # Something else in that box alone: the piece is free.
    swap(rt, ada, cycles[0], teas[0], offered[1])
    swap(rt, ben, cycles[0], teas[0], offered[0])
    for one in (ben, ada):
        swap(rt, one, cycles[0], teas[0], None)
        make_box(rt, plan, cycles[0], subscription=one)
    clock.set(rt.moment().start_of(cycles[0].cutoff_on + timedelta(days=1)))
    # The recipe's own from the next one on: the first box still holds it.
    swap(rt, ada, cycles[1], teas[0], None)
    with pytest.raises(NotOffered):
        swap(rt, ben, cycles[1], teas[0], offered[0])


def test_a_swap_takes_nothing_from_a_recipe_and_falls_back_with_a_mail(
    rt, clock, plan, cycles, teas, offered
):
    """Whoever paid first: the boxes with swaps are packed last."""
    early, late = subscribe(rt, plan), subscribe(rt, plan)
    swap(rt, early, cycles[0], teas[0], offered[0])
    boxes = [make_box(rt, plan, cycles[0], subscription=mine) for mine in (early, late)]
    # The recipe of the cycle takes the last piece of what was promised.
    one = [Ingredient(each.public_id, 1) for each in (teas[0], offered[0])]
    save_recipe(rt, plan.public_id, cycles[0].public_id, "", one)
    rt.session.execute(
        sa.text("UPDATE product_variant SET on_hand = 2 WHERE id = :id"), {"id": offered[0].id}
    )
    rt.session.commit()
    assert [each.sku for each in board(rt.session, cycles[0].public_id, rt.today()).shortages] == [
        offered[0].sku
    ]
    rt.session.rollback()
    lock(rt, clock)

    held = [contents(rt, box) for box in boxes]
    assert held[0] == held[1] == [(teas[0].id, 1, "recipe"), (offered[0].id, 1, "recipe")]
    told = rt.session.execute(sa.select(OutboxMessage.topic, OutboxMessage.payload)).all()
    rt.session.rollback()
    lost = [row.payload for row in told if row.topic == "choice_replaced"]
    assert len(lost) == 1
    assert lost[0]["lost"] != lost[0]["instead"]
    deliver_due(rt, partial(compose, rt))


def test_what_is_offered_no_more_is_not_packed(rt, clock, plan, cycles, teas, offered):
    mine = subscribe(rt, plan, quantity=2)
    swap(rt, mine, cycles[0], teas[0], offered[0], is_standing=True)
    swap(rt, mine, cycles[0], teas[1], offered[1], is_standing=True)
    box = make_box(rt, plan, cycles[0], subscription=mine, quantity=2)
    offer_swaps(rt, plan.public_id, [offered[1].public_id])
    lock(rt, clock)

    assert contents(rt, box) == [(teas[0].id, 2, "recipe"), (offered[1].id, 2, "choice")]


def test_a_swap_can_be_made_until_the_last_second_of_the_cut_off(
    rt, clock, plan, cycles, teas, offered
):
    mine = subscribe(rt, plan)
    cutoff = cycles[0].cutoff_on
    end = rt.moment().start_of(cutoff + timedelta(days=1))
    clock.set(end - timedelta(seconds=1))
    swap(rt, mine, cycles[0], teas[0], offered[0])
    clock.set(end)
    with pytest.raises(SwapTooLate):
        swap(rt, mine, cycles[0], teas[0], offered[1])
    assert stored(rt) == [(offered[0].id, False, cycles[0].id, None)]


def test_a_cycle_of_any_size_is_read_in_one_statement(rt, cycles, plan, teas, offered):
    mine = subscribe(rt, plan)
    swap(rt, mine, cycles[0], teas[0], offered[0])
    many = range(mine.id, mine.id + 40_000)

    assert wishes_of(rt.session, dict.fromkeys(many, plan.id), cycles[0].id) == {
        mine.id: {teas[0].id: offered[0].id}
    }
    assert avoided_by(rt.session, many) == {}
    rt.session.rollback()
