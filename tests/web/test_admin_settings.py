"""The shop's settings: each section on its own, read by the shop at once; and the staff log."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.models import ShopSettings
from storefront.runtime import Runtime
from storefront.services.shop import EDITABLE
from storefront.testing import factories as make
from tests.support.admin import Desk, desk


@pytest.fixture
def owner(app: Flask, rt: Runtime) -> Desk:
    browser = desk(app, rt)
    browser.get("/admin/settings")
    return browser


def settings(rt: Runtime) -> sa.Row:  # type: ignore[type-arg]
    row = rt.session.execute(sa.select(ShopSettings.__table__)).one()
    rt.session.rollback()
    return row


def field(page: str, name: str) -> str:
    """Return the markup of one control."""
    found = re.search(rf'<input[^>]*name="{name}"[^>]*>', page)
    assert found is not None
    return found[0]


SHOP = {"name": "Ten Kettles", "line": "One more.", "support_email": "Hello@Ten.example"}
SELLING = {
    "countries": ["DE", "FR"],
    "zone": "Europe/Paris",
    "locale": "fr",
    "currency": "EUR",
    "phone": "must",
}


def test_the_shop_goes_by_its_new_name_at_once(rt: Runtime, owner: Desk) -> None:
    before = settings(rt).catalogue_version
    assert owner.post("/admin/settings/shop", SHOP).status_code == 303
    assert "Ten Kettles" in owner.client.get("/").text
    row = settings(rt)
    assert row.support_email == "hello@ten.example"
    assert row.catalogue_version == before + 1
    again = owner.post("/admin/settings/shop", SHOP, partial=True)
    assert "Nothing to save" in again.text
    assert settings(rt).catalogue_version == before + 1


def test_wrong_input_keeps_what_was_typed(rt: Runtime, owner: Desk) -> None:
    wrong = {**SHOP, "support_email": "ada@", "name": ""}
    answer = owner.post("/admin/settings/shop", wrong, partial=True)
    assert answer.status_code == 422
    assert "Enter an e-mail like name@example.com" in answer.text
    assert "Enter the shop&#39;s name" in answer.text
    assert 'value="ada@"' in answer.text
    assert settings(rt).name == "Nine Kettles"


def test_a_blank_is_no_name_of_a_shop_or_seller(rt: Runtime, owner: Desk) -> None:
    before = settings(rt)
    shop = owner.post("/admin/settings/shop", {**SHOP, "name": " "}, partial=True)
    assert (shop.status_code, "Enter the shop&#39;s name" in shop.text) == (422, True)
    seller = {"seller_name": " ", "seller_address": " \r\n ", "seller_country": "DE"}
    answer = owner.post("/admin/settings/seller", seller, partial=True)
    assert "Enter the name that stands on invoices" in answer.text
    assert "Enter the address" in answer.text
    assert settings(rt) == before


def test_one_section_leaves_the_others_alone(rt: Runtime, owner: Desk) -> None:
    before = settings(rt)
    owner.post("/admin/settings/shop", {**SHOP, "zone": "Asia/Tokyo", "currency": "JPY"})
    row = settings(rt)
    assert (row.zone, row.currency) == (before.zone, before.currency)


def test_the_currency_is_settled_with_the_first_price(rt: Runtime, owner: Desk) -> None:
    assert 'name="currency"' in owner.get("/admin/settings").text
    owner.post("/admin/settings/selling", {**SELLING, "currency": "CHF"})
    assert settings(rt).currency == "CHF"
    make.make_plan(rt)
    assert 'name="currency"' not in owner.get("/admin/settings").text
    owner.post("/admin/settings/selling", {**SELLING, "currency": "EUR"})
    assert settings(rt).currency == "CHF"


def test_countries_zone_and_language_are_saved(rt: Runtime, owner: Desk) -> None:
    assert owner.post("/admin/settings/selling", SELLING).status_code == 303
    row = settings(rt)
    assert (row.countries, row.zone, row.locale) == (["DE", "FR"], "Europe/Paris", "fr")
    none = owner.post("/admin/settings/selling", {**SELLING, "countries": []})
    assert (none.status_code, "Tick one country at least" in none.text) == (422, True)
    nowhere = owner.post("/admin/settings/selling", {**SELLING, "zone": "Mars/Base"})
    assert nowhere.status_code == 422
    assert "Choose one from the list" in nowhere.text


def test_ticked_countries_keep_their_order_and_new_ones_come_last(rt: Runtime, owner: Desk) -> None:
    make.make_shop(rt, countries=["DE", "NL", "AT"])
    same = {**SELLING, "countries": ["AT", "DE", "NL"]}
    assert owner.post("/admin/settings/selling", same).status_code == 303
    assert settings(rt).countries == ["DE", "NL", "AT"]
    owner.post("/admin/settings/selling", {**SELLING, "countries": ["AT", "BE", "NL"]})
    assert settings(rt).countries == ["NL", "AT", "BE"]


def test_the_country_of_new_visitors_is_chosen_among_the_ticked(rt: Runtime, owner: Desk) -> None:
    make.make_shop(rt, countries=["DE", "FR", "NL"])
    chosen = {**SELLING, "countries": ["DE", "FR", "NL"], "first_country": "FR"}
    assert owner.post("/admin/settings/selling", chosen).status_code == 303
    assert settings(rt).countries == ["FR", "DE", "NL"]
    assert '<option selected value="FR">' in owner.get("/admin/settings").text
    wrong = owner.post("/admin/settings/selling", {**chosen, "first_country": "AT"})
    assert (wrong.status_code, "Choose one that is ticked below" in wrong.text) == (422, True)


def test_bank_details_and_small_print_stand_on_new_invoices(rt: Runtime, owner: Desk) -> None:
    fields = {
        "bank_details": " IBAN DE02 1203 \r\nBIC X ",
        "payment_days": "14",
        "document_years": "10",
        "invoice_footer": "HRB 12345\r\n",
    }
    assert owner.post("/admin/settings/papers", fields).status_code == 303
    rt.forget_shop()
    seller = rt.shop.seller
    assert (seller["bank"], seller["footer"]) == ("IBAN DE02 1203\nBIC X", "HRB 12345")
    assert "HRB 12345" in owner.get("/admin/settings").text
    answer = owner.post("/admin/settings/papers", {**fields, "invoice_footer": "x" * 601})
    assert answer.status_code == 422


def test_the_days_to_pay_of_the_shop_are_set_there(rt: Runtime, owner: Desk) -> None:
    fields = {
        "bank_details": "IBAN DE02",
        "payment_days": "30",
        "document_years": "8",
        "invoice_footer": "",
    }
    assert 'value="14"' in field(owner.get("/admin/settings").text, "payment_days")
    assert owner.post("/admin/settings/papers", fields).status_code == 303
    assert (settings(rt).payment_days, settings(rt).document_years) == (30, 8)
    assert 'value="30"' in field(owner.get("/admin/settings").text, "payment_days")
    for wrong in ("", "-1", "121", "two weeks"):
        answer = owner.post("/admin/settings/papers", {**fields, "payment_days": wrong})
        assert answer.status_code == 422
        assert "Enter a whole number from 0 to 120" in answer.text
    assert settings(rt).payment_days == 30


def test_the_seller_stands_on_new_invoices_as_typed(rt: Runtime, owner: Desk) -> None:
    fields = {
        "seller_name": "Ten Kettles GmbH",
        "seller_address": " Teeweg 10 \r\n\r\n 10115 Berlin",
        "seller_tax_id": "de 136 695 976",
        "seller_country": "AT",
    }
    assert owner.post("/admin/settings/seller", fields).status_code == 303
    row = settings(rt)
    assert row.seller_address == "Teeweg 10\n10115 Berlin"
    assert (row.seller_tax_id, row.seller_country) == ("DE136695976", "AT")


def test_every_setting_is_on_the_page(owner: Desk) -> None:
    page = owner.get("/admin/settings").text
    # The line in other languages has a field for each of them.
    fields = [{"lines": "line_de"}.get(name, name) for name in EDITABLE]
    assert [name for name in fields if f'name="{name}"' not in page] == []


def test_an_unknown_section_is_not_there(owner: Desk) -> None:
    assert owner.post("/admin/settings/everything", SHOP).status_code == 404


def test_the_log_says_who_changed_what_and_that_it_is_whole(rt: Runtime, owner: Desk) -> None:
    owner.post("/admin/settings/shop", SHOP)
    page = owner.get("/admin/log").text
    for words in ("Settings changed", "Mia owner", "Nine Kettles → Ten Kettles", "Unbroken since"):
        assert words in page


def test_only_who_may_sees_and_saves_settings(app: Flask, rt: Runtime, owner: Desk) -> None:
    support = desk(app, rt, "support")
    for path in ("/admin/settings", "/admin/log"):
        assert support.get(path).status_code == 403
    assert support.post("/admin/settings/shop", SHOP).status_code == 403
    assert settings(rt).name == "Nine Kettles"


def test_a_real_shop_has_no_movable_clock(owner: Desk) -> None:
    assert owner.get("/admin/clock").status_code == 404
    assert owner.post("/admin/clock/walk", {"days": "1"}).status_code == 404


def test_the_merchant_says_what_becomes_of_missed_periods(rt: Runtime, owner: Desk) -> None:
    assert settings(rt).catch_up == "skip"
    assert owner.post("/admin/settings/late", {"catch_up": "bill"}).status_code == 303
    assert settings(rt).catch_up == "bill"
    assert owner.post("/admin/settings/late", {"catch_up": "both"}).status_code == 422
    assert settings(rt).catch_up == "bill"


def test_a_country_where_subscribers_live_is_not_taken_out_without_asking(
    rt: Runtime, owner: Desk
) -> None:
    make.make_subscription(rt)
    asked = owner.post(
        "/admin/settings/selling", {**SELLING, "countries": ["FR"], "first_country": "FR"}
    )
    assert asked.status_code == 422
    assert "1 running subscription goes to a place" in asked.text
    assert "Save all the same" in asked.text
    assert "DE" in settings(rt).countries

    typed = {**SELLING, "countries": ["FR"], "first_country": "FR", "cut_off": "1"}
    assert owner.post("/admin/settings/selling", typed).status_code == 303
    assert settings(rt).countries == ["FR"]
