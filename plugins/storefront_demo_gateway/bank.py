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
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from storefront.hooks import AnswerStatus
from storefront_demo_gateway.cards import (
    CARDS,
    DOWN,
    NO_SUCH_METHOD,
    OK,
    Behaviour,
    card_of,
)
from storefront_demo_gateway.records import (
    AnswerLost,
    BankCharge,
    BankDispute,
    BankRefund,
    BankSetup,
)
from storefront_demo_gateway.rows import (
    SAME,
    Row,
    as_result,
    behaviour_from,
    faults_on,
    give_back,
    insert,
    keep_in_vault,
    mark_confirmed,
    maybe_one,
    one_of,
    refused,
    select,
    update,
)
from storefront_demo_gateway.store import Store

#: Faults that can be switched on for everybody: ``down`` (nothing happens, no answer),
#: ``lost`` (it happens, no answer), ``lookup_down`` (only questions get no answer).
FAULTS = frozenset({"down", "lost", "lookup_down"})
#: What a dispute costs the shop, whoever wins, in minor units.
DISPUTE_FEE = 1500


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
            insert(db, "setup", reference=reference, **values)
            return one_of(db, BankSetup, "reference", reference)

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
            setup = one_of(db, BankSetup, "page_key", page_key)
            if setup.status != "action_required":
                return setup
            token = f"demo_{last4}_{secrets.token_urlsafe(12)}"
            behaviour = card.saved if setup.amount_minor is None else OK
            if behaviour.status is AnswerStatus.DECLINED:
                token = ""
            update(db, "setup", setup.reference, token=token, **as_result(behaviour))
            keep_in_vault(db, token)
            return one_of(db, BankSetup, "page_key", page_key)

    def confirm_setup(self, page_key: str, is_confirmed: bool) -> BankSetup:
        """The customer answered their bank about saving the card."""
        with self._store.writing() as db:
            setup = one_of(db, BankSetup, "page_key", page_key)
            if setup.status == "action_required" and setup.token:
                if is_confirmed:
                    update(db, "setup", setup.reference, **as_result(OK))
                    mark_confirmed(db, setup.token)
                else:
                    update(db, "setup", setup.reference, token="", **refused())
            return one_of(db, BankSetup, "page_key", page_key)

    # ------------------------------------------------------------------------------- charges

    def charge(self, reference: str, details: dict[str, Any]) -> BankCharge:
        """Execute once per ``reference``. ``details`` are the other values of the order.

        Raises ``AnswerLost`` when told to lose the answer, ``ValueError`` if the reference was
        used for something else or the shop never wrote its intent down.
        """
        self._check_intent(reference)
        with self._store.writing() as db:
            faults = faults_on(db)
            if "down" in faults:
                raise AnswerLost("down")
            known = maybe_one(db, BankCharge, "reference", reference)
            if known is not None:
                if any(details[name] != getattr(known, name) for name in SAME):
                    raise ValueError("key_reused")
                return known
            behaviour = self._behaviour(db, details["token"], details["on_session"])
            if behaviour != DOWN:
                self._execute(db, reference, details, behaviour)
                known = one_of(db, BankCharge, "reference", reference)
        if behaviour.delay:
            self._sleep(behaviour.delay)
        if known is None or behaviour.is_lost or "lost" in faults:
            raise AnswerLost(reference)
        return known

    def _check_intent(self, reference: str) -> None:
        if self._intent_check is None or self._intent_check(reference):
            return
        with self._store.writing() as db:
            insert(db, "violation", reference=reference, what="no intent on disk")
        raise ValueError("intent_missing")

    def _execute(
        self, db: sqlite3.Connection, reference: str, details: dict[str, Any], behaviour: Behaviour
    ) -> None:
        values = {name: value for name, value in details.items() if name != "on_session"}
        gateway_reference = f"demo_ch_{secrets.token_urlsafe(12)}"
        insert(
            db,
            "charge",
            reference=reference,
            gateway_reference=gateway_reference,
            created_at=self._now().isoformat(),
            **values,
            **as_result(behaviour),
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
            return behaviour_from(scripted["behaviour"])
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
            charge = one_of(db, BankCharge, "gateway_reference", gateway_reference)
            if charge.status == "action_required":
                if is_confirmed:
                    update(db, "charge", charge.reference, **as_result(OK))
                    mark_confirmed(db, charge.token)
                    self._take_money(db, charge.reference)
                else:
                    update(db, "charge", charge.reference, **refused())
            return one_of(db, BankCharge, "gateway_reference", gateway_reference)

    def settle(self, reference: str, behaviour: Behaviour) -> BankCharge:
        """Days later: give a pending charge its final answer (for tests)."""
        with self._store.writing() as db:
            charge = one_of(db, BankCharge, "reference", reference)
            if charge.status == "pending":
                update(db, "charge", reference, **as_result(behaviour))
                if behaviour.status is AnswerStatus.SUCCEEDED:
                    self._take_money(db, reference)
            return one_of(db, BankCharge, "reference", reference)

    def cancel(self, reference: str) -> BankCharge | None:
        """Stop a charge that waits for the customer; others stay as they are."""
        self._answer_or_fail("down")
        with self._store.writing() as db:
            charge = maybe_one(db, BankCharge, "reference", reference)
            if charge is not None and charge.status == "action_required":
                update(
                    db, "charge", reference, status="declined", reason="cancelled", decline="soft"
                )
            return maybe_one(db, BankCharge, "reference", reference)

    def charges_since(self, since: str) -> Sequence[BankCharge]:
        """Charges that took money, created at or after ``since`` (ISO, UTC), oldest first."""
        self._answer_or_fail("down", "lookup_down")
        query = f"{select(BankCharge)} WHERE status = 'succeeded' AND created_at >= ? ORDER BY id"
        with self._store.reading() as db:
            return [BankCharge(**row) for row in db.execute(query, (since,))]

    def newest_charges(self, count: int) -> Sequence[BankCharge]:
        """The last charges that were asked for, whatever became of them, newest first."""
        with self._store.reading() as db:
            rows = db.execute(f"{select(BankCharge)} ORDER BY id DESC LIMIT ?", (count,))
            return [BankCharge(**row) for row in rows]

    # ------------------------------------------------------------------- refunds and methods

    def refund(self, reference: str, details: dict[str, Any]) -> BankRefund:
        """Give back once per ``reference``; more than was taken is declined."""
        self._answer_or_fail("down")
        with self._store.writing() as db:
            known = maybe_one(db, BankRefund, "reference", reference)
            if known is None:
                reason = give_back(db, details)
                status = "declined" if reason else "succeeded"
                own = f"demo_re_{secrets.token_urlsafe(12)}"
                values = {"status": status, "reason": reason, "gateway_reference": own, **details}
                insert(db, "refund", reference=reference, **values)
            elif known.amount_minor != details["amount_minor"]:
                raise ValueError("key_reused")
            answer, is_lost = (
                one_of(db, BankRefund, "reference", reference),
                "lost" in faults_on(db),
            )
        if is_lost:
            raise AnswerLost(reference)
        return answer

    def refund_of(self, reference: str) -> BankRefund | None:
        self._answer_or_fail("down", "lookup_down")
        return self._find(BankRefund, "reference", reference)

    def send_back(self, reference: str, reason: str = "account_closed") -> None:
        """Have the bank return the money of a refund that had succeeded."""
        with self._store.writing() as db:
            refund = one_of(db, BankRefund, "reference", reference)
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
            keep_in_vault(db, token)
            db.execute("UPDATE vault SET is_gone = 1 WHERE token = ?", (token,))
        return True

    def is_gone(self, token: str) -> bool:
        """Whether a card was forgotten, or was never there."""
        self._answer_or_fail("down", "lookup_down")
        with self._store.reading() as db:
            row = db.execute("SELECT is_gone FROM vault WHERE token = ?", (token,)).fetchone()
        return card_of(token) is None or (row is not None and bool(row["is_gone"]))

    # ------------------------------------------------------------------------------ disputes

    def dispute(self, charge_reference: str, reason: str = "fraudulent") -> BankDispute:
        """The card's owner disputes a charge; once per charge. Raises ``LookupError``."""
        with self._store.writing() as db:
            charge = one_of(db, BankCharge, "reference", charge_reference)
            name = f"demo_dp_{charge.gateway_reference.removeprefix('demo_ch_')}"
            insert(
                db,
                "dispute",
                reference=name,
                charge_reference=charge_reference,
                status="open",
                amount_minor=charge.amount_minor - charge.refunded_minor,
                fee_minor=DISPUTE_FEE,
                currency=charge.currency,
                reason=reason,
                opened_at=self._now().isoformat(),
            )
            return one_of(db, BankDispute, "reference", name)

    def decide_dispute(self, reference: str, is_won: bool) -> BankDispute:
        """The bank decides an open dispute for the shop, or against it."""
        with self._store.writing() as db:
            if one_of(db, BankDispute, "reference", reference).status == "open":
                update(db, "dispute", reference, status="won" if is_won else "lost")
            return one_of(db, BankDispute, "reference", reference)

    def disputes_of(self, charge_reference: str) -> Sequence[BankDispute]:
        self._answer_or_fail("down", "lookup_down")
        query = f"{select(BankDispute)} WHERE charge_reference = ? ORDER BY id"
        with self._store.reading() as db:
            return [BankDispute(**row) for row in db.execute(query, (charge_reference,))]

    # ----------------------------------------------------------------- the witness, the faults

    def script(self, token: str, behaviours: Sequence[Behaviour | dict[str, Any]]) -> None:
        """Let the next charges of ``token`` behave so, in order; then the table holds again."""
        with self._store.writing() as db:
            for each in behaviours:
                values = asdict(each) if isinstance(each, Behaviour) else each
                insert(db, "script", token=token, behaviour=json.dumps(values))

    def set_fault(self, name: str, is_on: bool = True) -> None:
        """Switch a fault of ``FAULTS`` on or off. Raises ``ValueError`` for another name."""
        if name not in FAULTS:
            raise ValueError(f"no fault {name!r}")
        with self._store.writing() as db:
            db.execute("DELETE FROM fault WHERE name = ?", (name,))
            if is_on:
                insert(db, "fault", name=name)

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
            keep_in_vault(db, token)
        return token

    def close(self) -> None:
        self._store.close()

    def _answer_or_fail(self, *faults: str) -> None:
        with self._store.reading() as db:
            on = faults_on(db) & set(faults)
        if on:
            raise AnswerLost(", ".join(on))

    def _number(self, query: str, values: tuple[Any, ...]) -> int:
        with self._store.reading() as db:
            return int(db.execute(query, values).fetchone()[0])

    def _find(self, kind: type[Row], column: str, value: str) -> Row | None:
        with self._store.reading() as db:
            return maybe_one(db, kind, column, value)
