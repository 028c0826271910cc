"""Other contents for a box behind its cut-off: packed anew, or chosen for before the lock."""

from __future__ import annotations

from functools import partial

import pytest
import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.choices import Rule
from storefront.domain.late_changes import LateKind, LateState
from storefront.mails import compose
from storefront.models import (
    Box,
    BoxCycle,
    BoxItem,
    BoxShortage,
    LateChange,
    OutboxMessage,
    Product,
    ProductVariant,
    Staff,
    StockMove,
)
from storefront.operations.audit import Who
from storefront.queries.invariants import broken
from storefront.services.choices import answer_allergies, choose_contents
from storefront.services.cycles import close_cycles
from storefront.services.fulfilment import export_boxes
from storefront.services.late_changes import (
    AlreadyDecided,
    ContentsRefused,
    NotAskable,
    NothingAsked,
    Wish,
    accept_late,
    ask_late,
    ask_late_for,
    refuse_late,
)
from storefront.services.outbox import deliver_due
from storefront.services.packing import Ingredient, save_recipe
from storefront.services.staff import add_staff
from storefront.services.swaps import offer_swaps, take_instead
from storefront.testing.factories import make_group, make_plan, make_variant
from tests.support.boxes import cycles_of, make_box, make_subscribed
from tests.support.orders import in_parallel, only
from tests.support.visitor import PASSWORD


@pytest.fixture
def group(rt):
    return make_group(rt)


@pytest.fixture
def plan(rt, group):
    return make_plan(rt, group=group)


@pytest.fixture
def cycle(rt, group):
    return cycles_of(rt, group)[0]


@pytest.fixture
def owner(rt):
    add_staff(rt, email="mia@shop.example", name="Mia", password=PASSWORD, role="owner")
    key, ref = rt.session.execute(sa.select(Staff.id, Staff.public_id)).one()
    rt.session.rollback()
    return Who(key, ref)


@pytest.fixture
def teas(rt):
    return [tea(rt) for _number in range(5)]


def tea(rt, on_hand=9, price=800, **values):
    variant = make_variant(rt, on_hand=on_hand, price_minor=price, weight_grams=100)
    values = {"category": "Tea", **values}
    rt.session.execute(sa.update(Product).where(Product.id == variant.product_id).values(**values))
    rt.session.commit()
    return variant


def offer(rt, plan, teas, rule, always=()):
    fixed = [Ingredient(one.public_id, 1) for one in always]
    pool = [Ingredient(one.public_id, 2, is_choice=True) for one in teas]
    save_recipe(rt, plan.public_id, None, "", [*fixed, *pool], rule=rule)


def paid(rt, plan, cycle, **values):
    """Return a subscription with a box in ``cycle`` that is paid for."""
    row = make_subscribed(rt, plan, next_on=rt.today(), **values)
    rt.session.expunge_all()
    rt.session.rollback()
    return row, make_box(rt, plan, cycle, subscription=row)


def lock(rt, clock):
    clock.advance(days=14)
    close_cycles(rt)


def past_cutoff(rt, clock, cycle):
    clock.advance(days=(cycle.cutoff_on - rt.today()).days + 1)


def picking(*variants, note=""):
    picks = {}
    for one in variants:
        picks[one.public_id] = picks.get(one.public_id, 0) + 1
    return Wish(LateKind.CONTENTS, {}, note, picks=picks)


def swapping(*pairs):
    swaps = {own.public_id: other.public_id for own, other in pairs}
    return Wish(LateKind.CONTENTS, swaps=swaps)


def ask(rt, sub, cycle, wish):
    return ask_late(rt, sub.customer_id, sub.public_id, cycle.public_id, wish)


def contents(rt, box):
    rows = rt.session.execute(
        sa.select(BoxItem.variant_id, BoxItem.quantity)
        .where(BoxItem.box_id == box.id)
        .order_by(BoxItem.id)
    ).all()
    rt.session.rollback()
    return dict(tuple(row) for row in rows)


def counters(rt, variant):
    row = rt.session.execute(
        sa.select(ProductVariant.on_hand, ProductVariant.committed).where(
            ProductVariant.id == variant.id
        )
    ).one()
    rt.session.rollback()
    return tuple(row)


def whole(rt):
    found = {"F2", "F6", "F9", "F13", "F20"} & set(broken(rt.session))
    rt.session.rollback()
    return not found


