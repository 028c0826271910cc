"""What staff do with an open invoice: note a transfer, void it, write it off.

Source: docs/decisions/0096-open-invoices-by-hand.md.
"""

from __future__ import annotations

from enum import StrEnum

from storefront.domain.errors import DomainError
from storefront.domain.invoices import CreditReason
from storefront.domain.money import Money
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.by_hand import (
    go_on,
    pay_by_hand,
    periods_of,
    read_open,
    running_of,
    unsent_boxes,
    waiting_for,
    write_off,
)
from storefront.operations.credits import credit_invoices
from storefront.operations.keys import AnyRow
from storefront.operations.moment import Moment
from storefront.operations.stopping import cancel_boxes, stop_now
from storefront.operations.subscriptions import decide_again
from storefront.operations.uncounted import uncount_periods
from storefront.runtime import Runtime


class OtherAmount(DomainError):
    """The transfer is not exactly what the invoice owes (``due``, minor units)."""

    code = "other_amount"


class Then(StrEnum):
    """What becomes of the subscriptions on an invoice that nobody pays."""

    GO_ON = "go_on"
    STOP = "stop"


def mark_paid(rt: Runtime, who: Who, invoice: str, amount: Money, note: str = "") -> str:
    """Note that ``amount`` came by bank and settle the invoice; returns the payment.

    It must be exactly what is due: a part pays nothing, and more belongs back to its sender.
    Raises ``NotOpen``, ``ChargeOnItsWay``, ``OtherAmount``.
    """

    def work() -> str:
        moment = rt.moment()
        row = read_open(rt.session, invoice)
        if amount != Money(row.due_minor, row.currency):
            rt.session.rollback()
            raise OtherAmount(due=row.due_minor)
        payment = pay_by_hand(rt.session, row, moment)
        after = {"payment": payment, "amount_minor": amount.minor, "note": note[:200]}
        audit.write(rt.session, who.id, "invoice.marked_paid", invoice, {}, after, moment, who.ip)
        rt.session.commit()
        return payment

    return decide_again(rt.session, work)


def void(rt: Runtime, who: Who, invoice: str, then: Then, note: str = "") -> None:
    """Credit all of an open invoice; nothing of it is owed any more.

    ``GO_ON`` renews at the next boundary, and nothing is sent for the days in between;
    ``STOP`` ends the subscriptions today. Raises ``NotOpen``, ``ChargeOnItsWay``.
    """
    _give_up(rt, who, invoice, then, note, is_void=True)


def give_up(rt: Runtime, who: Who, invoice: str, then: Then, note: str = "") -> None:
    """Write an open invoice off as uncollectible; what comes later goes back.

    Boxes that no packer was told of are canceled, locked ones too: who writes off looks at them,
    which nobody does when a customer leaves
    (docs/decisions/0172-the-last-step-and-what-was-sent.md).
    ``then`` as in ``void``. Raises ``NotOpen``, ``ChargeOnItsWay``.
    """
    _give_up(rt, who, invoice, then, note, is_void=False)


def _give_up(rt: Runtime, who: Who, invoice: str, then: Then, note: str, *, is_void: bool) -> None:
    def work() -> None:
        moment = rt.moment()
        row = read_open(rt.session, invoice)
        waiting = waiting_for(rt.session, row.id)
        _close(rt, row, who, moment, is_void=is_void)
        subscriptions = running_of(rt.session, waiting)
        if then is Then.STOP:
            stop_now(rt.session, subscriptions, who, moment, rt.minimums)
        else:
            go_on(rt.session, subscriptions, moment)
        after = {"due_minor": row.due_minor, "then": then.value, "note": note[:200]}
        action = "invoice.voided" if is_void else "invoice.written_off"
        audit.write(rt.session, who.id, action, invoice, {}, after, moment, who.ip)
        rt.session.commit()

    decide_again(rt.session, work)


def _close(rt: Runtime, row: AnyRow, who: Who, moment: Moment, *, is_void: bool) -> None:
    if is_void:
        credit_invoices(rt.session, [row.id], CreditReason.VOID, moment)
        return
    periods = periods_of(rt.session, row.id)
    boxes = unsent_boxes(rt.session, periods)
    write_off(rt.session, row, moment)
    cancel_boxes(rt.session, boxes, who, moment)
    uncount_periods(rt.session, periods)
