"""The accounting export: totals equal the ledger, and files are there whole or not at all."""

import csv
import io
import os
import time
import zipfile
from collections import defaultdict
from datetime import date
from decimal import Decimal

import pytest
import sqlalchemy as sa

from storefront.adapters.failpoints import FailpointReached, arm
from storefront.charges import send_planned
from storefront.domain.accounting import RangeNotDays, TotalsDiffer
from storefront.domain.invoices import CreditReason, InvoiceState
from storefront.domain.ledger import JournalKind
from storefront.models import AuditEntry, Invoice, LedgerTransfer, Staff
from storefront.operations.audit import Who
from storefront.operations.credits import credit_invoices
from storefront.operations.ledger import Journal, Transfer, book
from storefront.services import accounting as service
from storefront.services.accounting import (
    AccountUnknown,
    ExportExists,
    TooManyForAPage,
    account_codes,
    export_accounting,
    make_download,
    save_account_codes,
)
from storefront.services.renewals import run_renewals
from storefront.services.staff import add_staff
from storefront.testing import factories
from storefront.testing.population import populate

FIRST, LAST = date(2027, 3, 1), date(2027, 4, 30)
FILES = ["invoices.csv", "journals.csv", "payments.csv", "summary.csv", "tax.csv"]


@pytest.fixture(autouse=True)
def _disarm():
    yield
    arm("")


@pytest.fixture
def books(rt, clock):
    """Sign-ups, renewals paid and declined, a voided invoice: what a month brings."""
    plan = factories.make_plan(rt)
    factories.make_subscription(rt, plan=plan)
    factories.make_subscription(rt, plan=factories.make_plan(rt, ships=False, amount_minor=999))
    price = factories.price_of(rt, plan)
    populate(rt, plan, price, 6, date(2027, 3, 12))
    populate(rt, plan, price, 2, date(2027, 3, 12), card="0341")
    clock.advance(days=10)
    run_renewals(rt)
    owing = rt.session.scalar(sa.select(Invoice.id).where(Invoice.state == InvoiceState.OPEN))
    credit_invoices(rt.session, [owing], CreditReason.VOID, rt.moment())
    rt.session.commit()
    clock.advance(days=1)
    send_planned(rt)


