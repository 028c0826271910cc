"""Choosing the contents of a box, and what is packed of it at the lock."""

from datetime import UTC, datetime, time, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.choices import Fault, FaultKind, Limit, Rule
from storefront.mails import compose
from storefront.models import (
    AllergyAnswer,
    Box,
    BoxChoice,
    BoxItem,
    OutboxMessage,
    Product,
    ProductVariant,
    Staff,
    SubscriptionEvent,
)
from storefront.operations.audit import Who
from storefront.operations.recipes import recipes_of
from storefront.queries.invariants import broken
from storefront.services.choices import (
    BadChoice,
    ChoiceTooLate,
    NotFound,
    NothingToChoose,
    answer_allergies,
    choose_contents,
    leave_it_to_us,
)
from storefront.services.cycles import close_cycles
from storefront.services.outbox import deliver_due
from storefront.services.packing import (
    Ingredient,
    NothingToFill,
    copy_recipes,
    retry_boxes,
    save_recipe,
)
from storefront.services.skips import skip_box, undo_skip
from storefront.services.staff import add_staff
from storefront.services.stock import adjust_stock
from storefront.testing.factories import make_group, make_plan, make_variant
from tests.support.boxes import cycles_of, make_box, make_subscribed
from tests.support.orders import in_parallel
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
def teas(rt):
    """Five teas of which there is plenty."""
    return [make_variant(rt, on_hand=50) for _number in range(5)]


@pytest.fixture
def owner(rt):
    """Somebody on the staff."""
    add_staff(rt, email="mia@shop.example", name="Mia", password=PASSWORD, role="owner")
    key, ref = rt.session.execute(sa.select(Staff.id, Staff.public_id)).one()
    rt.session.rollback()
    return Who(key, ref)


def offer(rt, plan, teas, rule, *, always=(), most=1):
    """Let the subscribers of a plan choose from ``teas``."""
    fixed = [Ingredient(one.public_id, 1) for one in always]
    pool = [Ingredient(one.public_id, most, is_choice=True) for one in teas]
    save_recipe(rt, plan.public_id, None, "", [*fixed, *pool], rule=rule)


def describe(rt, variant, **values):
    """Say more of a variant's product."""
    rt.session.execute(sa.update(Product).where(Product.id == variant.product_id).values(**values))
    rt.session.commit()


def subscribe(rt, plan, **values):
    """Return a subscription whose next box comes with the next cycle."""
    row = make_subscribed(rt, plan, next_on=rt.today(), **values)
    rt.session.expunge_all()
    rt.session.rollback()
    return row


def choose(rt, subscription, cycle, *variants, **more):
    picks = {}
    for one in variants:
        picks[one.public_id] = picks.get(one.public_id, 0) + 1
    return choose_contents(
        rt, subscription.customer_id, subscription.public_id, cycle.public_id, picks, **more
    )


def contents(rt, box):
    """Return what is packed: (variant, pieces, where from) in the order of the recipe."""
    rows = rt.session.execute(
        sa.select(BoxItem.variant_id, BoxItem.quantity, BoxItem.origin)
        .where(BoxItem.box_id == box.id)
        .order_by(BoxItem.id)
    ).all()
    rt.session.rollback()
    return [tuple(row) for row in rows]


def problem(rt, box):
    found = rt.session.execute(sa.select(Box.state, Box.problem).where(Box.id == box.id)).one()
    rt.session.rollback()
    return found.state, found.problem


def lock(rt, clock, days=14):
    clock.advance(days=days)
    close_cycles(rt)


def test_a_box_holds_exactly_what_was_chosen(rt, clock, plan, cycle, teas):
    card = make_variant(rt, on_hand=50)
    offer(rt, plan, teas, Rule(2), always=[card])
    mine = subscribe(rt, plan)

    done = choose(rt, mine, cycle, teas[4], teas[1])
    box = make_box(rt, plan, cycle, subscription=mine)
    lock(rt, clock)

    assert (done.ship_on, done.until_on, done.pieces) == (cycle.ship_from, cycle.cutoff_on, 2)
    assert contents(rt, box) == [
        (card.id, 1, "recipe"),
        (teas[1].id, 1, "choice"),
        (teas[4].id, 1, "choice"),
    ]


