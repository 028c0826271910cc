"""Schedules of tries after a decline for groups of subscribers."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from storefront.blueprints.admin.base import page, saved, who
from storefront.blueprints.admin.retry_forms import LAST, ScheduleForm, time_text
from storefront.blueprints.context import runtime
from storefront.domain import permissions
from storefront.htmx import go
from storefront.operations.catalogue import UnknownPlan
from storefront.queries import retry_schedules as query
from storefront.queries.retry_schedules import ScheduleView
from storefront.security import register_policy, staff
from storefront.services import retry_schedules as service
from storefront.templating import writing_locale

_NAMES = ("retries", "retry_new", "retry_schedule", "retry_up", "retry_remove")
register_policy({f"admin.{name}": staff(permissions.PLANS_MANAGE) for name in _NAMES})


def add_retries(bp: Blueprint) -> None:
    """Add the list of schedules, one of them, and what is done to it."""
    both = ["GET", "POST"]
    bp.add_url_rule("/retries", "retries", retries)
    bp.add_url_rule("/retries/new", "retry_new", new, methods=both)
    bp.add_url_rule("/retries/<ref>", "retry_schedule", schedule, methods=both)
    bp.add_url_rule("/retries/<ref>/up", "retry_up", up, methods=["POST"])
    bp.add_url_rule("/retries/<ref>/remove", "retry_remove", remove, methods=["POST"])


def retries() -> Response:
    """Show the schedules in the order in which they are looked through."""
    return page("retries/retries", **_context())


def new() -> Response:
    """Make a schedule."""
    return _edit(None)


def schedule(ref: str) -> Response:
    """Change a schedule."""
    found = next((one for one in query.schedules(runtime().session) if one.ref == ref), None)
    if found is None:
        abort(404)
    return _edit(found)


def up(ref: str) -> Response:
    """Look at one earlier."""
    try:
        moved = service.move_up(runtime(), who(), ref)
    except service.ScheduleGone:
        abort(404)
    text = _("Moved up.") if moved else _("It is the first already.")
    return saved(text, "retries/retries", url_for("admin.retries"), **_context())


def remove(ref: str) -> Response:
    """Forget one."""
    try:
        service.remove_schedule(runtime(), who(), ref)
    except service.ScheduleGone:
        abort(404)
    return saved(_("Removed."), "retries/retries", url_for("admin.retries"), **_context())


def _edit(present: ScheduleView | None) -> Response:
    rt = runtime()
    plans = [(one.ref, one.name) for one in query.plan_choices(rt.session)]
    rt.session.rollback()
    form = ScheduleForm(request.form or None, plans, _countries(present), _typed(present))
    if request.method == "GET" or not form.validate():
        return _form_page(form, present)
    try:
        service.save_schedule(rt, who(), form.draft(), present.ref if present else "")
    except UnknownPlan:
        form.plan.errors = [_("Choose one from the list")]
        return _form_page(form, present)
    except service.ScheduleGone:
        abort(404)
    return go(url_for("admin.retries"), _("Saved. It holds for declines from now on."))


def _form_page(form: ScheduleForm, present: ScheduleView | None) -> Response:
    return page(
        "retries/schedule",
        200 if request.method == "GET" else 422,
        form=form,
        ref=present.ref if present else "",
        title=present.name if present else _("New retry schedule"),
    )


def _typed(present: ScheduleView | None) -> dict[str, Any]:
    if present is None:
        return {"retry_days": "3, 8, 15", "last_action": "cancel", "began": "any"}
    return {
        "name": present.name,
        "plan": present.plan,
        "countries": list(present.countries),
        "began": present.began,
        "began_days": str(present.began_days),
        "retry_days": ", ".join(map(str, present.retry_days)),
        "retry_time": time_text(present.retry_minute),
        "last_action": present.last_action,
    }


def _countries(present: ScheduleView | None) -> list[tuple[str, str]]:
    """Return (code, name) of the countries delivered to, and of those that are chosen already."""
    names, shop = writing_locale().territories, runtime().shop
    codes = dict.fromkeys(shop.countries or (shop.seller_country,))
    codes |= dict.fromkeys(present.countries if present else ())
    return sorted(((code, names.get(code, code)) for code in codes), key=lambda one: one[1])


def _context() -> dict[str, Any]:
    rows = query.schedules(runtime().session)
    return {"rows": [(one, _whom(one), _what(one)) for one in rows]}


def _whom(one: ScheduleView) -> str:
    """Return whom a schedule is for: "Pot; Germany, Austria; at most 60 days"."""
    names = writing_locale().territories
    parts = [one.plan_name] if one.plan else []
    parts += [", ".join(names.get(code, code) for code in one.countries)] if one.countries else []
    if one.began == "within":
        text = ngettext(
            "subscribed for at most %(num)s day",
            "subscribed for at most %(num)s days",
            one.began_days,
        )
        parts.append(text)
    elif one.began == "before":
        text = ngettext(
            "subscribed for more than %(num)s day",
            "subscribed for more than %(num)s days",
            one.began_days,
        )
        parts.append(text)
    return "; ".join(parts)


def _what(one: ScheduleView) -> str:
    """Return the tries and the last step in words."""
    last = str(dict(LAST)[one.last_action])
    if not one.retry_days:
        return last
    days = ", ".join(map(str, one.retry_days))
    tries = _("After %(days)s days at %(time)s", days=days, time=time_text(one.retry_minute))
    return f"{tries}. {last}"
