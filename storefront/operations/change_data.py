"""What waiting changes bring beside their price, and which of them is due."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Final

import sqlalchemy as sa

from storefront.models.base import written_out
from storefront.operations.keys import AnyRow

#: Somebody's wish, or a new version of their price: there is at most one, and it goes first.
OF_THE_CUSTOMER: Final = "price"
#: What the plan says follows its term. A term of the sale: nobody takes it back, and a
#: change of plan that waits beside it does not touch it before it is applied.
OF_THE_TERM: Final = "plan"


def due_change(change: sa.FromClause, subscription: sa.FromClause) -> sa.ColumnElement[bool]:
    """Select the one row of ``change`` that the next boundary of its subscription applies.

    Free days up to the billing day are no boundary of their own: whether the subscription is
    over before them is decided by what it goes on as.
    """
    starts = sa.case(
        (subscription.c.anchor_on > subscription.c.next_on, subscription.c.anchor_on),
        else_=subscription.c.next_on,
    )
    other = change.alias()
    first = (
        sa.select(other.c.id)
        .where(
            other.c.subscription_id == subscription.c.id,
            other.c.state == written_out("waiting"),
            other.c.kind.in_(written_out([OF_THE_CUSTOMER, OF_THE_TERM])),
            other.c.invoice_id.is_(None),
            other.c.effective_on <= starts,
        )
        # "price" before "plan".
        .order_by(other.c.kind.desc())
        .limit(1)
        .correlate(subscription)
        .scalar_subquery()
    )
    return change.c.id == first


def changed(row: AnyRow) -> Any:
    """Return a copy of ``row`` with the quantity and the options of its ``change_data``.

    What the change does not name stays as it is; ``held_options`` are those there were.
    """
    values = row._asdict()
    data = values["change_data"] or {}
    values["held_options"] = values["options"]
    for name in ("quantity", "options"):
        values[name] = data.get(name, values[name])
    return SimpleNamespace(**values)
