"""Cycle groups: which plans are packed together, and on which days."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from flask import Blueprint, Response, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.admin.base import page, who
from storefront.blueprints.admin.days_off import add_days_off
from storefront.blueprints.admin.group_rhythm import add_group_rhythm
from storefront.blueprints.admin.plan_forms import GroupForm, slug_of
from storefront.blueprints.context import runtime
from storefront.domain import permissions
from storefront.domain.cycles import CycleDates, plan_cycles
from storefront.htmx import go
from storefront.queries import plans as query
from storefront.security import register_policy, staff
from storefront.services import days_off, groups

_ACCESS = staff(permissions.PLANS_MANAGE)
register_policy({"admin.cycle_groups": _ACCESS, "admin.cycle_group_new": _ACCESS})


def add_groups(bp: Blueprint) -> None:
    """Add the list and a new group."""
    bp.add_url_rule("/cycle-groups", "cycle_groups", group_list)
    bp.add_url_rule("/cycle-groups/new", "cycle_group_new", new, methods=["GET", "POST"])
    add_group_rhythm(bp)
    add_days_off(bp)


def group_list() -> Response:
    """List the groups with their next days."""
    rt = runtime()
    return page("plans/groups", groups=query.group_list(rt.session, rt.today()))


def new() -> Response:
    """Ask for a rhythm, show the days it makes, and add the group."""
    rt = runtime()
    form = GroupForm(request.form)
    if request.method == "GET":
        form.anchor.data = rt.today().isoformat()
        return _form(form)
    if request.form.get("step") == "preview":
        return _form(form, 200 if form.validate() else 422)
    if not form.validate():
        return _form(form, 422)
    draft = _draft(form)
    try:
        groups.add_group(rt, who(), draft)
    except groups.GroupExists:
        form.name.errors = [_("There is a group of this name already")]
    except ValueError:
        form.lock_days.errors = [_("Cut-off and charge day come before the lock")]
    else:
        return go(
            url_for("admin.cycle_groups"), _("Added. Its cycles for the coming year are there.")
        )
    return _form(form, 422)


def _form(form: GroupForm, status: int = 200) -> Response:
    return page("plans/group_new", status, form=form, preview=_preview(form))


def _draft(form: GroupForm) -> groups.GroupDraft:
    return groups.GroupDraft(
        code=slug_of(form.name.text) or "boxes",
        name=form.name.text,
        interval=form.interval.interval,
        charge_day=form.charge(),
        anchor_on=_anchor(form),
        cutoff_days=_days(form.cutoff_days.number),
        lock_days=_days(form.lock_days.number),
        ship_days=_days(form.ship_days.number),
        ship_window_days=_days(form.ship_window_days.number),
    )


def _anchor(form: GroupForm) -> date:
    """Weeks count from the weekday chosen, so the first day is moved on to it."""
    day = form.anchor_on(runtime().today())
    if form.interval.interval.unit == "week":
        day += timedelta(days=(int(form.weekday.data) - day.isoweekday()) % 7)
    return day


def _days(number: int | None) -> int:
    return number or 0


def _preview(form: GroupForm) -> list[CycleDates]:
    """Return the first cycles the rhythm makes; none while something is wrong."""
    if form.errors:
        return []
    try:
        draft: Any = _draft(form)
        start = max(draft.anchor_on, runtime().today())
        off = days_off.days_off(runtime())
        return plan_cycles(draft.rhythm, start, start + timedelta(days=200), off)[:3]
    except ValueError:
        return []
