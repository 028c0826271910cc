"""The books in the admin: exports, account numbers, and what the nightly check found."""

from __future__ import annotations

import io
import zipfile

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from storefront.jobs.selfcheck import check_self
from storefront.jobs.work import SELF_CHECK, run_job
from storefront.models import AuditEntry, ChargeAttempt, LedgerTransfer
from storefront.operations.ledger import Journal, JournalKind, Transfer, book
from storefront.queries import ledger as books
from storefront.runtime import Runtime
from storefront.testing import factories
from tests.support.admin import Desk, desk

PAGE = "/admin/accounting"
DAYS = {"first": "2027-03-01", "last": "2027-03-31"}


@pytest.fixture
def owner(app: Flask, rt: Runtime) -> Desk:
    return desk(app, rt, "owner")


@pytest.fixture
def sale(rt: Runtime) -> object:
    return factories.make_subscription(rt)


@pytest.mark.usefixtures("sale")
def test_the_page_shows_the_balances_of_the_ledger(owner: Desk) -> None:
    page = owner.get(PAGE).text
    assert "Paid in advance, not delivered" in page
    assert "At the gateway demo" in page
    assert "€26.00" in page


@pytest.mark.usefixtures("sale")
def test_a_long_ledger_is_summed_only_when_asked(
    owner: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(books, "QUICKLY_SUMMED", 1)
    assert "€26.00" not in owner.get(PAGE).text
    assert "€26.00" in owner.get(f"{PAGE}?balances=yes").text


@pytest.mark.usefixtures("sale")
@pytest.mark.parametrize("partial", [False, True])
def test_an_export_is_made_listed_downloaded_and_logged(
    rt: Runtime, owner: Desk, partial: bool
) -> None:
    answer = owner.post(f"{PAGE}/export", DAYS, partial=partial)
    assert answer.status_code == (200 if partial else 303)
    name = "accounting-2027-03-01-2027-03-31.zip"
    assert name in owner.get(PAGE).text
    packed = zipfile.ZipFile(
        io.BytesIO(owner.client.get(f"{PAGE}/files/{name}", buffered=True).data)
    )
    assert "26.00" in packed.read("invoices.csv").decode()
    assert "accounting.exported" in rt.session.scalars(sa.select(AuditEntry.action)).all()


def test_days_that_run_backwards_are_refused_with_words(owner: Desk) -> None:
    days = {"first": "2027-03-31", "last": "2027-03-01"}
    answer = owner.post(f"{PAGE}/export", days)
    assert answer.status_code == 422
    assert "Choose a last day that is not before the first day" in answer.text


@pytest.mark.parametrize("field", ["first", "last"])
@pytest.mark.parametrize(
    ("typed", "error"),
    [
        (" ", "Enter a day"),
        ("0001-01-01", "Choose a day from 2000-01-01 to 2199-12-31"),
        ("9999-12-31", "Choose a day from 2000-01-01 to 2199-12-31"),
    ],
)
def test_a_day_that_cannot_be_exported_is_asked_back_beside_its_field(
    owner: Desk, field: str, typed: str, error: str
) -> None:
    owner.get(PAGE)
    answer = owner.post(f"{PAGE}/export", {**DAYS, field: typed})
    assert answer.status_code == 422
    assert error in answer.text.partition(f'id="{field}-error"')[2].partition("</p>")[0]


@pytest.mark.usefixtures("sale")
def test_books_that_disagree_are_not_exported(rt: Runtime, owner: Desk) -> None:
    lost = Transfer("receivable", "tax_payable", 1, "EUR")
    book(rt.session, [Journal(JournalKind.REVERSAL, "by hand", (lost,))], rt.now())
    rt.session.commit()
    answer = owner.post(f"{PAGE}/export", DAYS)
    assert answer.status_code == 422
    assert "tax.csv: tax in EUR is 4.15, the ledger says 4.16" in answer.text


def test_account_numbers_are_kept_and_unknown_accounts_refused(owner: Desk) -> None:
    owner.post(f"{PAGE}/codes", {"receivable": "1400", "bank": ""})
    assert 'value="1400"' in owner.get(PAGE).text
    assert owner.post(f"{PAGE}/codes", {"mine": "1"}).status_code == 400


@pytest.mark.parametrize("name", ["x.zip", "..%2Fsecrets.zip", "accounting-1-2.zip"])
def test_only_exports_are_handed_out(owner: Desk, name: str) -> None:
    assert owner.get(f"{PAGE}/files/{name}").status_code == 404


def test_support_does_not_see_the_books(app: Flask, rt: Runtime) -> None:
    assert desk(app, rt, "support").get(PAGE).status_code == 403


@pytest.mark.usefixtures("sale")
def test_a_broken_rule_stands_first_on_the_first_page_with_what_to_do(
    rt: Runtime, owner: Desk, client: FlaskClient
) -> None:
    check_self(rt)
    assert client.get("/readyz").json["books"] == "whole"
    assert "Everything adds up" in owner.get(PAGE).text

    attempt = rt.session.scalar(sa.select(ChargeAttempt.public_id))
    rt.session.execute(sa.update(ChargeAttempt).values(settles=False))
    rt.session.commit()
    check_self(rt)
    run_job(rt, SELF_CHECK)

    health = client.get("/readyz")
    assert (health.status_code, health.json["books"]) == (200, "broken")
    assert "M1" in health.json["broken"]
    assert attempt not in health.text
    assert "The nightly check found" in owner.get("/admin/").text
    page = owner.get(PAGE).text
    assert attempt in page
    assert "What to do" in page


def test_staff_see_how_a_customer_stands(rt: Runtime, owner: Desk) -> None:
    customer = factories.make_customer(rt)
    transfers = (
        Transfer("credits_granted", "customer_credit", 500, "EUR", customer.id),
        Transfer("receivable", "revenue", 1999, "EUR", customer.id),
    )
    book(rt.session, [Journal(JournalKind.CREDIT_GRANTED, "crm_1", transfers)], rt.now())
    rt.session.commit()
    page = owner.get(f"/admin/subscribers/{customer.public_id}").text
    assert "owes €19.99" in page
    assert "€5.00 credit" in page


def test_a_customers_balance_is_what_the_ledger_says(rt: Runtime) -> None:
    subscription = factories.make_subscription(rt)
    (found,) = books.customer_balances(rt.session, subscription.customer_id)
    assert found.balance.minor == 0
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(LedgerTransfer)) > 0
