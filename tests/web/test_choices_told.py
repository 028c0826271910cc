"""What the pages say of a choice: what falls out of it, what stands in its way, what is there."""

import re

import pytest
import sqlalchemy as sa

from storefront.domain.choices import Limit, Rule
from storefront.models import (
    Box,
    BoxChoiceItem,
    BoxCycle,
    Customer,
    Product,
    ProductVariant,
    ShortageRule,
    Subscription,
)
from storefront.services.packing import Ingredient, save_recipe
from storefront.services.swaps import offer_swaps, take_instead
from storefront.testing.factories import (
    make_group,
    make_options,
    make_plan,
    make_subscription,
    make_variant,
    price_of,
)
from tests.support.admin import desk
from tests.support.boxes import cycles_of, make_box, make_subscribed
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
    made = make_plan(rt, code="pot", name="Pot", group=group)
    make_options(rt, made)
    return made


@pytest.fixture
def teas(rt):
    names = ("Sencha", "Assam", "Oolong", "Mint")
    made = {name: make_variant(rt, name=name, on_hand=50, price_minor=600) for name in names}
    cakes = {
        name: make_variant(rt, name=name, on_hand=50, price_minor=900) for name in ("Cake", "Tart")
    }
    keys = [one.product_id for one in cakes.values()]
    rt.session.execute(sa.update(Product).values(category="Tea"))
    rt.session.execute(sa.update(Product).where(Product.id.in_(keys)).values(category="Bakes"))
    rt.session.commit()
    return made | cakes


@pytest.fixture
def sub(rt, plan, cycle):
    who = customer_with_password(rt, ADA)
    said = {"taste": "mild"}
    row = make_subscribed(rt, plan, next_on=rt.today(), customer_id=who, options=said)
    make_box(rt, plan, cycle, subscription=row, options=said)
    rt.session.expunge_all()
    rt.session.rollback()
    return row


@pytest.fixture
def ada(app, sub):
    return Visitor.of(app).sign_in(ADA)


def offer(rt, plan, teas, names, rule, key=""):
    pool = [Ingredient(teas[name].public_id, 1, is_choice=True) for name in names]
    save_recipe(rt, plan.public_id, None, key, pool, rule=rule)


def fixed(rt, plan, teas, *names, key=""):
    items = [Ingredient(teas[name].public_id, 1) for name in names]
    save_recipe(rt, plan.public_id, None, key, items)


def choosing(sub, cycle, what="choose"):
    return f"/account/subscriptions/{sub.public_id}/boxes/{cycle.public_id}/{what}"


def picks(teas, *names):
    return {f"pick-{teas[name].public_id}": "1" for name in names}


def chosen(rt):
    rows = rt.session.scalars(sa.select(BoxChoiceItem.variant_id).order_by(BoxChoiceItem.id)).all()
    rt.session.rollback()
    return list(rows)


def taste(rt, sub):
    found = rt.session.scalar(sa.select(Subscription.options).where(Subscription.id == sub.id))
    rt.session.rollback()
    return found["taste"]


