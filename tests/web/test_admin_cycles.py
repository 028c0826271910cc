"""The cycle board and the recipe editor, as a person who packs uses them."""

import re

import pytest
import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.models import Box, BoxCycle, FulfilmentBatch, Option
from storefront.queries.recipes import recipe_items
from storefront.services.cycles import close_cycles
from storefront.services.fulfilment import export_boxes, ship_batch
from storefront.testing.factories import (
    make_group,
    make_options,
    make_plan,
    make_price,
    make_recipe,
    make_variant,
)
from tests.support.boxes import cycles_of, make_box, make_subscribed
from tests.support.desk import PARTIAL, Desk


@pytest.fixture(params=["sqlite"])
def database(databases, tmp_path):
    """One kind is enough for pages; the services run on both."""
    return databases.sqlite(tmp_path)


@pytest.fixture
def desk(app, rt):
    return Desk(app, rt, "fulfilment")


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
def board(cycle):
    return f"/admin/cycles/{cycle.public_id}"


def items(rt, plan, cycle=None, option=""):
    found = recipe_items(rt.session, plan.id, cycle.public_id if cycle else None, option)
    rt.session.rollback()
    return found


def test_the_board_says_what_each_stage_still_needs(rt, desk, plan, cycle, board):
    tea = make_variant(rt, name="Kukicha", on_hand=1)
    make_recipe(rt, plan, variants=[tea])
    bare = make_plan(rt, group=_as_group(plan), name="Table")
    for each in (plan, plan, bare):
        make_box(rt, each, cycle)

    page = desk.get(board).text

    assert "3 boxes" in page
    assert "1 plan has no recipe" in page
    assert "1 left, up to 2 needed, 2 for the boxes so far" in page
    assert "Locks by itself after" in page
    assert "Lock cycle" not in page


def _as_group(plan):
    class Group:
        id = plan.cycle_group_id

    return Group()


def test_a_due_cycle_is_locked_exported_checked_and_shipped(rt, desk, plan, cycle, board, clock):
    make_recipe(rt, plan)
    make_box(rt, plan, cycle)
    clock.advance(days=14)
    desk.sign_in()
    assert "Lock cycle" in desk.get(board).text

    locked = desk.post(f"{board}/lock", on=board)
    assert (locked.status_code, locked.location) == (303, board)
    page = desk.get(board).text
    assert "Cycle locked. 1 box locked." in page
    assert "Export 1 box" in page

    desk.post(f"{board}/export", on=board)
    page = desk.get(board).text
    assert "Exported 1 box in batch 1." in page
    file = desk.get(re.search(r'href="(/admin/batches/\w+/file)"', page)[1])
    assert file.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment; filename=group-" in file.headers["Content-Disposition"]
    assert "no-store" in file.headers["Cache-Control"]
    assert file.text.count("\r\n") == 2

    batch = rt.session.scalar(sa.select(FulfilmentBatch.public_id))
    rt.session.rollback()
    desk.post(f"/admin/batches/{batch}/check", on=board)
    assert "Batch 1 made again: same bytes, 1 boxes." in desk.get(board).text

    box = rt.session.scalar(sa.select(Box.public_id))
    rt.session.rollback()
    ship = f"/admin/batches/{batch}/ship"
    sent = desk.post(ship, {"carrier": "DHL", "tracking": f"{box}, JJD1"}, on=ship)
    assert (sent.status_code, sent.location) == (303, board)
    page = desk.get(board).text
    assert "1 box is on its way." in page
    assert "1 of 1" in page


def test_a_partial_answers_with_the_board_and_a_message(rt, desk, plan, cycle, board, clock):
    make_recipe(rt, plan)
    make_box(rt, plan, cycle)
    clock.advance(days=14)
    desk.sign_in()

    answer = desk.post(f"{board}/lock", on=board, headers=PARTIAL)

    assert answer.status_code == 200
    assert "<html" not in answer.text
    assert 'id="cycle-board"' in answer.text
    assert "Cycle locked. 1 box locked." in answer.text


def test_locking_before_its_time_is_refused_in_words(desk, plan, cycle, board):
    answer = desk.post(f"{board}/lock", on=f"/admin/recipes/{plan.public_id}")

    assert answer.status_code == 422
    assert "its lock day is not over" in answer.text