def test_an_unanswered_box_is_filled_in_the_merchant_s_order(rt, clock, plan, cycle, teas):
    offer(rt, plan, [teas[3], teas[0], teas[2]], Rule(2))
    box = make_box(rt, plan, cycle)

    lock(rt, clock)

    assert contents(rt, box) == [(teas[3].id, 1, "recipe"), (teas[0].id, 1, "recipe")]


def test_the_last_choice_before_the_cut_off_is_packed(rt, clock, plan, cycle, teas):
    offer(rt, plan, teas, Rule(2))
    mine = subscribe(rt, plan)
    choose(rt, mine, cycle, teas[0], teas[1])
    clock.advance(days=(cycle.cutoff_on - rt.today()).days)

    choose(rt, mine, cycle, teas[2], teas[3])

    box = make_box(rt, plan, cycle, subscription=mine)
    lock(rt, clock)
    assert [one for one, _pieces, _origin in contents(rt, box)] == [teas[2].id, teas[3].id]


def test_after_the_cut_off_the_first_box_still_changeable_is_named(
    rt, clock, plan, group, cycle, teas
):
    offer(rt, plan, teas, Rule(2))
    mine = subscribe(rt, plan)
    after = cycles_of(rt, group)[1]
    clock.advance(days=(cycle.cutoff_on - rt.today()).days + 1)

    with pytest.raises(ChoiceTooLate) as refused:
        choose(rt, mine, cycle, teas[0], teas[1])

    assert refused.value.params == {
        "box_on": cycle.ship_from,
        "next_on": after.ship_from,
        "next_cycle": after.public_id,
    }
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(BoxChoice)) == 0


def test_staff_choose_for_a_customer_until_the_lock(rt, clock, plan, cycle, teas, owner):
    offer(rt, plan, teas, Rule(2))
    mine = subscribe(rt, plan)
    box = make_box(rt, plan, cycle, subscription=mine)
    clock.advance(days=(cycle.lock_on - rt.today()).days)

    choose(rt, mine, cycle, teas[2], teas[3], who=owner)

    lock(rt, clock, 1)
    assert [one for one, _pieces, _origin in contents(rt, box)] == [teas[2].id, teas[3].id]


def test_a_packed_box_never_changes(rt, clock, plan, cycle, teas, owner):
    offer(rt, plan, teas, Rule(2))
    mine = subscribe(rt, plan)
    box = make_box(rt, plan, cycle, subscription=mine)
    lock(rt, clock)
    packed = contents(rt, box)

    with pytest.raises(ChoiceTooLate):
        choose(rt, mine, cycle, teas[2], teas[3], who=owner)
    answer_allergies(rt, mine.customer_id, mine.public_id, ["nuts"])
    retry_boxes(rt, cycle.public_id)

    assert contents(rt, box) == packed


def test_every_broken_rule_of_a_choice_is_said_and_nothing_is_saved(rt, plan, cycle, teas):
    offer(rt, plan, teas, Rule(3))
    mine = subscribe(rt, plan)

    with pytest.raises(BadChoice) as refused:
        choose(rt, mine, cycle, *teas[:3], teas[0])

    assert refused.value.faults == (
        Fault(FaultKind.MOST_OF_ONE, teas[0].id, number=1),
        Fault(FaultKind.TOO_MANY, number=1),
    )
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(BoxChoice)) == 0


def test_part_of_a_choice_is_kept_and_the_rest_is_added(rt, clock, plan, cycle, teas):
    offer(rt, plan, teas, Rule(3))
    mine = subscribe(rt, plan)

    done = choose(rt, mine, cycle, teas[4])

    box = make_box(rt, plan, cycle, subscription=mine)
    lock(rt, clock)
    assert (done.pieces, done.missing) == (1, 2)
    assert contents(rt, box) == [
        (teas[0].id, 1, "recipe"),
        (teas[1].id, 1, "recipe"),
        (teas[4].id, 1, "choice"),
    ]
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(OutboxMessage)) == 0