def words(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def shown_token(page):
    found = re.search(r'name="shown" value="(\w+)"', page)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("htmx", [False, True], ids=["plain", "script"])
def test_an_answer_that_takes_a_choice_out_of_a_box_says_so_before_it_is_saved(
    rt, plan, teas, sub, cycle, ada, htmx
):
    offer(rt, plan, teas, ("Sencha", "Assam", "Oolong"), Rule(2), "taste=mild")
    offer(rt, plan, teas, ("Oolong", "Mint", "Cake"), Rule(2), "taste=strong")
    ada.post(choosing(sub, cycle), do="save", **picks(teas, "Assam", "Oolong"))
    url, strong = f"/account/subscriptions/{sub.public_id}/answers", {"option-taste": "strong"}

    told = ada.post(url, htmx=htmx, **strong)

    assert told.status_code == 200
    assert ("<html" in told.text) == (not htmx)
    assert "Nothing is saved yet" in told.text
    assert re.search(r"Box of [^:]*: Assam<", told.text)
    assert "Save all the same" in told.text
    assert taste(rt, sub) == "mild"
    # Another token than that of what was shown saves nothing.
    assert "Nothing is saved yet" in ada.post(url, shown="0" * 32, **strong).text
    assert taste(rt, sub) == "mild"

    ada.post(url, htmx=htmx, shown=shown_token(told.text), **strong)

    assert taste(rt, sub) == "strong"
    gone = "You chose what is not offered in this box any more: Assam. Choose something else"
    for page in ("/account/", f"/account/subscriptions/{sub.public_id}"):
        assert gone in words(ada.get(page).text)
    box = ada.get(choosing(sub, cycle)).text
    assert "Assam is no longer offered for this box. Choose something else." in box
    # Back again is no loss, and the choice is whole.
    assert "Save all the same" not in ada.post(url, **{"option-taste": "mild"}).text
    assert "2 of 2 chosen" in words(ada.get("/account/").text)


def test_an_answer_that_leads_to_fixed_contents_names_the_choice_that_goes(
    app, rt, plan, teas, sub, cycle, ada
):
    offer(rt, plan, teas, ("Sencha", "Assam", "Oolong"), Rule(2), "taste=mild")
    fixed(rt, plan, teas, "Sencha", "Cake", key="taste=strong")
    ada.post(choosing(sub, cycle), do="save", **picks(teas, "Sencha", "Oolong"))
    customer = rt.session.scalar(sa.select(Customer.public_id).where(Customer.email == ADA))
    rt.session.rollback()
    mia, url = desk(app, rt), f"/admin/subscribers/{customer}/{sub.public_id}/answers"

    told = mia.post(url, {"option-taste": "strong"})

    assert re.search(r"Box of [^:]*: Oolong<", told.text)
    saved = mia.post(url, {"option-taste": "strong", "shown": shown_token(told.text)})
    assert saved.status_code == 303
    home = words(ada.get("/account/").text)
    assert "You chose what is not offered in this box any more: Oolong." in home
    assert "Choose contents" not in home
    assert "Swap something" not in home


def test_another_plan_names_before_paying_what_falls_out_of_the_box(app, rt, group, plan, teas):
    customer = rt.session.get(Customer, customer_with_password(rt, ADA))
    rt.session.expunge(customer)
    rt.session.rollback()
    large = make_plan(rt, code="large", name="Large", group=group, amount_minor=5000)
    offer(rt, plan, teas, ("Sencha", "Assam", "Oolong"), Rule(2))
    offer(rt, large, teas, ("Oolong", "Mint", "Cake"), Rule(2))
    sub = make_subscription(rt, plan=plan, customer=customer, options={"taste": "mild"})
    # The box of the first payment, which is paid for.
    at = rt.session.scalars(sa.select(BoxCycle).join(Box, Box.cycle_id == BoxCycle.id)).one()
    rt.session.expunge_all()
    rt.session.rollback()
    me = Visitor.of(app).sign_in(ADA)
    me.post(choosing(sub, at), do="save", **picks(teas, "Assam", "Oolong"))
    price = price_of(rt, large).public_id
    url = f"/account/subscriptions/{sub.public_id}/plan?price={price}&quantity=1&when="

    now = me.get(url + "now").text

    assert "What you chose falls out of a box that is to come:" in now
    assert re.search(r"Box of [^:<]*: Assam<", now)
    # The paid box stays as it is when the plan changes with the next payment.
    assert "falls out of a box" not in me.get(url + "boundary").text


def test_what_must_not_be_in_it_names_what_was_chosen_and_does_not_come_now(
    rt, plan, teas, sub, cycle, ada
):
    key = teas["Cake"].product_id
    rt.session.execute(sa.update(Product).where(Product.id == key).values(allergens=["nuts"]))
    rt.session.commit()
    offer(rt, plan, teas, ("Sencha", "Assam", "Cake"), Rule(2, avoids_allergens=True))
    ada.post(choosing(sub, cycle), do="save", **picks(teas, "Sencha", "Cake"))

    done = ada.post(f"/account/subscriptions/{sub.public_id}/allergies", avoid="nuts", agree="y")

    assert "Noted. Of what you chose, this does not come now: Cake." in ada.get(done.location).text
    page = ada.get(choosing(sub, cycle)).text
    assert "Cake contains what you avoid. Take it out." in page


def test_an_answer_that_keeps_the_choice_is_saved_at_once(rt, plan, teas, sub, cycle, ada):
    offer(rt, plan, teas, ("Sencha", "Assam", "Oolong"), Rule(2))
    ada.post(choosing(sub, cycle), do="save", **picks(teas, "Sencha"))

    url = f"/account/subscriptions/{sub.public_id}/answers"
    assert ada.post(url, **{"option-taste": "strong"}).status_code == 303
    assert taste(rt, sub) == "strong"


@pytest.mark.parametrize("htmx", [False, True], ids=["plain", "script"])
def test_part_of_a_choice_says_which_limit_stands_in_the_way(rt, plan, teas, sub, cycle, ada, htmx):
    url, bakes = choosing(sub, cycle), Limit("Bakes", least=1)
    offer(rt, plan, teas, teas, Rule(3, (bakes,), 2200))

    full = ada.post(url, htmx=htmx, do="save", **picks(teas, "Sencha", "Assam", "Mint")).text
    assert "Choose at least 1 of Bakes." in full
    assert "no room left for what must be in it: take 1 of something else out." in full

    offer(rt, plan, teas, teas, Rule(3, (bakes,), 2300))
    dear = ada.post(url, htmx=htmx, do="save", **picks(teas, "Cake", "Tart")).text
    assert "Choose 1 more" not in dear
    assert "your box would be worth €24.00; at most €23.00 is allowed" in dear

    offer(rt, plan, teas, ("Sencha", "Mint", "Oolong"), Rule(3))
    gone = sa.update(ProductVariant).where(ProductVariant.id == teas["Oolong"].id)
    rt.session.execute(gone.values(on_hand=0))
    rt.session.commit()
    small = ada.post(url, htmx=htmx, do="save", **picks(teas, "Mint")).text
    assert "Too little is left to fill this box" in small
    assert chosen(rt) == []


def test_part_of_a_choice_that_is_saved_is_no_problem_on_its_page(rt, plan, teas, sub, cycle, ada):
    offer(rt, plan, teas, ("Sencha", "Assam", "Oolong"), Rule(2))
    ada.post(choosing(sub, cycle), do="save", **picks(teas, "Sencha"))

    assert "There is a problem" not in ada.get(choosing(sub, cycle)).text


@pytest.mark.parametrize("htmx", [False, True], ids=["plain", "script"])
def test_where_saving_leads_says_that_it_is_saved_and_goes_on_saying_what_is_chosen(
    rt, plan, teas, sub, cycle, ada, htmx
):
    offer(rt, plan, teas, ("Sencha", "Assam", "Oolong"), Rule(2))
    page = f"/account/subscriptions/{sub.public_id}"
    assert "You choose 2 things." in words(ada.get(page).text)

    done = ada.post(choosing(sub, cycle), htmx=htmx, do="save", **picks(teas, "Sencha", "Oolong"))

    to = done.headers["HX-Redirect"] if htmx else done.location
    assert to.endswith(page)
    assert "Saved. You can change it until" in words(ada.get(to).text)
    again = words(ada.get(to).text)
    assert "Saved." not in again
    assert "2 of 2 chosen." in again
    assert "Change your choice" in again


def test_a_swap_is_offered_only_where_something_fits(rt, plan, teas, sub, cycle, ada):
    fixed(rt, plan, teas, "Sencha", "Assam")
    offer_swaps(rt, plan.public_id, [teas["Cake"].public_id])
    for page in ("/account/", f"/account/subscriptions/{sub.public_id}"):
        assert "Swap something" not in ada.get(page).text

    offer_swaps(rt, plan.public_id, [teas["Cake"].public_id, teas["Oolong"].public_id])
    assert "Swap something" in ada.get("/account/").text
    assert "Swap Sencha" in ada.get(choosing(sub, cycle, "swap")).text

    gone = sa.update(ProductVariant).where(ProductVariant.id == teas["Oolong"].id)
    rt.session.execute(gone.values(on_hand=0))
    rt.session.commit()
    page = ada.get(choosing(sub, cycle, "swap")).text
    assert "Swap Sencha" not in page
    assert "Nothing can come instead now: Oolong (Sold out)." in page


def test_what_is_not_tolerated_is_not_offered_as_a_swap(rt, plan, teas, sub, cycle, ada):
    keys = [teas[name].product_id for name in ("Oolong", "Assam")]
    rt.session.execute(sa.update(Product).where(Product.id.in_(keys)).values(allergens=["nuts"]))
    rt.session.commit()
    fixed(rt, plan, teas, "Sencha", "Assam")
    offer_swaps(rt, plan.public_id, [teas["Oolong"].public_id, teas["Mint"].public_id])
    assert "Oolong" in ada.get(choosing(sub, cycle, "swap")).text

    ada.post(f"/account/subscriptions/{sub.public_id}/allergies", avoid="nuts", agree="y")

    page = ada.get(choosing(sub, cycle, "swap")).text
    assert "Mint" in page
    assert "Oolong" not in page


def test_the_box_says_what_of_its_recipe_does_not_come_as_asked(rt, plan, teas, sub, cycle, ada):
    keys = [teas[name].product_id for name in ("Sencha", "Assam")]
    rt.session.execute(sa.update(Product).where(Product.id.in_(keys)).values(allergens=["nuts"]))
    other = {"policy": "substitute", "substitute_id": teas["Mint"].id}
    rt.session.add(ShortageRule(variant_id=teas["Assam"].id, **other))
    rt.session.commit()
    fixed(rt, plan, teas, "Sencha", "Assam", "Oolong")
    page = f"/account/subscriptions/{sub.public_id}"
    assert "Sencha, Assam and Oolong" in words(ada.get("/account/").text)

    ada.post(f"{page}/allergies", avoid="nuts", agree="y")

    text = words(ada.get("/account/").text)
    assert "Sencha does not come, as you asked." in text
    assert "Assam does not come, as you asked: Mint comes instead." in text
    assert "Sencha, Assam" not in text


def test_what_was_swapped_can_be_taken_back_though_nothing_fits_any_more(
    rt, plan, teas, sub, cycle, ada
):
    fixed(rt, plan, teas, "Sencha", "Assam")
    offer_swaps(rt, plan.public_id, [teas["Oolong"].public_id])
    own, instead = teas["Sencha"].public_id, teas["Oolong"].public_id
    take_instead(rt, sub.customer_id, sub.public_id, cycle.public_id, own, instead)
    rt.session.execute(
        sa.update(ProductVariant)
        .where(ProductVariant.id == teas["Oolong"].id)
        .values(price_minor=5000)
    )
    rt.session.commit()

    assert "Swap something" in ada.get("/account/").text
    assert "Undo" in ada.get(choosing(sub, cycle, "swap")).text


def test_a_box_with_nothing_to_choose_names_no_last_day_to_choose(rt, plan, teas, sub, ada):
    fixed(rt, plan, teas, "Sencha", "Assam")
    home = words(ada.get("/account/").text)
    assert "Choose until" not in home
    assert "Change until" in home

    offer(rt, plan, teas, ("Sencha", "Assam", "Oolong"), Rule(2))
    assert "Choose until" in words(ada.get("/account/").text)
