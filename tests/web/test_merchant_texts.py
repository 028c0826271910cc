"""What a merchant wrote in several languages is shown to each reader in theirs."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from flask_babel import force_locale

from storefront.demo import catalogue
from storefront.demo.words import (
    ADDON_HINTS,
    CAFFEINE_WORDS,
    PLAN_WORDS,
    PRODUCT_WORDS,
)
from storefront.domain.translations import words_of
from storefront.mails import compose
from storefront.merchant_texts import said
from storefront.models import (
    Addon,
    Customer,
    Option,
    OptionGroup,
    Plan,
    Product,
    ProductVariant,
)
from storefront.operations.catalogue import raise_version
from storefront.runtime import Runtime
from storefront.services.outbox import Delivery
from storefront.services.products import save_product
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import desk
from tests.support.shopper import Shopper
from tests.support.statements import counting
from tests.support.visitor import Visitor, customer_with_password

GERMAN = {"de": {"name": "Kanne", "tagline": "Vier Tees", "benefits": ["Lose Tees"]}}


def pot(rt: Runtime, translations: dict[str, Any]) -> Plan:
    plan = make.make_plan(rt, code="pot", name="Pot")
    values = {"tagline": "Four teas", "benefits": ["Loose teas", "A card"]}
    rt.session.execute(sa.update(Plan).values(**values, translations=translations))
    raise_version(rt.session)
    rt.session.commit()
    rt.forget_shop()
    return plan


def test_a_shopper_reads_a_plan_in_their_language(rt: Runtime, client: FlaskClient) -> None:
    pot(rt, GERMAN)
    for address in ("/", "/plans/pot", "/embed/plans"):
        german = client.get(f"{address}?lang=de").text
        assert "Kanne" in german
        assert "Vier Tees" in german
        assert "Lose Tees" in german
        # What is not translated stands as it was written.
        assert "A card" in german
        assert ">Pot<" not in german
        assert "Kanne" not in client.get(f"{address}?lang=en").text
    assert "für Kanne" in client.get("/?lang=de").text
    assert "Pot" in client.get("/plans/pot?lang=fr").text


def test_the_checkout_speaks_of_the_plan_in_the_language_of_the_shopper(
    rt: Runtime, client: FlaskClient
) -> None:
    pot(rt, GERMAN)
    assert "Kanne: Lose Tees; A card" in client.get("/checkout?plan=pot&lang=de").text


def test_staff_write_a_plan_in_other_languages_and_see_it_again(rt: Runtime, app: Flask) -> None:
    plan = pot(rt, {})
    owner = desk(app, rt)
    path = f"/admin/plans/{plan.public_id}"
    owner.get(path)
    typed = {"name": "Pot", "position": "0", "is_public": "y", "name_de": " Kanne ", "name_fr": ""}
    typed |= {"benefits_de": "Lose Tees\n\nEine Karte", "name_en": "Never taken"}
    assert owner.post(f"{path}/text", typed).status_code == 303

    kept = rt.session.scalars(sa.select(Plan.translations)).one()
    rt.session.rollback()
    assert kept == {"de": {"name": "Kanne", "benefits": ["Lose Tees", "Eine Karte"]}}
    page = owner.get(path).text
    assert 'value="Kanne"' in page
    assert 'name="name_en"' not in page
    assert "Kanne" in owner.client.get("/?lang=de").text


def test_a_translation_that_is_too_long_is_refused_with_all_that_was_typed(
    rt: Runtime, app: Flask
) -> None:
    plan = pot(rt, GERMAN)
    owner = desk(app, rt)
    owner.get(f"/admin/plans/{plan.public_id}")
    typed = {"name": "Pot", "position": "0", "name_de": "K" * 81, "tagline_fr": "Quatre thés"}
    answer = owner.post(f"/admin/plans/{plan.public_id}/text", typed)
    assert answer.status_code == 422
    assert "<details open>" in answer.text
    assert 'value="Quatre thés"' in answer.text
    assert rt.session.scalars(sa.select(Plan.translations)).one() == GERMAN
    rt.session.rollback()


def test_texts_are_read_once_for_a_version_and_not_in_the_language_of_the_shop(
    rt: Runtime, app: Flask
) -> None:
    pot(rt, GERMAN)
    with app.app_context(), counting() as statements:
        with force_locale("en"):
            assert said("Pot") == "Pot"
        told = len(statements)
        with force_locale("de"):
            assert [said(text) for text in ("Pot", "Four teas", "A card", "")] == [
                "Kanne",
                "Vier Tees",
                "A card",
                "",
            ]
            assert not rt.session().in_transaction()
        assert sum("translations" in one for one in statements[:told]) == 0
        assert sum("translations" in one for one in statements) == 6


def test_what_another_process_changed_is_seen_with_the_next_version(
    rt: Runtime, client: FlaskClient
) -> None:
    pot(rt, GERMAN)
    assert "Kanne" in client.get("/plans/pot?lang=de").text
    rt.session.execute(sa.update(Plan).values(translations={"de": {"name": "Krug"}}))
    raise_version(rt.session)
    rt.session.commit()
    rt.forget_shop()
    page = client.get("/plans/pot?lang=de").text
    assert "Krug" in page
    assert "Kanne" not in page


def test_a_list_is_translated_line_by_line_as_far_as_it_is() -> None:
    texts = {"name": "Pot", "benefits": ["Tea", "Milk", "Cups"]}
    told = {"fr": {"benefits": ["Thé", "", "Tasses", "Trop"]}, "de": {"name": ""}}
    assert words_of([(texts, told)]) == {"fr": {"Tea": "Thé", "Cups": "Tasses"}}


def test_every_plan_of_the_demo_is_whole_in_german_and_french() -> None:
    for plan in (*catalogue.PLANS, catalogue.LIMITED, catalogue.PRIVATE):
        for code in ("de", "fr"):
            words = PLAN_WORDS[plan.code][code]
            assert set(words) == {"name", "tagline", "description", "benefits"}
            assert len(words["benefits"]) == len(plan.benefits)
            assert all(len(line) <= 120 for line in words["benefits"])


def asked(rt: Runtime, plan: Plan) -> None:
    group = make.make_options(rt, plan)
    told = {"de": {"name": "Wie mögen Sie es?", "hint": "Jederzeit änderbar"}}
    rt.session.execute(sa.update(OptionGroup).values(translations=told, hint="Change it later"))
    strong = sa.and_(Option.group_id == group.id, Option.code == "strong")
    rt.session.execute(
        sa.update(Option).where(strong).values(translations={"de": {"name": "Kräftig"}})
    )
    raise_version(rt.session)
    rt.session.commit()
    rt.forget_shop()


def test_a_shopper_is_asked_about_the_box_in_their_language(
    rt: Runtime, client: FlaskClient
) -> None:
    asked(rt, pot(rt, GERMAN))
    for address in ("/plans/pot", "/checkout?plan=pot"):
        german = client.get(f"{address}{'&' if '?' in address else '?'}lang=de").text
        for words in ("Wie mögen Sie es?", "Jederzeit änderbar", "Kräftig", "Mild"):
            assert words in german
        assert "How do you like it?" not in german
        english = client.get(f"{address}{'&' if '?' in address else '?'}lang=en").text
        assert "How do you like it?" in english
        assert "Kräftig" not in english


def test_staff_name_questions_and_answers_in_other_languages(rt: Runtime, app: Flask) -> None:
    plan = pot(rt, {})
    asked(rt, plan)
    owner = desk(app, rt)
    path = f"/admin/plans/{plan.public_id}"
    owner.get(path)
    typed = {"taste-new-name": "How do you like it?", "taste-new-name_de": "Wie denn?"}
    typed |= {"taste-new-name_fr": " Comment ? ", "taste-new-name_en": "Never taken"}
    assert owner.post(f"{path}/question-names/taste", typed).status_code in {200, 303}
    key = "taste.mild-new-name"
    answer = owner.post(
        f"{path}/questions/taste/mild/name", {key: "Mild", f"{key}_fr": "Doux"}, partial=True
    )
    assert 'value="Doux"' in answer.text
    assert "Saved." in answer.text
    assert "Renamed" not in answer.text
    assert 'value="Kräftig"' in answer.text

    kept = rt.session.scalars(sa.select(OptionGroup.translations)).one()
    mild = rt.session.scalars(sa.select(Option.translations).where(Option.code == "mild")).one()
    rt.session.rollback()
    # The hint, which the form does not have, is kept.
    assert kept == {
        "de": {"name": "Wie denn?", "hint": "Jederzeit änderbar"},
        "fr": {"name": "Comment ?"},
    }
    assert mild == {"fr": {"name": "Doux"}}
    again = owner.post(f"{path}/question-names/taste", typed, partial=True)
    assert "Nothing to save" in again.text
    wrong = owner.post(f"{path}/question-names/taste", typed | {"taste-new-name_de": "W" * 81})
    assert wrong.status_code == 422
    assert "Comment ?" in wrong.text
    page = owner.client.get("/plans/pot?lang=fr").text
    assert "Comment ?" in page
    assert "Doux" in page


def test_the_question_of_the_demo_is_whole_in_german_and_french() -> None:
    _code, *rest = catalogue.CAFFEINE
    assert len(rest) == 2
    for code, *_texts in (catalogue.CAFFEINE, *catalogue.CAFFEINE_CHOICES):
        for tongue in ("de", "fr"):
            assert set(CAFFEINE_WORDS[code][tongue]) == {"name", "hint"}


def test_staff_write_an_add_on_in_other_languages_and_shoppers_read_it(
    rt: Runtime, app: Flask, client: FlaskClient
) -> None:
    pot(rt, {})
    owner = desk(app, rt)
    typed = {
        "name": "Tin of biscuits",
        "hint": "Twelve of them",
        "amount_EUR": "5.00",
        "tax_class": "reduced",
        "name_de": "Keksdose",
        "hint_de": "Zwölf Stück",
        "name_fr": "B" * 81,
    }
    owner.get("/admin/addons/new")
    refused = owner.post("/admin/addons/new", typed)
    assert refused.status_code == 422
    assert "A name has 80 characters at most" in refused.text
    assert 'value="Keksdose"' in refused.text
    assert owner.post("/admin/addons/new", typed | {"name_fr": ""}).status_code == 303

    kept = rt.session.execute(sa.select(Addon.public_id, Addon.translations)).one()
    rt.session.rollback()
    assert kept.translations == {"de": {"name": "Keksdose", "hint": "Zwölf Stück"}}
    assert 'value="Keksdose"' in owner.get(f"/admin/addons/{kept.public_id}").text
    german = client.get("/checkout?plan=pot&lang=de").text
    assert "Keksdose" in german
    assert "Zwölf Stück" in german
    assert "Tin of biscuits" not in german
    assert "Tin of biscuits" in client.get("/checkout?plan=pot&lang=en").text


def test_staff_name_a_product_in_other_languages_and_its_variants_follow(
    rt: Runtime, app: Flask
) -> None:
    variant = make.make_variant(rt, name="Malty Assam")
    rt.session.execute(sa.update(ProductVariant).values(name="50 g"))
    rt.session.commit()
    product = rt.session.scalars(sa.select(Product.public_id)).first()
    rt.session.rollback()
    owner = desk(app, rt)
    path = f"/admin/products/{product}"
    owner.get(path)
    typed = {"allergens": "", "picture": "", "name_de": " Malziger Assam ", "name_fr": "M" * 121}
    refused = owner.post(path, typed)
    assert refused.status_code == 422
    assert "A name has 120 characters at most" in refused.text
    assert "Malziger Assam" in refused.text
    assert owner.post(path, typed | {"name_fr": ""}).status_code == 303
    assert 'value="Malziger Assam"' in owner.get(path).text
    assert variant is not None
    with app.app_context(), force_locale("de"):
        assert said("Malty Assam") == "Malziger Assam"
        assert said("Malty Assam 50 g") == "Malziger Assam 50 g"
    with app.app_context(), force_locale("fr"):
        assert said("Malty Assam 50 g") == "Malty Assam 50 g"


def test_saving_allergens_leaves_the_names_in_other_languages_alone(rt: Runtime) -> None:
    make.make_variant(rt, name="Malty Assam")
    told = {"de": {"name": "Malziger Assam"}}
    rt.session.execute(sa.update(Product).values(translations=told))
    rt.session.commit()
    save_product(rt, rt.session.scalars(sa.select(Product.public_id)).one(), ["milk"], "")
    assert rt.session.scalars(sa.select(Product.translations)).one() == told
    rt.session.rollback()


def mail_to(rt: Runtime, locale: str, topic: str, **payload: Any) -> str:
    """Return the text of a mail about ``payload`` to a customer who reads ``locale``."""
    customer = make.make_customer(rt, email=f"{locale}-{topic}@example.org", locale=locale)
    told = Delivery(1, "out_1", "mail", topic, topic, payload, customer.id, rt.now())
    mail = compose(rt, told)
    rt.session.rollback()
    assert mail is not None
    return f"{mail.subject}\n{mail.text}"


@pytest.mark.parametrize(
    ("locale", "plan", "tin"), [("de", "Kanne", "Keksdose"), ("fr", "Théière", "Boîte")]
)
def test_mails_name_plans_and_products_in_the_language_of_who_reads_them(
    rt: Runtime, locale: str, plan: str, tin: str
) -> None:
    pot(rt, {"de": {"name": "Kanne"}, "fr": {"name": "Théière"}})
    make.make_variant(rt, name="Tin")
    told = {"de": {"name": "Keksdose"}, "fr": {"name": "Boîte"}}
    rt.session.execute(sa.update(Product).values(translations=told))
    raise_version(rt.session)
    rt.session.commit()
    rt.forget_shop()
    late = {"subscription": "sub_1", "currency": "EUR", "kind": "contents", "credit_minor": 0}
    late |= {"state": "accepted", "reason": ""}
    holds = [["Tin", 2], ["Honey", 1]]

    text = mail_to(rt, locale, "late_change", plan="Pot", holds=holds, **late)
    assert plan in text
    assert f"2 × {tin}, 1 × Honey" in text
    assert "Pot" not in text
    # Two boxes in one parcel.
    text = mail_to(rt, locale, "box_replaced", plan="Pot, Cup", reason="returned")
    assert f"{plan}, Cup" in text
    english = mail_to(rt, "en", "late_change", plan="Pot", holds=holds, **late)
    assert "2 × Tin, 1 × Honey" in english
    assert plan not in english


@pytest.mark.parametrize(("locale", "tin"), [("de", "Keksdose"), ("fr", "Boîte")])
def test_who_adds_something_reads_and_agrees_in_their_language(
    rt: Runtime, app: Flask, locale: str, tin: str
) -> None:
    plan = pot(rt, GERMAN)
    customer = rt.session.get(Customer, customer_with_password(rt, "ada@example.org"))
    assert customer is not None
    rt.session.expunge(customer)
    rt.session.rollback()
    sub = make.make_subscription(rt, plan=plan, customer=customer)
    told = {"de": {"name": "Keksdose"}, "fr": {"name": "Boîte"}}
    addon = make.make_addon(rt, 900, name="Tin", translations=told)
    raise_version(rt.session)
    rt.session.commit()
    rt.forget_shop()
    ada = Visitor.of(app).sign_in("ada@example.org")
    url = f"/account/subscriptions/{sub.public_id}/box"

    wish = f"{url}?addon={addon.public_id}&quantity=2&cadence=every&lang={locale}"
    page = ada.get(wish).text
    assert page.count(f"2 × {tin}") == 2  # the heading, and what the button agrees to
    assert "2 × Tin" not in page


def test_the_order_and_what_is_agreed_name_the_plan_in_the_language_of_the_shopper(
    rt: Runtime, client: FlaskClient
) -> None:
    pot(rt, GERMAN)
    german = client.get("/checkout?plan=pot&lang=de").text
    assert "Kanne, " in german
    assert "Pot, " not in german


def test_everything_the_demo_sells_has_a_name_in_every_language() -> None:
    for product in catalogue.PRODUCTS:
        for tongue in ("de", "fr"):
            assert PRODUCT_WORDS[product.sku][tongue]["name"]
    assert set(PRODUCT_WORDS) == {product.sku for product in catalogue.PRODUCTS}
    for sku, *_rest in catalogue.ADDONS:
        assert set(ADDON_HINTS[sku]) == {"de", "fr"}


def test_the_checkout_names_the_plan_in_the_language_of_who_agrees(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway
) -> None:
    pot(rt, GERMAN)
    ada = Shopper(client, demo_gateway)
    assert "Kanne, monatlich" in ada.get("/checkout?plan=pot&lang=de").text
    ada.begin()
    ada.deliver()
    page = ada.get(ada.at("pay") + "?lang=de").text
    consent = re.search(r"order-consent.*?</label>", page, re.S)
    assert consent is not None
    assert "Kanne" in consent[0]
    assert "Pot" not in re.sub(r"<[^>]+>", " ", page[page.index("<main") : page.index("</main>")])


def test_staff_write_the_line_of_the_shop_in_other_languages_and_visitors_read_it(
    rt: Runtime, app: Flask, client: FlaskClient
) -> None:
    pot(rt, {})
    owner = desk(app, rt)
    owner.get("/admin/settings")
    typed = {
        "name": "Nine Kettles",
        "line": "One of them is yours.",
        "support_email": "a@b.example",
    }
    typed |= {"line_de": "Einer ist Ihrer.", "line_fr": "L" * 201, "line_en": "Never taken"}
    refused = owner.post("/admin/settings/shop", typed)
    assert refused.status_code == 422
    assert "<details open>" in refused.text
    assert 'value="Einer ist Ihrer."' in refused.text
    assert owner.post("/admin/settings/shop", typed | {"line_fr": "Une."}).status_code == 303
    page = owner.get("/admin/settings").text
    assert 'value="Einer ist Ihrer."' in page
    assert 'name="line_en"' not in page
    again = owner.post("/admin/settings/shop", typed | {"line_fr": "Une."}, partial=True)
    assert "Nothing to save" in again.text

    for code, line in (
        ("de", "Einer ist Ihrer."),
        ("fr", "Une."),
        ("en", "One of them is yours."),
    ):
        shown = client.get(f"/?lang={code}").text
        assert f'<h1 id="plans-title">{line}</h1>' in shown
        assert f'<span class="muted">{line}</span>' in shown
        assert (code == "en") == ("One of them is yours." in shown)
