"""The page on which a subscriber chooses what is in their box."""

import pytest
import sqlalchemy as sa

from storefront.domain.choices import Limit, Rule
from storefront.models import AllergyAnswer, BoxChoiceItem, Product, ProductVariant
from storefront.operations.catalogue import raise_version
from storefront.services.packing import Ingredient, save_recipe
from storefront.testing.factories import make_group, make_plan, make_variant
from tests.support.boxes import cycles_of, make_subscribed
from tests.support.visitor import Visitor, customer_with_password

ADA = "ada@example.org"
NAMES = ("Sencha", "Assam", "Oolong", "Kukicha", "Pu-erh", "Nut Blend")


@pytest.fixture
def group(rt):
    return make_group(rt)


@pytest.fixture
def plan(rt, group):
    return make_plan(rt, code="pot", name="Pot", group=group)


@pytest.fixture
def cycles(rt, group):
    return cycles_of(rt, group)


@pytest.fixture
def teas(rt):
    made = {name: make_variant(rt, name=name, on_hand=50) for name in NAMES}
    nutty = made["Nut Blend"].product_id
    rt.session.execute(sa.update(Product).where(Product.id == nutty).values(allergens=["nuts"]))
    rt.session.commit()
    return made


@pytest.fixture
def sub(rt, plan):
    row = make_subscribed(rt, plan, next_on=rt.today(), customer_id=customer_with_password(rt, ADA))
    rt.session.expunge_all()
    rt.session.rollback()
    return row


@pytest.fixture
def ada(app, sub):
    return Visitor.of(app).sign_in(ADA)


def offer(rt, plan, teas, rule, most=1):
    pool = [Ingredient(one.public_id, most, is_choice=True) for one in teas.values()]
    save_recipe(rt, plan.public_id, None, "", pool, rule=rule)


def address(sub, cycle):
    return f"/account/subscriptions/{sub.public_id}/boxes/{cycle.public_id}/choose"


def picks(teas, *names):
    return {f"pick-{teas[name].public_id}": "1" for name in names}


def saved(rt):
    """Return what is chosen, by name."""
    rows = rt.session.execute(
        sa.select(Product.name, BoxChoiceItem.quantity)
        .join(ProductVariant, ProductVariant.product_id == Product.id)
        .join(BoxChoiceItem, BoxChoiceItem.variant_id == ProductVariant.id)
        .order_by(BoxChoiceItem.id)
    )
    found = {row.name: row.quantity for row in rows}
    rt.session.rollback()
    return found


def test_four_are_chosen_on_a_plain_page(rt, plan, teas, sub, cycles, ada):
    offer(rt, plan, teas, Rule(4))
    url = address(sub, cycles[0])
    assert url in ada.get("/account/").text
    shown = ada.get(url).text
    assert "Choose 4 of 6 until" in shown

    done = ada.post(url, do="save", **picks(teas, "Kukicha", "Sencha", "Oolong", "Assam"))

    assert done.status_code == 303
    assert "Saved. You can change it until" in ada.get(done.location).text
    assert saved(rt) == {"Sencha": 1, "Assam": 1, "Oolong": 1, "Kukicha": 1}
    home = ada.get("/account/").text
    assert "4 of 4 chosen" in home
    assert "Sencha, Assam, Oolong and Kukicha" in home


def test_one_too_many_is_said_and_stays_ticked(rt, plan, teas, sub, cycles, ada):
    offer(rt, plan, teas, Rule(2))
    url = address(sub, cycles[0])

    answer = ada.post(url, do="save", **picks(teas, "Sencha", "Oolong", "Pu-erh"))

    assert answer.status_code == 422
    assert "Take 1 out." in answer.text
    for name in ("Sencha", "Oolong", "Pu-erh"):
        field = f'id="pick-{teas[name].public_id}"'
        tag = next(part for part in answer.text.split("<input") if field in part)
        assert " checked" in tag.split(">")[0]
    assert saved(rt) == {}


