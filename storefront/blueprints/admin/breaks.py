"""Pause, resume and move dates for a customer, as staff."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.account import breaks as words
from storefront.blueprints.admin.base import saved, who
from storefront.blueprints.admin.subscribers import subscriber_context
from storefront.blueprints.context import runtime
from storefront.blueprints.typed import read_day
from storefront.domain import permissions
from storefront.domain.dates import DateNotMovable
from storefront.domain.events import Actor
from storefront.domain.pauses import NotPausable, NotResumable
from storefront.queries import subscriber as one
from storefront.security import register_policy, staff
from storefront.services import dates, pauses

_ACT = staff(permissions.SUBSCRIPTIONS_MANAGE)
register_policy(
    {
        f"admin.subscription_{name}": _ACT
        for name in ("pause", "drop_pause", "resume", "move_date", "send_now")
    }
)


def add_breaks(bp: Blueprint) -> None:
    """Add what staff do on the page of a customer."""
    actions: dict[str, Callable[[str, str], Response]] = {
        "pause": pause,
        "drop-pause": drop_pause,
        "resume": resume,
        "move-date": move_date,
        "send-now": send_now,
    }
    for path, view in actions.items():
        name = f"subscription_{path.replace('-', '_')}"
        bp.add_url_rule(f"/subscribers/<ref>/<sub>/{path}", name, view, methods=["POST"])


def pause(ref: str, sub: str) -> Response:
    """Pause until a day, or until further notice when none is typed."""

    def act(customer_id: int) -> str:
        day = _day() if request.form.get("day") else None
        done = pauses.pause(runtime(), customer_id, sub, day, actor=Actor.STAFF, who=who())
        return words.paused_words(done)

    return _act(ref, act)


def drop_pause(ref: str, sub: str) -> Response:
    """Take back a pause that has not begun."""

    def act(customer_id: int) -> str:
        done = pauses.drop_pause(runtime(), customer_id, sub, actor=Actor.STAFF, who=who())
        return _("The pause is taken back.") if done else _("There was no pause to take back.")

    return _act(ref, act)


def resume(ref: str, sub: str) -> Response:
    """Let it go on, on its usual day or today."""

    def act(customer_id: int) -> str:
        today = request.form.get("when") == "today"
        day = pauses.resume(runtime(), customer_id, sub, today=today, actor=Actor.STAFF, who=who())
        return _("It goes on; the next payment is on %(day)s.", day=words.long_day(day))

    return _act(ref, act)


def move_date(ref: str, sub: str) -> Response:
    """Put the next payment on another day."""

    def act(customer_id: int) -> str:
        done = dates.move_date(runtime(), customer_id, sub, _day(), actor=Actor.STAFF, who=who())
        return _("The next payment is on %(day)s now.", day=words.long_day(done.charge_on))

    return _act(ref, act)


def send_now(ref: str, sub: str) -> Response:
    """Charge today and send the next box with the next packing day."""

    def act(customer_id: int) -> str:
        dates.send_now(runtime(), customer_id, sub, actor=Actor.STAFF, who=who())
        return _("It is charged today; the box leaves with the next packing day.")

    return _act(ref, act)


class _NoDay(ValueError):
    """What was typed is no day."""


def _day() -> date:
    day = read_day(request.form.get("day"))
    if day is None:
        raise _NoDay
    return day


def _act(ref: str, act: Callable[[int], str]) -> Response:
    """Do it and show the customer's page again; a refusal is said, never lost."""
    rt = runtime()
    person = one.person(rt.session, ref, rt.shop.currency)
    rt.session.rollback()
    if person is None:
        abort(404)
    try:
        message = act(person.id)
    except (pauses.NotFound, dates.NotFound):
        abort(404)
    except _NoDay:
        message = _("Choose a day.")
    except NotPausable as error:
        message = words.why_not_paused(error)
    except NotResumable as error:
        message = words.why_not_resumed(error)
    except DateNotMovable as error:
        message = words.why_not_moved(error)
    rt.session.rollback()
    return saved(
        message,
        "subscribers/subscriber",
        url_for("admin.subscriber", ref=ref),
        **subscriber_context(ref),
    )
