"""Boxes of gifts that wait: their giver is told once, and who gets it reads nothing."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.shortages import Policy
from storefront.mails import compose
from storefront.models import Box, BoxCycle, OutboxMessage, ProductVariant, Recipe, RecipeItem
from storefront.queries.invariants import broken
from storefront.services.cycles import close_cycles
from storefront.services.gifts import claim, run_gifts
from storefront.services.packing import retry_boxes
from storefront.services.stock import set_rule
from storefront.testing.factories import make_group, make_plan, make_recipe, make_variant
from tests.support.gifts import HOME, code_of, make_gift, wish_for
from tests.support.paying import waiting_mails

ADA = "ada@example.org"


@pytest.fixture
def tea(rt):
    """None of what the boxes of the plan hold."""
    return make_variant(rt, name="Assam", on_hand=0)


@pytest.fixture
def plan(rt, tea):
    plan = make_plan(rt, group=make_group(rt), name="Pot", amount_minor=6900, unit="month", count=3)
    make_recipe(rt, plan, variants=[tea])
    return plan


@pytest.fixture(autouse=True)
def invariants(rt):
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


def to_ada(rt):
    """Return what was written to the recipient."""
    rows = rt.session.scalars(
        sa.select(OutboxMessage.topic)
        .where(OutboxMessage.payload["to"].as_string() == ADA)
        .order_by(OutboxMessage.id)
    ).all()
    rt.session.rollback()
    return list(rows)


def run(rt, clock, months):
    """Let the worker work each day of some months."""
    for _ in range(months * 31):
        clock.advance(days=1)
        run_gifts(rt)
        close_cycles(rt)


def test_the_giver_is_told_once_of_each_box_that_waits_for_stock(rt, plan, clock):
    gift = make_gift(rt, plan, wish_for(rt.today(), address=HOME))
    run(rt, clock, 1)
    waits = sa.select(Box.public_id, BoxCycle.public_id.label("cycle")).join(BoxCycle)
    [held] = rt.session.execute(waits.where(Box.state == BoxState.HELD)).all()
    rt.session.rollback()
    retry_boxes(rt, held.cycle)

    [sent] = waiting_mails(rt, "gift_waits")
    assert (sent.customer_id, sent.payload["box"]) == (gift.giver_id, held.public_id)
    mail = compose(rt, sent)
    rt.session.rollback()
    assert mail.to == "ben@example.org"
    assert mail.subject == "A box that you give has to wait a little"
    assert "Something in the Pot box for Ada Lovelace has run out." in mail.text
    assert "Assam" not in mail.text
    assert to_ada(rt) == ["gift_received"]
    assert waiting_mails(rt, "box_waits") == []


def test_the_giver_reads_what_was_left_out_of_which_gift(rt, plan, tea, clock):
    kept = make_variant(rt, name="Sencha", on_hand=9)
    recipe = rt.session.scalar(sa.select(Recipe))
    rt.session.add(RecipeItem(recipe_id=recipe.id, variant_id=kept.id))
    rt.session.execute(
        sa.update(ProductVariant).where(ProductVariant.id == tea.id).values(price_minor=400)
    )
    rt.session.commit()
    set_rule(rt, tea.public_id, is_counted=True, policy=Policy.DROP, substitute="")
    make_gift(rt, plan, wish_for(rt.today(), address=HOME))
    run(rt, clock, 1)
    text = compose(rt, waiting_mails(rt, "refunded")[0]).text
    rt.session.rollback()
    assert [word in text for word in ("Assam", "Ada Lovelace", "next invoices")] == [
        True,
        True,
        False,
    ]
    assert "would rather have the money back" in text


def test_who_has_claimed_it_is_told_and_no_more_the_giver(rt, plan, clock):
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)
    claim(rt, code_of(rt, gift), ADA, HOME)
    run(rt, clock, 1)

    assert waiting_mails(rt, "gift_waits") == []
    [sent] = waiting_mails(rt, "box_waits")
    assert sent.customer_id != gift.giver_id


@pytest.mark.parametrize("is_quiet", [False, True])
def test_the_giver_is_told_once_of_each_box_that_waits_for_an_address(rt, plan, clock, is_quiet):
    gift = make_gift(rt, plan, wish_for(rt.today(), is_quiet=is_quiet))
    run(rt, clock, 3)

    sent = waiting_mails(rt, "gift_waits")
    assert {one.customer_id for one in sent} == {gift.giver_id}
    assert len(sent) == len({one.payload["box"] for one in sent}) > 0
    mail = compose(rt, sent[0])
    rt.session.rollback()
    assert mail.subject == "A box that you give waits for an address"
    assert "We do not know yet where the Pot box for Ada Lovelace goes." in mail.text
    assert ("with the code that you hand over" in mail.text) is is_quiet
    assert to_ada(rt) == ([] if is_quiet else ["gift_received", "gift_reminder"])
    # Claimed meanwhile: there is nothing more to say.
    claim(rt, code_of(rt, gift), ADA, HOME)
    assert compose(rt, sent[0]) is None
    rt.session.rollback()


def test_the_giver_is_told_of_a_box_whose_address_is_not_delivered_to_any_more(rt, plan, clock):
    gift = make_gift(rt, plan, wish_for(rt.today(), address=HOME))
    rt.session.execute(sa.text("UPDATE address SET city = ''"))
    rt.session.commit()
    run(rt, clock, 1)

    [sent] = waiting_mails(rt, "gift_waits")
    assert (sent.customer_id, sent.payload["for"]) == (gift.giver_id, "other_address")
    mail = compose(rt, sent)
    rt.session.rollback()
    assert "We cannot send the Pot box for Ada Lovelace to its address." in mail.text
    assert "answer this mail with the right address" in mail.text
