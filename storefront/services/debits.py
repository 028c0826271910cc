"""A customer stops one debit they were told of."""

from __future__ import annotations

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.charging import AnswerStatus, AttemptState, DeclineKind
from storefront.domain.gateways import ChargeAnswer
from storefront.domain.invoices import InvoiceState
from storefront.models import ChargeAttempt, Invoice
from storefront.models.base import table_of
from storefront.operations.dunning import chase_declined
from storefront.runtime import Runtime

#: Reason of a charge that was never sent because its customer did not want it.
OPTED_OUT = "opted_out"


def stop_debit(rt: Runtime, customer_id: int, attempt: str) -> bool:
    """Never send this planned charge; False if it is under way already.

    Raises ``LookupError`` if it is not theirs.

    What it was for stays owed: the customer is asked to pay it themselves, until the last day
    of the plan's schedule. Nothing is tried by the clock meanwhile.
    """
    table, invoice = table_of(ChargeAttempt), table_of(Invoice)
    own = sa.exists().where(invoice.c.id == table.c.invoice_id, invoice.c.payer_id == customer_id)

    def change() -> bool:
        moment = rt.moment()
        row = rt.session.execute(
            sa.update(table)
            .where(table.c.public_id == attempt, table.c.state == AttemptState.PLANNED, own)
            .values(
                state=AttemptState.ABANDONED,
                reason=OPTED_OUT,
                answered_at=moment.now,
                check_at=None,
            )
            .returning(table.c.id, table.c.public_id, table.c.invoice_id, table.c.on_session)
        ).one_or_none()
        if row is None:
            known = rt.session.scalar(
                sa.select(table.c.id).where(table.c.public_id == attempt, own)
            )
            rt.session.rollback()
            if known is None:
                raise LookupError(attempt)
            return False
        is_open = sa.select(invoice.c.id).where(
            invoice.c.id == row.invoice_id, invoice.c.state == InvoiceState.OPEN
        )
        if rt.session.scalar(is_open) is not None:
            ask = ChargeAnswer(AnswerStatus.DECLINED, decline=DeclineKind.ASK, reason=OPTED_OUT)
            chase_declined(rt.session, [row], {row.public_id: ask}, moment)
        rt.session.commit()
        return True

    return retrying(rt.session, change)
