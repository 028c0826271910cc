"""Customers who pay by bank transfer: who they are, and reminding them of what is overdue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.errors import DomainError
from storefront.domain.invoices import InvoiceState
from storefront.models import Customer, Invoice, OutboxMessage
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.outbox import Message, enqueue
from storefront.runtime import Runtime

#: Days after the due day on which a reminder is sent, each once.
REMINDERS = (3, 10)
#: Longest time to pay that can be given.
LONGEST_DAYS = 120
_CHUNK = 500


class UnknownCustomer(DomainError):
    """There is no such customer."""

    code = "unknown_customer"


class NoBankDetails(DomainError):
    """The shop's bank details are missing, so nobody could pay."""

    code = "no_bank_details"


class BadDays(DomainError):
    """Days to pay are 0 to 120."""

    code = "bad_days"


@dataclass(slots=True)
class ReminderReport:
    """How many reminders were queued."""

    reminded: int = 0


def set_pays_by(rt: Runtime, who: Who, customer: str, pays_by: str, days: int | None) -> bool:
    """Let a customer pay by ``bank`` or ``gateway`` from the next renewal on; False if they do.

    ``days`` to pay; None: the shop's. Raises ``UnknownCustomer``, ``NoBankDetails``,
    ``BadDays``.
    """
    if pays_by not in ("bank", "gateway"):
        raise ValueError(pays_by)
    if pays_by == "bank" and not rt.shop.bank_details:
        raise NoBankDetails(customer=customer)
    if days is not None and not 0 <= days <= LONGEST_DAYS:
        raise BadDays(days=days)

    def write() -> bool:
        table, moment = table_of(Customer), rt.moment()
        row = rt.session.execute(
            sa.select(table.c.id, table.c.pays_by, table.c.payment_days).where(
                table.c.public_id == customer
            )
        ).one_or_none()
        if row is None:
            rt.session.rollback()
            raise UnknownCustomer(customer=customer)
        before = {"pays_by": row.pays_by, "payment_days": row.payment_days}
        after = {"pays_by": pays_by, "payment_days": days}
        if before == after:
            rt.session.rollback()
            return False
        rt.session.execute(sa.update(table).where(table.c.id == row.id).values(after))
        audit.write(rt.session, who.id, "customer.pays_by", customer, before, after, moment, who.ip)
        rt.session.commit()
        return True

    return retrying(rt.session, write)


def remind_overdue(rt: Runtime) -> ReminderReport:
    """Remind of transfers that did not come, 3 and 10 days after their due day, each once."""
    report = ReminderReport()
    while sent := retrying(rt.session, lambda: _remind(rt)):
        report.reminded += sent
    return report


def _remind(rt: Runtime) -> int:
    table, message = table_of(Invoice), table_of(OutboxMessage)
    moment = rt.moment()
    found: list[Message] = []
    for days in REMINDERS:
        key = sa.literal(f"mail:transfer_overdue:{days}:").concat(table.c.public_id)
        latest = moment.today - timedelta(days=days)
        # A shop that was asleep reminds of the later step only.
        later = [step for step in REMINDERS if step > days]
        recent = [table.c.due_on > moment.today - timedelta(days=step) for step in later]
        rows = rt.session.execute(
            sa.select(table.c.public_id, table.c.payer_id, table.c.due_minor, table.c.currency)
            .where(
                table.c.state == InvoiceState.OPEN,
                table.c.pay_by == "bank",
                table.c.due_on <= latest,
                ~sa.exists().where(message.c.key == key),
                *recent,
            )
            .order_by(table.c.id)
            .limit(_CHUNK)
        )
        found += [
            Message(
                "mail",
                "transfer_overdue",
                f"mail:transfer_overdue:{days}:{row.public_id}",
                {"invoice": row.public_id, "due_minor": row.due_minor, "currency": row.currency},
                row.payer_id,
            )
            for row in rows
        ]
    enqueue(rt.session, found, moment.now)
    rt.session.commit()
    return len(found)
