"""A recipe that does not offer what subscribers chose: who is asked, and who is told."""

from functools import partial

import pytest
import sqlalchemy as sa

from storefront.domain.choices import Rule
from storefront.mails import compose
from storefront.models import BoxItem, OutboxMessage, Recipe
from storefront.operations.recipe_losses import token_of
from storefront.services.choices import choose_contents
from storefront.services.cycles import close_cycles
from storefront.services.outbox import deliver_due
from storefront.services.packing import (
    ChoicesFallOut,
    Ingredient,
    copy_recipes,
    save_recipe,
)
from storefront.testing.factories import make_group, make_plan, make_variant
from tests.support.boxes import cycles_of, make_box, make_subscribed


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
    return [make_variant(rt, name=f"Tea {number}", on_hand=50) for number in range(5)]


@pytest.fixture
def chosen(rt, plan, cycle, teas):
    """A subscription that chose the second and the fourth of the teas."""
    offer(rt, plan, teas)
    row = make_subscribed(rt, plan, next_on=rt.today())
    make_box(rt, plan, cycle, subscription=row)
    rt.session.expunge_all()
    rt.session.rollback()
    picks = {teas[1].public_id: 1, teas[3].public_id: 1}
    choose_contents(rt, row.customer_id, row.public_id, cycle.public_id, picks)
    return row


def offer(rt, plan, teas, cycle=None, key="", **more):
    pool = [Ingredient(one.public_id, 1, is_choice=True) for one in teas]
    where = (plan.public_id, cycle.public_id if cycle else None, key)
    return save_recipe(rt, *where, pool, rule=Rule(2), **more)


def fixed(rt, plan, teas, cycle=None, key="", **more):
    items = [Ingredient(one.public_id, 1) for one in teas]
    where = (plan.public_id, cycle.public_id if cycle else None, key)
    return save_recipe(rt, *where, items, **more)


def recipes(rt):
    found = rt.session.scalar(sa.select(sa.func.count()).select_from(Recipe))
    rt.session.rollback()
    return found


def told(rt, topic="choice_gone"):
    rows = rt.session.scalars(sa.select(OutboxMessage).where(OutboxMessage.topic == topic)).all()
    found = [row.payload["lost"] for row in rows]
    rt.session.rollback()
    return found


def mails(rt):
    deliver_due(rt, partial(compose, rt))
    return {
        one["Subject"]: " ".join(one.get_body(("plain",)).get_content().split())
        for one in rt.mailer.read()
    }


def lock(rt, clock, days=14):
    clock.advance(days=days)
    close_cycles(rt)


def test_a_recipe_for_some_boxes_asks_before_it_takes_what_was_chosen(
    rt, plan, cycle, teas, chosen
):
    with pytest.raises(ChoicesFallOut) as asked:
        fixed(rt, plan, [teas[1], teas[0]], cycle, "#1", shown="")

    assert [one.pieces for one in asked.value.gone] == [(("Tea 3", 1),)]
    assert (recipes(rt), told(rt)) == (1, [])

    # Another loss than the one that was shown is asked for again.
    with pytest.raises(ChoicesFallOut):
        fixed(rt, plan, [teas[0]], cycle, "#1", shown=token_of(asked.value.gone))
    number = fixed(rt, plan, [teas[1], teas[0]], cycle, "#1", shown=token_of(asked.value.gone))

    assert (number, recipes(rt), told(rt)) == (1, 2, [["Tea 3"]])
    assert "Tea 3" in mails(rt)["One thing you chose is not offered any more"]


def test_a_smaller_pool_a_copy_and_a_removed_recipe_ask_as_well(
    rt, group, plan, cycle, teas, chosen
):
    with pytest.raises(ChoicesFallOut):
        offer(rt, plan, teas[:3], shown="")
    # What the cycle has of its own offers it still, so the standing recipe takes nothing.
    assert offer(rt, plan, teas, cycle, shown="") == 0
    assert offer(rt, plan, teas[:3], shown="") == 0
    with pytest.raises(ChoicesFallOut):
        save_recipe(rt, plan.public_id, cycle.public_id, "", [], shown="")
    with pytest.raises(ChoicesFallOut):
        copy_recipes(rt, plan.public_id, cycle.public_id, shown="")
    assert told(rt) == []


def test_a_recipe_that_takes_nothing_chosen_is_saved_at_once(rt, group, plan, cycle, teas, chosen):
    other = make_plan(rt, code="other", group=group)

    assert offer(rt, plan, [teas[3], teas[1]], shown="") == 0
    assert fixed(rt, plan, teas[:1], cycles_of(rt, group)[1], shown="") == 0
    assert fixed(rt, plan, teas[:1], key="#2-", shown="") == 0
    assert fixed(rt, other, teas[:1], shown="") == 0
    assert told(rt) == []


def test_what_was_chosen_and_a_fixed_recipe_does_not_hold_is_told_at_the_lock(
    rt, clock, plan, cycle, teas, chosen
):
    fixed(rt, plan, [teas[1], teas[0]], cycle, "#1")

    lock(rt, clock)

    packed = rt.session.scalars(sa.select(BoxItem.variant_id).order_by(BoxItem.id)).all()
    rt.session.rollback()
    assert packed == [teas[1].id, teas[0].id]
    assert told(rt, "choice_replaced") == [["Tea 3"]]
    assert "Tea 0" in mails(rt)["One thing you chose is not in your box"]


def test_a_box_whose_recipe_holds_what_was_chosen_is_no_news(rt, clock, plan, cycle, teas, chosen):
    fixed(rt, plan, [teas[1], teas[3], teas[0]], cycle)

    lock(rt, clock)

    assert (told(rt), told(rt, "choice_replaced")) == ([], [])
