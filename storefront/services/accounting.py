"""Export the books of a range of days: journals, documents, payments, tax, balances.

Every file is summed while it is written and compared with the ledger; a difference stops the
export with what differs, and nothing is published. One transaction reads all of it, so the
files agree with one another while the shop goes on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from storefront.adapters.failpoints import failpoint
from storefront.adapters.files import FileStore, Published, publish_folder, zipped
from storefront.database import is_postgresql, reading, retrying
from storefront.domain.accounting import (
    INVOICES,
    JOURNALS,
    PAYMENTS,
    SUMMARY,
    TAX,
    RangeNotDays,
    amount,
    instant,
    is_money,
    percent,
    require_equal,
)
from storefront.domain.errors import DomainError
from storefront.domain.exports import safe_cell
from storefront.domain.ledger import ACCOUNTS, TAX_PAYABLE, clearing
from storefront.models import ShopSettings
from storefront.models.base import table_of
from storefront.operations import accounting as rows_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.keys import AnyRow
from storefront.operations.ledger_sums import AccountSum, account_sums, tax_sums
from storefront.operations.moment import Moment
from storefront.runtime import Runtime

Report = Callable[[int, int], None]
Sums = defaultdict[str, int]

#: More transfers than a page should keep a browser waiting for.
MOST_FOR_A_PAGE = 50_000
#: Folder of the exports made from the admin, below the folder of files.
FOLDER = "accounting"
#: Rows between two reports of how far it is.
_REPORT_EVERY = 500


class ExportExists(DomainError):
    """Something is there already under the name of the export."""

    code = "export_exists"


class TooManyForAPage(DomainError):
    """So many transfers are exported by the command, not while a browser waits."""

    code = "too_many_for_a_page"


class AccountUnknown(DomainError):
    """The ledger has no such account."""

    code = "account_unknown"


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written; ``transfers`` is the number of rows of the journals."""

    path: Path
    files: tuple[Published, ...]
    transfers: int


@dataclass(frozen=True, slots=True)
class _Range:
    first: date
    last: date
    start: datetime
    end: datetime
    moment: Moment
    codes: Mapping[str, str]


def export_accounting(
    rt: Runtime, first: date, last: date, folder: Path, report: Report | None = None
) -> Exported:
    """Write the books of the shop-local days ``first`` to ``last`` as CSV files into ``folder``.

    Whole or not at all. Raises ``RangeNotDays``, ``ExportExists`` when the folder is there and
    not empty, and ``TotalsDiffer`` when a file does not sum to what the ledger says.
    """
    asked = _range(rt, first, last)
    try:
        with _snapshot(rt), publish_folder(folder) as store:
            files = _write(rt, asked, store, report)
            failpoint("accounting.before_publish")
    except FileExistsError as error:
        raise ExportExists(folder=str(folder)) from error
    return Exported(folder, files, files[0].rows)


def make_download(rt: Runtime, who: Who, first: date, last: date) -> str:
    """Make one ZIP file of the export and return its name; noted in the log of the staff.

    The same days again replace it. Raises as ``export_accounting`` and ``TooManyForAPage``.
    """
    asked = _range(rt, first, last)
    with reading():
        many = rows_of.transfer_count(rt.session, asked.start, asked.end)
        rt.session.rollback()
    if many > MOST_FOR_A_PAGE:
        raise TooManyForAPage(transfers=many, most=MOST_FOR_A_PAGE)
    name = f"{FOLDER}/accounting-{first.isoformat()}-{last.isoformat()}.zip"
    with rt.files.folder_aside() as made:
        done = export_accounting(rt, first, last, made / "export")
        packed = rt.files.publish(name, zipped(done.path))
    after = {"file": name, "transfers": done.transfers, "sha256": packed.sha256}

    days = f"{first.isoformat()}/{last.isoformat()}"

    def note() -> None:
        moment = rt.moment()
        audit.write(rt.session, who.id, "accounting.exported", days, {}, after, moment, who.ip)
        rt.session.commit()

    retrying(rt.session, note)
    return name


def downloads(rt: Runtime) -> list[tuple[str, datetime, int]]:
    """Return (name, made at, size) of the exports made from the admin, newest first."""
    return rt.files.listed(FOLDER, ".zip")


