"""The demo bank: own books, own database, real idempotency. The witness of every test.

A charge is executed in one transaction of the bank's own SQLite file, with full sync, so
killing any process at any moment leaves books that are true. What the bank does with each
card stands in ``cards.py``.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any, TypeVar

from storefront.hooks import AnswerStatus, DeclineKind
from storefront_demo_gateway.cards import (
    CARDS,
    DOWN,
    NO_SUCH_METHOD,
    OK,
    Behaviour,
    card_of,
)
from storefront_demo_gateway.records import AnswerLost, BankCharge, BankRefund, BankSetup
from storefront_demo_gateway.store import Store

Row = TypeVar("Row", BankSetup, BankCharge, BankRefund)
#: Faults that can be switched on for everybody: ``down`` (nothing happens, no answer),
#: ``lost`` (it happens, no answer), ``lookup_down`` (only questions get no answer).
FAULTS = frozenset({"down", "lost", "lookup_down"})
_REFUSED_BY_CUSTOMER = ("declined", "authentication_failed", "soft")


def system_now() -> datetime:
    """The bank's own wall clock, where nobody gives it another."""
    return datetime.now(UTC)


class Bank:
    """All state is in the database; several processes may open the same file."""

    def __init__(
        self,
        path: str = ":memory:",
        *,
        now: Callable[[], datetime] = system_now,
        sleep: Callable[[float], None] = time.sleep,
        intent_check: Callable[[str], bool] | None = None,
        is_durable: bool = True,
    ) -> None:
        """``intent_check(reference)`` says whether the shop has that attempt on disk; a charge
        it denies is refused and written to ``violations``. Books that are not durable are on
        the disk once they are closed.
        """
        self._store = Store(path, is_durable=is_durable)
        self._now, self._sleep, self._intent_check = now, sleep, intent_check

    # ------------------------------------------------------------------------------- set-up

    def open_setup(self, reference: str, details: dict[str, Any]) -> BankSetup:
        """Open a page to choose a card on; the same reference again is the same page."""
        self._answer_or_fail("down")
        values = {"page_key": secrets.token_urlsafe(18), "status": "action_required", **details}
        with self._store.writing() as db:
            _insert(db, "setup", reference=reference, **values)
            return _one(db, BankSetup, "reference", reference)

    def setup_of(self, reference: str) -> BankSetup | None:
        self._answer_or_fail("down", "lookup_down")
        return self._find(BankSetup, "reference", reference)

    def setup_of_page(self, page_key: str) -> BankSetup | None:
        return self._find(BankSetup, "page_key", page_key)

    def choose(self, page_key: str, last4: str) -> BankSetup:
        """The customer took a card. Raises ``LookupError`` for a card or page there is not.

        A set-up that is decided stays as it is, so a double click stores one method.
        """
        card = CARDS[last4]
        with self._store.writing() as db:
            setup = _one(db, BankSetup, "page_key", page_key)
            if setup.status != "action_required":
                return setup
            token = f"demo_{last4}_{secrets.token_urlsafe(12)}"
            behaviour = card.saved if setup.amount_minor is None else OK
            if behaviour.status is AnswerStatus.DECLINED:
                token = ""
            _update(db, "setup", setup.reference, token=token, **_result(behaviour))
            _vault(db, token)
            return _one(db, BankSetup, "page_key", page_key)

    def confirm_setup(self, page_key: str, is_confirmed: bool) -> BankSetup:
        """The customer answered their bank about saving the card."""
        with self._store.writing() as db:
            setup = _one(db, BankSetup, "page_key", page_key)
            if setup.status == "action_required" and setup.token:
                if is_confirmed:
                    _update(db, "setup", setup.reference, **_result(OK))
                    _mark_confirmed(db, setup.token)
                else:
                    _update(db, "setup", setup.reference, token="", **_refused())
            return _one(db, BankSetup, "page_key", page_key)

    # ------------------------------------------------------------------------------- charges

    def charge(self, reference: str, details: dict[str, Any]) -> BankCharge:
        """Execute once per ``reference``. ``details`` are the other values of the order.

        Raises ``AnswerLost`` when told to lose the answer, ``ValueError`` if the reference was
        used for something else or the shop never wrote its intent down.
        """
        self._check_intent(reference)
        with self._store.writing() as db:
            faults = _faults(db)
            if "down" in faults:
                raise AnswerLost("down")
            known = _maybe(db, BankCharge, "reference", reference)
            if known is not None:
                if any(details[name] != getattr(known, name) for name in _SAME):
                    raise ValueError("key_reused")
                return known
            behaviour = self._behaviour(db, details["token"], details["on_session"])
            if behaviour != DOWN:
                self._execute(db, reference, details, behaviour)
                known = _one(db, BankCharge, "reference", reference)
        if behaviour.delay:
            self._sleep(behaviour.delay)
        if known is None or behaviour.is_lost or "lost" in faults:
            raise AnswerLost(reference)
        return known

    def _check_intent(self, reference: str) -> None:
        if self._intent_check is None or self._intent_check(reference):
            return
        with self._store.writing() as db:
            _insert(db, "violation", reference=reference, what="no intent on disk")
        raise ValueError("intent_missing")

    def _execute(
        self, db: sqlite3.Connection, reference: str, details: dict[str, Any], behaviour: Behaviour
    ) -> None:
        values = {name: value for name, value in details.items() if name != "on_session"}
        gateway_reference = f"demo_ch_{secrets.token_urlsafe(12)}"
        _insert(
            db,
            "charge",
            reference=reference,
            gateway_reference=gateway_reference,
            created_at=self._now().isoformat(),
            **values,
            **_result(behaviour),
        )
        if behaviour.status is AnswerStatus.SUCCEEDED:
            self._take_money(db, reference)

    def _take_money(self, db: sqlite3.Connection, reference: str) -> None:
        db.execute(
            "INSERT INTO executed (reference, invoice, amount_minor, currency, executed_at) "
            "SELECT reference, invoice, amount_minor, currency, ? FROM charge WHERE reference = ?",
            (self._now().isoformat(), reference),
        )

    def _behaviour(self, db: sqlite3.Connection, token: str, on_session: bool) -> Behaviour:
        scripted = db.execute(
            "DELETE FROM script WHERE id = (SELECT min(id) FROM script WHERE token = ?) "
            "RETURNING behaviour",
            (token,),
        ).fetchone()
        if scripted is not None:
            return _behaviour_from(scripted["behaviour"])
        card = card_of(token)
        vaulted = db.execute("SELECT * FROM vault WHERE token = ?", (token,)).fetchone()
        if card is None or (vaulted is not None and vaulted["is_gone"]):
            return NO_SUCH_METHOD
        behaviour = card.on_session if on_session else card.renewal
        if behaviour.once_confirmed and vaulted is not None and vaulted["is_confirmed"]:
            return OK
        return behaviour

    def charge_of(self, reference: str) -> BankCharge | None:
        self._answer_or_fail("down", "lookup_down")
        return self._find(BankCharge, "reference", reference)

    def charge_of_page(self, gateway_reference: str) -> BankCharge | None:
        return self._find(BankCharge, "gateway_reference", gateway_reference)

    def confirm_charge(self, gateway_reference: str, is_confirmed: bool) -> BankCharge:
        """The customer answered their bank; only a charge that waits can change."""
        with self._store.writing() as db:
            charge = _one(db, BankCharge, "gateway_reference", gateway_reference)
            if charge.status == "action_required":
                if is_confirmed:
                    _update(db, "charge", charge.reference, **_result(OK))
                    _mark_confirmed(db, charge.token)
                    self._take_money(db, charge.reference)
                else:
                    _update(db, "charge", charge.reference, **_refused())
            return _one(db, BankCharge, "gateway_reference", gateway_reference)

    def settle(self, reference: str, behaviour: Behaviour) -> BankCharge:
        """Days later: give a pending charge its final answer (for tests)."""
        with self._store.writing() as db:
            charge = _one(db, BankCharge, "reference", reference)
            if charge.status == "pending":
                _update(db, "charge", reference, **_result(behaviour))
                if behaviour.status is AnswerStatus.SUCCEEDED:
                    self._take_money(db, reference)
            return _one(db, BankCharge, "reference", reference)

    def cancel(self, reference: str) -> BankCharge | None:
        """Stop a charge that waits for the customer; others stay as they are."""
        self._answer_or_fail("down")
        with self._store.writing() as db:
            charge = _maybe(db, BankCharge, "reference", reference)
            if charge is not None and charge.status == "action_required":
                _update(
                    db, "charge", reference, status="declined", reason="cancelled", decline="soft"
                )
            return _maybe(db, BankCharge, "reference", reference)

    def charges_since(self, since: str) -> Sequence[BankCharge]:
        """Charges that took money, created at or after ``since`` (ISO, UTC), oldest first."""
        self._answer_or_fail("down", "lookup_down")
        query = f"{_select(BankCharge)} WHERE status = 'succeeded' AND created_at >= ? ORDER BY id"
        with self._store.reading() as db:
            return [BankCharge(**row) for row in db.execute(query, (since,))]

    # ------------------------------------------------------------------- refunds and methods

    def refund(self, reference: str, details: dict[str, Any]) -> BankRefund:
        """Give back once per ``reference``; more than was taken is declined."""
        self._answer_or_fail("down")
        with self._store.writing() as db:
            known = _maybe(db, BankRefund, "reference", reference)
            if known is None:
                reason = _give_back(db, details)
                status = "declined" if reason else "succeeded"
                own = f"demo_re_{secrets.token_urlsafe(12)}"
                values = {"status": status, "reason": reason, "gateway_reference": own, **details}
                _insert(db, "refund", reference=reference, **values)
            elif known.amount_minor != details["amount_minor"]:
                raise ValueError("key_reused")
            answer, is_lost = _one(db, BankRefund, "reference", reference), "lost" in _faults(db)
        if is_lost:
            raise AnswerLost(reference)
        return answer

    def refund_of(self, reference: str) -> BankRefund | None:
        self._answer_or_fail("down", "lookup_down")
        return self._find(BankRefund, "reference", reference)

    def send_back(self, reference: str, reason: str = "account_closed") -> None:
        """Have the bank return the money of a refund that had succeeded."""
        with self._store.writing() as db:
            refund = _one(db, BankRefund, "reference", reference)
            db.execute(
                "UPDATE refund SET status = 'declined', reason = ? WHERE reference = ?",
                (reason, reference),
            )
            db.execute(
                "UPDATE charge SET refunded_minor = refunded_minor - ? WHERE reference = ?",
                (refund.amount_minor, refund.charge_reference),
            )

    def detach(self, token: str) -> bool:
        """Forget a card; charging it afterwards is a hard decline."""
        self._answer_or_fail("down")
        with self._store.writing() as db:
            _vault(db, token)
            db.execute("UPDATE vault SET is_gone = 1 WHERE token = ?", (token,))
        return True

    # ----------------------------------------------------------------- the witness, the faults

    def script(self, token: str, behaviours: Sequence[Behaviour | dict[str, Any]]) -> None:
        """Let the next charges of ``token`` behave so, in order; then the table holds again."""
        with self._store.writing() as db:
            for each in behaviours:
                values = asdict(each) if isinstance(each, Behaviour) else each
                _insert(db, "script", token=token, behaviour=json.dumps(values))

    def set_fault(self, name: str, is_on: bool = True) -> None:
        """Switch a fault of ``FAULTS`` on or off. Raises ``ValueError`` for another name."""
        if name not in FAULTS:
            raise ValueError(f"no fault {name!r}")
        with self._store.writing() as db:
            db.execute("DELETE FROM fault WHERE name = ?", (name,))
            if is_on:
                _insert(db, "fault", name=name)

    def executed_count(self, reference: str = "") -> int:
        """How often money moved for one reference, or for all of them."""
        where, values = ("WHERE reference = ?", (reference,)) if reference else ("", ())
        return self._number(f"SELECT count(*) FROM executed {where}", values)  # noqa: S608

    def executed_total(self, currency: str) -> int:
        """Minor units taken in ``currency``, refunds not subtracted."""
        query = "SELECT coalesce(sum(amount_minor), 0) FROM executed WHERE currency = ?"
        return self._number(query, (currency,))

    def double_charges(self) -> list[list[Any]]:
        """``[what, how often]`` for each reference or invoice for which money moved twice."""
        query = (
            "SELECT reference, count(*) FROM executed GROUP BY reference HAVING count(*) > 1 "
            "UNION ALL SELECT invoice, count(*) FROM executed WHERE invoice <> '' "
            "GROUP BY invoice HAVING count(*) > 1"
        )
        with self._store.reading() as db:
            return [list(row) for row in db.execute(query)]

    def violations(self) -> list[str]:
        """References that were charged without an intent on the shop's disk."""
        with self._store.reading() as db:
            return [row["reference"] for row in db.execute("SELECT reference FROM violation")]

    def token_for(self, last4: str) -> str:
        """Store a demo card without a page. Raises ``KeyError`` for a card there is not."""
        token = f"demo_{CARDS[last4].last4}_{secrets.token_urlsafe(12)}"
        with self._store.writing() as db:
            _vault(db, token)
        return token

    def close(self) -> None:
        self._store.close()

    def _answer_or_fail(self, *faults: str) -> None:
        with self._store.reading() as db:
            on = _faults(db) & set(faults)
        if on:
            raise AnswerLost(", ".join(on))

    def _number(self, query: str, values: tuple[Any, ...]) -> int:
        with self._store.reading() as db:
            return int(db.execute(query, values).fetchone()[0])

    def _find(self, kind: type[Row], column: str, value: str) -> Row | None:
        with self._store.reading() as db:
            return _maybe(db, kind, column, value)


