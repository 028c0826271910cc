"""The accounting export: its files, their columns, and sums that must agree with the ledger.

Source: docs/decisions/0079-accounting-export.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from storefront.domain.errors import DomainError
from storefront.domain.ledger import BANK
from storefront.domain.money import exponent

JOURNALS = (
    "journal",
    "kind",
    "event",
    "at_utc",
    "day",
    "debit",
    "debit_code",
    "credit",
    "credit_code",
    "amount",
    "amount_minor",
    "currency",
    "customer",
    "invoice",
)
INVOICES = (
    "document",
    "kind",
    "corrects",
    "date",
    "tax_point",
    "country",
    "treatment",
    "customer",
    "line_kind",
    "text",
    "service_from",
    "service_to",
    "quantity",
    "net",
    "tax_percent",
    "tax",
    "gross",
    "currency",
)
PAYMENTS = (
    "day",
    "at_utc",
    "kind",
    "payment",
    "account",
    "amount",
    "currency",
    "customer",
    "invoice",
    "gateway_reference",
)
TAX = ("country", "treatment", "tax_percent", "currency", "net", "tax")
SUMMARY = ("account", "code", "currency", "opening", "debits", "credits", "closing")


class TotalsDiffer(DomainError):
    """What a file of the export sums to is not what the ledger says: nothing is published."""

    code = "totals_differ"


class RangeNotDays(DomainError):
    """The last day of a range is before its first."""

    code = "range_not_days"


def amount(minor: int, currency: str) -> Decimal:
    """Return minor units as a number with the currency's decimals, for a cell.

    A number, not text: a cell of text with a minus in front would be quoted against formulas.

    >>> amount(-1250, "EUR"), amount(1250, "JPY"), amount(5, "KWD")
    (Decimal('-12.50'), Decimal('1250'), Decimal('0.005'))
    """
    return Decimal(minor).scaleb(-exponent(currency))


def percent(rate_bp: int) -> Decimal:
    """Return hundredths of a percent as percent.

    >>> percent(1900), percent(550)
    (Decimal('19'), Decimal('5.5'))
    """
    return Decimal(f"{Decimal(rate_bp) / 100:f}")


def instant(at: datetime) -> str:
    """Return an instant as the files say it.

    >>> instant(datetime(2027, 3, 2, 9, 0, 0, 123, tzinfo=UTC))
    '2027-03-02T09:00:00Z'
    """
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_money(account: str) -> bool:
    """Return whether an account holds money that came in: the bank's or a gateway's.

    >>> is_money("clearing:demo"), is_money("bank"), is_money("receivable")
    (True, True, False)
    """
    return account == BANK or account.startswith("clearing:")


def require_equal(
    file: str, what: str, written: Mapping[str, int], ledger: Mapping[str, int]
) -> None:
    """Compare sums per currency in minor units. Raises ``TotalsDiffer`` naming the first one.

    >>> require_equal("tax.csv", "tax", {"EUR": 0}, {})
    >>> require_equal("tax.csv", "tax", {"EUR": 399}, {"EUR": 400})
    Traceback (most recent call last):
    storefront.domain.accounting.TotalsDiffer: tax.csv: tax in EUR is 3.99, the ledger says 4.00
    """
    for currency in sorted({*written, *ledger}):
        ours, theirs = written.get(currency, 0), ledger.get(currency, 0)
        if ours != theirs:
            said = f"{what} in {currency} is {amount(ours, currency)}"
            raise TotalsDiffer(
                f"{file}: {said}, the ledger says {amount(theirs, currency)}",
                file=file,
                what=what,
                currency=currency,
                written=str(amount(ours, currency)),
                ledger=str(amount(theirs, currency)),
            )