def test_a_packed_box_is_packed_anew_with_what_was_chosen_late(rt, clock, plan, cycle, teas, owner):
    card = tea(rt)
    offer(rt, plan, teas, Rule(2), always=[card])
    sub, box = paid(rt, plan, cycle)
    choose_contents(rt, sub.customer_id, sub.public_id, cycle.public_id, {teas[3].public_id: 2})
    with pytest.raises(NotAskable):  # They can still choose alone.
        ask(rt, sub, cycle, picking(teas[0], teas[1]))
    lock(rt, clock)
    assert contents(rt, box) == {card.id: 1, teas[3].id: 2}
    for wrong in (picking(teas[0]), picking(card, teas[0]), swapping((card, teas[0]))):
        with pytest.raises(ContentsRefused):
            ask(rt, sub, cycle, wrong)
    with pytest.raises(NothingAsked):
        ask(rt, sub, cycle, picking(teas[3], teas[3]))
    ref = ask(rt, sub, cycle, picking(teas[0], teas[3], note="One of each"))
    assert contents(rt, box) == {card.id: 1, teas[3].id: 2}
    assert accept_late(rt, owner, ref) is LateState.ACCEPTED
    assert contents(rt, box) == {card.id: 1, teas[0].id: 1, teas[3].id: 1}
    assert [counters(rt, one) for one in (card, teas[0], teas[3])] == [(8, 1), (8, 1), (8, 1)]
    kinds = rt.session.scalars(
        sa.select(StockMove.kind).where(StockMove.variant_id == teas[3].id).order_by(StockMove.id)
    ).all()
    assert kinds[-3:] == ["allocation", "release", "allocation"]
    row = only(rt, Box)
    packed = dict(row.packing["contents"])
    assert packed == {card.sku: 1, teas[0].sku: 1, teas[3].sku: 1}
    assert (len(row.packing["names"]), row.packing["weight_grams"]) == (3, 300)
    assert whole(rt)
    # And back again: what was taken out once can come again.
    back = ask_late_for(rt, owner, box.public_id, picking(teas[3], teas[3]))
    assert accept_late(rt, owner, back) is LateState.ACCEPTED
    assert contents(rt, box) == {card.id: 1, teas[3].id: 2}
    assert (counters(rt, teas[0]), counters(rt, teas[3])) == ((9, 0), (7, 2))
    with pytest.raises(AlreadyDecided):
        accept_late(rt, owner, back)
    export_boxes(rt, cycle.public_id)
    assert only(rt, Box).state is BoxState.EXPORTED
    with pytest.raises(NotAskable):
        ask(rt, sub, cycle, picking(teas[0], teas[1]))
    assert whole(rt)
    # Were what was taken out to leave all the same, it would be found.
    gone = rt.session.scalars(sa.select(BoxItem).where(BoxItem.taken_from_id == box.id)).first()
    left = {"variant_id": gone.variant_id, "quantity": -1, "at": rt.now(), "actor": "worker"}
    rt.session.add(StockMove(kind="shipment", box_item_id=gone.id, **left))
    rt.session.flush()
    assert broken(rt.session)["F20"] == [box.public_id]
    rt.session.rollback()
    rows = rt.session.scalars(
        sa.select(OutboxMessage)
        .where(OutboxMessage.topic == "late_change")
        .order_by(OutboxMessage.id)
    ).all()
    names = [[name for name, _n in row.payload["holds"]] for row in rows]
    assert [len(one) for one in names] == [2, 1]
    rt.session.rollback()
    deliver_due(rt, partial(compose, rt))
    states = rt.session.scalars(
        sa.select(OutboxMessage.state).where(OutboxMessage.topic == "late_change")
    ).all()
    assert states == ["delivered", "delivered"]
    rt.session.rollback()


def test_between_cut_off_and_lock_it_is_chosen_for_and_the_lock_packs_it(
    rt, clock, plan, cycle, teas, owner
):
    offer(rt, plan, teas, Rule(2))
    sub, box = paid(rt, plan, cycle)
    past_cutoff(rt, clock, cycle)
    ref = ask(rt, sub, cycle, picking(teas[3], teas[4]))
    # What the default rule would put in is what they have now.
    was = dict(only(rt, LateChange).contents["was"])
    assert was == {teas[0].id: 1, teas[1].id: 1}
    assert accept_late(rt, owner, ref) is LateState.ACCEPTED
    assert contents(rt, box) == {}
    lock(rt, clock)
    assert contents(rt, box) == {teas[3].id: 1, teas[4].id: 1}
    assert whole(rt)


