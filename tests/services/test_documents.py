"""Invoices and credit notes as documents: complete, worded, and the same for ever."""

import io
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa
from pypdf import PdfReader

from storefront import documents
from storefront.domain.invoices import CreditReason, LineKind
from storefront.domain.money import Money
from storefront.domain.pricing import PricedItem, quote
from storefront.models import (
    Address,
    CreditNote,
    Customer,
    Invoice,
    InvoiceLine,
    NumberSeries,
    Plan,
    ShopSettings,
    Subscription,
    SubscriptionPeriod,
)
from storefront.operations.credits import credit_invoices
from storefront.operations.invoices import InvoiceDraft, document_hash, finalise_invoices
from storefront.queries import documents as query
from storefront.queries.documents import Document
from storefront.runtime import Runtime
from storefront.services.renewals import run_renewals
from storefront.testing.clock import FrozenClock
from storefront.testing.factories import make_code, make_customer, make_subscription

RENEWAL = datetime(2027, 4, 12, 9, 0, tzinfo=UTC)


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    """Ada's first order, with 10 % off, read in German."""
    make_code(rt)
    ada = make_customer(rt, name="Ada Łukasiewicz", locale="de")
    return make_subscription(rt, customer=ada, code="LEMON")


def newest(rt: Runtime, table: type = Invoice) -> Document:
    ref = rt.session.scalar(sa.select(table.public_id).order_by(table.id.desc()).limit(1))
    found = query.document(rt.session, ref)
    rt.session.rollback()
    assert found is not None
    return found


def text_of(document: Document) -> str:
    """Return what the PDF says, in one line."""
    pages = PdfReader(io.BytesIO(documents.paper(document))).pages
    return re.sub(r"\s+", " ", " ".join(page.extract_text() for page in pages))


def issue(rt: Runtime, sub: Subscription, **values: object) -> Document:
    """Finalise an invoice over one box for 10 euros beside the periods."""
    snapshot = {"seller": rt.shop.seller, "buyer": {"name": "Ada"}, "ship_to": {}}
    item = PricedItem(LineKind.EXTRA, "Tea tin", 1, Money(1000, "EUR"), Decimal(19))
    given = {"snapshot": snapshot, "due_on": date(2027, 3, 16), **values}
    period = rt.session.scalars(sa.select(SubscriptionPeriod.id).limit(1)).one()
    draft = InvoiceDraft(
        payer_id=sub.payer_id or sub.customer_id,
        quote=quote([item], inclusive=True),
        subscription_id=sub.id,
        period_id=period,
        service_from=date(2027, 3, 2),
        service_to=date(2027, 3, 3),
        **given,  # type: ignore[arg-type]
    )
    finalise_invoices(rt.session, [draft], rt.moment())
    rt.session.commit()
    return newest(rt)


def change_everything(rt: Runtime) -> None:
    """Rename, move and recolour all that a document could have been drawn from."""
    rt.session.execute(
        sa.update(ShopSettings).values(
            name="Ten Pots",
            seller_name="Ten Pots AG",
            seller_address="Elsewhere 1",
            seller_tax_id="",
            support_email="new@pots.example",
            bank_details="Other bank",
            invoice_footer="Other small print",
            brand_hue=20,
            zone="America/New_York",
            locale="fr",
        )
    )
    rt.session.execute(sa.update(Customer).values(name="Somebody", email="x@y.example", locale=""))
    rt.session.execute(sa.update(Address).values(street="Elsewhere 2", city="Nowhere"))
    rt.session.execute(sa.update(Plan).values(name="Another plan"))
    rt.session.commit()
    rt.forget_shop()


def test_an_invoice_says_who_what_when_and_how_it_was_paid(rt: Runtime, sub: Subscription) -> None:
    found = newest(rt)
    assert (found.number, found.on, found.state) == ("1", date(2027, 3, 2), "paid")
    assert found.period == (date(2027, 3, 2), date(2027, 4, 1))
    assert found.buyer["name"] == "Ada Łukasiewicz"
    plan, discount = found.lines
    assert (plan.gross.minor, discount.gross.minor) == (2600, -260)
    assert discount.lowers == (LineKind.PLAN, plan.text)
    assert found.taxes == ((Decimal(19), Money(1966, "EUR"), Money(374, "EUR")),)
    assert (found.net + found.tax, found.total, found.due.minor) == (
        found.total,
        Money(2340, "EUR"),
        0,
    )
    (payment,) = found.paid
    assert (payment.amount, payment.on, payment.last4) == (found.total, found.on, "4242")


