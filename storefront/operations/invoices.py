"""Make invoices from quotes: offered (owed only if paid) or finalised with a number."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache, lru_cache
from hashlib import sha256
from operator import itemgetter
from typing import Any, NamedTuple

import sqlalchemy as sa

from storefront.domain.invoices import DEFERRED_KINDS, InvoiceState, LineKind
from storefront.domain.ledger import (
    DEFERRED_REVENUE,
    RECEIVABLE,
    REVENUE,
    TAX_PAYABLE,
    JournalKind,
)
from storefront.domain.pricing import Quote, QuoteLine
from storefront.models import Customer, Invoice, InvoiceLine, NumberSeries
from storefront.models.base import public_ids, table_of
from storefront.operations.bulk import insert_many
from storefront.operations.keys import AnyRow, AnySelect, AnySession, any_of, reserve
from storefront.operations.ledger import Journal, Transfer, book
from storefront.operations.moment import Moment

#: The series of ordinary invoices; credit notes have their own.
INVOICES = "INV"
CREDIT_NOTES = "CN"


@dataclass(frozen=True, slots=True)
class LinesOf:
    """The next ``count`` lines of a combined invoice: whose they are and what they pay for."""

    count: int
    subscription_id: int
    period_id: int | None
    service_from: date
    service_to: date


@dataclass(frozen=True, slots=True)
class InvoiceDraft:
    """A quote about to become an invoice for one period of one subscription.

    ``parts`` says for an invoice of several subscriptions whose its lines are, in their order;
    then subscription, period and service days here are those of the first.
    ``snapshot`` holds seller (``Shop.seller``), buyer and delivery address; the document is
    drawn from it for ever.
    """

    payer_id: int
    quote: Quote
    subscription_id: int
    #: None while the period it pays for is opened by its payment only.
    period_id: int | None
    service_from: date
    service_to: date
    due_on: date
    snapshot: Mapping[str, Any]
    checkout_id: int | None = None
    #: standard, reverse_charge, exempt or export.
    tax_treatment: str = "standard"
    #: gateway, or bank.
    pay_by: str = "gateway"
    #: The period that credits take from where it is another one.
    credited_period_id: int | None = None
    parts: tuple[LinesOf, ...] = ()

    def owners(self) -> list[LinesOf]:
        """Return for each line whose it is. Raises ``ValueError`` when the parts do not fit."""
        lines = len(self.quote.lines)
        whole = LinesOf(
            lines, self.subscription_id, self.period_id, self.service_from, self.service_to
        )
        found = [part for part in self.parts or (whole,) for _ in range(part.count)]
        if len(found) != lines:
            raise ValueError(f"{len(found)} lines have an owner, {lines} are on the invoice")
        return found


class IssuedInvoice(NamedTuple):
    """What the caller needs to know of an invoice it made."""

    id: int
    public_id: str
    total_minor: int
    currency: str


def draw_numbers(session: AnySession, series: str, count: int) -> int:
    """Draw ``count`` numbers of ``series`` and return the first.

    Called last before the rows that carry them, inside their transaction: a rollback gives
    the whole block back, so there are no gaps. Raises ``LookupError`` for an unknown series.
    """
    drawn = {"series": series, "count": count}
    after = session.execute(_draw_statement(), drawn).scalar_one_or_none()
    if after is None:
        raise LookupError(f"no number series {series!r}")
    return int(after) - count


@cache
def _draw_statement() -> sa.UpdateBase:
    table = table_of(NumberSeries)
    return (
        sa.update(table)
        .where(table.c.code == sa.bindparam("series"))
        .values(next_number=table.c.next_number + sa.bindparam("count", type_=sa.Integer()))
        .returning(table.c.next_number)
    )


def finalise_invoices(
    session: AnySession, drafts: Sequence[InvoiceDraft], moment: Moment
) -> list[IssuedInvoice]:
    """Write ``drafts`` as open invoices with gapless numbers and book them."""
    if not drafts:
        return []
    first = draw_numbers(session, INVOICES, len(drafts))
    issued = _insert(session, drafts, InvoiceState.OPEN, moment, first)
    book_finalised(session, issued, drafts, moment)
    return issued


def book_finalised(
    session: AnySession,
    issued: Sequence[IssuedInvoice],
    drafts: Sequence[InvoiceDraft],
    moment: Moment,
) -> None:
    """Book invoices that have just drawn their numbers, in the order of their ``drafts``."""
    book(
        session,
        [
            _finalised(one, draft.payer_id, _split_by_owner(draft))
            for one, draft in zip(issued, drafts, strict=True)
        ],
        moment.now,
    )


def offer_invoices(
    session: AnySession, drafts: Sequence[InvoiceDraft], moment: Moment
) -> list[IssuedInvoice]:
    """Write ``drafts`` frozen and hashed, without number and without booking."""
    return _insert(session, drafts, InvoiceState.OFFERED, moment, None)


def finalise_offered(
    session: AnySession,
    invoices: Sequence[AnyRow],
    lines: Sequence[AnyRow],
    moment: Moment,
) -> None:
    """Give offered ``invoices`` their numbers and book them; their success has come.

    ``lines`` are all their lines. The state goes to open; the caller settles it.
    """
    if not invoices:
        return
    table = table_of(Invoice)
    first = draw_numbers(session, INVOICES, len(invoices))
    session.execute(
        sa.update(table)
        .where(table.c.id == sa.bindparam("key"), table.c.state == InvoiceState.OFFERED)
        .values(number=sa.bindparam("drawn"), state=InvoiceState.OPEN, finalised_at=moment.now),
        [{"key": row.id, "drawn": first + i} for i, row in enumerate(invoices)],
    )
    journals = []
    for row in invoices:
        own = [line for line in lines if line.invoice_id == row.id]
        issued = IssuedInvoice(row.id, row.public_id, row.total_minor, row.currency)
        journals.append(_finalised(issued, row.payer_id, split_by_period(own)))
    book(session, journals, moment.now)


def ship_to_of(row: Any) -> dict[str, str]:
    """Return where it goes for a snapshot, of a row with the columns of an address.

    ``ship_name`` is the recipient's. Empty for what goes nowhere.
    """
    if row.country is None:
        return {}
    return {
        "name": row.ship_name,
        "company": row.company,
        "street": row.street,
        "extra": row.extra,
        "postcode": row.postcode,
        "city": row.city,
        "region": row.region,
        "country": row.country,
    }


@lru_cache(maxsize=256)
def rate_bp(rate: Decimal) -> int:
    """Return a tax rate in percent as hundredths of a percent. Raises ``ValueError``."""
    scaled = rate * 100
    if scaled != scaled.to_integral_value():
        raise ValueError(f"tax rate {rate} is finer than a hundredth of a percent")
    return int(scaled)


_canonical = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str
).encode


def content_hash(parts: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what a document says, over canonical JSON; days are ISO."""
    return sha256(_canonical(parts).encode()).hexdigest()