def save_account_codes(rt: Runtime, who: Who, codes: Mapping[str, str]) -> None:
    """Keep which number of the merchant's chart each account of the ledger has.

    Raises ``AccountUnknown``; an empty number takes the account out of the table.
    """
    wanted = {account: code.strip()[:40] for account, code in codes.items() if code.strip()}

    def write() -> None:
        known = {account for account, _code in account_codes(rt)}
        for account in wanted:
            if account not in known:
                raise AccountUnknown(account=account)
        table, moment = table_of(ShopSettings), rt.moment()
        before = rt.session.scalar(sa.select(table.c.account_codes)) or {}
        rt.session.execute(sa.update(table).values(account_codes=wanted))
        audit.write(rt.session, who.id, "accounting.codes", "shop", before, wanted, moment, who.ip)
        rt.session.commit()

    retrying(rt.session, write)


def account_codes(rt: Runtime) -> list[tuple[str, str]]:
    """Return every account the ledger can have with its number in the merchant's chart."""
    codes = rt.session.scalar(sa.select(table_of(ShopSettings).c.account_codes)) or {}
    names = (*ACCOUNTS, *(clearing(name) for name in rt.gateways))
    return [(account, str(codes.get(account, ""))) for account in sorted({*names, *codes})]


def _range(rt: Runtime, first: date, last: date) -> _Range:
    if last < first:
        raise RangeNotDays(first=first.isoformat(), last=last.isoformat())
    moment = rt.moment()
    with reading():
        codes = rt.session.scalar(sa.select(table_of(ShopSettings).c.account_codes)) or {}
        rt.session.rollback()
    end = moment.start_of(last + timedelta(days=1))
    return _Range(first, last, moment.start_of(first), end, moment, codes)


@contextmanager
def _snapshot(rt: Runtime) -> Iterator[None]:
    """Read everything inside as it stands now, whatever is booked meanwhile."""
    rt.session.rollback()
    with reading():
        if is_postgresql(rt.session):
            rt.session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        try:
            yield
        finally:
            rt.session.rollback()


def _write(
    rt: Runtime, asked: _Range, store: FileStore, report: Report | None
) -> tuple[Published, ...]:
    session, span = rt.session, (asked.start, asked.end)
    sums = account_sums(session, *span)
    tick = _Progress(report, rows_of.transfer_count(session, *span))
    journals = store.publish_csv("journals.csv", JOURNALS, _journals(rt, asked, sums, tick))
    failpoint("accounting.after_journals")
    return (
        journals,
        store.publish_csv("invoices.csv", INVOICES, _documents(rt, asked)),
        store.publish_csv("payments.csv", PAYMENTS, _payments(rt, asked, sums)),
        store.publish_csv("tax.csv", TAX, _tax(rt, asked, sums)),
        store.publish_csv("summary.csv", SUMMARY, _summary(asked, sums)),
    )


class _Progress:
    """Tells now and then how many of the transfers are written."""

    def __init__(self, report: Report | None, total: int) -> None:
        self._report, self._total, self._done = report, total, 0

    def row(self) -> None:
        self._done += 1
        last = self._done == self._total
        if self._report is not None and (last or self._done % _REPORT_EVERY == 0):
            self._report(self._done, self._total)


def _journals(
    rt: Runtime, asked: _Range, sums: Iterable[AccountSum], tick: _Progress
) -> Iterator[Sequence[object]]:
    into: defaultdict[str, Sums] = defaultdict(lambda: defaultdict(int))
    out_of: defaultdict[str, Sums] = defaultdict(lambda: defaultdict(int))
    for row in rows_of.transfers(rt.session, asked.start, asked.end):
        into[row.debit][row.currency] += row.amount_minor
        out_of[row.credit][row.currency] += row.amount_minor
        tick.row()
        yield (
            row.id,
            row.kind.value,
            row.event_ref,
            instant(row.at),
            asked.moment.day_of(row.at).isoformat(),
            row.debit,
            asked.codes.get(row.debit, ""),
            row.credit,
            asked.codes.get(row.credit, ""),
            amount(row.amount_minor, row.currency),
            row.amount_minor,
            row.currency,
            row.customer,
            row.number,
        )
    for account in sums:
        ours = {account.currency: into[account.account][account.currency]}
        theirs = {account.currency: account.debits_minor}
        require_equal("journals.csv", f"debits of {account.account}", ours, theirs)
        ours = {account.currency: out_of[account.account][account.currency]}
        theirs = {account.currency: account.credits_minor}
        require_equal("journals.csv", f"credits of {account.account}", ours, theirs)


