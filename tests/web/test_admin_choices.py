"""The merchant's side of choosing: the pool of a recipe, and choosing for a customer."""

import pytest
import sqlalchemy as sa

from storefront.domain.choices import Limit, Rule
from storefront.models import AuditEntry, BoxChoiceItem, Customer, Product, ProductVariant, Staff
from storefront.queries.recipes import recipe_choice
from storefront.services.packing import Ingredient, save_recipe
from storefront.testing.factories import make_group, make_plan, make_variant
from tests.support.admin import desk
from tests.support.boxes import cycles_of, make_subscribed


@pytest.fixture
def group(rt):
    return make_group(rt)


@pytest.fixture
def plan(rt, group):
    return make_plan(rt, code="pot", name="Pot", group=group)


@pytest.fixture
def teas(rt):
    made = [make_variant(rt, name=name, on_hand=50) for name in ("Assam", "Sencha", "Oolong")]
    rt.session.execute(sa.update(Product).values(category="Tea"))
    rt.session.commit()
    return made


@pytest.fixture
def owner(app, rt):
    return desk(app, rt)


def fields(teas, **more):
    pool = {f"pieces-{one.public_id}": "1" for one in teas}
    return pool | {f"choice-{one.public_id}": "1" for one in teas} | more


def stored(rt, plan):
    found = recipe_choice(rt.session, plan.id, None, "")
    rt.session.rollback()
    return found


def sign_in_again(rt, owner):
    """Sessions of staff end after some hours."""
    key = rt.session.scalar(sa.select(Staff.id))
    rt.session.rollback()
    owner.sign_in(rt, key)


def test_a_pool_is_written_with_its_rule(rt, plan, teas, owner):
    url = f"/admin/recipes/{plan.public_id}"
    owner.get(url)
    rule = {
        "choose-pieces": "2",
        "choose-value": "12.00",
        "category-0": "Tea",
        "least-0": "1",
        "most-0": "2",
        "avoids": "1",
        "repeats": "1",
    }

    done = owner.post(url, fields(teas, do="save", **rule))

    assert done.status_code == 303
    refs = frozenset(one.public_id for one in teas)
    assert stored(rt, plan) == (refs, Rule(2, (Limit("Tea", 1, 2),), 1200, True, True))
    shown = owner.get(url).text
    assert "How subscribers choose" in shown
    assert 'name="choose-value" value="12.00"' in shown
    # Two of three at 3.50 each, whichever they are.
    assert "€7.00 at most, whatever is chosen" in shown


def test_ticking_the_first_product_shows_the_rule(plan, teas, owner):
    url = f"/admin/recipes/{plan.public_id}"
    assert "How subscribers choose" not in owner.get(url).text

    shown = owner.post(url, fields(teas, do="preview"), partial=True)

    assert shown.status_code == 200
    assert "How subscribers choose" in shown.text
    assert "Enter how many are chosen" not in shown.text


def test_a_rule_that_cannot_be_is_refused_with_all_that_was_typed(rt, plan, teas, owner):
    url = f"/admin/recipes/{plan.public_id}"
    owner.get(url)

    bare = owner.post(url, fields(teas, do="save"))
    assert bare.status_code == 422
    assert "Enter how many are chosen" in bare.text
    typed = {"choose-pieces": "2", "category-0": "Tea", "least-0": "2", "most-0": "1"}
    crossed = owner.post(url, fields(teas, do="save", **typed, **{"choose-value": "lots"}))
    assert "Enter at least the number beside it" in crossed.text
    assert 'value="lots"' in crossed.text
    many = owner.post(url, fields(teas, do="save", **{"choose-pieces": "4"}))
    assert "No choice can keep to these rules" in many.text
    assert 'name="choose-pieces" value="4"' in many.text
    assert stored(rt, plan) == (frozenset(), None)


def test_unticking_all_makes_it_a_plain_recipe_again(rt, plan, teas, owner):
    pool = [Ingredient(one.public_id, 1, is_choice=True) for one in teas]
    save_recipe(rt, plan.public_id, None, "", pool, rule=Rule(2))
    url = f"/admin/recipes/{plan.public_id}"
    owner.get(url)

    owner.post(url, {f"pieces-{one.public_id}": "1" for one in teas} | {"do": "save"})

    assert stored(rt, plan) == (frozenset(), None)


def test_staff_choose_for_a_customer_after_the_cut_off(rt, clock, group, plan, teas, owner):
    pool = [Ingredient(one.public_id, 1, is_choice=True) for one in teas]
    save_recipe(rt, plan.public_id, None, "", pool, rule=Rule(2))
    cycle = cycles_of(rt, group)[0]
    sub = make_subscribed(rt, plan, next_on=rt.today())
    ref = rt.session.scalar(sa.select(Customer.public_id).where(Customer.id == sub.customer_id))
    rt.session.expunge_all()
    rt.session.rollback()
    url = f"/admin/subscribers/{ref}/{sub.public_id}/boxes/{cycle.public_id}/choose"
    assert url in owner.get(f"/admin/subscribers/{ref}").text
    clock.advance(days=(cycle.lock_on - rt.today()).days)
    sign_in_again(rt, owner)
    assert "Choose 2 of 3 until" in owner.get(url).text

    done = owner.post(url, {"do": "save", **{f"pick-{one.public_id}": "1" for one in teas[1:]}})

    assert done.status_code == 303
    names = sa.select(Product.name).join(ProductVariant).join(BoxChoiceItem)
    assert set(rt.session.scalars(names)) == {"Sencha", "Oolong"}
    assert "choice.saved" in rt.session.scalars(sa.select(AuditEntry.action)).all()
    rt.session.rollback()
    clock.advance(days=1)
    sign_in_again(rt, owner)
    owner.get("/admin/")
    late = owner.post(url, {"do": "save", f"pick-{teas[0].public_id}": "1"})
    assert late.status_code == 409
