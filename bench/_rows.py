"""Read what a run of renewals wrote, and sort it into the batches and commits it came in."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from bench._places import Place

BATCH = 100
#: Tables that opening the periods inserts into, and that recording the answers does, each in
#: the order of their foreign keys.
FIRST = (
    "subscription_period",
    "invoice",
    "invoice_line",
    "ledger_journal",
    "ledger_transfer",
    "charge_attempt",
)
LAST = (
    "ledger_journal",
    "ledger_transfer",
    "box",
    "subscription_event",
    "outbox_message",
    "movement",
)
#: The kind of journal that is written with the invoice; the others come with the answer.
_WITH_INVOICE = "invoice_finalised"


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of 100 renewals, whole, by table; and the keys and values of the updates."""

    first: dict[str, list[Any]]
    last: dict[str, list[Any]]
    #: next_on, next_number, billed_count, boxes_billed, renews_at, mrr_minor, id
    subscriptions: list[Any]
    invoices: list[tuple[int]]
    attempts: list[tuple[int]]
    periods: list[tuple[int]]


class _Table:
    """The new rows of one table, in key order, found by the value of a column."""

    def __init__(self, connection: Any, name: str, above: int) -> None:
        cursor = connection.execute(f"SELECT * FROM {name} WHERE id > {above} ORDER BY id")
        self._names = [column[0] for column in cursor.description]
        self.rows = cursor.fetchall()

    def place(self, column: str) -> int:
        return self._names.index(column)

    def by(self, column: str) -> dict[Any, list[Any]]:
        place, found = self.place(column), defaultdict(list)
        for row in self.rows:
            found[row[place]].append(row)
        return found


def written(place: Place, after: str, before: str) -> list[Batch]:
    """Return what the database ``after`` has more than ``before``, in batches of invoices."""
    names = sorted({*FIRST, *LAST})
    old = place.connect(before)
    highest = {
        name: old.execute(f"SELECT coalesce(max(id), 0) FROM {name}").fetchone()[0]
        for name in names
    }
    old.close()
    new = place.connect(after)
    tables = {name: _Table(new, name, highest[name]) for name in names}
    changed = new.execute(
        "SELECT next_on, next_number, billed_count, boxes_billed, renews_at, mrr_minor, id"
        " FROM subscription"
    ).fetchall()
    new.close()
    return _batches(tables, {row[-1]: row for row in changed})


def _batches(tables: dict[str, _Table], changed: dict[int, Any]) -> list[Batch]:
    lines = tables["invoice_line"].by("invoice_id")
    transfers = tables["ledger_transfer"].by("invoice_id")
    attempts = tables["charge_attempt"].by("invoice_id")
    journals, periods = tables["ledger_journal"].by("id"), tables["subscription_period"].by("id")
    boxes = tables["box"].by("period_id")
    of_subscription = {
        name: tables[name].by("subscription_id") for name in ("subscription_event", "movement")
    }
    period_of = tables["invoice_line"].place("period_id")
    subscription_of = tables["invoice_line"].place("subscription_id")
    journal_of = tables["ledger_transfer"].place("journal_id")
    kind_of = tables["ledger_journal"].place("kind")
    invoices, messages = tables["invoice"].rows, tables["outbox_message"].rows
    batches = []
    for start in range(0, len(invoices), BATCH):
        first: dict[str, list[Any]] = {name: [] for name in FIRST}
        last: dict[str, list[Any]] = {name: [] for name in LAST}
        subscriptions = []
        first["invoice"] = invoices[start : start + BATCH]
        last["outbox_message"] = messages[start : start + BATCH]
        for invoice in first["invoice"]:
            key = invoice[0]
            period, subscription = lines[key][0][period_of], lines[key][0][subscription_of]
            first["invoice_line"] += lines[key]
            first["charge_attempt"] += attempts[key]
            first["subscription_period"] += periods[period]
            last["box"] += boxes[period]
            for name, rows in of_subscription.items():
                last[name] += rows[subscription]
            for journal in dict.fromkeys(row[journal_of] for row in transfers[key]):
                commit = first if journals[journal][0][kind_of] == _WITH_INVOICE else last
                commit["ledger_journal"] += journals[journal]
            for row in transfers[key]:
                journal = journals[row[journal_of]][0]
                commit = first if journal[kind_of] == _WITH_INVOICE else last
                commit["ledger_transfer"].append(row)
            subscriptions.append(changed[subscription])
        keys = {
            name: [(row[0],) for row in first[name]]
            for name in ("invoice", "charge_attempt", "subscription_period")
        }
        batches.append(
            Batch(
                first,
                last,
                subscriptions,
                keys["invoice"],
                keys["charge_attempt"],
                keys["subscription_period"],
            )
        )
    return batches