def test_what_ran_out_meanwhile_leaves_the_box_and_the_wish_as_they_were(
    rt, clock, plan, cycle, teas, owner
):
    scarce = tea(rt, on_hand=1)
    offer(rt, plan, [*teas, scarce], Rule(2))
    sub, box = paid(rt, plan, cycle)
    other, _box = paid(rt, plan, cycle)
    lock(rt, clock)
    before = contents(rt, box)
    mine = ask(rt, sub, cycle, picking(teas[0], scarce))
    theirs = ask(rt, other, cycle, picking(teas[0], scarce))
    assert accept_late(rt, owner, theirs) is LateState.ACCEPTED
    with pytest.raises(ContentsRefused) as refused:
        accept_late(rt, owner, mine)
    assert refused.value.verdict.is_short
    assert contents(rt, box) == before
    assert rt.session.scalars(sa.select(LateChange.state).order_by(LateChange.id)).all() == [
        "open",
        "accepted",
    ]
    rt.session.rollback()
    assert refuse_late(rt, owner, mine, "Sold out") is LateState.REFUSED
    assert whole(rt)


def test_swaps_are_made_and_taken_back_in_a_packed_box(rt, clock, plan, cycle, teas, owner):
    save_recipe(rt, plan.public_id, None, "", [Ingredient(one.public_id, 1) for one in teas[:2]])
    dear = tea(rt, price=900)
    offer_swaps(rt, plan.public_id, [one.public_id for one in (*teas[2:], dear)])
    sub, box = paid(rt, plan, cycle)
    one, two, three, four = (each for each in teas[:4])
    where = (sub.customer_id, sub.public_id, cycle.public_id)
    take_instead(rt, *where, one.public_id, three.public_id, is_standing=True)
    lock(rt, clock)
    assert contents(rt, box) == {three.id: 1, two.id: 1} or contents(rt, box) == {
        two.id: 1,
        three.id: 1,
    }
    for wrong in (swapping((one, dear)), swapping((two, one)), swapping((four, three))):
        with pytest.raises(ContentsRefused):
            ask(rt, sub, cycle, wrong)
    with pytest.raises(NothingAsked):
        ask(rt, sub, cycle, swapping((one, three)))
    ref = ask(rt, sub, cycle, swapping((one, one), (two, four)))
    assert accept_late(rt, owner, ref) is LateState.ACCEPTED
    assert contents(rt, box) == {one.id: 1, four.id: 1}
    assert [counters(rt, each) for each in teas[:4]] == [(8, 1), (9, 0), (9, 0), (8, 1)]
    assert whole(rt)


def test_an_allergy_and_a_box_that_lacked_something_are_left_alone(
    rt, clock, plan, cycle, teas, owner
):
    nutty = tea(rt, allergens=["nuts"])
    offer(rt, plan, [*teas, nutty], Rule(2, avoids_allergens=True, never_repeats=True))
    sub, box = paid(rt, plan, cycle)
    answer_allergies(rt, sub.customer_id, sub.public_id, ["nuts"])
    lock(rt, clock)
    with pytest.raises(ContentsRefused):
        ask(rt, sub, cycle, picking(teas[0], nutty))
    # What lies in this very box was not sent before.
    ask(rt, sub, cycle, picking(teas[0], teas[4]))
    rt.session.execute(sa.delete(LateChange))
    rt.session.add(BoxShortage(box_id=box.id, variant_id=teas[0].id, quantity=1, credit_minor=0))
    rt.session.commit()
    with pytest.raises(NotAskable):
        ask(rt, sub, cycle, picking(teas[0], teas[4]))


def test_packed_anew_and_exported_in_the_same_moment_file_and_box_agree(
    app, rt, clock, plan, cycle, teas, owner
):
    offer(rt, plan, teas, Rule(2))
    sub, box = paid(rt, plan, cycle)
    lock(rt, clock)
    ref = ask(rt, sub, cycle, picking(teas[3], teas[4]))

    def act(own, number):
        if number:
            export_boxes(own, cycle.public_id)
        else:
            _accept(own, owner, ref)

    in_parallel(app, 2, act)
    # A box that is being decided is passed over; the next export takes it.
    export_boxes(rt, cycle.public_id)
    rt.session.rollback()
    state, row = only(rt, LateChange).state, only(rt, Box)
    held = contents(rt, box)
    skus = dict(rt.session.execute(sa.select(ProductVariant.id, ProductVariant.sku)).all())
    assert dict(row.packing["contents"]) == {skus[key]: pieces for key, pieces in held.items()}
    assert (set(held) == {teas[3].id, teas[4].id}) == (state == "accepted")
    assert (row.state, rt.session.get_one(BoxCycle, cycle.id).id) == (BoxState.EXPORTED, cycle.id)
    rt.session.rollback()
    assert whole(rt)


def _accept(rt, who, ref):
    try:
        accept_late(rt, who, ref)
    except AlreadyDecided:
        rt.session.rollback()
