"""Rows of the bank's database: read one, write one, and what an answer of the bank is in it."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import fields
from typing import Any, TypeVar

from storefront.hooks import AnswerStatus, DeclineKind
from storefront_demo_gateway.cards import Behaviour
from storefront_demo_gateway.records import BankCharge, BankDispute, BankRefund, BankSetup

Row = TypeVar("Row", BankSetup, BankCharge, BankRefund, BankDispute)
_REFUSED_BY_CUSTOMER = ("declined", "authentication_failed", "soft")
#: What must be equal for a repeat to be a repeat.
SAME = ("token", "amount_minor", "currency")
TABLES = {
    BankSetup: "setup",
    BankCharge: "charge",
    BankRefund: "refund",
    BankDispute: "dispute",
}


def faults_on(db: sqlite3.Connection) -> set[str]:
    return {row["name"] for row in db.execute("SELECT name FROM fault")}


def select(kind: type[Any]) -> str:
    return f"SELECT {', '.join(each.name for each in fields(kind))} FROM {TABLES[kind]}"  # noqa: S608


def maybe_one(db: sqlite3.Connection, kind: type[Row], column: str, value: str) -> Row | None:
    row = db.execute(f"{select(kind)} WHERE {column} = ?", (value,)).fetchone()
    return kind(**row) if row is not None else None


def one_of(db: sqlite3.Connection, kind: type[Row], column: str, value: str) -> Row:
    row = maybe_one(db, kind, column, value)
    if row is None:
        raise LookupError(f"no {TABLES[kind]} with that {column}")
    return row


def insert(db: sqlite3.Connection, table: str, **values: Any) -> None:
    """Add a row; one with the same key stays as it is."""
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    db.execute(
        f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING",  # noqa: S608
        tuple(values.values()),
    )


def update(db: sqlite3.Connection, table: str, reference: str, **values: Any) -> None:
    sets = ", ".join(f"{name} = ?" for name in values)
    db.execute(
        f"UPDATE {table} SET {sets} WHERE reference = ?",  # noqa: S608
        (*values.values(), reference),
    )


def as_result(behaviour: Behaviour) -> dict[str, str]:
    return {
        "status": behaviour.status.value,
        "reason": behaviour.reason,
        "decline": behaviour.decline.value if behaviour.decline else "",
    }


def refused() -> dict[str, str]:
    return dict(zip(("status", "reason", "decline"), _REFUSED_BY_CUSTOMER, strict=True))


def keep_in_vault(db: sqlite3.Connection, token: str) -> None:
    if token:
        insert(db, "vault", token=token)


def mark_confirmed(db: sqlite3.Connection, token: str) -> None:
    keep_in_vault(db, token)
    db.execute("UPDATE vault SET is_confirmed = 1 WHERE token = ?", (token,))


def give_back(db: sqlite3.Connection, details: dict[str, Any]) -> str:
    """Raise the refunded sum of a charge; return a reason if that may not be."""
    changed = db.execute(
        "UPDATE charge SET refunded_minor = refunded_minor + ? WHERE reference = ? "
        "AND status = 'succeeded' AND currency = ? AND refunded_minor + ? <= amount_minor",
        (
            details["amount_minor"],
            details["charge_reference"],
            details["currency"],
            details["amount_minor"],
        ),
    )
    return "" if changed.rowcount == 1 else "more_than_taken"


def behaviour_from(raw: str) -> Behaviour:
    values = json.loads(raw)
    decline = DeclineKind(values["decline"]) if values.get("decline") else None
    return Behaviour(**{**values, "status": AnswerStatus(values["status"]), "decline": decline})
