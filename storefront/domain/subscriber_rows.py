"""Running subscribers of another system, read from a CSV file into plain values.

A reader never guesses: what it cannot read for certain makes a ``Finding`` with a stable code,
and the row is left out. Codes are worded by the page. Nothing here knows a database: whether
a plan or a stored card is there is judged in ``operations.subscriber_imports``.
Source: docs/decisions/0131-import-of-subscribers.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import cast

from storefront.domain.money import exponent
from storefront.domain.periods import Interval, Unit, add_interval, period_number
from storefront.domain.privacy import NotAnEmail, mask_card_numbers, normalise_email
from storefront.domain.product_files import (
    MOST_BYTES,
    FileEmpty,
    FileRefused,
    FileTooBig,
    TooManyRows,
    decode,
    read_table,
)
from storefront.domain.product_rows import Row

MOST_ROWS = 50_000

#: Column -> whether every row must fill it. Headings are these names; see docs/importing.md.
COLUMNS: Mapping[str, bool] = {
    "source": True,
    "id": True,
    "email": True,
    "name": True,
    "company": False,
    "street": True,
    "extra": False,
    "postcode": True,
    "city": True,
    "region": False,
    "country": True,
    "plan": True,
    "price_id": False,
    "interval": False,
    "amount": False,
    "currency": False,
    "quantity": False,
    "options": False,
    "next_charge_on": True,
    "started_on": False,
    "status": False,
    "paused_until": False,
    "locale": False,
    "gateway": True,
    "gateway_account": False,
    "gateway_customer": False,
    "gateway_method": True,
    "last4": False,
    "billed_elsewhere": False,
}
ADDRESS = ("name", "company", "street", "extra", "postcode", "city", "region", "country")
_LIMITS = {
    "source": 40,
    "id": 120,
    "email": 254,
    "name": 80,
    "company": 80,
    "street": 120,
    "extra": 120,
    "postcode": 16,
    "city": 80,
    "region": 80,
    "gateway_customer": 120,
}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_INTERVAL = re.compile(r"(?:(\d{1,3})\s*)?(day|week|month|year)s?")
_YES = {"1", "true", "yes", "y", "x"}
_NO = {"", "0", "false", "no", "n"}
_MOST_QUANTITY = 1000
#: A next charge further ahead is believed to be a typing error.
_FURTHEST = timedelta(days=3 * 366)


class MissingColumns(FileRefused):
    """The heading lacks columns (``missing``); ``found`` is what it holds."""

    code = "missing_columns"


class Level(StrEnum):
    """How much a finding matters: the row is left out, or taken with a warning, or is here."""

    ERROR = "error"
    WARNING = "warning"
    HERE = "here"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is to be said of one cell; ``row`` counts like a spreadsheet (the heading is 1).

    ``right`` is what would be right, where that can be named: a day, or the known codes.
    """

    row: int
    column: str
    code: str
    value: str = ""
    right: str = ""
    level: Level = Level.ERROR


@dataclass(frozen=True, slots=True)
class SubscriberRow:
    """One running subscription as the other system had it. Days are shop-local."""

    row: int
    source: str
    ref: str
    email: str
    #: By the names in ``ADDRESS``.
    address: Mapping[str, str]
    plan: str
    price_id: str
    interval: Interval | None
    #: What one interval costs, in minor units of ``currency``; None where the file has none.
    amount_minor: int | None
    currency: str
    quantity: int
    options: Mapping[str, str]
    next_charge_on: date
    started_on: date | None
    paused_until: date | None
    locale: str
    gateway: str
    account: str
    gateway_customer: str
    token: str
    last4: str
    is_billed_elsewhere: bool


@dataclass(frozen=True, slots=True)
class SubscriberFile:
    """The rows that can be read, and what is wrong with the others."""

    row_count: int
    rows: tuple[SubscriberRow, ...]
    findings: tuple[Finding, ...] = field(default=())


def read_subscribers(
    data: bytes, currency: str, today: date, languages: Sequence[str]
) -> SubscriberFile:
    """Return the subscribers in ``data``; ``currency`` holds where a row names none.

    Raises a ``FileRefused``; a single bad row makes findings instead and is left out.
    """
    if len(data) > MOST_BYTES:
        raise FileTooBig(size=len(data), limit=MOST_BYTES)
    table = read_table(decode(data)[0])
    heading = next(table, (0, []))[1]
    rows: list[SubscriberRow] = []
    findings: list[Finding] = []
    count = 0
    for cells in _rows(table, heading):
        count += 1
        if count > MOST_ROWS:
            raise TooManyRows(limit=MOST_ROWS)
        reader = _Reader(cells, currency, today, tuple(languages))
        read = reader.read()
        findings += reader.findings
        if read is not None:
            rows.append(read)
    if not count:
        raise FileEmpty
    kept, clashes = _once_each(rows)
    return SubscriberFile(count, tuple(kept), tuple(findings + clashes))