def test_with_the_script_a_refusal_is_the_form_alone(rt, plan, teas, sub, cycles, ada):
    offer(rt, plan, teas, Rule(2))
    url = address(sub, cycles[0])

    refused = ada.post(url, htmx=True, do="save", **picks(teas, "Sencha", "Assam", "Oolong"))
    done = ada.post(url, htmx=True, do="save", **picks(teas, "Sencha", "Assam"))

    assert refused.status_code == 422
    assert "<html" not in refused.text
    assert done.headers["HX-Redirect"].endswith(sub.public_id)
    assert saved(rt) == {"Sencha": 1, "Assam": 1}


def test_part_of_a_choice_is_saved_and_said(rt, plan, teas, sub, cycles, ada):
    offer(rt, plan, teas, Rule(3))

    done = ada.post(address(sub, cycles[0]), do="save", **picks(teas, "Pu-erh"))

    assert "Saved. We add 2 for you" in ada.get(done.location).text
    assert "1 of 3 chosen. We add the rest." in ada.get("/account/").text


def test_what_ran_out_is_named_beside_it(rt, plan, teas, sub, cycles, ada):
    offer(rt, plan, teas, Rule(2))
    rt.session.execute(
        sa.update(ProductVariant).where(ProductVariant.id == teas["Assam"].id).values(on_hand=0)
    )
    rt.session.commit()
    url = address(sub, cycles[0])
    assert "Sold out" in ada.get(url).text

    answer = ada.post(url, do="save", **picks(teas, "Assam", "Sencha"))

    assert answer.status_code == 422
    assert "Assam is sold out. Choose something else; the rest is safe." in answer.text


def test_a_number_of_each_is_typed_and_stepped(rt, plan, teas, sub, cycles, ada):
    offer(rt, plan, teas, Rule(4), most=3)
    url, sencha = address(sub, cycles[0]), f"pick-{teas['Sencha'].public_id}"

    stepped = ada.post(url, **{sencha: "1", f"{sencha}-more": "1"})
    assert f'name="{sencha}" value="2"' in stepped.text
    assert saved(rt) == {}
    wrong = ada.post(url, do="save", **{sencha: "many"})
    assert wrong.status_code == 422
    assert 'value="many"' in wrong.text
    over = ada.post(url, do="save", **{sencha: "4"})
    assert "At most 3 of Sencha go into one box." in over.text

    assam = f"pick-{teas['Assam'].public_id}"
    assert ada.post(url, do="save", **{sencha: "3", assam: "1"}).status_code == 303
    assert saved(rt) == {"Sencha": 3, "Assam": 1}


def test_what_cannot_be_chosen_is_named_in_the_language_of_who_chooses(
    rt, plan, teas, sub, cycles, ada
):
    offer(rt, plan, teas, Rule(4, avoids_allergens=True), most=3)
    told = {"de": {"name": "Senscha"}}
    rt.session.execute(sa.update(Product).where(Product.name == "Sencha").values(translations=told))
    nutty = {"de": {"allergens": {"nuts": "Nüsse"}}}
    rt.session.execute(
        sa.update(Product).where(Product.name == "Nut Blend").values(translations=nutty)
    )
    raise_version(rt.session)
    rt.session.commit()
    rt.forget_shop()
    sencha = f"pick-{teas['Sencha'].public_id}"
    url = f"{address(sub, cycles[0])}?lang=de"

    page = ada.get(url).text
    assert "enthält Nüsse" in page
    assert ">Nüsse<" in page
    over = ada.post(url, do="save", **{sencha: "4"}).text
    assert "Höchstens 3 Mal Senscha" in over
    assert "Mal Sencha" not in over


