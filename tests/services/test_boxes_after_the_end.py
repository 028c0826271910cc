"""What is still to come of a subscription or a gift that ended, and what its subscriber hears."""

from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.lifecycle import SubscriptionState
from storefront.domain.replacements import Reason
from storefront.models import Box, BoxCycle, OutboxMessage, ProductVariant, Subscription
from storefront.queries.documents import document
from storefront.queries.invoices import invoices
from storefront.services.box_notices import tell_of_boxes
from storefront.services.continuing import run_continuing
from storefront.services.cycles import close_cycles, plan_ahead
from storefront.services.fulfilment import export_boxes, ship_batch
from storefront.services.gifts import claim, run_gifts
from storefront.services.renewals import run_renewals
from storefront.services.replacements import Wanted, note_outcome, replace_box
from storefront.testing.factories import make_group, make_plan, make_recipe, make_variant
from tests.support.admin import make_staff
from tests.support.boxes import cycles_of, make_box
from tests.support.gifts import HOME, code_of, make_gift, wish_for


def written(rt, topic):
    rows = rt.session.scalars(
        sa.select(OutboxMessage.payload).where(OutboxMessage.topic == topic)
    ).all()
    rt.session.rollback()
    return rows


@pytest.mark.parametrize("has_box", [True, False])
def test_who_has_a_paid_box_to_come_is_told_of_it_also_behind_the_end(rt, clock, has_box):
    group = make_group(rt)
    plan = make_plan(rt, group=group, box_notice_days=3)
    make_recipe(rt, plan)
    cycle = cycles_of(rt, group)[0]
    box = make_box(rt, plan, cycle)
    table = type(box).__table__
    if not has_box:
        rt.session.execute(sa.update(table).values(state=BoxState.CANCELED))
    whose = box.subscription_id
    rt.session.execute(
        sa.update(Subscription.__table__)
        .where(Subscription.__table__.c.id == whose)
        .values(state=SubscriptionState.CANCELED, ended_on=rt.today())
    )
    rt.session.commit()
    clock.advance(days=(cycle.cutoff_on - rt.today()).days - 3)

    assert tell_of_boxes(rt)["of_boxes"] == int(has_box)
    assert len(written(rt, "box_soon")) == int(has_box)


def test_no_gift_is_over_while_a_box_of_it_that_is_sent_again_waits(rt, clock):
    tea = make_variant(rt, on_hand=5)
    plan = make_plan(rt, group=make_group(rt), unit="month", count=1)
    make_recipe(rt, plan, variants=[tea])
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)
    claim(rt, code_of(rt, gift), "ada@example.org", HOME)

    def live(until):
        while rt.today() < until:
            clock.advance(days=min(3, (until - rt.today()).days))
            plan_ahead(rt)
            run_gifts(rt)
            run_continuing(rt)
            run_renewals(rt)
            close_cycles(rt)

    live(date(2027, 3, 17))
    box, cycle = rt.session.execute(
        sa.select(Box.public_id, BoxCycle.public_id).join(BoxCycle, BoxCycle.id == Box.cycle_id)
    ).one()
    rt.session.rollback()
    ship_batch(rt, export_boxes(rt, cycle).public_id, carrier="DHL", tracking={})
    who = make_staff(rt)
    sku = rt.session.scalars(sa.select(ProductVariant.public_id)).one()
    rt.session.rollback()
    note_outcome(rt, box, BoxState.LOST, who)
    replace_box(rt, box, Wanted(Reason.LOST, {sku: 1}, is_now=False), who)

    live(date(2027, 4, 10))
    assert written(rt, "gift_over") == []

    live(date(2027, 4, 17))
    again = rt.session.scalars(
        sa.select(BoxCycle.public_id)
        .join(Box, Box.cycle_id == BoxCycle.id)
        .where(Box.public_id != box)
    ).one()
    rt.session.rollback()
    ship_batch(rt, export_boxes(rt, again).public_id, carrier="DHL", tracking={})
    live(date(2027, 4, 21))
    assert len(written(rt, "gift_over")) == 1


def test_the_list_of_invoices_names_the_day_on_which_each_was_issued(rt, clock):
    plan = make_plan(rt, group=make_group(rt), unit="month", count=1)
    gift = make_gift(rt, plan, wish_for(rt.today() + timedelta(days=12)))

    (row,) = invoices(rt.session, gift.giver_id, rt.today()).rows

    paper = document(rt.session, row.public_id)
    assert paper.tax_point_on > paper.on
    assert row.on.date() == paper.on == rt.today()
    rt.session.rollback()


@pytest.mark.parametrize("is_quiet", [False, True])
def test_a_gift_is_told_of_in_the_morning_of_its_day(rt, clock, is_quiet):
    plan = make_plan(rt, group=make_group(rt), unit="month", count=1)
    wish = wish_for(rt.today() + timedelta(days=3), is_quiet=is_quiet)
    make_gift(rt, plan, wish)
    # Shops of these tests are in Berlin: 7:59 there, on the third day. A code to hand over opens
    # with the day, and sends nothing.
    clock.set(datetime(2027, 3, 5, 6, 59, tzinfo=UTC))
    assert run_gifts(rt).told == int(is_quiet)
    clock.advance(minutes=1)
    assert run_gifts(rt).told == int(not is_quiet)
    assert len(written(rt, "gift_received")) == int(not is_quiet)


def test_a_gift_bought_in_the_night_for_now_is_told_of_at_once(rt, clock):
    clock.set(datetime(2027, 3, 3, 1, 0, tzinfo=UTC))
    plan = make_plan(rt, group=make_group(rt), unit="month", count=1)
    make_gift(rt, plan, wish_for(rt.today()))
    assert run_gifts(rt).told == 1