def test_an_exception_names_why_and_gets_through_by_trying_again(
    app, rt, desk, plan, cycle, board, clock
):
    make_box(rt, plan, cycle)
    clock.advance(days=14)
    desk.sign_in()
    close_cycles(rt)
    page = desk.get(board).text
    assert "Exceptions (1)" in page
    assert "No recipe" in page
    # Who packs may not see people; who may is led to them.
    assert "/admin/subscribers/" not in page
    owner = Desk(app, rt, "owner")
    owner.sign_in()
    person = re.search(r'<a href="(/admin/subscribers/[^"#]+)#', owner.get(board).text)
    assert person is not None
    assert owner.get(person[1]).status_code == 200

    make_recipe(rt, plan)
    box = rt.session.scalar(sa.select(Box.public_id))
    rt.session.rollback()
    desk.post(f"{board}/retry", {"box": box}, on=board)

    assert "1 box locked." in desk.get(board).text
    assert rt.session.scalar(sa.select(Box.state)) is BoxState.LOCKED


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("box_1", "Line 1 needs a box id and a number"),
        ("\nbox_1 a b", "Line 2 needs a box id and a number"),
        ("box_other, 12", "Not in this batch: box_other"),
    ],
)
def test_bad_tracking_is_told_beside_the_field_and_kept(
    rt, desk, plan, cycle, board, clock, typed, message
):
    make_recipe(rt, plan)
    make_box(rt, plan, cycle)
    clock.advance(days=14)
    desk.sign_in()
    close_cycles(rt)
    batch = export_boxes(rt, cycle.public_id)
    ship = f"/admin/batches/{batch.public_id}/ship"

    answer = desk.post(ship, {"carrier": "DHL", "tracking": typed}, on=ship)

    assert answer.status_code == 422
    assert message in answer.text
    assert "<title>Error: " in answer.text
    assert typed.strip() in answer.text


@pytest.fixture
def on_its_way(rt, desk, plan, cycle, clock):
    """The address to mark the one box of a shipped batch as delivered."""
    make_recipe(rt, plan)
    make_box(rt, plan, cycle)
    clock.advance(days=14)
    desk.sign_in()
    close_cycles(rt)
    batch = export_boxes(rt, cycle.public_id)
    ship_batch(rt, batch.public_id)
    return f"/admin/batches/{batch.public_id}/deliver"


@pytest.mark.parametrize("partial", [False, True])
def test_a_shipped_batch_is_marked_as_delivered(rt, desk, board, on_its_way, partial):
    page = desk.get(board).text
    assert "1 on its way" in page
    assert f'href="{on_its_way}"' in page
    assert "1 box is on its way. No mail is sent" in desk.get(on_its_way).text

    headers = PARTIAL if partial else {}
    done = desk.post(on_its_way, {"boxes": " \n"}, on=on_its_way, headers=headers)

    assert done.status_code == (200 if partial else 303)
    assert rt.session.scalars(sa.select(Box.state)).all() == [BoxState.DELIVERED]
    rt.session.rollback()
    page = desk.get(board).text
    assert "1 box is marked as delivered." in page
    assert on_its_way not in page
    assert "No box of this batch is on its way." in desk.get(on_its_way).text


def test_a_box_of_another_batch_is_told_beside_the_field(rt, desk, on_its_way):
    answer = desk.post(on_its_way, {"boxes": "box_other"}, on=on_its_way)

    assert answer.status_code == 422
    assert "Not in this batch, or not shipped yet: box_other" in answer.text
    assert rt.session.scalars(sa.select(Box.state)).all() == [BoxState.SHIPPED]


def test_names_on_the_board_are_escaped(rt, desk, plan, cycle, board, clock):
    subscription = make_subscribed(rt, plan)
    rt.session.execute(sa.text("UPDATE customer SET name = '<script>x</script>'"))
    rt.session.commit()
    make_box(rt, plan, cycle, subscription=subscription)
    clock.advance(days=14)
    desk.sign_in()
    close_cycles(rt)

    page = desk.get(board).text

    assert "<script>x" not in page
    assert "&lt;script&gt;x" in page


@pytest.mark.parametrize(
    "path",
    [
        "/admin/cycles/cyc_none",
        "/admin/batches/bat_none/file",
        "/admin/batches/bat_none/ship",
        "/admin/batches/bat_none/deliver",
        "/admin/recipes/plan_none",
    ],
)
def test_an_unknown_id_is_not_found(desk, path):
    assert desk.get(path).status_code == 404


def test_a_cycle_of_another_group_has_no_recipe_of_this_plan(rt, desk, plan):
    other = cycles_of(rt, make_group(rt))[0]

    found = desk.get(f"/admin/recipes/{plan.public_id}?cycle={other.public_id}")

    assert found.status_code == 404


