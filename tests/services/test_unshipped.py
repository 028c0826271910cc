"""Batches that nobody marked as shipped: on a list once their days to leave are over."""

import pytest
import sqlalchemy as sa

from storefront.models import BoxCycle
from storefront.models.base import table_of
from storefront.queries.worklists import counts, listed
from storefront.services.cycles import close_cycles
from storefront.services.fulfilment import export_boxes, ship_batch
from storefront.testing.factories import make_group, make_plan, make_recipe, make_variant
from tests.support.admin import desk
from tests.support.boxes import cycles_of, make_box


@pytest.fixture
def cycle(rt, clock):
    """A cycle of two boxes, locked."""
    group = make_group(rt)
    plan = make_plan(rt, group=group)
    make_recipe(rt, plan, variants=[make_variant(rt, sku="ASSAM", on_hand=10)])
    found = cycles_of(rt, group)[0]
    for _one in range(2):
        make_box(rt, plan, found)
    clock.advance(days=14)
    close_cycles(rt)
    return found


def on_list(rt):
    rows = listed(rt.session, "unshipped", rt.moment())
    count = counts(rt.session, rt.moment(), rt.shop.currency)["unshipped"].count
    rt.session.rollback()
    assert count == len(rows)
    return [(row.box, row.detail) for row in rows]


def test_a_batch_is_listed_when_its_days_to_leave_are_over_until_all_of_it_left(rt, cycle, clock):
    batch = export_boxes(rt, cycle.public_id).public_id
    clock.advance(days=(cycle.ship_to - rt.today()).days)
    assert on_list(rt) == []
    clock.advance(days=1)
    assert on_list(rt) == [(batch, "2")]
    ship_batch(rt, batch, carrier="DHL", tracking={})
    assert on_list(rt) == []


def test_a_batch_of_a_past_cycle_is_listed_after_the_day_on_which_it_was_to_leave(rt, cycle, clock):
    """As a box that leaves at once, or one that waited for stock."""
    clock.advance(days=60)
    rt.session.execute(sa.update(table_of(BoxCycle)).values(state="shipped"))
    rt.session.execute(
        sa.update(table_of(BoxCycle)).where(BoxCycle.id == cycle.id).values(state="locked")
    )
    rt.session.commit()
    batch = export_boxes(rt, cycle.public_id).public_id
    clock.advance(days=1)
    assert on_list(rt) == []
    clock.advance(days=1)
    assert on_list(rt) == [(batch, "2")]


def test_the_first_page_counts_it_and_its_list_leads_to_marking_it(rt, app, cycle, clock):
    batch = export_boxes(rt, cycle.public_id).public_id
    clock.advance(days=30)
    browser = desk(app, rt)
    assert "1 batch is not marked as shipped" in browser.get("/admin/").text
    page = browser.get("/admin/today/unshipped").text
    assert f'href="/admin/batches/{batch}/ship"' in page
    assert f'href="/admin/cycles/{cycle.public_id}"' in page
    assert "Batch 1" in page
    assert "2 boxes" in page
