"""Invoices and credit notes on pages and as downloads: for their payer and for staff."""

import html
import io
import re
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from flask import Flask
from pypdf import PdfReader

from storefront.domain.invoices import CreditReason
from storefront.models import CreditNote, Customer, Invoice
from storefront.operations.credits import credit_invoices
from storefront.runtime import Runtime
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.admin import desk
from tests.support.visitor import HTMX, Visitor, customer_with_password

ADA = "ada@example.org"


@pytest.fixture
def ada(rt: Runtime, app: Flask) -> Visitor:
    """Ada with a paid first order, invoice 1, whose language is German."""
    key = customer_with_password(rt, ADA)
    rt.session.execute(sa.update(Customer).where(Customer.id == key).values(locale="de"))
    rt.session.commit()
    person = rt.session.get(Customer, key)
    assert person is not None
    rt.session.expunge(person)
    rt.session.rollback()
    # This card pays the order and is declined at renewals.
    make.make_subscription(rt, customer=person, card="0341")
    return Visitor.of(app).sign_in(ADA)


@pytest.fixture
def refs(rt: Runtime, ada: Visitor, clock: FrozenClock) -> tuple[str, str]:
    """An invoice that was taken back before it was paid, and its credit note."""
    clock.set(datetime(2027, 4, 5, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    clock.set(datetime(2027, 4, 12, 9, 0, tzinfo=UTC))
    run_renewals(rt)
    invoice = rt.session.scalars(sa.select(Invoice).order_by(Invoice.id.desc()).limit(1)).one()
    assert invoice.state == "open"
    credit_invoices(rt.session, [invoice.id], CreditReason.CANCELLATION, rt.moment())
    rt.session.commit()
    found = invoice.public_id, rt.session.scalars(sa.select(CreditNote.public_id)).one()
    rt.session.rollback()
    return found


def first(rt: Runtime) -> str:
    ref = rt.session.scalars(sa.select(Invoice.public_id).order_by(Invoice.id).limit(1)).one()
    rt.session.rollback()
    return ref


def words(page: str) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))


def pdf_text(content: bytes) -> str:
    return " ".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)


def test_staff_read_which_characters_the_paper_cannot_show(
    rt: Runtime, app: Flask, ada: Visitor
) -> None:
    person = make.make_customer(rt, name="山田 Tarō")
    make.make_subscription(rt, customer=person)
    new = rt.session.scalars(sa.select(Invoice.public_id).order_by(Invoice.id.desc())).first()
    rt.session.rollback()
    owner = desk(app, rt)
    assert "shows � in their place: 山 田" in words(owner.get(f"/admin/documents/{new}").text)
    assert "in their place" not in owner.get(f"/admin/documents/{first(rt)}").text
    assert "�� Tarō" in pdf_text(owner.client.get(f"/admin/documents/{new}/pdf").data)


def test_an_invoice_is_downloaded_in_its_own_language(rt: Runtime, ada: Visitor) -> None:
    listing = ada.get("/account/invoices?lang=en").text
    link = re.search(r'href="(/account/invoices/inv_\w+/pdf)"', listing)
    assert link is not None
    answer = ada.client.get(link[1])
    assert answer.mimetype == "application/pdf"
    assert answer.headers["Content-Disposition"] == "attachment; filename=invoice-1.pdf"
    assert "no-store" in answer.headers["Cache-Control"]
    assert "Rechnung 1" in pdf_text(answer.data)


def test_a_page_is_in_the_language_of_its_reader(rt: Runtime, ada: Visitor) -> None:
    path = f"/account/invoices/{first(rt)}"
    english = words(ada.get(f"{path}?lang=en").text)
    assert "Invoice 1" in english
    assert "Supply period 2 Mar 2027 – 1 Apr 2027" in english
    assert "Rechnung 1" in words(ada.get(f"{path}?lang=de").text)


def test_the_script_gets_the_document_alone(rt: Runtime, ada: Visitor) -> None:
    part = ada.get(f"/account/invoices/{first(rt)}", **HTMX).text
    assert part.lstrip().startswith('<article class="stack document" id="invoice"')


def test_a_credit_note_is_listed_under_its_invoice_and_can_be_kept(
    ada: Visitor, refs: tuple[str, str]
) -> None:
    invoice, note = refs
    listing = ada.get("/account/invoices?lang=en").text
    assert listing.index(invoice) < listing.index(note)
    assert "Credit note 1" in words(listing)
    page = words(ada.get(f"/account/invoices/{note}?lang=en").text)
    assert "Credit note 1" in page
    assert "For invoice 2" in page
    assert "Total credited −€26.00" in page
    saved = ada.client.get(f"/account/invoices/{note}/pdf")
    assert saved.headers["Content-Disposition"] == "attachment; filename=credit-note-1.pdf"
    assert "Rechnungskorrektur 1" in pdf_text(saved.data)


def test_an_invoice_leads_to_its_credit_note(ada: Visitor, refs: tuple[str, str]) -> None:
    invoice, note = refs
    page = ada.get(f"/account/invoices/{invoice}?lang=en").text
    assert f'href="/account/invoices/{note}"' in page
    assert "Taken back by credit note −€26.00 Still due €0.00" in words(page)


def test_nobody_else_sees_a_document(app: Flask, rt: Runtime, refs: tuple[str, str]) -> None:
    customer_with_password(rt, "eve@example.org")
    eve = Visitor.of(app).sign_in("eve@example.org")
    for ref in (*refs, first(rt), "inv_none", "crn_none"):
        for end in ("", "/pdf"):
            assert eve.client.get(f"/account/invoices/{ref}{end}").status_code == 404
            assert app.test_client().get(f"/account/invoices/{ref}{end}").status_code == 303


def test_support_reads_and_keeps_documents(app: Flask, rt: Runtime, refs: tuple[str, str]) -> None:
    support = desk(app, rt, "support")
    customer = rt.session.scalars(sa.select(Customer.public_id).where(Customer.email == ADA)).one()
    rt.session.rollback()
    invoice, note = refs
    assert (
        f'href="/admin/documents/{invoice}"' in support.get(f"/admin/subscribers/{customer}").text
    )
    page = support.get(f"/admin/documents/{invoice}").text
    assert f'href="/admin/documents/{note}"' in page
    assert f'href="/admin/subscribers/{customer}"' in page
    assert "For invoice 2" in words(support.get(f"/admin/documents/{note}").text)
    kept = support.client.get(f"/admin/documents/{note}/pdf")
    assert kept.mimetype == "application/pdf"
    assert support.client.get("/admin/documents/inv_none").status_code == 404


def test_who_may_not_see_subscribers_sees_no_documents(
    app: Flask, rt: Runtime, refs: tuple[str, str]
) -> None:
    packer = desk(app, rt, "fulfilment")
    for ref in refs:
        for end in ("", "/pdf"):
            assert packer.client.get(f"/admin/documents/{ref}{end}").status_code == 403