def test_the_pdf_is_written_in_the_customers_language(rt: Runtime, sub: Subscription) -> None:
    text = text_of(newest(rt))
    for said in (
        "Rechnung 1",
        "Nine Kettles GmbH · Teeweg 9 · 10115 Berlin",
        "Ada Łukasiewicz Lindenweg 4 07743 Jena Deutschland",
        "02.03.2027 – 01.04.2027",
        "LEMON",
        "−2,60 €",
        "19 % MwSt. auf 19,66 €",
        "23,40 €",
        "USt-IdNr. DE136695976",
        "4242",
        "1/1",
    ):
        assert said in text.replace("\N{NO-BREAK SPACE}", " "), said


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ("Invoice 1", "€23.40", "2 Mar 2027", "Paid with Visa ending 4242")),
        ("de", ("Rechnung 1", "23,40 €", "02.03.2027", "Bezahlt mit Visa")),
        ("fr", ("Facture 1", "23,40 €", "02/03/2027", "Payée avec Visa")),
    ],
)
def test_every_language_has_its_own_words_and_formats(
    rt: Runtime, sub: Subscription, language: str, said: tuple[str, ...]
) -> None:
    text = text_of(replace(newest(rt), locale=language)).replace("\N{NO-BREAK SPACE}", " ")
    assert [one for one in said if one not in text] == []


def test_an_invoice_is_the_same_bytes_after_everything_else_changed(
    rt: Runtime, sub: Subscription, clock: FrozenClock
) -> None:
    before = documents.paper(newest(rt))
    change_everything(rt)
    clock.advance(days=3000)
    assert documents.paper(newest(rt)) == before


def test_a_credit_note_is_the_same_bytes_after_everything_else_changed(
    rt: Runtime, sub: Subscription, clock: FrozenClock
) -> None:
    issue(rt, sub)
    void_newest(rt)
    before = documents.paper(newest(rt, CreditNote))
    change_everything(rt)
    assert documents.paper(newest(rt, CreditNote)) == before


def test_the_hash_of_a_stored_invoice_is_that_of_its_rows(
    rt: Runtime, sub: Subscription, clock: FrozenClock
) -> None:
    clock.set(RENEWAL)
    run_renewals(rt)
    change_everything(rt)
    rows = rt.session.execute(sa.select(Invoice.__table__)).all()
    assert len(rows) == 2
    line = InvoiceLine.__table__
    for row in rows:
        lines = rt.session.execute(
            sa.select(line).where(line.c.invoice_id == row.id).order_by(line.c.position)
        ).all()
        said = [one._mapping for one in lines]
        assert document_hash(row._mapping, said) == row.content_hash
        assert document_hash({**row._mapping, "total_minor": 1}, said) != row.content_hash


def test_an_invoice_by_bank_says_where_and_until_when_to_pay(
    rt: Runtime, sub: Subscription
) -> None:
    rt.session.execute(sa.update(ShopSettings).values(bank_details="IBAN DE02 1203 0000"))
    rt.session.commit()
    rt.forget_shop()
    text = text_of(replace(issue(rt, sub, pay_by="bank"), locale="en"))
    assert "Please pay €10.00 by 16 Mar 2027." in text
    assert "IBAN DE02 1203 0000 Reference: 2" in text
    assert "Still due €10.00" in text


def test_an_open_invoice_says_that_a_card_pays_it(rt: Runtime, sub: Subscription) -> None:
    text = text_of(replace(issue(rt, sub), locale="en"))
    assert "€10.00 is due on 16 Mar 2027. It is paid by card; in your account" in text
    assert "Please pay" not in text


@pytest.mark.parametrize(
    ("treatment", "said"),
    [
        ("reverse_charge", "Steuerschuldnerschaft des Leistungsempfängers"),
        ("exempt", "Von der Umsatzsteuer befreit"),
        ("export", "Steuerfreie Ausfuhrlieferung"),
    ],
)
def test_a_sale_without_tax_says_why(
    rt: Runtime, sub: Subscription, treatment: str, said: str
) -> None:
    assert said in text_of(issue(rt, sub, tax_treatment=treatment))


@pytest.mark.parametrize(
    ("country", "seller", "said"),
    [
        ("US", "US", {"19% tax", "Tax number"}),
        ("US", "DE", {"19% tax", "VAT number"}),
        ("CH", "DE", {"19% VAT", "VAT number"}),
        ("", "US", {"19% tax", "Tax number"}),
    ],
)
def test_tax_is_called_what_it_is_where_the_boxes_go(
    rt: Runtime, sub: Subscription, country: str, seller: str, said: set[str]
) -> None:
    by = {**rt.shop.seller, "country": seller, "tax_id": "123456789"}
    snapshot = {"seller": by, "buyer": {"name": "Ada"}, "ship_to": {"country": country}}
    text = text_of(replace(issue(rt, sub, snapshot=snapshot), locale="en"))
    known = {"19% tax", "19% VAT", "Tax number", "VAT number"}
    assert {words for words in known if words in text} == said
    assert (" VAT " in text.replace("VAT number", "")) is ("19% VAT" in said)


