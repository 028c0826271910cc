"""Read a shipping tool's file of tracking numbers: which boxes left, arrived or came back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from storefront.domain.product_files import (
    MOST_BYTES,
    MOST_ROWS,
    FileEmpty,
    FileRefused,
    FileTooBig,
    TooManyRows,
    decode,
    read_table,
)

MOST_NUMBER, MOST_CARRIER = 80, 40
#: A program's call holds at most so many rows.
MOST_CALLED = 500

#: Our name -> headings of tools, in lower case.
HEADINGS: Mapping[str, frozenset[str]] = {
    "box": frozenset(
        {
            "box",
            "box id",
            "order",
            "order #",
            "order id",
            "order id (required)",
            "order number",
            "order reference",
            "ordername",
            "reference",
            "[order_no]",
        }
    ),
    "number": frozenset(
        {
            "number",
            "tracking",
            "tracking #",
            "tracking id",
            "tracking no",
            "tracking number",
            "tracking_number",
            "trackingnumber",
            "sendungsnummer",
            "numéro de suivi",
        }
    ),
    "carrier": frozenset(
        {"carrier", "carrier name", "provider", "shipping carrier", "versanddienstleister"}
    ),
    # Not "state": that is a part of addresses.
    "status": frozenset({"delivery status", "status", "tracking status"}),
}


class Status(StrEnum):
    """What a row says of its parcel."""

    SHIPPED = "shipped"
    DELIVERED = "delivered"
    RETURNED = "returned"


_WORDS = {
    "": Status.SHIPPED,
    "shipped": Status.SHIPPED,
    "sent": Status.SHIPPED,
    "in transit": Status.SHIPPED,
    "in_transit": Status.SHIPPED,
    "out_for_delivery": Status.SHIPPED,
    "delivered": Status.DELIVERED,
    "returned": Status.RETURNED,
    "return to sender": Status.RETURNED,
    "return_to_sender": Status.RETURNED,
}


class NoHeadings(FileRefused):
    """No column names a box or a tracking number."""

    code = "no_headings"


@dataclass(frozen=True, slots=True)
class TrackingRow:
    """One row; ``box`` or ``number`` is there."""

    row: int
    box: str
    number: str
    carrier: str
    status: Status
    #: When it is said to have happened, aware; None if that is not said.
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TrackingIssue:
    """Why a row is left out."""

    row: int
    code: str
    value: str = ""


def read_tracking(data: bytes) -> tuple[list[TrackingRow], list[TrackingIssue]]:
    """Return the rows of a file and what is wrong with others. Raises a ``FileRefused``."""
    if len(data) > MOST_BYTES:
        raise FileTooBig(size=len(data), limit=MOST_BYTES)
    table = read_table(decode(data)[0])
    places = _places(next(table, (0, []))[1])
    rows: list[TrackingRow] = []
    issues: list[TrackingIssue] = []
    for at, cells in table:
        if not any(cell.strip() for cell in cells):
            continue
        if len(rows) + len(issues) >= MOST_ROWS:
            raise TooManyRows(limit=MOST_ROWS)
        found = _row(at, {name: _cell(cells, place) for name, place in places.items()})
        if isinstance(found, TrackingRow):
            rows.append(found)
        else:
            issues.append(found)
    if not rows and not issues:
        raise FileEmpty
    return rows, issues


def read_called(items: Sequence[Any]) -> tuple[list[TrackingRow], list[TrackingIssue]]:
    """Return the rows of a program's call, counted from 1, and what is wrong with others.

    Each is an object with ``box`` or ``number``, and perhaps ``carrier``, ``state`` and ``at``.
    """
    rows: list[TrackingRow] = []
    issues: list[TrackingIssue] = []
    for at, item in enumerate(items, start=1):
        found = _called(at, item)
        if isinstance(found, TrackingRow):
            rows.append(found)
        else:
            issues.append(found)
    return rows, issues


_NAMES = {"box": "box", "number": "number", "carrier": "carrier", "status": "state"}


def _called(at: int, item: Any) -> TrackingRow | TrackingIssue:
    if not isinstance(item, Mapping):
        return TrackingIssue(at, "no_object")
    given = {name: item.get(key) or "" for name, key in _NAMES.items()}
    wrong = [str(each)[:80] for each in given.values() if not is_text(each)]
    if wrong:
        return TrackingIssue(at, "no_text", wrong[0])
    row = _row(at, {name: " ".join(text.split()) for name, text in given.items()})
    when = item.get("at") or ""
    if not when or isinstance(row, TrackingIssue):
        return row
    moment = read_moment(when)
    return replace(row, at=moment) if moment else TrackingIssue(at, "bad_time", str(when)[:80])


def is_text(value: Any) -> bool:
    """Return whether ``value`` is a text that both databases can hold."""
    if not isinstance(value, str) or "\0" in value:
        return False
    return not any("\ud800" <= sign <= "\udfff" for sign in value)


def read_moment(text: Any) -> datetime | None:
    """Return an instant written with its offset, as ``2027-03-04T10:00:00+01:00``, else None."""
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo is not None else None


def _places(heading: Sequence[str]) -> dict[str, int]:
    places: dict[str, int] = {}
    for place, words in enumerate(heading):
        plain = words.strip().casefold()
        for name, known in HEADINGS.items():
            if plain in known:
                places.setdefault(name, place)
    if not {"box", "number"} & set(places):
        raise NoHeadings(missing=["box", "tracking number"])
    return places


def _cell(cells: Sequence[str], place: int) -> str:
    text = cells[place] if place < len(cells) else ""
    return " ".join(text.strip().removeprefix("'").split())


def _row(at: int, cells: Mapping[str, str]) -> TrackingRow | TrackingIssue:
    box, number = cells.get("box", ""), cells.get("number", "")
    carrier, word = cells.get("carrier", ""), cells.get("status", "").casefold()
    if not box and not number:
        return TrackingIssue(at, "missing")
    if len(number) > MOST_NUMBER or len(carrier) > MOST_CARRIER:
        return TrackingIssue(at, "too_long", number if len(number) > MOST_NUMBER else carrier)
    if not number and not word:
        # A list of orders, say, uploaded by mistake: it would send every box off for good.
        return TrackingIssue(at, "nothing_said")
    if word not in _WORDS:
        return TrackingIssue(at, "unknown_status", cells["status"])
    return TrackingRow(at, box, number, carrier, _WORDS[word])