def test_somebody_else_s_box_is_not_there(rt, plan, cycle, teas):
    offer(rt, plan, teas, Rule(2))
    mine, theirs = subscribe(rt, plan), subscribe(rt, plan)

    with pytest.raises(NotFound):
        choose_contents(rt, mine.customer_id, theirs.public_id, cycle.public_id, {})


def test_a_plain_recipe_leaves_nothing_to_choose(rt, plan, cycle, teas):
    save_recipe(rt, plan.public_id, None, "", [Ingredient(teas[0].public_id, 1)])

    with pytest.raises(NothingToChoose):
        choose(rt, subscribe(rt, plan), cycle, teas[0])


def test_pieces_chosen_by_one_are_sold_out_for_the_next(rt, clock, plan, cycle, teas):
    rare = make_variant(rt, on_hand=1)
    offer(rt, plan, [rare, *teas], Rule(2))
    first, second = subscribe(rt, plan), subscribe(rt, plan)
    choose(rt, first, cycle, rare, teas[0])

    with pytest.raises(BadChoice) as refused:
        choose(rt, second, cycle, rare, teas[0])

    assert refused.value.faults == (Fault(FaultKind.BARRED, rare.id),)
    choose(rt, first, cycle, rare, teas[1])


def test_a_skipped_box_sets_nothing_aside(rt, plan, cycle, teas):
    rare = make_variant(rt, on_hand=1)
    offer(rt, plan, [rare, *teas], Rule(2))
    first, second = subscribe(rt, plan), subscribe(rt, plan)
    choose(rt, first, cycle, rare, teas[0])

    skip_box(rt, first.customer_id, first.public_id, cycle.public_id)

    choose(rt, second, cycle, rare, teas[0])


def test_filling_others_takes_nothing_from_who_chose(rt, clock, plan, cycle, teas):
    rare = make_variant(rt, on_hand=1)
    offer(rt, plan, [rare, *teas], Rule(2))
    silent = make_box(rt, plan, cycle)
    mine = subscribe(rt, plan)
    choose(rt, mine, cycle, rare, teas[0])
    chosen = make_box(rt, plan, cycle, subscription=mine)

    lock(rt, clock)

    assert [one for one, _n, _o in contents(rt, chosen)] == [rare.id, teas[0].id]
    assert [one for one, _n, _o in contents(rt, silent)] == [teas[0].id, teas[1].id]


def test_what_is_gone_at_the_lock_is_replaced_and_the_customer_is_told_once(
    rt, clock, plan, cycle, teas
):
    offer(rt, plan, teas, Rule(2))
    mine = subscribe(rt, plan)
    choose(rt, mine, cycle, teas[1], teas[3])
    box = make_box(rt, plan, cycle, subscription=mine)
    adjust_stock(rt, teas[3].public_id, "loss", -50, "rain")

    lock(rt, clock)

    assert contents(rt, box) == [(teas[0].id, 1, "substitute"), (teas[1].id, 1, "choice")]
    told = rt.session.scalars(
        sa.select(OutboxMessage).where(OutboxMessage.topic == "choice_replaced")
    ).one()
    assert told.customer_id == mine.customer_id
    assert (len(told.payload["lost"]), len(told.payload["instead"])) == (1, 1)
    [lost], [instead] = told.payload["lost"], told.payload["instead"]
    rt.session.rollback()
    assert retry_boxes(rt, cycle.public_id).total == 0
    deliver_due(rt, partial(compose, rt))
    [mail] = [one for one in rt.mailer.read() if one["Subject"].startswith("One thing you chose")]
    text = mail.get_body(("plain",)).get_content()
    assert f"{lost} could not go into your box" in " ".join(text.split())
    assert instead in text


