"""What pays is named on the account's pages, also where it has no number."""

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.models import Customer, Invoice, PaymentMethod, Subscription
from storefront.models.base import table_of
from storefront.runtime import Runtime
from storefront.testing import factories as make
from tests.support.visitor import Visitor, customer_with_password

EMAIL = "ada@example.org"


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"kind": "card", "brand": "visa", "last4": "4242"}, "Visa ending 4242"),
        ({"kind": "paypal", "label": "m…@example.org"}, "PayPal (m…@example.org)"),
        ({"kind": "upi", "label": "ada@bank"}, "UPI (ada@bank)"),
        ({"kind": "wallet"}, "Wallet"),
    ],
)
def test_home_and_the_subscription_say_what_pays(
    app: Flask, rt: Runtime, values: dict[str, str], name: str
) -> None:
    owner = rt.session.get_one(Customer, customer_with_password(rt, EMAIL))
    sub = make.make_subscription(rt, customer=owner).public_id
    blank = {"brand": "", "last4": "", "label": ""}
    rt.session.execute(sa.update(table_of(PaymentMethod)).values(blank | values))
    rt.session.commit()
    ada = Visitor.of(app).sign_in(EMAIL)

    for path in ("/account/", f"/account/subscriptions/{sub}"):
        assert f"{name}" in ada.get(path).text, path


def test_without_any_method_no_line_says_so(app: Flask, rt: Runtime) -> None:
    owner = rt.session.get_one(Customer, customer_with_password(rt, EMAIL))
    make.make_subscription(rt, customer=owner)
    rt.session.execute(sa.update(table_of(Subscription)).values(payment_method_id=None))
    rt.session.execute(sa.update(table_of(PaymentMethod)).values(is_default=False))
    rt.session.commit()
    ada = Visitor.of(app).sign_in(EMAIL)

    assert "<dt>Card</dt>" not in ada.get("/account/").text


@pytest.mark.parametrize(
    ("brand", "words"), [("paypal", "Paid with PayPal"), ("upi", "Paid with UPI")]
)
def test_an_invoice_paid_without_a_number_names_what_paid_it(
    app: Flask, rt: Runtime, brand: str, words: str
) -> None:
    owner = rt.session.get_one(Customer, customer_with_password(rt, EMAIL))
    make.make_subscription(rt, customer=owner)
    rt.session.execute(sa.update(table_of(PaymentMethod)).values(brand=brand, last4=""))
    rt.session.commit()
    invoice = rt.session.scalars(sa.select(table_of(Invoice).c.public_id)).one()
    rt.session.rollback()
    ada = Visitor.of(app).sign_in(EMAIL)

    page = ada.get(f"/account/invoices/{invoice}").text

    assert words in page
    assert "bank transfer" not in page
