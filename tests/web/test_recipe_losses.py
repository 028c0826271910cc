"""The recipe page asks before choices fall out, and the board of the cycle counts them."""

import re

import pytest

from storefront.domain.choices import Rule
from storefront.services.choices import choose_contents
from storefront.services.packing import Ingredient, save_recipe
from storefront.testing.factories import make_group, make_plan, make_variant
from tests.support.admin import desk
from tests.support.boxes import cycles_of, make_box, make_subscribed


@pytest.fixture
def cycle(rt):
    return cycles_of(rt, make_group(rt))[0]


@pytest.fixture
def plan(rt, cycle):
    class Group:
        id = cycle.group_id

    return make_plan(rt, group=Group(), name="Pot")


@pytest.fixture
def teas(rt):
    return [make_variant(rt, name=name, on_hand=50) for name in ("Assam", "Mint", "Oolong")]


@pytest.fixture
def sub(rt, plan, cycle, teas):
    pool = [Ingredient(one.public_id, 1, is_choice=True) for one in teas]
    save_recipe(rt, plan.public_id, None, "", pool, rule=Rule(2))
    row = make_subscribed(rt, plan, next_on=rt.today())
    make_box(rt, plan, cycle, subscription=row)
    rt.session.expunge_all()
    rt.session.rollback()
    picks = {one.public_id: 1 for one in teas[:2]}
    choose_contents(rt, row.customer_id, row.public_id, cycle.public_id, picks)
    return row


def token_in(page):
    found = re.search(r'name="shown" value="(\w+)"', page)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("htmx", [False, True], ids=["plain", "script"])
def test_saving_a_recipe_counts_the_choices_that_fall_out_first(
    app, rt, plan, cycle, teas, sub, htmx
):
    mia, board = desk(app, rt), f"/admin/cycles/{cycle.public_id}"
    url = f"/admin/recipes/{plan.public_id}?cycle={cycle.public_id}&from=1&until=1"
    typed = {f"pieces-{teas[1].public_id}": "1", "do": "save"}
    assert "chose what its recipe does not offer" not in mia.get(board).text

    told = mia.post(url, typed, partial=htmx)

    assert told.status_code == 200
    assert ("<html" in told.text) == (not htmx)
    text = "Nothing is saved yet: 1 subscriber has chosen for a coming box what would not come."
    assert text in told.text
    assert "Assam, chosen by 1" in told.text
    assert "Save all the same" in told.text
    assert f'name="pieces-{teas[1].public_id}"' in told.text

    done = mia.post(url, typed | {"shown": token_in(told.text)}, partial=htmx)

    to = done.headers["HX-Redirect"] if htmx else done.location
    assert "Recipe saved. 1 subscriber is told." in mia.get(to).text
    assert "1 subscriber chose what its recipe does not offer" in mia.get(board).text


def test_copying_the_last_recipes_asks_as_well(app, rt, plan, cycle, teas, sub):
    pool = [Ingredient(one.public_id, 1, is_choice=True) for one in teas]
    save_recipe(rt, plan.public_id, cycle.public_id, "", pool, rule=Rule(2))
    save_recipe(rt, plan.public_id, None, "", [Ingredient(teas[1].public_id, 1)])
    mia, url = desk(app, rt), f"/admin/recipes/{plan.public_id}/copy?cycle={cycle.public_id}"

    told = mia.post(url, {})

    assert "Assam, chosen by 1" in told.text
    done = mia.post(url, {"shown": token_in(told.text)})
    assert "Copied from the standing recipe." in mia.get(done.location).text
