"""Tell subscribers of their next box, while they can still change it."""

from __future__ import annotations

from functools import partial

from storefront.adapters.failpoints import failpoint
from storefront.database import reading, retrying
from storefront.operations import ship_day_news
from storefront.operations.box_notices import notices_due, notify_slice
from storefront.operations.keys import AnyRow
from storefront.runtime import Runtime

#: Subscriptions looked at in one transaction; more would keep SQLite's writers waiting.
SLICE = 50


def tell_of_boxes(rt: Runtime) -> dict[str, int]:
    """Write the mails that are due, one for each box; says how many. Again is nothing new."""
    with reading():
        due = notices_due(rt.session, rt.moment())
        rt.session.rollback()
    return {"of_boxes": sum(_tell(rt, one) for one in due)}


def _tell(rt: Runtime, due: AnyRow) -> int:
    total, is_through = 0, False
    while not is_through:
        told, is_through = retrying(rt.session, partial(_slice, rt, due))
        total += told
        failpoint("box_notices.after_slice")
    return total


def _slice(rt: Runtime, due: AnyRow) -> tuple[int, bool]:
    done = notify_slice(rt.session, due, rt.moment(), SLICE)
    rt.session.commit()
    return done


def tell_ship_days(rt: Runtime) -> dict[str, int]:
    """Tell those whose next box leaves on another day since days off were changed; how many."""
    with reading():
        due = ship_day_news.news_due(rt.session, rt.moment())
        rt.session.rollback()
    return {"of_ship_days": sum(_tell_day(rt, one) for one in due)}


def _tell_day(rt: Runtime, due: AnyRow) -> int:
    total, is_through = 0, False
    while not is_through:
        told, is_through = retrying(rt.session, partial(_day_slice, rt, due))
        total += told
        failpoint("ship_days.after_slice")
    return total


def _day_slice(rt: Runtime, due: AnyRow) -> tuple[int, bool]:
    done = ship_day_news.tell_slice(rt.session, due, rt.moment(), SLICE)
    rt.session.commit()
    return done
