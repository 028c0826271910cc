"""Pages about tax: the merchant's rates, a customer's number, the checkout's fields."""

import html

import pytest
import sqlalchemy as sa

from storefront.domain.money import Money
from storefront.hooks import hookimpl
from storefront.models import Address, Checkout, Customer, Invoice, TaxRate
from storefront.testing import factories as make
from tests.support.admin import desk
from tests.support.visitor import Visitor, customer_with_password

FIRM = "FR40303265045"
RATE = {
    "country": "DE",
    "region": "",
    "tax_class": "standard",
    "rate": "21,5",
    "since": "2027-07-01",
}


@pytest.fixture
def mia(app, rt):
    return desk(app, rt)


def stored(rt, model):
    row = rt.session.execute(sa.select(model.__table__)).one()
    rt.session.rollback()
    return row


# ---------------------------------------------------------------------------------- the rates


def test_the_page_shows_the_rates_of_the_shops_countries_and_changes_to_come(rt, mia):
    shown = mia.get("/admin/taxes").text

    for text in ("Germany", "Austria", "France", "19%", "5.5%", "our table", "None is known."):
        assert text in shown


def test_a_change_the_law_names_already_is_shown(rt, mia):
    rt.session.execute(sa.text("UPDATE shop_settings SET countries = '[\"SE\"]'"))
    rt.session.commit()
    shown = mia.get("/admin/taxes").text

    assert "Sweden, Food: 12%" in shown
    assert "by law" in shown


def test_a_rate_with_a_first_day_is_added_shown_and_removed(rt, mia):
    mia.get("/admin/taxes")
    assert mia.post("/admin/taxes/rates", RATE).status_code == 303
    row = stored(rt, TaxRate)
    assert (row.rate_bp, str(row.since_on), row.region) == (2150, "2027-07-01", "")
    assert "Germany, Standard: 21.5%" in mia.get("/admin/taxes").text
    assert mia.post(f"/admin/taxes/rates/{row.public_id}/remove").status_code == 303
    assert "None is known." in mia.get("/admin/taxes").text
    assert mia.post(f"/admin/taxes/rates/{row.public_id}/remove").status_code == 404


@pytest.mark.parametrize(
    ("field", "typed", "error"),
    [
        ("rate", "101", "Enter a rate from 0 to 100"),
        ("rate", "-1", "Enter a rate from 0 to 100"),
        ("rate", "7.125", "Enter a rate from 0 to 100"),
        ("rate", "", "Enter a rate"),
        ("since", "1 July", "Enter a day like 2027-03-12"),
        ("since", "", "Enter the first day"),
        ("since", " ", "Enter the first day"),
        ("since", "0001-01-01", "Choose a day from 2000-01-01 to 2199-12-31"),
        ("since", "9999-12-31", "Choose a day from 2000-01-01 to 2199-12-31"),
        ("country", "XX", "Choose one from the list"),
        ("region", "Somewhere far away", "region&#39;s code"),
    ],
)
def test_a_wrong_entry_is_said_beside_its_field_and_kept(rt, mia, field, typed, error):
    mia.get("/admin/taxes")
    answer = mia.post("/admin/taxes/rates", {**RATE, field: typed})

    assert answer.status_code == 422
    assert error in answer.text
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(TaxRate)) == 0


def test_a_rate_into_an_invoiced_time_is_refused_with_the_reason(rt, mia):
    make.make_subscription(rt)
    mia.get("/admin/taxes")
    answer = mia.post("/admin/taxes/rates", {**RATE, "since": "2027-03-01"})

    assert answer.status_code == 422
    assert "There are invoices up to Tue 2 March with the old rate" in answer.text


def test_the_rounding_is_switched_on_the_page(rt, mia):
    mia.get("/admin/taxes")
    assert mia.post("/admin/taxes/rounding", {"rounding": "line"}).status_code == 303
    assert "on each line of an invoice" in mia.get("/admin/taxes").text
    assert mia.post("/admin/taxes/rounding", {"rounding": "never"}).status_code == 400


def test_the_page_says_where_the_rates_come_from_and_that_they_want_confirming(mia):
    page = html.unescape(mia.get("/admin/taxes").text)
    assert "database of Tue 29 September 2026" in page
    assert "entered by hand. Have your adviser confirm the rates you use." in page


def test_support_does_not_reach_the_taxes(app, rt):
    assert desk(app, rt, "support").get("/admin/taxes").status_code == 403