def read(folder, name):
    with (folder / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def ledger(rt):
    found = defaultdict(int)
    for row in rt.session.scalars(sa.select(LedgerTransfer)):
        found[row.debit] += row.amount_minor
        found[row.credit] -= row.amount_minor
    rt.session.rollback()
    return {account: minor for account, minor in found.items() if minor}


@pytest.mark.usefixtures("books")
def test_every_file_sums_to_what_the_ledger_says(rt, tmp_path):
    seen = []
    done = export_accounting(rt, FIRST, LAST, tmp_path / "out", lambda *at: seen.append(at))
    out, kept = tmp_path / "out", ledger(rt)

    assert sorted(path.name for path in out.iterdir()) == FILES
    assert seen[-1] == (done.transfers, done.transfers)
    journals = defaultdict(int)
    for row in read(out, "journals.csv"):
        assert Decimal(row["amount"]) * 100 == int(row["amount_minor"])
        journals[row["debit"]] += int(row["amount_minor"])
        journals[row["credit"]] -= int(row["amount_minor"])
    assert {account: minor for account, minor in journals.items() if minor} == kept
    closing = {row["account"]: Decimal(row["closing"]) * 100 for row in read(out, "summary.csv")}
    assert {account: minor for account, minor in closing.items() if minor} == kept
    tax = sum(Decimal(row["tax"]) for row in read(out, "tax.csv"))
    assert tax * 100 == -kept["tax_payable"]
    lines = read(out, "invoices.csv")
    assert sum(Decimal(row["tax"]) for row in lines) == tax
    assert all(Decimal(r["net"]) + Decimal(r["tax"]) == Decimal(r["gross"]) for r in lines)
    paid = sum(Decimal(row["amount"]) for row in read(out, "payments.csv"))
    assert paid * 100 == kept["clearing:demo"]


@pytest.mark.usefixtures("books")
def test_a_credit_note_stands_below_zero_and_names_its_invoice(rt, tmp_path):
    export_accounting(rt, FIRST, LAST, tmp_path / "out")
    lines = read(tmp_path / "out", "invoices.csv")
    (note,) = [row for row in lines if row["kind"] == "credit_note"]
    (invoice,) = [row for row in lines if row["document"] == note["corrects"]]
    assert Decimal(note["gross"]) == -Decimal(invoice["gross"]) == Decimal("-26.00")
    assert (note["tax_percent"], note["country"], note["currency"]) == ("19", "DE", "EUR")
    rates = {row["tax_percent"]: row for row in read(tmp_path / "out", "tax.csv")}
    assert set(rates) == {"19"}


@pytest.mark.usefixtures("books")
def test_a_range_opens_where_the_one_before_closed(rt, tmp_path):
    export_accounting(rt, FIRST, date(2027, 3, 5), tmp_path / "a")
    export_accounting(rt, date(2027, 3, 6), LAST, tmp_path / "b")
    closed = {r["account"]: r["closing"] for r in read(tmp_path / "a", "summary.csv")}
    opened = {r["account"]: r["opening"] for r in read(tmp_path / "b", "summary.csv")}
    assert closed
    assert {account: opened[account] for account in closed} == closed
    days = {row["day"] for row in read(tmp_path / "a", "journals.csv")}
    assert days == {"2027-03-02"}


@pytest.mark.usefixtures("books")
@pytest.mark.parametrize("point", ["accounting.after_journals", "accounting.before_publish"])
def test_a_kill_leaves_nothing_half_written(rt, tmp_path, point):
    arm(f"{point}:raise")
    with pytest.raises(FailpointReached):
        export_accounting(rt, FIRST, LAST, tmp_path / "out")
    assert list(tmp_path.glob("**/*.csv")) == []
    arm("")
    assert len(export_accounting(rt, FIRST, LAST, tmp_path / "out").files) == 5


@pytest.mark.usefixtures("books")
def test_a_difference_stops_the_export_and_is_named(rt, tmp_path):
    # Tax booked without a document: the books and the documents disagree by one cent.
    lost = Transfer("receivable", "tax_payable", 1, "EUR")
    book(rt.session, [Journal(JournalKind.REVERSAL, "by hand", (lost,))], rt.now())
    rt.session.commit()
    with pytest.raises(TotalsDiffer, match=r"tax\.csv: tax in EUR is .*, the ledger says"):
        export_accounting(rt, FIRST, LAST, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("books")
def test_nothing_that_is_there_is_overwritten(rt, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    with pytest.raises(ExportExists):
        export_accounting(rt, FIRST, LAST, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_a_range_that_runs_backwards_is_refused(rt, tmp_path):
    with pytest.raises(RangeNotDays):
        export_accounting(rt, LAST, FIRST, tmp_path / "out")


def test_a_shop_without_sales_exports_headings(rt, tmp_path):
    done = export_accounting(rt, FIRST, LAST, tmp_path / "out")
    assert [file.rows for file in done.files] == [0, 0, 0, 0, 0]


@pytest.fixture
def who(rt):
    add_staff(rt, email="pat@shop.example", name="Pat", password="kettle on the hob 9")
    found = rt.session.execute(sa.select(Staff.id, Staff.public_id)).one()
    rt.session.rollback()
    return Who(found.id, found.public_id)


@pytest.mark.usefixtures("books")
def test_a_download_is_one_file_noted_in_the_log(rt, who):
    name = make_download(rt, who, FIRST, LAST)
    packed = zipfile.ZipFile(io.BytesIO(rt.files.path_of(name).read_bytes()))
    assert packed.namelist() == FILES
    assert [each[0] for each in service.downloads(rt)] == [name]
    noted = rt.session.scalars(sa.select(AuditEntry.action)).all()
    assert list(noted)[-1] == "accounting.exported"


@pytest.mark.usefixtures("books")
def test_what_a_killed_download_leaves_lies_where_it_is_swept(rt, who, tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    # As after a kill: nobody comes to tidy up behind it.
    monkeypatch.setattr("shutil.rmtree", lambda *_args, **_named: None)
    arm("accounting.before_publish:raise")

    with pytest.raises(FailpointReached):
        make_download(rt, who, FIRST, LAST)

    assert list((tmp_path / "tmp").iterdir()) == []
    (left,) = rt.files.folder.iterdir()
    a_day_ago = time.time() - 24 * 3600 - 60
    os.utime(left, (a_day_ago, a_day_ago))
    monkeypatch.undo()
    assert rt.files.remove_half_written().removed == 1
    assert list(rt.files.folder.iterdir()) == []


@pytest.mark.usefixtures("books")
def test_a_browser_does_not_wait_for_years_of_books(rt, who, monkeypatch):
    monkeypatch.setattr(service, "MOST_FOR_A_PAGE", 3)
    with pytest.raises(TooManyForAPage):
        make_download(rt, who, FIRST, LAST)


@pytest.mark.usefixtures("books")
def test_the_merchants_own_account_numbers_stand_beside_ours(rt, who, tmp_path):
    save_account_codes(rt, who, {"receivable": " 1400 ", "tax_payable": "1776", "bank": ""})
    assert dict(account_codes(rt))["receivable"] == "1400"
    export_accounting(rt, FIRST, LAST, tmp_path / "out")
    rows = read(tmp_path / "out", "journals.csv")
    assert {r["debit_code"] for r in rows if r["debit"] == "receivable"} == {"1400"}
    assert {r["credit_code"] for r in rows if r["credit"] == "tax_payable"} == {"1776"}
    with pytest.raises(AccountUnknown):
        save_account_codes(rt, who, {"petty cash": "1000"})
