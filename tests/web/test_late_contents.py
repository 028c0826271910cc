"""The pages on which other contents are asked for a closed box, by its owner and by staff."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from storefront.domain.choices import Rule
from storefront.models import BoxItem, Product, ProductVariant
from storefront.services.cycles import close_cycles
from storefront.services.packing import Ingredient, save_recipe
from storefront.services.swaps import offer_swaps
from storefront.testing.factories import make_group, make_plan, make_variant
from tests.support.admin import desk
from tests.support.boxes import cycles_of, make_box, make_subscribed
from tests.support.visitor import Visitor, customer_with_password

ADA = "ada@example.org"
NAMES = ("Sencha", "Assam", "Oolong", "Kukicha")


@pytest.fixture
def plan(rt):
    return make_plan(rt, code="pot", name="Pot", group=make_group(rt))


@pytest.fixture
def cycle(rt, plan):
    from storefront.models import CycleGroup

    group = rt.session.get_one(CycleGroup, plan.cycle_group_id)
    return cycles_of(rt, group)[0]


@pytest.fixture
def teas(rt):
    made = {name: make_variant(rt, name=name, on_hand=5, price_minor=800) for name in NAMES}
    rt.session.execute(sa.update(Product).values(category="Tea"))
    rt.session.commit()
    return made


@pytest.fixture
def box(rt, plan, cycle):
    row = make_subscribed(rt, plan, next_on=rt.today(), customer_id=customer_with_password(rt, ADA))
    rt.session.expunge_all()
    rt.session.rollback()
    return make_box(rt, plan, cycle, subscription=row)


def lock(rt, clock):
    clock.advance(days=14)
    close_cycles(rt)


def page_of(rt, box, cycle):
    from storefront.models import Subscription

    ref = rt.session.get_one(Subscription, box.subscription_id).public_id
    rt.session.rollback()
    return f"/account/subscriptions/{ref}/boxes/{cycle.public_id}/late"


def inside(rt, box):
    rows = rt.session.scalars(
        sa.select(Product.name)
        .join(ProductVariant, ProductVariant.product_id == Product.id)
        .join(BoxItem, BoxItem.variant_id == ProductVariant.id)
        .where(BoxItem.box_id == box.id)
        .order_by(Product.name)
    ).all()
    rt.session.rollback()
    return rows


def decide(owner, **answer):
    queue = owner.get("/admin/late-changes").text
    ref = queue.split("/admin/late-changes/")[1].split('"')[0]
    return queue, owner.post(f"/admin/late-changes/{ref}", answer)


def test_a_subscriber_chooses_late_and_the_merchant_packs_anew(
    app, rt, clock, plan, cycle, teas, box
):
    pool = [Ingredient(one.public_id, 1, is_choice=True) for one in teas.values()]
    save_recipe(rt, plan.public_id, None, "", pool, rule=Rule(2))
    ada, here = Visitor.of(app).sign_in(ADA), page_of(rt, box, cycle)
    assert ada.get(f"{here}/contents").status_code == 404  # Still open: they choose alone.
    lock(rt, clock)
    assert inside(rt, box) == ["Assam", "Sencha"]
    assert f"{here}/contents" in ada.get(here).text
    page = ada.get(f"{here}/contents").text
    assert page.count(" checked") == 2
    few = {f"pick-{teas['Oolong'].public_id}": "1"}
    wrong = ada.post(f"{here}/contents", **few, do="ask", note="Oolong, please")
    assert (wrong.status_code, "Choose 1 more." in wrong.text) == (422, True)
    assert "Oolong, please" in wrong.text
    counted = ada.post(f"{here}/contents", **few, do="show")
    assert (counted.status_code, "<b data-chosen>1</b>" in counted.text) == (200, True)
    two = few | {f"pick-{teas['Sencha'].public_id}": "1"}
    assert ada.post(f"{here}/contents", **two, do="ask", note="Oolong, please").status_code == 303
    assert "1 × Sencha, 1 × Oolong" in ada.get(here).text
    assert ada.get(f"{here}/contents").status_code == 200
    again = ada.post(f"{here}/contents", **two, do="ask")
    assert (again.status_code, "You have asked already" in again.text) == (409, True)

    owner = desk(app, rt, "fulfilment")
    queue, done = decide(owner, answer="accept")
    assert "1 × Sencha, 1 × Assam" in queue
    assert "All of it is there" in queue
    assert done.status_code == 303
    assert inside(rt, box) == ["Oolong", "Sencha"]
    assert "Done. It holds what was asked for." in ada.get(here).text


def test_staff_ask_for_a_subscriber_and_see_what_is_missing(app, rt, clock, plan, cycle, teas, box):
    own = [teas["Sencha"], teas["Assam"]]
    save_recipe(rt, plan.public_id, None, "", [Ingredient(one.public_id, 1) for one in own])
    offer_swaps(rt, plan.public_id, [teas["Kukicha"].public_id])
    owner, late = desk(app, rt), f"/admin/boxes/{box.public_id}/late"
    assert "Ask for a change" not in owner.get(f"/admin/boxes/{box.public_id}").text
    lock(rt, clock)
    owner = desk(app, rt, "fulfilment")
    assert late in owner.get(f"/admin/boxes/{box.public_id}").text
    assert f"{late}/contents" in owner.get(late).text
    field = f"swap-{teas['Assam'].public_id}"
    assert f'name="{field}"' in owner.get(f"{late}/contents").text
    same = owner.post(f"{late}/contents", {"do": "ask"})
    assert (same.status_code, "That is what the box holds" in same.text) == (409, True)
    strange = owner.post(f"{late}/contents", {field: teas["Oolong"].public_id})
    assert (strange.status_code, "is not offered for this box" in strange.text) == (422, True)
    assert owner.post(f"{late}/contents", {field: teas["Kukicha"].public_id}).status_code == 303
    assert "It waits for a decision." in owner.get(late).text
    gone = sa.update(ProductVariant).where(ProductVariant.id == teas["Kukicha"].id)
    rt.session.execute(gone.values(on_hand=0))
    rt.session.commit()
    queue, refused = decide(owner, answer="accept")
    assert "Too little is there: 1 × Kukicha is missing" in queue
    assert 'value="accept"' not in queue
    assert (refused.status_code, "cannot hold that any more" in refused.text) == (422, True)
    assert inside(rt, box) == ["Assam", "Sencha"]
    assert decide(owner, answer="refuse", reason="Sold out")[1].status_code == 303
    assert "Refused: Sold out" in owner.get(late).text
    address = {"kind": "address", "name": "Bo", "street": "Am Ufer 1", "extra": "", "note": ""}
    assert owner.post(late, {**address, "postcode": "07745", "city": "Jena"}).status_code == 303
    assert "by staff for them" in decide(owner, answer="accept")[0]
