"""VAT numbers and exemptions of customers: typed, looked up, judged by hand."""

from __future__ import annotations

from datetime import timedelta
from functools import cache, partial
from typing import Any

import sqlalchemy as sa

from storefront import tax_desk
from storefront.adapters.tax_numbers import normalise_tax_number
from storefront.database import reading, retrying
from storefront.domain.tax_treatment import TaxIdState
from storefront.models import Customer
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.keys import AnyRow, AnySelect
from storefront.operations.moment import Moment
from storefront.operations.questions import Question, Values
from storefront.operations.taxes import tax_as_account
from storefront.runtime import Runtime

#: A pending number is looked up again after this.
AGAIN = timedelta(hours=20)
#: Numbers looked up in one run.
AT_ONCE = 100


def save_tax_id(rt: Runtime, customer_id: int, typed: str, country: str) -> TaxIdState:
    """Keep the customer's VAT number and return what is known of it; empty takes it away.

    Holds from the next invoice on, also for subscriptions that were ordered under this e-mail
    as somebody else's. The same number again keeps what is known. Raises ``NotATaxNumber``.
    """
    number = normalise_tax_number(typed, country)
    with reading():
        row = _customer(rt, Customer.id == customer_id)
        rt.session.rollback()
    is_known = row.tax_id == number
    state = TaxIdState(row.tax_id_state) if is_known else tax_desk.check_number(rt, number)
    values = _values(rt, state) | {"tax_id": number}

    def write() -> None:
        table = table_of(Customer)
        if not is_known:
            rt.session.execute(sa.update(table).where(table.c.id == customer_id).values(**values))
        tax_as_account(rt.session, customer_id)
        rt.session.commit()

    retrying(rt.session, write)
    return state


def judge_tax_id(rt: Runtime, who: Who, customer: str, number: str, *, is_valid: bool) -> bool:
    """Confirm or refuse by hand the VAT number a person has checked; audited.

    False when the customer has another number by now, or it is judged so already. Raises
    ``LookupError`` for an unknown customer.
    """
    state = TaxIdState.VALID if is_valid else TaxIdState.INVALID

    def write() -> bool:
        row = _customer(rt, Customer.public_id == customer, lock=True)
        if not number or row.tax_id != number or row.tax_id_state == state:
            rt.session.rollback()
            return False
        before = {"tax_id": row.tax_id, "tax_id_state": row.tax_id_state}
        _write(rt, row.id, _values(rt, state))
        after = {"tax_id": row.tax_id, "tax_id_state": state.value}
        action = "tax_id.confirmed" if is_valid else "tax_id.refused"
        audit.write(rt.session, who.id, action, customer, before, after, rt.moment(), who.ip)
        rt.session.commit()
        return True

    return retrying(rt.session, write)


def set_exempt(rt: Runtime, who: Who, customer: str, *, is_exempt: bool) -> bool:
    """Charge the customer no tax from the next invoice on, or again; audited.

    An exemption holds for all they pay for by now; what is ordered later under their e-mail
    without signing in bears tax until it is given again. False if it is so already. Raises
    ``LookupError`` for an unknown customer.
    """

    def write() -> bool:
        row = _customer(rt, Customer.public_id == customer, lock=True)
        more = tax_as_account(rt.session, row.id) if is_exempt else 0
        if row.is_tax_exempt == is_exempt and not more:
            rt.session.rollback()
            return False
        _write(rt, row.id, {"is_tax_exempt": is_exempt})
        before = {"is_tax_exempt": row.is_tax_exempt}
        after = {"is_tax_exempt": is_exempt} | ({"subscriptions": more} if more else {})
        audit.write(
            rt.session, who.id, "customer.exempt", customer, before, after, rt.moment(), who.ip
        )
        rt.session.commit()
        return True

    return retrying(rt.session, write)


def look_up_pending(rt: Runtime) -> dict[str, int]:
    """Ask again for numbers the register has not answered for; returns counts.

    Each is asked once a day, the longest waiting first. Does nothing without a plugin.
    """
    counts = {"valid": 0, "invalid": 0, "pending": 0}
    if not tax_desk.checks_numbers(rt):
        return {}
    for row in _pending(rt):
        state = tax_desk.check_number(rt, row.tax_id)
        counts[state.value] += 1
        retrying(rt.session, partial(_settle, rt, row, state))
    return counts


def _pending(rt: Runtime) -> list[AnyRow]:
    with reading():
        rows = rt.session.execute(_unanswered(), _looked_up_before(rt.moment())).all()
        rt.session.rollback()
    return list(rows)


@cache
def _unanswered() -> AnySelect:
    table = table_of(Customer)
    asked = table.c.tax_id_checked_at
    return (
        sa.select(table.c.id, table.c.tax_id)
        .where(
            # To the letter as in the index of pending numbers.
            sa.text("customer.tax_id_state = 'pending'"),
            sa.or_(asked.is_(None), asked <= sa.bindparam("looked_up_before", type_=asked.type)),
        )
        .order_by(sa.func.coalesce(asked, table.c.created_at), table.c.id)
        .limit(AT_ONCE)
    )


def _looked_up_before(moment: Moment) -> Values:
    return {"looked_up_before": moment.now - AGAIN}


#: Whether numbers are to be looked up; also without a plugin that could.
TAX_IDS_DUE = Question(lambda: [_unanswered()], _looked_up_before)


def _settle(rt: Runtime, row: AnyRow, state: TaxIdState) -> None:
    """Write what was answered, unless the customer typed another number meanwhile."""
    table = table_of(Customer)
    rt.session.execute(
        sa.update(table)
        .where(
            table.c.id == row.id,
            table.c.tax_id == row.tax_id,
            table.c.tax_id_state == TaxIdState.PENDING.value,
        )
        .values(tax_id_state=state.value, tax_id_checked_at=rt.now())
    )
    rt.session.commit()


def _customer(rt: Runtime, which: sa.ColumnElement[bool], *, lock: bool = False) -> AnyRow:
    table = table_of(Customer)
    statement = sa.select(
        table.c.id, table.c.tax_id, table.c.tax_id_state, table.c.is_tax_exempt
    ).where(which)
    if lock:
        statement = statement.with_for_update()
    row = rt.session.execute(statement).one_or_none()
    if row is None:
        rt.session.rollback()
        raise LookupError("no such customer")
    return row


def _values(rt: Runtime, state: TaxIdState) -> dict[str, Any]:
    checked = rt.now() if state is not TaxIdState.NONE else None
    return {"tax_id_state": state.value, "tax_id_checked_at": checked}


def _write(rt: Runtime, customer_id: int, values: dict[str, Any]) -> None:
    table = table_of(Customer)
    rt.session.execute(sa.update(table).where(table.c.id == customer_id).values(**values))