def turn_after(day: date, interval: Interval, today: date) -> date:
    """Return the first day of the grid of ``day`` that comes after ``today``.

    >>> turn_after(date(2027, 1, 31), Interval("month"), date(2027, 3, 2))
    datetime.date(2027, 3, 31)
    """
    return add_interval(day, interval, period_number(day, interval, today) + 1)


def _rows(table: Iterator[tuple[int, list[str]]], heading: Sequence[str]) -> Iterator[Row]:
    names = ["_".join(re.split(r"[\s_\-]+", name.strip().lower())) for name in heading]
    places = {name: at for at, name in reversed([*enumerate(names)]) if name in COLUMNS}
    missing = [name for name, needed in COLUMNS.items() if needed and name not in places]
    if missing:
        found = [name.strip()[:40] for name in heading if name.strip()]
        raise MissingColumns(missing=missing, found=found[:6])
    for number, cells in table:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(heading) and any(cell.strip() for cell in cells[len(heading) :]):
            # One comma too many moves every cell behind it: nothing in such a row is certain.
            row = Row(number, {}, {})
            row.complain("source", "too_many_cells", str(len(cells)))
        else:
            values = {ours: cells[at] if at < len(cells) else "" for ours, at in places.items()}
            row = Row(number, values, {})
        yield row