# -------------------------------------------------------------------------------- subscribers


def test_staff_see_what_an_exempt_customer_pays_tax_on_and_exempt_it(rt, mia):
    customer = make.make_customer(rt, is_tax_exempt=True)
    make.make_subscription(rt, customer=customer)
    page = f"/admin/subscribers/{customer.public_id}"
    assert "1 subscription was ordered under this e-mail without signing in." in mia.get(page).text
    mia.post(f"{page}/tax/exempt", {"exempt": "yes"})
    shown = mia.get(page).text
    assert "without signing in" not in shown
    assert "Exempt from tax." in shown


def test_staff_confirm_a_number_and_exempt_a_customer(rt, mia):
    customer = make.make_customer(rt, tax_id=FIRM, tax_id_state="pending")
    page = f"/admin/subscribers/{customer.public_id}"
    assert "Not checked yet" in mia.get(page).text
    mia.post(f"{page}/tax/confirm", {"number": FIRM})
    assert "Confirmed" in mia.get(page).text
    mia.post(f"{page}/tax/exempt", {"exempt": "yes"})
    row = stored(rt, Customer)

    assert (row.tax_id_state, row.is_tax_exempt) == ("valid", True)
    assert "VAT number confirmed" in mia.get("/admin/log").text
    mia.post(f"{page}/tax/refuse", {"number": FIRM})
    mia.post(f"{page}/tax/exempt", {"exempt": "no"})
    row = stored(rt, Customer)
    assert (row.tax_id_state, row.is_tax_exempt) == ("invalid", False)
    assert (
        mia.post("/admin/subscribers/cus_nobody/tax/confirm", {"number": FIRM}).status_code == 404
    )


# ----------------------------------------------------------------------------------- checkout


class Register:
    @hookimpl
    def check_tax_id(self, number):
        return "valid" if number == FIRM else "invalid"


def at_delivery(app, rt):
    plan = make.make_plan(rt)
    visitor = Visitor.of(app)
    visitor.get(f"/checkout?plan={plan.code}")
    visitor.post("/checkout", plan=plan.code)
    key = stored(rt, Checkout).public_id
    return visitor, f"/checkout/{key}/delivery", f"/checkout/{key}/pay"


TYPED = {
    "email": "ada@example.org",
    "name": "Ada Lovelace",
    "country": "FR",
    "street": "1 rue de la Paix",
    "postcode": "75001",
    "city": "Paris",
    "company": "Thé SARL",
    "extra": "",
}


def test_a_firm_types_its_number_and_is_quoted_without_tax(app, rt):
    rt.hooks.register(Register(), name="register")
    visitor, delivery, pay = at_delivery(app, rt)
    visitor.get(delivery)
    assert visitor.post(delivery, **TYPED, tax_id="fr 40 303 265 045").status_code == 303
    row = stored(rt, Checkout)

    assert (row.tax_id, row.tax_id_state) == (FIRM, "valid")
    shown = visitor.get(pay).text
    assert "€21.67" in shown
    assert "€26.00" not in shown
    assert 'value="FR40303265045"' in visitor.get(delivery).text


def test_a_number_nobody_writes_is_said_beside_its_field_and_kept(app, rt):
    visitor, delivery, _pay = at_delivery(app, rt)
    visitor.get(delivery)
    answer = visitor.post(delivery, **TYPED, tax_id="FR123")

    assert answer.status_code == 422
    assert 'href="#tax_id"' in answer.text
    assert "That is no VAT number" in answer.text
    assert 'value="FR123"' in answer.text
    assert 'value="Paris"' in answer.text


def test_without_a_register_the_number_waits_and_tax_is_charged(app, rt):
    visitor, delivery, pay = at_delivery(app, rt)
    visitor.get(delivery)
    visitor.post(delivery, **TYPED, tax_id=FIRM)

    assert stored(rt, Checkout).tax_id_state == "pending"
    assert "€26.00" in visitor.get(pay).text


def sell_from(rt, country, *to):
    listed = ", ".join(f'"{each}"' for each in to)
    rt.session.execute(
        sa.text("UPDATE shop_settings SET seller_country = :c, countries = :to"),
        {"c": country, "to": f"[{listed}]"},
    )
    rt.session.commit()
    rt.forget_shop()


