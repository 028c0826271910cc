"""The list of subscribers as a file: what the page shows, for whoever may download it."""

from __future__ import annotations

import csv
import io
import zipfile

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from storefront.models import AuditEntry, Customer, Plan, Subscription
from storefront.queries import subscriber_files
from storefront.queries.subscribers import Filters
from storefront.runtime import Runtime
from storefront.testing import factories as make
from tests.support.admin import Desk, desk

FILE = "/admin/subscribers/file"


def take(browser: Desk, kind: str, path: str = FILE) -> TestResponse:
    """Download the list and close the file behind it, as a server does."""
    with browser.post(path, {"kind": kind}) as answer:
        answer.get_data()
    return answer


@pytest.fixture
def three(rt: Runtime) -> Plan:
    """Two of one plan, one of another; one is called by a formula."""
    pot = make.make_plan(rt, code="pot", name="Pot")
    make.make_subscription(rt, plan=pot)
    make.make_subscription(rt, plan=pot)
    make.make_subscription(rt, plan=make.make_plan(rt, code="cup", name="Cup"))
    first = rt.session.scalars(sa.select(Customer.id).order_by(Customer.id)).first()
    rt.session.execute(sa.update(Customer).where(Customer.id == first).values(name="=HYPERLINK(1)"))
    rt.session.execute(sa.update(Subscription).values(source="newsletter", options={"size": "big"}))
    rt.session.commit()
    return pot


def test_the_list_is_a_file_of_what_the_page_shows_and_the_log_says_who_took_it(
    app: Flask, rt: Runtime, three: Plan
) -> None:
    owner = desk(app, rt)
    page = owner.get("/admin/subscribers?plan=pot").text
    assert f'action="{FILE}?plan=pot"' in page

    answer = take(owner, "csv", f"{FILE}?plan=pot")

    assert answer.mimetype == "text/csv"
    assert answer.headers["Content-Disposition"].endswith("subscribers-2027-03-02.csv")
    assert answer.content_length == len(answer.data)
    assert answer.data.startswith(b"\xef\xbb\xbfsubscription,customer,")
    rows = list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"), newline="")))
    assert [row["plan"] for row in rows] == ["Pot", "Pot"]
    assert {row["answers"] for row in rows} == {"size: big"}
    assert {row["source"] for row in rows} == {"newsletter"}
    assert rows[1]["name"] == "'=HYPERLINK(1)"
    (last, _first) = rows
    assert last["subscription"].startswith("sub_")
    assert last["email"]
    assert (last["state"], last["signed_up"], last["currency"]) == ("active", "2027-03-02", "EUR")
    assert last["price"].replace(".", "").isdigit()
    assert last["next_charge"] > "2027-03-02"
    assert (last["country"], last["ended"], last["cancelled"]) == ("DE", "", "")
    log = rt.session.execute(
        sa.select(AuditEntry.after)
        .where(AuditEntry.action == "subscribers.downloaded")
        .order_by(AuditEntry.id)
    ).all()
    rt.session.rollback()
    assert [dict(row.after) for row in log] == [{"format": "csv", "plan": "pot"}]

    take(owner, "csv", f"{FILE}?q=nobody-of-that-name")
    log = rt.session.execute(
        sa.select(AuditEntry.after)
        .where(AuditEntry.action == "subscribers.downloaded")
        .order_by(AuditEntry.id)
    ).all()
    rt.session.rollback()
    # The log is a chain that nobody can blank, so no name is written into it.
    assert dict(log[-1].after) == {"format": "csv", "q": "…"}


def test_a_workbook_holds_all_of_them_as_text(app: Flask, rt: Runtime, three: Plan) -> None:
    owner = desk(app, rt)

    answer = take(owner, "xlsx")

    with zipfile.ZipFile(io.BytesIO(answer.data)) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert sheet.count("<row ") == 4
    assert "<f>" not in sheet
    assert owner.post(FILE, {"kind": "exe"}).status_code == 404


def test_only_who_may_see_subscribers_and_download_gets_it(
    app: Flask, rt: Runtime, three: Plan
) -> None:
    for role in ("support", "fulfilment"):
        other = desk(app, rt, role)
        assert FILE not in other.get("/admin/subscribers").text
        assert other.post(FILE, {"kind": "csv"}).status_code == 403


def test_slices_give_each_subscription_once(
    rt: Runtime, three: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriber_files, "_SLICE", 1)

    rows = list(subscriber_files.subscriber_rows(rt.session, Filters(), rt.moment().zone))
    rt.session.rollback()

    assert len({row[0] for row in rows}) == len(rows) == 3
    assert {len(row) for row in rows} == {len(subscriber_files.COLUMNS)}