def test_a_box_its_pool_cannot_fill_waits_and_takes_nothing(rt, clock, plan, cycle):
    few = [make_variant(rt, on_hand=1) for _number in range(2)]
    offer(rt, plan, few, Rule(2))
    first, second = make_box(rt, plan, cycle), make_box(rt, plan, cycle)

    lock(rt, clock)

    assert problem(rt, first) == (BoxState.LOCKED, "")
    assert problem(rt, second) == (BoxState.HELD, "short_choice")
    left = rt.session.scalars(sa.select(ProductVariant.on_hand)).all()
    assert left == [0, 0]
    rt.session.rollback()
    for one in few:
        adjust_stock(rt, one.public_id, "receipt", 1, "delivery")
    assert retry_boxes(rt, cycle.public_id).locked == 1


def test_two_boxes_in_one_hold_twice_what_was_chosen(rt, clock, plan, cycle, teas):
    offer(rt, plan, teas, Rule(2))
    mine = subscribe(rt, plan, quantity=2)
    choose(rt, mine, cycle, teas[0], teas[1])
    box = make_box(rt, plan, cycle, subscription=mine, quantity=2)

    lock(rt, clock)

    assert contents(rt, box) == [(teas[0].id, 2, "choice"), (teas[1].id, 2, "choice")]


def test_leaving_it_to_us_takes_the_choice_back(rt, clock, plan, cycle, teas):
    offer(rt, plan, teas, Rule(2))
    mine = subscribe(rt, plan)
    choose(rt, mine, cycle, teas[3], teas[4])

    leave_it_to_us(rt, mine.customer_id, mine.public_id, cycle.public_id)

    box = make_box(rt, plan, cycle, subscription=mine)
    lock(rt, clock)
    assert contents(rt, box) == [(teas[0].id, 1, "recipe"), (teas[1].id, 1, "recipe")]


def test_what_is_not_tolerated_is_neither_chosen_nor_packed(rt, clock, plan, cycle, teas):
    nutty = make_variant(rt, on_hand=50)
    describe(rt, nutty, allergens=["nuts"])
    offer(rt, plan, [nutty, *teas], Rule(2, avoids_allergens=True))
    mine = subscribe(rt, plan)
    choose(rt, mine, cycle, nutty, teas[1])

    assert answer_allergies(rt, mine.customer_id, mine.public_id, ["nuts", "moonlight"])

    with pytest.raises(BadChoice) as refused:
        choose(rt, mine, cycle, nutty, teas[2])
    assert refused.value.faults == (Fault(FaultKind.BARRED, nutty.id),)
    box = make_box(rt, plan, cycle, subscription=mine)
    lock(rt, clock)
    assert contents(rt, box) == [(teas[0].id, 1, "substitute"), (teas[1].id, 1, "choice")]


def test_answers_are_kept_one_after_the_other(rt, plan, teas):
    describe(rt, make_variant(rt), allergens=["nuts", "milk"])
    mine = subscribe(rt, plan)

    said = [
        answer_allergies(rt, mine.customer_id, mine.public_id, words)
        for words in (["nuts"], ["nuts"], ["milk", "nuts"], [])
    ]

    assert said == [True, False, True, True]
    rows = rt.session.execute(
        sa.select(AllergyAnswer.number, AllergyAnswer.allergens).order_by(AllergyAnswer.id)
    ).all()
    assert [tuple(row) for row in rows] == [(1, ["nuts"]), (2, ["milk", "nuts"]), (3, [])]
    events = rt.session.scalars(sa.select(SubscriptionEvent.data)).all()
    assert "nuts" not in str(events)


def test_what_was_sent_before_is_not_sent_again(rt, clock, plan, group, teas):
    offer(rt, plan, teas, Rule(2, never_repeats=True))
    first, second = cycles_of(rt, group)[:2]
    mine = subscribe(rt, plan)
    make_box(rt, plan, first, subscription=mine)
    lock(rt, clock)

    later = make_box(rt, plan, second, subscription=mine, number=1)
    lock(rt, clock, 31)

    assert [one for one, _n, _o in contents(rt, later)] == [teas[2].id, teas[3].id]