#: What must be equal for a repeat to be a repeat.
_SAME = ("token", "amount_minor", "currency")
_TABLES = {BankSetup: "setup", BankCharge: "charge", BankRefund: "refund"}


def _faults(db: sqlite3.Connection) -> set[str]:
    return {row["name"] for row in db.execute("SELECT name FROM fault")}


def _select(kind: type[Any]) -> str:
    return f"SELECT {', '.join(each.name for each in fields(kind))} FROM {_TABLES[kind]}"  # noqa: S608


def _maybe(db: sqlite3.Connection, kind: type[Row], column: str, value: str) -> Row | None:
    row = db.execute(f"{_select(kind)} WHERE {column} = ?", (value,)).fetchone()
    return kind(**row) if row is not None else None


def _one(db: sqlite3.Connection, kind: type[Row], column: str, value: str) -> Row:
    row = _maybe(db, kind, column, value)
    if row is None:
        raise LookupError(f"no {_TABLES[kind]} with that {column}")
    return row


def _insert(db: sqlite3.Connection, table: str, **values: Any) -> None:
    """Add a row; one with the same key stays as it is."""
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    db.execute(
        f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING",  # noqa: S608
        tuple(values.values()),
    )


def _update(db: sqlite3.Connection, table: str, reference: str, **values: Any) -> None:
    sets = ", ".join(f"{name} = ?" for name in values)
    db.execute(
        f"UPDATE {table} SET {sets} WHERE reference = ?",  # noqa: S608
        (*values.values(), reference),
    )


def _result(behaviour: Behaviour) -> dict[str, str]:
    return {
        "status": behaviour.status.value,
        "reason": behaviour.reason,
        "decline": behaviour.decline.value if behaviour.decline else "",
    }


def _refused() -> dict[str, str]:
    return dict(zip(("status", "reason", "decline"), _REFUSED_BY_CUSTOMER, strict=True))


def _vault(db: sqlite3.Connection, token: str) -> None:
    if token:
        _insert(db, "vault", token=token)


def _mark_confirmed(db: sqlite3.Connection, token: str) -> None:
    _vault(db, token)
    db.execute("UPDATE vault SET is_confirmed = 1 WHERE token = ?", (token,))


def _give_back(db: sqlite3.Connection, details: dict[str, Any]) -> str:
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


def _behaviour_from(raw: str) -> Behaviour:
    values = json.loads(raw)
    decline = DeclineKind(values["decline"]) if values.get("decline") else None
    return Behaviour(**{**values, "status": AnswerStatus(values["status"]), "decline": decline})
