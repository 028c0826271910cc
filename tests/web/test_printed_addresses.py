"""Addresses on pages stand as the post of their country writes them."""

from __future__ import annotations

import sqlalchemy as sa
from flask import Flask

from storefront.models import Address, Customer
from storefront.models.base import table_of
from storefront.runtime import Runtime
from storefront.services.billing import save_billing
from storefront.testing import factories as make
from tests.support.desk import Desk
from tests.support.visitor import Visitor, customer_with_password

EMAIL = "ada@example.org"
FIRM = {
    "name": "Tea Ltd",
    "street": "12 High Street",
    "postcode": "SW1A 1AA",
    "city": "London",
    "country": "GB",
}


def ada(rt: Runtime) -> Customer:
    found = rt.session.get(Customer, customer_with_password(rt, EMAIL))
    assert found is not None
    rt.session.expunge(found)
    rt.session.rollback()
    return found


def test_the_account_writes_an_address_of_the_states_with_the_zip_code_last(
    app: Flask, rt: Runtime
) -> None:
    make.make_subscription(rt, customer=ada(rt))
    there = {"postcode": "62704", "city": "Springfield", "region": "IL", "country": "US"}
    rt.session.execute(sa.update(table_of(Address)).values(street="1 <Main> St", **there))
    rt.session.commit()
    page = Visitor.of(app).sign_in(EMAIL).get("/account/addresses").text
    lines = "1 &lt;Main&gt; St<br>Springfield, IL 62704<br>United States"
    assert lines in page


def test_staff_see_whom_invoices_go_to_where_it_is_not_who_gets_the_box(
    app: Flask, rt: Runtime
) -> None:
    customer = ada(rt)
    make.make_subscription(rt, customer=customer)
    desk = Desk(app, rt, "owner")
    url = f"/admin/subscribers/{customer.public_id}"
    assert "Invoices go to" not in desk.get(url).text
    save_billing(rt, customer.id, FIRM)
    said = "Invoices go to Tea Ltd, 12 High Street, London, SW1A 1AA, United Kingdom"
    assert said in desk.get(url).text