def test_rules_are_said_before_and_after(rt, plan, teas, sub, cycles, ada):
    rt.session.execute(sa.update(Product).values(category="Tea"))
    rt.session.execute(
        sa.update(Product).where(Product.name == "Nut Blend").values(category="Treats")
    )
    rt.session.execute(sa.update(ProductVariant).values(price_minor=600))
    rt.session.commit()
    offer(rt, plan, teas, Rule(2, (Limit("Treats", least=1), Limit("Tea", most=1)), 1200))
    url = address(sub, cycles[0])

    shown = ada.get(url).text
    for words in ("At least 1 of Treats", "At most 1 of Tea", "Worth at most €12.00 in all"):
        assert words in shown
    answer = ada.post(url, do="save", **picks(teas, "Sencha", "Assam"))

    assert "Choose at least 1 of Treats." in answer.text
    assert "Choose at most 1 of Tea." in answer.text


def test_an_allergy_is_noted_and_what_was_ticked_stays(rt, plan, teas, sub, cycles, ada):
    offer(rt, plan, teas, Rule(2, avoids_allergens=True))
    url = address(sub, cycles[0])

    refused = ada.post(url, do="answer", avoid="nuts", **picks(teas, "Pu-erh"))
    assert refused.status_code == 422
    assert refused.text.count("Tick that we may keep this") == 2
    assert 'value="nuts" checked' in refused.text
    answer = ada.post(url, do="answer", avoid="nuts", agree="y", **picks(teas, "Pu-erh"))

    assert answer.status_code == 200
    assert "Contains what you avoid" in answer.text
    field = f'id="pick-{teas["Pu-erh"].public_id}"'
    assert " checked" in next(p for p in answer.text.split("<input") if field in p).split(">")[0]
    assert rt.session.scalars(sa.select(AllergyAnswer.allergens)).all() == [["nuts"]]
    rt.session.rollback()
    refused = ada.post(url, do="save", **picks(teas, "Nut Blend", "Assam"))
    assert "Nut Blend contains what you avoid. Take it out." in refused.text


def test_after_the_cut_off_the_next_box_is_offered(rt, clock, plan, teas, sub, cycles, ada):
    offer(rt, plan, teas, Rule(2))
    url = address(sub, cycles[0])
    ada.get(url)
    clock.advance(days=(cycles[0].cutoff_on - rt.today()).days + 1)

    late = ada.post(url, do="save", **picks(teas, "Assam", "Sencha"))

    assert late.status_code == 409
    assert address(sub, cycles[1]) in late.text
    assert ada.get(url).status_code == 200
    assert saved(rt) == {}


def test_a_later_box_waits_for_its_turn(rt, plan, teas, sub, cycles, ada):
    offer(rt, plan, teas, Rule(2))

    shown = ada.get(address(sub, cycles[1])).text

    assert "one box is chosen after the other" in shown
    assert address(sub, cycles[0]) in shown


def test_a_choice_is_given_back_to_us(rt, plan, teas, sub, cycles, ada):
    offer(rt, plan, teas, Rule(2))
    url = address(sub, cycles[0])
    ada.post(url, do="save", **picks(teas, "Assam", "Sencha"))
    assert "You choose for me" in ada.get(url).text

    done = ada.post(url, do="leave")

    assert "We choose for you." in ada.get(done.location).text
    assert saved(rt) == {}


def test_what_is_not_mine_or_leaves_nothing_to_choose_is_not_there(
    app, rt, plan, teas, sub, cycles, ada
):
    save_recipe(rt, plan.public_id, None, "", [Ingredient(teas["Assam"].public_id, 1)])
    assert ada.get(address(sub, cycles[0])).status_code == 404
    assert "/choose" not in ada.get("/account/").text
    offer(rt, plan, teas, Rule(2))
    customer_with_password(rt, "eve@example.org")
    eve = Visitor.of(app).sign_in("eve@example.org")
    assert eve.get(address(sub, cycles[0])).status_code == 404
    assert eve.post(address(sub, cycles[0]), do="save").status_code == 404