def test_a_pool_is_copied_with_its_rule(rt, clock, plan, cycle, teas):
    rule = Rule(2, (Limit("Tea", 1, 2),), 9000, avoids_allergens=True, never_repeats=True)
    for tea in teas:
        describe(rt, tea, category="Tea")
    offer(rt, plan, teas, rule, most=2)

    copy_recipes(rt, plan.public_id, cycle.public_id)

    standing, copied = sorted(
        recipes_of(rt.session, [plan.id], cycle.id)[plan.id], key=lambda one: not one.is_standing
    )
    assert copied.rule == standing.rule == rule
    assert copied.pool == standing.pool == tuple((tea.id, 2) for tea in teas)


def test_a_rule_no_choice_can_keep_to_is_refused(rt, plan, teas):
    with pytest.raises(NothingToFill):
        offer(rt, plan, teas, Rule(6))
    with pytest.raises(NothingToFill):
        offer(rt, plan, teas, None)


def test_undoing_a_skip_brings_the_choice_back(rt, clock, plan, cycle, teas):
    offer(rt, plan, teas, Rule(2))
    mine = subscribe(rt, plan)
    choose(rt, mine, cycle, teas[3], teas[4])
    skip_box(rt, mine.customer_id, mine.public_id, cycle.public_id)
    undo_skip(rt, mine.customer_id, mine.public_id, cycle.public_id)

    box = make_box(rt, plan, cycle, subscription=mine)
    lock(rt, clock)

    assert [one for one, _n, _o in contents(rt, box)] == [teas[3].id, teas[4].id]


def test_of_twelve_who_choose_the_last_piece_at_once_one_gets_it(app, rt, plan, cycle, teas):
    rare = make_variant(rt, on_hand=1)
    offer(rt, plan, [rare, *teas], Rule(1))
    everybody = [subscribe(rt, plan) for _number in range(12)]

    def try_it(own, number):
        try:
            return choose(own, everybody[number], cycle, rare).pieces
        except BadChoice as refused:
            return refused.faults[0].kind

    said = in_parallel(app, 12, try_it)

    assert sorted(said, key=str) == [1, *[FaultKind.BARRED] * 11]


def test_a_packed_round_keeps_every_promise(rt, clock, plan, cycle, teas):
    offer(rt, plan, teas, Rule(2))
    for number in range(6):
        mine = subscribe(rt, plan)
        if number % 2:
            choose(rt, mine, cycle, teas[number % 5], teas[4])
        make_box(rt, plan, cycle, subscription=mine)

    lock(rt, clock)

    # The boxes of this test come without their invoices, which other promises are about.
    assert not {"F2", "F6", "F9", "F13"} & set(broken(rt.session))
    origins = set(rt.session.scalars(sa.select(BoxItem.origin)))
    rt.session.rollback()
    assert origins == {"choice", "recipe"}


def test_a_piece_nobody_chose_is_found(rt, clock, plan, cycle, teas):
    offer(rt, plan, teas, Rule(2))
    box = make_box(rt, plan, cycle)
    lock(rt, clock)
    assert "F13" not in broken(rt.session)
    rt.session.execute(sa.update(BoxItem).values(origin="choice"))

    assert broken(rt.session)["F13"] == [box.public_id] * 2


def test_the_cut_off_is_the_last_second_of_its_day_in_shop_time(rt, clock, plan, cycle, teas):
    offer(rt, plan, teas, Rule(2))
    mine = subscribe(rt, plan)
    midnight = datetime.combine(
        cycle.cutoff_on + timedelta(days=1), time(), ZoneInfo("Europe/Berlin")
    )
    clock.set(midnight.astimezone(UTC) - timedelta(seconds=1))
    assert choose(rt, mine, cycle, teas[0], teas[1]).until_on == cycle.cutoff_on

    clock.set(midnight.astimezone(UTC))

    with pytest.raises(ChoiceTooLate):
        choose(rt, mine, cycle, teas[2], teas[3])
