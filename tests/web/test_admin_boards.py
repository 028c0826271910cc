"""What the board of a cycle counts, beside the first page and the list of boxes."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.packing import Problem
from storefront.models import BoxItem, RecipeItem
from storefront.models.base import table_of
from storefront.queries.cycles import board
from storefront.testing.factories import make_group, make_plan, make_recipe, make_variant, save
from tests.support.boxes import cycles_of, make_box, make_subscribed
from tests.support.desk import Desk

_NOT_TEXT = re.compile(r"<[^>]+>|\s+")


@pytest.fixture
def desk(app, rt):
    return Desk(app, rt, "owner")


@pytest.fixture
def group(rt):
    return make_group(rt)


@pytest.fixture
def plan(rt, group):
    return make_plan(rt, group=group, name="Pot")


@pytest.fixture
def tea(rt, plan):
    """Two of what the plan's boxes hold."""
    found = make_variant(rt, name="Kukicha", sku="KUKICHA", on_hand=2)
    make_recipe(rt, plan, variants=[found])
    return found


@pytest.fixture
def boards(rt, group):
    """Addresses of the boards of the group's cycles."""
    return [f"/admin/cycles/{one.public_id}" for one in cycles_of(rt, group)]


@pytest.fixture
def cycle(rt, group):
    return cycles_of(rt, group)[0]


def words(page: str) -> str:
    """Return the text of a page with single spaces."""
    return " ".join(_NOT_TEXT.sub(" ", page).split())


def stage(page: str, name: str) -> str:
    """Return what one stage of the board says."""
    return words(next(part for part in page.split("<li class=") if f"<h2>{name}</h2>" in part))


@pytest.mark.usefixtures("tea")
def test_the_lines_of_the_plans_sum_to_all_boxes_with_those_sent_again(
    rt, desk, plan, cycle, boards
):
    again = {"kind": BoxKind.REPLACEMENT}
    for values in ({}, {}, again, again | {"state": BoxState.CANCELED}):
        make_box(rt, plan, cycle, **values)

    found = board(rt.session, cycle.public_id, rt.today())
    rt.session.rollback()

    assert found is not None
    assert [(one.boxes, one.again, one.bare) for one in found.plans] == [(3, 1, 0)]
    assert sum(one.boxes for one in found.plans) == found.cycle.boxes
    shown = stage(desk.get(boards[0]).text, "Recipe")
    assert "Pot 3 boxes, 1 of them sent again, standing recipe" in shown


@pytest.mark.usefixtures("tea")
def test_a_box_that_waits_is_marked_where_it_is_sent_again(rt, desk, plan, cycle, boards):
    for kind in (BoxKind.REGULAR, BoxKind.REPLACEMENT):
        make_box(rt, plan, cycle, kind=kind, state=BoxState.HELD, problem=Problem.SHORT_STOCK)

    cells = re.findall(r'<td data-label="Plan">(.*?)</td>', desk.get(boards[0]).text)

    assert sorted(words(cell) for cell in cells) == ["Pot", "Pot sent again"]


@pytest.mark.usefixtures("tea")
def test_the_board_and_the_first_page_tell_of_the_same_shortages(rt, desk, plan, cycle, boards):
    make_box(rt, plan, cycle)
    for _ in range(3):
        make_subscribed(rt, plan)

    shown = stage(desk.get(boards[0]).text, "Stock")

    assert "1 product runs short Enough for every box so far" in shown
    assert "2 left, up to 4 needed, 1 for the boxes so far" in shown
    assert "Kukicha: 2 left, up to 4 needed" in words(desk.get("/admin/").text)
    # The cycles behind it are not what is told of there.
    assert stage(desk.get(boards[1]).text, "Stock").endswith("Enough for every box so far")


def test_what_is_in_boxes_beside_their_recipe_runs_short_on_both_pages(
    rt, desk, plan, cycle, tea, boards
):
    box = make_box(rt, plan, cycle)
    save(rt, BoxItem(box_id=box.id, variant_id=tea.id, quantity=2, origin="addon"))

    shown = stage(desk.get(boards[0]).text, "Stock")

    assert "Enough" not in shown
    assert "2 left, up to 3 needed, 3 for the boxes so far" in shown
    assert "Kukicha: 2 left, up to 3 needed" in words(desk.get("/admin/").text)


@pytest.mark.usefixtures("tea")
def test_boxes_of_those_who_leave_count_on_both_pages(rt, desk, plan, cycle, boards):
    for _ in range(3):
        leaves = make_subscribed(rt, plan, cancel_on=rt.today())
        make_box(rt, plan, cycle, subscription=leaves)

    shown = stage(desk.get(boards[0]).text, "Stock")

    assert "2 left, up to 3 needed, 3 for the boxes so far" in shown
    assert "Kukicha: 2 left, up to 3 needed" in words(desk.get("/admin/").text)


@pytest.mark.usefixtures("tea")
def test_a_pool_that_the_lock_fills_from_what_is_there_runs_short_of_nothing(
    rt, desk, plan, boards
):
    rt.session.execute(sa.update(table_of(RecipeItem)).values(is_choice=True))
    rt.session.commit()
    for _ in range(3):
        make_subscribed(rt, plan)

    assert stage(desk.get(boards[0]).text, "Stock").endswith("Enough for every box so far")
    assert "Everything is there for the next boxes." in desk.get("/admin/today/short-stock").text
