"""Words for allergens are said in the language of who reads them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from flask import Flask
from flask_babel import force_locale

from storefront.demo import catalogue
from storefront.demo.words import ALLERGEN_WORDS
from storefront.merchant_texts import said
from storefront.models import Customer, Product
from storefront.operations.catalogue import raise_version
from storefront.runtime import Runtime
from storefront.testing import factories as make
from tests.support.admin import desk
from tests.support.visitor import Visitor, customer_with_password
from tests.web.test_merchant_texts import GERMAN, pot


def assam(rt: Runtime, allergens: list[str], told: dict[str, Any]) -> str:
    """Make a product and return its public id."""
    make.make_variant(rt, name="Malty Assam")
    rt.session.execute(sa.update(Product).values(allergens=allergens, translations=told))
    raise_version(rt.session)
    rt.session.commit()
    rt.forget_shop()
    product = rt.session.scalars(sa.select(Product.public_id)).one()
    rt.session.rollback()
    return product


def test_staff_write_allergens_in_other_languages_one_for_each_word(
    rt: Runtime, app: Flask
) -> None:
    path = f"/admin/products/{assam(rt, [], {})}"
    owner = desk(app, rt)
    owner.get(path)
    typed = {"allergens": "nuts, milk", "picture": "", "name_de": "Malziger Assam"}
    typed |= {"allergens_de": "Nüsse, Milch", "allergens_fr": "lait"}
    refused = owner.post(path, typed)
    assert refused.status_code == 422
    assert "Enter 2 words, one for each above, or none" in refused.text
    assert 'value="Nüsse, Milch"' in refused.text
    long = owner.post(path, typed | {"allergens_fr": f"lait, {'n' * 41}"})
    assert "Each word must be 40 characters or fewer" in long.text
    assert owner.post(path, typed | {"allergens_fr": ""}).status_code == 303
    assert 'value="Nüsse, Milch"' in owner.get(path).text
    none = owner.post(path, typed | {"allergens": "", "allergens_fr": ""})
    assert "first, above" in none.text
    with app.app_context(), force_locale("de"):
        assert [said(word) for word in ("nuts", "milk", "Malty Assam")] == [
            "Nüsse",
            "Milch",
            "Malziger Assam",
        ]


def test_a_word_keeps_its_translation_whatever_is_put_before_it(rt: Runtime, app: Flask) -> None:
    told = {"de": {"allergens": {"nuts": "Nüsse"}}}
    path = f"/admin/products/{assam(rt, ['eggs', 'nuts'], told)}"
    with app.app_context(), force_locale("de"):
        assert [said(word) for word in ("eggs", "nuts")] == ["eggs", "Nüsse"]
    # Half of a list would stand at the wrong words.
    assert "Nüsse" not in desk(app, rt).get(path).text


def test_who_says_what_they_do_not_tolerate_reads_it_in_their_language(
    rt: Runtime, app: Flask
) -> None:
    plan = pot(rt, GERMAN)
    make.make_recipe(rt, plan)
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(Product))
    told = {"de": {"allergens": {"nuts": "Nüsse"}}, "fr": {"allergens": {"nuts": "noix"}}}
    rt.session.execute(sa.update(Product).values(allergens=["nuts"], translations=told))
    customer = rt.session.get(Customer, customer_with_password(rt, "ada@example.org"))
    assert customer is not None
    rt.session.expunge(customer)
    raise_version(rt.session)
    rt.session.commit()
    sub = make.make_subscription(rt, plan=plan, customer=customer)
    rt.forget_shop()
    ada = Visitor.of(app).sign_in("ada@example.org")
    path = f"/account/subscriptions/{sub.public_id}/allergies"
    for code, word in (("de", "Nüsse"), ("fr", "noix"), ("en", "nuts")):
        page = ada.get(f"{path}?lang={code}").text
        assert f'<span class="choice-title">{word}</span>' in page
        # What is sent is the shop's word in every language.
        assert 'name="avoid" value="nuts"' in page


def test_every_allergen_of_the_demo_has_a_word_in_every_language() -> None:
    words = {word for product in catalogue.PRODUCTS for word in product.allergens}
    assert all(set(told) == words for told in ALLERGEN_WORDS.values())
    assert set(ALLERGEN_WORDS) == {"de", "fr"}
