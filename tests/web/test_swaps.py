"""The page on which a subscriber takes something else, and what the merchant offers instead."""

import pytest
import sqlalchemy as sa

from storefront.models import BoxSwap, Customer, Product, SwapOffer
from storefront.operations.catalogue import raise_version
from storefront.services.packing import Ingredient, save_recipe
from storefront.services.swaps import offer_swaps
from storefront.testing.factories import make_group, make_plan, make_variant
from tests.support.admin import desk
from tests.support.boxes import cycles_of, make_subscribed
from tests.support.visitor import Visitor, customer_with_password

ADA = "ada@example.org"


@pytest.fixture
def group(rt):
    return make_group(rt)


@pytest.fixture
def cycle(rt, group):
    return cycles_of(rt, group)[0]


@pytest.fixture
def plan(rt, group):
    return make_plan(rt, code="cup", name="Cup", group=group)


@pytest.fixture
def teas(rt, plan):
    names = ("Sencha", "Assam", "Oolong", "Kukicha")
    made = {name: make_variant(rt, name=name, price_minor=800) for name in names}
    recipe = [Ingredient(made[name].public_id, 1) for name in names[:2]]
    save_recipe(rt, plan.public_id, None, "", recipe)
    return made


def held(rt):
    rows = rt.session.execute(sa.select(BoxSwap.instead_id, BoxSwap.is_standing)).all()
    rt.session.rollback()
    return [tuple(row) for row in rows]


def test_a_subscriber_swaps_and_takes_it_back_with_and_without_javascript(
    app, rt, plan, cycle, teas
):
    who = customer_with_password(rt, ADA)
    sub = make_subscribed(rt, plan, next_on=rt.today(), customer_id=who)
    ref, at = sub.public_id, cycle.public_id
    rt.session.expunge_all()
    rt.session.rollback()
    ada = Visitor.of(app).sign_in(ADA)
    url = f"/account/subscriptions/{ref}/boxes/{at}/swap"
    assert ada.get(url).status_code == 404
    assert "/swap" not in ada.get("/account/").text
    offer_swaps(rt, plan.public_id, [teas["Oolong"].public_id, teas["Kukicha"].public_id])

    assert f'href="{url}"' in ada.get("/account/").text
    page = ada.get(url)
    assert page.status_code == 200
    for name in ("Swap Sencha", "Oolong", "This box only", "From now on"):
        assert name in page.text
    own, instead = teas["Sencha"].public_id, teas["Oolong"].public_id
    nothing = ada.post(url, own=own, scope="once")
    assert nothing.status_code == 422
    assert held(rt) == []
    done = ada.post(url, own=own, instead=instead, scope="once")
    assert done.status_code == 303
    assert held(rt) == [(teas["Oolong"].id, False)]
    assert "In this box, Oolong comes instead of Sencha." in ada.get(url).text
    home = ada.get("/account/").text
    assert "Oolong" in home
    assert "Sencha" not in home
    assert "Oolong comes instead of Sencha once." in ada.get(f"/account/subscriptions/{ref}").text

    always = {"own": own, "instead": teas["Kukicha"].public_id, "scope": "always"}
    part = ada.post(url, htmx=True, **always)
    assert part.status_code == 200
    assert "<html" not in part.text
    assert "from this box on" in part.text
    undone = ada.post(url, own=own, do="undo")
    assert undone.status_code == 303
    assert held(rt) == []
    not_there = {"own": own, "instead": teas["Assam"].public_id}
    assert ada.post(url, **not_there).status_code == 422


def test_what_was_swapped_is_said_in_the_language_of_who_reads(app, rt, plan, cycle, teas):
    who = customer_with_password(rt, ADA)
    sub = make_subscribed(rt, plan, next_on=rt.today(), customer_id=who)
    url = f"/account/subscriptions/{sub.public_id}/boxes/{cycle.public_id}/swap"
    own, instead = teas["Sencha"].public_id, teas["Oolong"].public_id
    offer_swaps(rt, plan.public_id, [instead])
    told = {"fr": {"name": "Oolong doré"}}
    rt.session.execute(sa.update(Product).where(Product.name == "Oolong").values(translations=told))
    raise_version(rt.session)
    rt.session.commit()
    rt.forget_shop()

    ada = Visitor.of(app).sign_in(ADA)
    ada.get("/account/?lang=fr")
    part = ada.post(f"{url}?lang=fr", htmx=True, own=own, instead=instead, scope="once").text
    assert "Oolong doré" in part
    assert "Oolong " not in part.replace("Oolong doré", "")


def test_the_merchant_says_what_may_come_instead_and_staff_swap_for_a_customer(
    app, rt, plan, cycle, teas
):
    who = customer_with_password(rt, ADA)
    sub = make_subscribed(rt, plan, next_on=rt.today(), customer_id=who)
    customer = rt.session.scalar(sa.select(Customer.public_id).where(Customer.id == who))
    mia = desk(app, rt)
    ref, at = sub.public_id, cycle.public_id
    rt.session.expunge_all()
    rt.session.rollback()
    url = f"/admin/recipes/{plan.public_id}/swaps"
    assert f'href="{url}"' in mia.get(f"/admin/recipes/{plan.public_id}").text

    assert "Kukicha" in mia.get(url).text
    assert mia.post(url, {"offer": teas["Kukicha"].public_id}).status_code == 303
    assert mia.post(url, {"offer": "var_none"}).status_code == 404
    offers = rt.session.scalars(sa.select(SwapOffer.variant_id)).all()
    rt.session.rollback()
    assert offers == [teas["Kukicha"].id]

    url_of_box = f"/admin/subscribers/{customer}/{ref}/boxes/{at}/swap"
    assert f'href="{url_of_box}"' in mia.get(f"/admin/subscribers/{customer}").text
    assert "Swap Assam" in mia.get(url_of_box).text
    wish = {"own": teas["Assam"].public_id, "instead": teas["Kukicha"].public_id}
    assert mia.post(url_of_box, wish).status_code == 303
    assert held(rt) == [(teas["Kukicha"].id, False)]
