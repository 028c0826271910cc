"""Remind subscribers who have not chosen what is in their next box."""

from __future__ import annotations

from functools import partial

from storefront.adapters.failpoints import failpoint
from storefront.database import reading, retrying
from storefront.operations.choice_reminders import remind_slice, reminders_due
from storefront.operations.keys import AnyRow
from storefront.runtime import Runtime

#: Subscriptions looked at in one transaction; more would keep SQLite's writers waiting.
SLICE = 50


def remind_to_choose(rt: Runtime) -> dict[str, int]:
    """Write the mails that are due, one for each box; says how many. Again is nothing new."""
    with reading():
        due = reminders_due(rt.session, rt.moment())
        rt.session.rollback()
    return {"to_choose": sum(_remind(rt, one) for one in due)}


def _remind(rt: Runtime, due: AnyRow) -> int:
    total, is_through = 0, False
    while not is_through:
        told, is_through = retrying(rt.session, partial(_slice, rt, due))
        total += told
        failpoint("choice_reminders.after_slice")
    return total


def _slice(rt: Runtime, due: AnyRow) -> tuple[int, bool]:
    done = remind_slice(rt.session, due, rt.moment(), SLICE)
    rt.session.commit()
    return done