def _documents(rt: Runtime, asked: _Range) -> Iterator[Sequence[object]]:
    net: Sums = defaultdict(int)
    tax: Sums = defaultdict(int)
    span = (asked.start, asked.end)
    for source in (rows_of.invoice_lines, rows_of.credit_lines):
        for row in source(rt.session, *span):
            net[row.currency] += row.net_minor
            tax[row.currency] += row.tax_minor
            yield _line(row, asked.moment)
    booked_net, booked_tax = rows_of.document_sums(rt.session, *span)
    require_equal("invoices.csv", "net", net, booked_net)
    require_equal("invoices.csv", "tax", tax, booked_tax)


def _line(row: AnyRow, moment: Moment) -> Sequence[object]:
    return (
        row.number,
        row.document_kind,
        row.corrects,
        moment.day_of(row.at).isoformat(),
        row.tax_point_on.isoformat(),
        row.country,
        row.tax_treatment,
        row.customer,
        row.line_kind.value,
        safe_cell(row.text),
        row.service_from.isoformat() if row.service_from else "",
        row.service_to.isoformat() if row.service_to else "",
        row.quantity,
        amount(row.net_minor, row.currency),
        percent(row.tax_rate_bp),
        amount(row.tax_minor, row.currency),
        amount(row.gross_minor, row.currency),
        row.currency,
    )


def _payments(rt: Runtime, asked: _Range, sums: Iterable[AccountSum]) -> Iterator[Sequence[object]]:
    moved: Sums = defaultdict(int)
    for row in rows_of.payments(rt.session, asked.start, asked.end):
        for account, sign in ((row.debit, 1), (row.credit, -1)):
            if not is_money(account):
                continue
            moved[row.currency] += sign * row.amount_minor
            yield (
                asked.moment.day_of(row.at).isoformat(),
                instant(row.at),
                row.kind.value,
                row.event_ref,
                account,
                amount(sign * row.amount_minor, row.currency),
                row.currency,
                row.customer,
                row.number,
                safe_cell(row.gateway_reference),
            )
    require_equal("payments.csv", "money received", moved, _moved(sums, is_money))


def _tax(rt: Runtime, asked: _Range, sums: Iterable[AccountSum]) -> Iterator[Sequence[object]]:
    owed: Sums = defaultdict(int)
    for one in tax_sums(rt.session, asked.start, asked.end):
        owed[one.currency] += one.tax_minor
        yield (
            one.country,
            one.treatment,
            percent(one.rate_bp),
            one.currency,
            amount(one.net_minor, one.currency),
            amount(one.tax_minor, one.currency),
        )
    booked = _moved(sums, lambda account: account == TAX_PAYABLE)
    require_equal("tax.csv", "tax", owed, {key: -minor for key, minor in booked.items()})


def _moved(sums: Iterable[AccountSum], wanted: Callable[[str], bool]) -> Sums:
    """Return debits less credits of the ``wanted`` accounts per currency."""
    moved: Sums = defaultdict(int)
    for one in sums:
        if wanted(one.account):
            moved[one.currency] += one.debits_minor - one.credits_minor
    return moved


def _summary(asked: _Range, sums: Iterable[AccountSum]) -> Iterator[Sequence[object]]:
    closing: Sums = defaultdict(int)
    for one in sums:
        closing[one.currency] += one.closing_minor
        yield (
            one.account,
            asked.codes.get(one.account, ""),
            one.currency,
            amount(one.opening_minor, one.currency),
            amount(one.debits_minor, one.currency),
            amount(one.credits_minor, one.currency),
            amount(one.closing_minor, one.currency),
        )
    require_equal("summary.csv", "sum of all balances", closing, {})
