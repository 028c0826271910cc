"""What must not be in a box, said in the account."""

from __future__ import annotations

import sqlalchemy as sa

from storefront.domain.lifecycle import SubscriptionState
from storefront.models import AllergyAnswer, Checkout, Consent, Product, Subscription
from storefront.services.choices import answer_allergies
from storefront.testing.factories import make_group, make_plan, make_recipe, make_variant
from tests.support.boxes import make_subscribed
from tests.support.shopper import Shopper, place
from tests.support.visitor import Visitor, customer_with_password

ADA = "ada@example.org"


def said(rt):
    rt.session.rollback()
    found = list(rt.session.scalars(sa.select(AllergyAnswer).order_by(AllergyAnswer.number)))
    answers = [list(one.allergens) for one in found]
    rt.session.rollback()
    return answers


def health_consents(rt):
    kinds = ("health", "health_off")
    found = rt.session.scalars(
        sa.select(Consent).where(Consent.kind.in_(kinds)).order_by(Consent.id)
    ).all()
    rt.session.expunge_all()
    rt.session.rollback()
    return found


def test_a_subscriber_of_a_fixed_recipe_says_what_must_not_be_in_it(app, rt):
    plan = make_plan(rt, group=make_group(rt))
    make_recipe(rt, plan, variants=[make_variant(rt, name="Nutty", sku="NUTTY")])
    who = customer_with_password(rt, ADA)
    ref = make_subscribed(rt, plan, customer_id=who).public_id
    rt.session.expunge_all()
    rt.session.rollback()
    ada, one = Visitor.of(app).sign_in(ADA), f"/account/subscriptions/{ref}"
    url = f"{one}/allergies"
    # Nothing in the box carries an allergen: nothing is asked.
    assert url not in ada.get(one).text
    assert ada.get(url).status_code == 404

    rt.session.execute(sa.update(Product).values(allergens=["nuts"]))
    rt.session.commit()
    assert f'href="{url}"' in ada.get(one).text
    assert "to pack my boxes without it" in ada.get(url).text
    refused = ada.post(url, avoid="nuts")
    assert (refused.status_code, said(rt)) == (422, [])
    assert "Tick that we may keep this" in refused.text
    assert ada.post(url, avoid="nuts", agree="y").status_code == 303
    assert said(rt) == [["nuts"]]
    assert ada.get(url).text.count(" checked") == 2
    # Taking it back needs no agreement, and only words of the shop are taken.
    assert ada.post(url).status_code == 303
    ada.post(url, avoid="rude words", agree="y")
    assert said(rt) == [["nuts"], []]
    # The words of both are kept as evidence, not what it was, and can be read.
    kept, back = health_consents(rt)
    assert kept.kind == "health"
    assert kept.text.startswith("You may keep this about my health")
    assert (back.kind, back.text) == (
        "health_off",
        "I took back that you keep what I do not tolerate.",
    )
    assert "nuts" not in kept.text + back.text
    assert kept.text in ada.get("/account/privacy").text


def test_a_shopper_may_say_it_with_the_address_and_only_with_a_tick(rt, client, demo_gateway):
    plan = make_plan(rt, code="pot", name="Pot")
    make_recipe(rt, plan, variants=[make_variant(rt, name="Nutty", sku="NUTTY")])
    ada, question = Shopper(client, demo_gateway), "something you do not tolerate"
    ada.begin()
    assert question not in ada.get(ada.at("delivery")).text
    rt.session.execute(sa.update(Product).values(allergens=["nuts"]))
    rt.session.commit()
    assert question in ada.get(ada.at("delivery")).text
    refused = ada.deliver(avoid="nuts")
    assert refused.status_code == 422
    assert refused.text.count("Tick that we may keep this") == 2
    assert place(ada.deliver(avoid="nuts", agree="y")) == "pay"
    assert ada.get(ada.at("delivery")).text.count(" checked") == 2
    ada.choose(ada.order())
    assert place(ada.post(ada.at("finish"))) == "confirmation"
    assert said(rt) == [["nuts"]]
    [kept] = health_consents(rt)
    assert (kept.kind, kept.subscription_id) == ("health", None)
    assert "to pack my boxes without it" in kept.text


def test_the_review_says_what_is_left_out_also_to_who_was_never_asked(rt, client, demo_gateway):
    plan = make_plan(rt, code="pot", name="Pot")
    make_recipe(rt, plan, variants=[make_variant(rt, name="Nutty", sku="NUTTY")])
    ada = Shopper(client, demo_gateway)
    ada.begin()
    ada.deliver()
    assert "To be left out" not in ada.get(ada.at("pay")).text
    rt.session.execute(sa.update(Product).values(allergens=["nuts", "milk"]))
    rt.session.commit()
    page = ada.get(ada.at("pay")).text
    assert "nothing named" in page
    assert f'href="{ada.at("delivery")}#avoid"' in page
    assert 'id="avoid"' in ada.get(ada.at("delivery")).text
    rt.session.execute(sa.update(Checkout).values(avoids=["milk", "nuts"]))
    rt.session.commit()
    assert "milk and nuts" in ada.get(ada.at("pay")).text


def test_what_was_said_before_is_said_of_the_next_order_too(app, rt, demo_gateway):
    plan = make_plan(rt, code="pot", name="Pot", group=make_group(rt))
    make_recipe(rt, plan, variants=[make_variant(rt, name="Nutty", sku="NUTTY")])
    rt.session.execute(sa.update(Product).values(allergens=["nuts"]))
    who = customer_with_password(rt, ADA)
    ref = make_subscribed(rt, plan, customer_id=who).public_id
    rt.session.execute(
        sa.update(Subscription).values(
            state=SubscriptionState.CANCELED, cancel_on=rt.today(), ended_on=rt.today()
        )
    )
    answer_allergies(rt, who, ref, ["nuts"])
    rt.session.expunge_all()
    rt.session.rollback()
    ada = Visitor.of(app).sign_in(ADA)
    one = f"/account/subscriptions/{ref}"

    for path, data in ((f"{one}/again", {}), ("/checkout", {"plan": "pot"})):
        ada.post(path, **data)
        key = newest(rt, Checkout.public_id)
        assert newest(rt, Checkout.avoids) == ["nuts"]
        assert ada.get(f"/checkout/{key}/delivery").text.count(" checked") == 2
        # Of whom it is given to nothing is known.
        assert ' checked value="nuts"' not in ada.get(f"/checkout/{key}/gift").text
    # What has ended keeps what was said, so it can be taken back there.
    assert f"{one}/allergies" in ada.get(one).text
    assert ada.post(f"{one}/allergies").status_code == 303
    assert said(rt) == [["nuts"], []]
    assert f"{one}/allergies" not in ada.get(one).text
    ada.post("/checkout", plan="pot")
    assert newest(rt, Checkout.avoids) == []


def newest(rt, column):
    found = rt.session.scalar(sa.select(column).order_by(Checkout.id.desc()).limit(1))
    rt.session.rollback()
    return found
