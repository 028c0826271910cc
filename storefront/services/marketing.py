"""Who wants mails about offers: opt-in with its words as evidence, withdrawn in one click.

The GDPR's article 7 asks for proof of what was agreed to, and that it is as easily withdrawn.
Source: docs/privacy.md.
"""

from __future__ import annotations

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.errors import DomainError
from storefront.models import Customer
from storefront.models.base import table_of
from storefront.operations.consents import Given, marketing_since, write_marketing
from storefront.runtime import Runtime


class NotConfirmed(DomainError):
    """Nobody has proved yet to read this mailbox, so nobody can agree to mails to it."""

    code = "not_confirmed"


def set_marketing(rt: Runtime, customer_id: int, given: Given, *, wants: bool) -> bool:
    """Keep that a customer wants mails about offers, or no more of them; False if it is so already.

    Raises ``NotConfirmed`` for who agrees before the e-mail was confirmed.
    """
    table = table_of(Customer)

    def write() -> bool:
        # Locked, so that of two clicks at once the second sees the first.
        row = rt.session.execute(
            sa.select(table.c.email_verified_at).where(table.c.id == customer_id).with_for_update()
        ).one()
        since = rt.session.scalar(sa.select(marketing_since(sa.literal(customer_id))))
        if (since is not None) == wants:
            rt.session.rollback()
            return False
        if wants and row.email_verified_at is None:
            rt.session.rollback()
            raise NotConfirmed
        write_marketing(rt.session, customer_id, given, wants=wants, moment=rt.moment())
        rt.session.commit()
        return True

    return retrying(rt.session, write)