def test_who_owes_no_tax_is_told_so_in_the_words_of_the_country(
    rt: Runtime, sub: Subscription
) -> None:
    snapshot = {"seller": {}, "buyer": {"name": "Ada"}, "ship_to": {"country": "US"}}
    found = issue(rt, sub, snapshot=snapshot, tax_treatment="exempt")
    text = text_of(replace(found, locale="en"))
    assert "Exempt from tax." in text
    assert "VAT" not in text


def test_the_buyers_vat_number_and_another_recipient_are_shown(
    rt: Runtime, sub: Subscription
) -> None:
    to = {"name": "Eve", "street": "Ring 1", "postcode": "1010", "city": "Wien", "country": "AT"}
    buyer = {"name": "Ada Ltd", "tax_id": "ATU12345675"}
    snapshot = {"seller": rt.shop.seller, "buyer": buyer, "ship_to": to}
    text = text_of(replace(issue(rt, sub, snapshot=snapshot), locale="en"))
    assert "ATU12345675" in text
    assert "Delivered to Eve Ring 1 1010 Wien Austria" in text


def void_newest(rt: Runtime) -> None:
    key = rt.session.scalars(sa.select(Invoice.id).order_by(Invoice.id.desc()).limit(1)).one()
    credit_invoices(rt.session, [key], CreditReason.VOID, rt.moment())
    rt.session.commit()


def test_a_credit_note_names_its_invoice_and_lines_below_zero(
    rt: Runtime, sub: Subscription
) -> None:
    issue(rt, sub)
    void_newest(rt)
    note = newest(rt, CreditNote)
    assert (note.kind, note.number, note.invoice_number) == ("credit_note", "1", "2")
    assert [(line.text, line.gross.minor, line.tax.minor) for line in note.lines] == [
        ("Tea tin", -1000, -160)
    ]
    assert (note.net.minor, note.tax.minor, note.total.minor) == (-840, -160, -1000)
    text = text_of(replace(note, locale="en"))
    assert "Credit note 1" in text
    assert "For invoice 2" in text
    assert "Total credited −€10.00" in text
    assert "It lowers what is due on invoice 2." in text


def test_a_void_invoice_says_that_it_was_taken_back(rt: Runtime, sub: Subscription) -> None:
    issue(rt, sub)
    void_newest(rt)
    text = text_of(replace(newest(rt), locale="en"))
    assert "Taken back by credit note −€10.00 Still due €0.00" in text
    assert "is due on" not in text


def test_a_document_is_its_payers_alone(rt: Runtime, sub: Subscription) -> None:
    issue(rt, sub)
    void_newest(rt)
    eve = make_customer(rt, email="eve@example.org")
    for table in (Invoice, CreditNote):
        ref = newest(rt, table).public_id
        assert query.document(rt.session, ref, sub.customer_id) is not None
        assert query.document(rt.session, ref, eve.id) is None
    assert query.document(rt.session, "inv_none") is None
    assert query.document(rt.session, "crn_none") is None


def test_an_order_never_paid_for_has_no_document(rt: Runtime, sub: Subscription) -> None:
    rt.session.execute(sa.text("UPDATE invoice SET state = 'discarded', number = NULL"))
    rt.session.commit()
    ref = rt.session.scalars(sa.select(Invoice.public_id)).one()
    assert query.document(rt.session, ref) is None


def test_the_prefix_of_numbers_that_were_drawn_stays(rt: Runtime, sub: Subscription) -> None:
    with pytest.raises(sa.exc.DBAPIError, match="frozen"):
        rt.session.execute(sa.update(NumberSeries).values(prefix="2028-"))
    rt.session.rollback()


def test_a_months_documents_are_those_issued_in_it_where_the_shop_is(
    rt: Runtime, sub: Subscription, clock: FrozenClock
) -> None:
    zone = rt.shop.zone_info
    # 23:30 on 31 March in Berlin, and half an hour into April.
    clock.set(datetime(2027, 3, 31, 21, 30, tzinfo=UTC))
    in_march = issue(rt, sub)
    clock.set(datetime(2027, 3, 31, 22, 30, tzinfo=UTC))
    in_april = issue(rt, sub)
    edges = [datetime(2027, month, 1, tzinfo=zone) for month in (3, 4, 5)]
    march = query.issued_between(rt.session, edges[0], edges[1])
    assert (len(march), march[-1]) == (2, in_march.public_id)
    assert query.issued_between(rt.session, edges[1], edges[2]) == [in_april.public_id]
    assert (in_march.on, in_april.on) == (date(2027, 3, 31), date(2027, 4, 1))


def test_a_file_is_named_by_its_number(rt: Runtime, sub: Subscription) -> None:
    found = replace(newest(rt), number="2027/00 12")
    assert documents.file_name(found) == "invoice-2027-00-12.pdf"
    assert documents.file_name(replace(found, kind="credit_note")) == "credit-note-2027-00-12.pdf"