#: Columns of an invoice and of its lines that a document says. The number is not among them:
#: an offered invoice draws it when it is paid.
_SAID = (
    "public_id",
    "locale",
    "tax_treatment",
    "pay_by",
    "currency",
    "tax_inclusive",
    "total_minor",
    "tax_minor",
    "tax_point_on",
    "due_on",
    "snapshot",
)
_LINE_SAID = (
    "position",
    "kind",
    "text",
    "service_from",
    "service_to",
    "quantity",
    "unit_minor",
    "amount_minor",
    "tax_rate_bp",
    "tax_minor",
    "gross_minor",
    "lowers",
)
_said, _line_said = itemgetter(*_SAID), itemgetter(*_LINE_SAID)


def document_hash(invoice: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> str:
    """Return the hash of an invoice's row and those of its lines, in their order.

    The same from what is about to be written and from what was read: anybody can check that
    a stored document is the one that was issued.
    """
    said = list(_said(invoice))
    return content_hash({"said": said, "lines": [list(_line_said(line)) for line in lines]})


def locales_of(session: AnySession, payer_ids: set[int]) -> dict[int, str]:
    """Return the language each payer reads; empty for the shop's."""
    rows = session.execute(_locales_statement(), {"ids": payer_ids})
    return {row.id: row.locale for row in rows}


@cache
def _locales_statement() -> AnySelect:
    table = table_of(Customer)
    return sa.select(table.c.id, table.c.locale).where(any_of(table.c.id))


def _insert(
    session: AnySession,
    drafts: Sequence[InvoiceDraft],
    state: InvoiceState,
    moment: Moment,
    first_number: int | None,
) -> list[IssuedInvoice]:
    if not drafts:
        return []
    keys = reserve(session, Invoice, len(drafts))
    publics = public_ids("inv", len(drafts))
    locales = locales_of(session, {draft.payer_id for draft in drafts})
    rows: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    issued = []
    for i, (key, public, draft) in enumerate(zip(keys, publics, drafts, strict=True)):
        number = None if first_number is None else first_number + i
        locale = locales.get(draft.payer_id, "")
        row, own = rows_of(key, public, draft, state, number, locale, moment)
        rows.append(row)
        lines += own
        issued.append(IssuedInvoice(key, public, row["total_minor"], row["currency"]))
    insert_many(session, Invoice, rows)
    insert_many(session, InvoiceLine, lines)
    return issued


def rows_of(
    key: int,
    public: str,
    draft: InvoiceDraft,
    state: InvoiceState,
    number: int | None,
    locale: str,
    moment: Moment,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the row of an invoice, hashed, and those of its lines; ``locale`` is the payer's."""
    priced, snapshot = draft.quote, dict(draft.snapshot)
    total = priced.total.minor
    row = {
        "id": key,
        "public_id": public,
        "payer_id": draft.payer_id,
        "checkout_id": draft.checkout_id,
        "state": state,
        "series": INVOICES,
        "number": number,
        "currency": priced.currency,
        "tax_inclusive": priced.inclusive,
        "total_minor": total,
        "tax_minor": priced.tax.minor,
        "credited_minor": 0,
        "applied_minor": 0,
        "paid_minor": 0,
        "due_minor": total,
        "tax_point_on": draft.service_from,
        "due_on": draft.due_on,
        "snapshot": snapshot,
        "locale": locale or snapshot["seller"].get("locale", ""),
        "tax_treatment": draft.tax_treatment,
        "pay_by": draft.pay_by,
        "created_at": moment.now,
        "finalised_at": None if number is None else moment.now,
        "paid_at": None,
    }
    lines = _line_rows(key, draft)
    row["content_hash"] = document_hash(row, lines)
    return row, lines


def _line_rows(invoice_id: int, draft: InvoiceDraft) -> list[dict[str, Any]]:
    inclusive = draft.quote.inclusive
    return [
        {
            "invoice_id": invoice_id,
            "position": position,
            "kind": line.kind,
            "text": line.text,
            "subscription_id": owner.subscription_id,
            "period_id": _period_of(line.kind, draft, owner),
            "service_from": owner.service_from,
            "service_to": owner.service_to,
            "quantity": line.quantity,
            "unit_minor": line.unit.minor,
            "amount_minor": line.amount.minor,
            "tax_rate_bp": rate_bp(line.tax_rate),
            "tax_minor": line.tax.minor,
            "gross_minor": line.amount.minor if inclusive else line.amount.minor + line.tax.minor,
            "credited_minor": 0,
            # A credit names the line it takes from by its reference.
            "corrects_line_id": int(line.ref) if line.kind is LineKind.PRORATION_CREDIT else None,
            "addon_id": line.addon_id,
            "lowers": None if line.lowers is None else line.lowers + 1,
            "is_void": False,
        }
        for position, (line, owner) in enumerate(
            zip(draft.quote.lines, draft.owners(), strict=True), start=1
        )
    ]


def _period_of(kind: LineKind, draft: InvoiceDraft, owner: LinesOf) -> int | None:
    if kind is LineKind.PRORATION_CREDIT and draft.credited_period_id is not None:
        return draft.credited_period_id
    return owner.period_id


def _split_by_owner(draft: InvoiceDraft) -> list[tuple[int | None, int, int, int]]:
    """Return (period, deferred, revenue at once, tax) of a draft, per subscription on it."""
    if not draft.parts:
        return [(draft.period_id, *_split(draft.quote.lines, draft.quote.inclusive))]
    found, start = [], 0
    for part in draft.parts:
        own = draft.quote.lines[start : start + part.count]
        found.append((part.period_id, *_split(own, draft.quote.inclusive)))
        start += part.count
    return found


def _split(lines: Sequence[QuoteLine], inclusive: bool) -> tuple[int, int, int]:
    """Return (deferred, revenue at once, tax) of lines; a change's may be below zero."""
    nets = [line.amount.minor - (line.tax.minor if inclusive else 0) for line in lines]
    deferred = sum(
        net for line, net in zip(lines, nets, strict=True) if line.kind in DEFERRED_KINDS
    )
    return deferred, sum(nets) - deferred, sum(line.tax.minor for line in lines)


def split_lines(lines: Sequence[Any]) -> tuple[int, int, int]:
    """Return (deferred, revenue at once, tax) of invoice lines, as ``_split`` of a quote."""
    net = {line.id: line.gross_minor - line.tax_minor for line in lines}
    deferred = sum(net[line.id] for line in lines if LineKind(line.kind) in DEFERRED_KINDS)
    tax = sum(line.tax_minor for line in lines)
    return deferred, sum(net.values()) - deferred, tax


def split_by_period(lines: Sequence[Any]) -> list[tuple[int | None, int, int, int]]:
    """Return (period, deferred, revenue at once, tax) of invoice lines, per period they pay for.

    Each subscription of a combined invoice earns from its own period. What pays for no period
    is revenue at once, whatever its kind: nothing would ever earn it.
    """
    found = []
    for period in dict.fromkeys(line.period_id for line in lines):
        deferred, revenue, tax = split_lines([one for one in lines if one.period_id == period])
        if period is None:
            deferred, revenue = 0, deferred + revenue
        found.append((period, deferred, revenue, tax))
    return found


def _finalised(
    issued: IssuedInvoice, payer_id: int, parts: Sequence[tuple[int | None, int, int, int]]
) -> Journal:
    def to(account: str, minor: int, period_id: int | None) -> Transfer:
        return Transfer(RECEIVABLE, account, minor, issued.currency, payer_id, issued.id, period_id)

    return Journal(
        JournalKind.INVOICE_FINALISED,
        issued.public_id,
        tuple(
            to(account, minor, period)
            for period, deferred, revenue, tax in parts
            for account, minor in (
                (DEFERRED_REVENUE, deferred),
                (REVENUE, revenue),
                (TAX_PAYABLE, tax),
            )
            if minor
        ),
    )