@dataclass(slots=True)
class _Reader:
    """Reads one row; what is wrong with it gathers in ``findings``."""

    row: Row
    currency: str
    today: date
    languages: tuple[str, ...]
    findings: list[Finding] = field(default_factory=list)

    def read(self) -> SubscriberRow | None:
        """Return the row, None where something in it cannot be read."""
        if self.row.issues:
            self._say_issues()
            return None
        for column, needed in COLUMNS.items():
            if needed and not self.row.text(column):
                self._say(column, "missing")
        texts = {name: self.row.line(name, limit) for name, limit in _LIMITS.items()}
        token = self._token()
        currency = self._currency()
        status = self._one_of("status", ("active", "paused"), "active")
        paused_until = self._paused_until(status)
        interval = self._interval()
        next_on = self._next_charge(interval, paused_until)
        read = {
            "email": self._email(texts["email"]),
            "amount": self.row.amount("amount", currency),
            "quantity": self._quantity(),
            "options": self._options(),
            "started_on": self._started_on(),
            "locale": self._one_of("locale", self.languages, ""),
            "last4": self._last4(),
            "billed_elsewhere": self._flag("billed_elsewhere"),
        }
        if self.row.issues or self.findings or next_on is None:
            self._say_issues()
            return None
        address = {name: texts.get(name, "") for name in ADDRESS}
        address["country"] = self.row.text("country").upper()
        return SubscriberRow(
            row=self.row.number,
            source=texts["source"],
            ref=texts["id"],
            email=cast(str, read["email"]),
            address=address,
            plan=self.row.text("plan"),
            price_id=self.row.text("price_id"),
            interval=interval,
            amount_minor=cast("int | None", read["amount"]),
            currency=currency,
            quantity=cast(int, read["quantity"]),
            options=cast("Mapping[str, str]", read["options"]),
            next_charge_on=next_on,
            started_on=cast("date | None", read["started_on"]),
            paused_until=paused_until,
            locale=cast(str, read["locale"]),
            gateway=self.row.text("gateway").lower(),
            account=self.row.text("gateway_account"),
            gateway_customer=texts["gateway_customer"],
            token=token,
            last4=cast(str, read["last4"]),
            is_billed_elsewhere=cast(bool, read["billed_elsewhere"]),
        )

    def _say_issues(self) -> None:
        self.findings += [
            Finding(one.row, one.column, one.code, one.value) for one in self.row.issues
        ]

    def _say(self, column: str, code: str, right: str = "", value: str | None = None) -> None:
        shown = self.row.text(column) if value is None else value
        self.findings.append(Finding(self.row.number, column, code, shown[:80], right))

    def _email(self, text: str) -> str:
        try:
            return normalise_email(text)
        except NotAnEmail:
            if text:
                self._say("email", "not_an_email")
            return ""

    def _token(self) -> str:
        """Return the stored method's id at the gateway; a card number is never taken."""
        token = self.row.text("gateway_method")
        masked = mask_card_numbers(token)
        if masked != token:
            self._say("gateway_method", "card_number", value=masked)
        elif len(token) > 255 or any(sign.isspace() for sign in token):
            self._say("gateway_method", "not_a_token")
        return token

    def _currency(self) -> str:
        text = self.row.text("currency").upper() or self.currency
        try:
            exponent(text)
        except (KeyError, ValueError):
            self._say("currency", "not_a_currency", right=self.currency)
            return self.currency
        return text

    def _one_of(self, column: str, known: Sequence[str], default: str) -> str:
        text = self.row.text(column).lower() or default
        if text not in known and text != default:
            self._say(column, "unknown_word", right=", ".join(known))
        return text

    def _flag(self, column: str) -> bool:
        text = self.row.text(column).lower()
        if text not in _YES | _NO:
            self._say(column, "unknown_word", right="yes, no")
        return text in _YES

    def _last4(self) -> str:
        text = self.row.text("last4")
        if text and not re.fullmatch(r"\d{4}", text):
            self._say("last4", "not_last4", value=mask_card_numbers(text))
        return text

    def _quantity(self) -> int:
        number = self.row.pieces("quantity") if self.row.text("quantity") else 1
        if number is not None and not 1 <= number <= _MOST_QUANTITY:
            self._say("quantity", "not_a_quantity", right=f"1 – {_MOST_QUANTITY}")
        return number or 1

    def _options(self) -> dict[str, str]:
        """Return ``size=large; taste=dark`` as what it says."""
        parts = [part.strip() for part in self.row.text("options").split(";") if part.strip()]
        pairs = [tuple(side.strip() for side in part.split("=")) for part in parts]
        if any(len(pair) != 2 or not all(pair) for pair in pairs):
            self._say("options", "not_options")
            return {}
        return {pair[0]: pair[1] for pair in pairs}

    def _interval(self) -> Interval | None:
        text = self.row.text("interval").lower()
        if not text:
            return None
        match = _INTERVAL.fullmatch(text)
        if match is None or (match[1] and not int(match[1])):
            self._say("interval", "not_an_interval")
            return None
        return Interval(cast(Unit, match[2]), int(match[1] or 1))

    def _day(self, column: str) -> date | None:
        text = self.row.text(column)
        if not text:
            return None
        try:
            if _DAY.fullmatch(text):
                return date.fromisoformat(text)
        except ValueError:
            pass  # Said below: a day there is not, such as 2027-02-30.
        self._say(column, "not_a_day")
        return None

    def _next_charge(self, interval: Interval | None, paused_until: date | None) -> date | None:
        """Return the day of the next charge; one that has come is never charged afterwards."""
        day = self._day("next_charge_on")
        if day is None:
            return None
        if day <= self.today:
            right = turn_after(day, interval, self.today).isoformat() if interval else ""
            self._say("next_charge_on", "has_come", right)
        elif day - self.today > _FURTHEST:
            self._say("next_charge_on", "too_far", (self.today + _FURTHEST).isoformat())
        elif paused_until is not None and day < paused_until:
            self._say("next_charge_on", "before_pause_ends", paused_until.isoformat())
        return day

    def _started_on(self) -> date | None:
        day = self._day("started_on")
        if day is not None and day > self.today:
            self._say("started_on", "in_future", self.today.isoformat())
        return day

    def _paused_until(self, status: str) -> date | None:
        day = self._day("paused_until")
        if status != "paused":
            if day is not None:
                self._say("paused_until", "not_paused")
            return None
        if day is None and not self.row.text("paused_until"):
            self._say("paused_until", "missing")
        elif day is not None and day <= self.today:
            self._say("paused_until", "pause_over")
        return day


def _once_each(rows: Sequence[SubscriberRow]) -> tuple[list[SubscriberRow], list[Finding]]:
    """Leave out what an earlier row of the file has already: an id, or another's card."""
    seen: dict[tuple[str, str], int] = {}
    owners: dict[tuple[str, str], str] = {}
    kept, findings = [], []
    for row in rows:
        first = seen.setdefault((row.source, row.ref), row.row)
        if first != row.row:
            findings.append(Finding(row.row, "id", "id_twice", row.ref, str(first)))
        elif owners.setdefault((row.gateway, row.token), row.email) != row.email:
            findings.append(Finding(row.row, "gateway_method", "others_card", row.token[:80]))
        else:
            kept.append(row)
    return kept, findings


__all__ = [
    "ADDRESS",
    "COLUMNS",
    "MOST_ROWS",
    "Finding",
    "Level",
    "MissingColumns",
    "SubscriberFile",
    "SubscriberRow",
    "read_subscribers",
    "turn_after",
]
