"""Make two accounts of one person one. Staff do it; nothing of it can be taken back.

Source: docs/decisions/0174-merging-accounts.md.
"""

from __future__ import annotations

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.merging import check_merge
from storefront.models import Customer
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.keys import AnyRow
from storefront.operations.merging import Moved, lock_accounts, merge, read_account
from storefront.operations.outbox import Message, enqueue
from storefront.runtime import Runtime

#: As often as a renewal of the same subscriptions may come between.
TRIES = 5


def merge_customers(rt: Runtime, who: Who, kept: str, merged: str) -> Moved | None:
    """Give everything of the account ``merged`` to the account ``kept`` (public ids).

    What runs goes on at the same price, with the same card and to the same address. The
    merged account is closed: its e-mail signs nobody in any more and may sign up anew. None
    when it was merged into ``kept`` before. Raises ``LookupError`` for an account that is not
    there and ``MergeRefused``.
    """

    def work() -> Moved | None:
        rows = _locked(rt, kept, merged)
        to, of = rows[kept], rows[merged]
        if of.merged_into_id == to.id:
            rt.session.rollback()
            return None
        check_merge(read_account(rt.session, to), read_account(rt.session, of))
        moment = rt.moment()
        moved = merge(rt.session, to, of, who.public_id, moment)
        enqueue(rt.session, _told(to, of), moment.now)
        before, after = {"account": merged}, _counts(moved)
        audit.write(rt.session, who.id, "customer.merged", kept, before, after, moment, who.ip)
        rt.session.commit()
        return moved

    try:
        return retrying(rt.session, work, TRIES)
    finally:
        rt.session.rollback()


def _told(kept: AnyRow, merged: AnyRow) -> list[Message]:
    """Return the mails to both addresses; erasing the account that stays blanks both."""
    topic, ref = "accounts_merged", merged.public_id
    here = {"email": merged.email}
    there = {"to": merged.email, "locale": merged.locale or kept.locale}
    return [
        Message("mail", topic, f"mail:{topic}:{ref}", here, kept.id),
        Message("mail", topic, f"mail:{topic}:{ref}:closed", there, kept.id),
    ]


def _locked(rt: Runtime, *refs: str) -> dict[str, AnyRow]:
    table = table_of(Customer)
    ids = rt.session.scalars(sa.select(table.c.id).where(table.c.public_id.in_(refs))).all()
    rows = {row.public_id: row for row in lock_accounts(rt.session, ids)}
    if missing := set(refs) - set(rows):
        raise LookupError(*sorted(missing))
    return rows


def _counts(moved: Moved) -> dict[str, object]:
    return {
        "subscriptions": moved.subscriptions,
        "invoices": moved.invoices,
        "methods": moved.methods,
        "addresses": moved.addresses,
        "gifts": moved.gifts,
        "credit": [str(money) for money in moved.credit],
    }