def test_support_may_not_open_the_board_nor_the_file(app, rt, plan, cycle, board, clock):
    make_recipe(rt, plan)
    make_box(rt, plan, cycle)
    clock.advance(days=14)
    close_cycles(rt)
    batch = export_boxes(rt, cycle.public_id)
    support = Desk(app, rt, "support")

    assert support.get(board).status_code == 403
    assert support.get(f"/admin/batches/{batch.public_id}/file").status_code == 403
    assert app.test_client().get(f"/admin/batches/{batch.public_id}/file").status_code in {303, 401}


def test_a_locked_cycle_without_boxes_is_done(rt, desk, board, clock):
    clock.advance(days=14)
    close_cycles(rt)
    desk.sign_in()
    assert board not in desk.get("/admin/cycles").text
    assert board in desk.get("/admin/cycles?show=done").text


def test_the_list_shows_current_coming_and_done_cycles(rt, desk, cycle):
    assert "No cycle is open" in desk.get("/admin/cycles").text
    coming = desk.get("/admin/cycles?show=coming").text
    assert cycle.key in coming
    assert "No cycle is done yet" in desk.get("/admin/cycles?show=done").text
    table = BoxCycle.__table__
    rt.session.execute(sa.update(table).where(table.c.id == cycle.id).values(state="open"))
    rt.session.commit()
    assert cycle.key in desk.get("/admin/cycles").text


def test_a_recipe_is_written_step_by_step_without_the_script(rt, desk, plan):
    assam = make_variant(rt, name="Assam", cost_minor=300)
    sencha = make_variant(rt, name="Sencha", cost_minor=200)
    url = f"/admin/recipes/{plan.public_id}"
    a, s = f"pieces-{assam.public_id}", f"pieces-{sencha.public_id}"

    page = desk.post(url, {"do": "add", "add": assam.public_id}, on=url).text
    assert "Not saved yet" in page
    assert items(rt, plan) == []
    page = desk.post(url, {a: "2", "do": "add", "add": sencha.public_id}, on=url).text
    assert "€8.00" in page
    page = desk.post(url, {a: "2", s: "1", "do": f"up:{sencha.public_id}"}, on=url).text
    assert page.index(f'id="{s}"') < page.index(f'id="{a}"')
    page = desk.post(url, {s: "1", a: "2", f"{a}-more": "1"}, on=url).text
    assert re.search(rf'id="{a}" name="{a}" value="3"', page)

    saved = desk.post(url, {s: "1", a: "3", "do": "save"}, on=url)

    assert (saved.status_code, saved.location) == (303, url)
    assert items(rt, plan) == [(sencha.public_id, 1), (assam.public_id, 3)]
    assert "Recipe saved." in desk.get(url).text


def test_cost_and_margin_are_worked_out_from_the_price_without_tax(rt, desk, plan):
    tea = make_variant(rt, cost_minor=437)
    make_recipe(rt, plan, variants=[tea])

    page = desk.get(f"/admin/recipes/{plan.public_id}").text

    assert "€4.37" in page
    assert "€21.85" in page  # 26.00 with 19 % inside
    assert "80%" in page


def test_a_product_without_cost_is_named(rt, desk, plan):
    make_recipe(rt, plan, variants=[make_variant(rt, cost_minor=None)])

    page = desk.get(f"/admin/recipes/{plan.public_id}").text

    assert "and 1 product whose cost is not known" in page
    assert "Margin" not in page


@pytest.mark.parametrize("typed", ["x", "-1", "100", "1.5", ""])
def test_bad_pieces_are_told_beside_the_field_and_nothing_is_saved(rt, desk, plan, typed):
    tea = make_variant(rt)
    url = f"/admin/recipes/{plan.public_id}"

    answer = desk.post(url, {f"pieces-{tea.public_id}": typed, "do": "save"}, on=url)

    assert answer.status_code == 422
    assert f'<a href="#pieces-{tea.public_id}">Enter a whole number from 0 to 99</a>' in answer.text
    assert f'value="{typed}"' in answer.text
    assert items(rt, plan) == []


def test_saving_takes_a_product_that_was_chosen_and_not_added_yet(rt, desk, plan):
    assam = make_variant(rt, name="Assam", cost_minor=300)
    url = f"/admin/recipes/{plan.public_id}"

    desk.post(url, {"do": "save", "add": assam.public_id}, on=url)

    assert items(rt, plan) == [(assam.public_id, 1)]
    assert "Recipe saved." in desk.get(url).text