def test_a_place_without_a_rate_is_said_beside_the_country(app, rt):
    sell_from(rt, "NO", "NO")
    visitor, delivery, _pay = at_delivery(app, rt)
    assert "VAT number" not in visitor.get(delivery).text
    answer = visitor.post(delivery, **{**TYPED, "country": "NO", "postcode": "0150"})

    assert answer.status_code == 422
    assert "We cannot charge tax for Norway yet" in answer.text


@pytest.mark.parametrize(
    ("region", "status", "says"),
    [
        ("", 422, "Enter the state"),
        ("NJ", 422, "NJ, United States"),
        ("New York", 303, ""),
    ],
)
def test_a_state_is_asked_for_where_the_rate_depends_on_it(app, rt, region, status, says):
    sell_from(rt, "US", "US")
    visitor, delivery, _pay = at_delivery(app, rt)
    assert '<label for="region">State or territory</label>' in visitor.get(delivery).text
    typed = {**TYPED, "country": "US", "postcode": "10001", "city": "New York", "region": region}
    answer = visitor.post(delivery, **typed)

    assert answer.status_code == status
    assert says in answer.text


# ------------------------------------------------------------------------ price page and charge


@pytest.mark.parametrize("country", ["DE", "AT", "FR"])
@pytest.mark.parametrize(("inclusive", "amount"), [(True, 2600), (False, 2185), (False, 33)])
def test_the_price_on_the_page_is_the_one_charged_to_the_cent(app, rt, country, inclusive, amount):
    sell_from(rt, "DE", country)
    plan = make.make_plan(rt, amount_minor=None)
    make.make_price(rt, plan, amount_minor=amount, tax_inclusive=inclusive)
    shown = Visitor.of(app).get("/").text
    make.make_subscription(rt, plan=plan, address={"country": country})
    total = stored(rt, Invoice).total_minor

    assert f"€{Money(total, 'EUR').minor / 100:.2f}" in shown


def test_a_visitor_sees_the_prices_of_the_country_they_choose_up_to_the_charge(app, rt):
    plan = make.make_plan(rt, amount_minor=None)
    make.make_price(rt, plan, amount_minor=2000, tax_inclusive=False)
    visitor = Visitor.of(app)
    assert "€23.80" in visitor.get("/").text
    assert visitor.post("/country", country="FR", to="/").status_code == 303
    shown = visitor.get("/").text
    assert "€24.00" in shown
    assert "€23.80" not in shown
    assert "€24.00" in visitor.get(f"/checkout?plan={plan.code}").text
    visitor.get("/")
    visitor.post("/country", country="US", to="/")
    assert "€23.80" in visitor.get("/").text


# ------------------------------------------------------------------------------------ account


def test_a_customer_keeps_a_number_of_their_own(app, rt):
    rt.hooks.register(Register(), name="register")
    customer_with_password(rt, "ada@example.org")
    ada = Visitor.of(app).sign_in("ada@example.org")
    assert "DE136695976" in ada.get("/account/vat-number").text
    assert ada.post("/account/vat-number", tax_id="FR123").status_code == 422
    assert ada.post("/account/vat-number", tax_id=FIRM).status_code == 303
    assert f"{FIRM} is confirmed" in ada.get("/account/vat-number").text
    ada.post("/account/vat-number", tax_id="DE136695976")
    assert "does not know DE136695976" in ada.get("/account/vat-number").text
    ada.post("/account/vat-number", tax_id="")

    assert stored(rt, Customer).tax_id == ""
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(Address)) == 0


@pytest.mark.parametrize(
    ("region", "status", "says"),
    [
        ("", 422, "Enter the state; the carrier needs it"),
        ("NJ", 422, "We cannot charge tax there yet"),
        ("california", 303, ""),
    ],
)
def test_a_new_address_needs_a_place_that_can_be_taxed(app, rt, region, status, says):
    key = customer_with_password(rt, "ada@example.org")
    owner = rt.session.get(Customer, key)
    rt.session.expunge(owner)
    rt.session.rollback()
    subscription = make.make_subscription(rt, customer=owner)
    sell_from(rt, "US", "US", "DE")
    ada = Visitor.of(app).sign_in("ada@example.org")
    page = f"/account/subscriptions/{subscription.public_id}/address"
    assert 'for="region"' not in ada.get(page).text, "her country asks for none"
    typed = {**TYPED, "country": "US", "postcode": "10001", "city": "Town", "region": region}
    answer = ada.post(page, **typed)

    assert answer.status_code == status
    assert says in answer.text