def test_a_recipe_of_one_cycle_and_option_is_kept_apart(rt, desk, plan, cycle):
    make_options(rt, plan)
    tea = make_variant(rt)
    url = f"/admin/recipes/{plan.public_id}?cycle={cycle.public_id}&option=taste%3Dmild"

    desk.post(url, {f"pieces-{tea.public_id}": "1", "do": "save"}, on=url)

    assert items(rt, plan, cycle, "taste=mild") == [(tea.public_id, 1)]
    assert items(rt, plan) == []
    assert desk.get(url.replace("mild", "sour")).status_code == 404


def test_a_recipe_for_two_answers_is_written_and_listed_with_what_it_earns(rt, desk, plan, cycle):
    make_options(rt, plan)
    make_options(rt, plan, code="size", choices=[("large", "Large", 600), ("small", "Small", 0)])
    tea = make_variant(rt, cost_minor=437)
    page = f"/admin/recipes/{plan.public_id}?cycle={cycle.public_id}"
    url = f"{page}&option=taste%3Dmild&option=&option=size%3Dlarge"

    assert "Brings in" not in desk.get(page).text, "nothing is written, so nothing is earned"
    desk.post(page, {f"pieces-{tea.public_id}": "2", "do": "save"}, on=page)
    saved = desk.post(url, {f"pieces-{tea.public_id}": "1", "do": "save"}, on=url)

    assert saved.location == f"{page}&option=size%3Dlarge&option=taste%3Dmild"
    assert items(rt, plan, cycle, "size=large&taste=mild") == [(tea.public_id, 1)]
    listed = desk.get(page).text.partition("Recipes of this cycle")[2]
    assert "How do you like it?: Mild, How do you like it?: Large</a>" in listed
    assert re.findall(r"<td[^>]*>(€[\d.]+)", listed) == ["€8.74", "€4.37"]
    # What a large one costs more is earned with it: 32.00 without VAT are 26.89.
    assert re.findall(r"\d+%", listed) == ["60%", "84%"]
    # Two answers to one question fit no box.
    assert desk.get(f"{page}&option=taste%3Dmild&option=taste%3Dstrong").status_code == 404

    # Who gave an answer before it was taken off keeps it, and its recipe is written on.
    archived = {"archived_at": rt.now()}
    rt.session.execute(sa.update(Option).where(Option.code == "large").values(archived))
    rt.session.commit()
    assert "Large (no longer offered)</option>" in desk.get(page).text
    desk.post(url, {f"pieces-{tea.public_id}": "3", "do": "save"}, on=url)
    assert items(rt, plan, cycle, "size=large&taste=mild") == [(tea.public_id, 3)]


def test_a_margin_is_worked_out_within_the_currency_of_the_shop(rt, desk, plan):
    make_price(rt, plan, amount_minor=2300, currency="GBP")
    tea = make_variant(rt, cost_minor=437)
    make_recipe(rt, plan, variants=[tea])
    url = f"/admin/recipes/{plan.public_id}"

    page = desk.get(url).text
    assert "€21.85" in page
    assert "80%" in page
    assert "£" not in page

    foreign = make_variant(rt, cost_minor=100, currency="GBP")
    make_recipe(rt, plan, variants=[foreign, tea], option_key="taste=mild")
    make_options(rt, plan)
    other = desk.get(f"{url}?option=taste%3Dmild").text.partition("Standing recipes")[0]
    assert "€4.37" in other
    assert "and 1 product whose cost is not known" in other
    assert "Margin" not in other


def test_the_last_recipe_is_copied(rt, desk, plan, group):
    march, april = cycles_of(rt, group)[:2]
    make_recipe(rt, plan, cycle=march)
    url = f"/admin/recipes/{plan.public_id}"

    on = f"{url}?cycle={april.public_id}"
    copied = desk.post(f"{url}/copy?cycle={april.public_id}", on=on)

    assert (copied.status_code, copied.location) == (303, on)
    assert "Copied from 2027-03." in desk.get(on).text
    assert items(rt, plan, april) == items(rt, plan, march)


def test_there_may_be_nothing_to_copy(desk, plan, cycle):
    url = f"/admin/recipes/{plan.public_id}"

    answer = desk.post(f"{url}/copy?cycle={cycle.public_id}", on=f"{url}?cycle={cycle.public_id}")

    assert answer.status_code == 422
    assert "No earlier cycle has a recipe for this plan." in answer.text


def test_the_list_of_recipes_says_where_one_is_missing(rt, desk, plan):
    assert "Missing" in desk.get("/admin/recipes").text
    make_recipe(rt, plan)
    assert "Written" in desk.get("/admin/recipes").text
