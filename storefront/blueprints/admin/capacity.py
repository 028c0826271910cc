"""How many boxes the cycles of a group can make, and one cycle by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext

from storefront.blueprints.admin.base import page, saved, who
from storefront.blueprints.admin.fields import WholeField
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.domain import permissions as may
from storefront.htmx import done, show
from storefront.queries.capacity import CycleLimit, cycle_limits, group_limits
from storefront.security import register_policy, staff
from storefront.services.capacity import NoSuchCycle, set_cycle_capacity, set_group_capacity

_PAGE = "plans/capacity"
_ONE = "storefront/admin/cycles/capacity.html"
_PANEL = "storefront/admin/cycles/_capacity.html"
_MOST = 1_000_000

register_policy(
    dict.fromkeys(("admin.capacity", "admin.capacity_save"), staff(may.PLANS_MANAGE))
    | dict.fromkeys(("admin.cycle_capacity", "admin.cycle_capacity_save"), staff(may.BOXES_MANAGE))
)


class GroupForm(Form):
    """What each cycle of a group can make."""

    boxes = WholeField(lazy_gettext("Boxes in each cycle"), 1, _MOST)


class CycleForm(Form):
    """What one cycle can make."""

    boxes = WholeField(lazy_gettext("Boxes in this cycle"), 0, _MOST)


def add_capacity(bp: Blueprint) -> None:
    """Add the pages of capacity to the admin's blueprint."""
    bp.add_url_rule("/capacity", "capacity", capacity)
    bp.add_url_rule("/capacity/<group>", "capacity_save", save, methods=["POST"])
    rule = "/cycles/<cycle>/capacity"
    bp.add_url_rule(rule, "cycle_capacity", of_cycle)
    bp.add_url_rule(rule, "cycle_capacity_save", save_cycle, methods=["POST"])


def capacity() -> Response:
    """Show every group of plans with what its cycles can make."""
    return page(_PAGE, **_context())


def save(group: str) -> Response:
    """Set what each cycle of one group can make."""
    form = GroupForm(request.form, prefix=f"{group}-")
    if not form.validate():
        return page(_PAGE, 422, **_context({group: form}))
    try:
        set_group_capacity(runtime(), who(), group, form.boxes.number)
    except NoSuchCycle:
        abort(404)
    return saved(_("Saved."), _PAGE, url_for("admin.capacity"), **_context())


def of_cycle(cycle: str) -> Response:
    """Show what one cycle can make and how much of it is used."""
    return show(_ONE, _PANEL, **_of_cycle(cycle))


def save_cycle(cycle: str) -> Response:
    """Set what one cycle can make."""
    form = CycleForm(request.form)
    if not form.validate():
        return show(_ONE, _PANEL, 422, **_of_cycle(cycle, form), page_has_errors=True)
    try:
        set_cycle_capacity(runtime(), who(), cycle, form.boxes.number)
    except NoSuchCycle:
        abort(404)
    to = url_for("admin.cycle_capacity", cycle=cycle)
    return done(_("Saved."), _PANEL, to, **_of_cycle(cycle))


def limit_of(cycle: str) -> CycleLimit | None:
    """Return what one cycle can make, None for no such cycle."""
    rt = runtime()
    found = cycle_limits(rt.session, [cycle], rt.moment()).get(cycle)
    rt.session.rollback()
    return found


def _of_cycle(cycle: str, typed: CycleForm | None = None) -> dict[str, Any]:
    limit = limit_of(cycle)
    if limit is None:
        abort(404)
    own = "" if limit.own is None else str(limit.own)
    return {"cycle_ref": cycle, "limit": limit, "form": typed or CycleForm(data={"boxes": own})}


def _context(typed: Mapping[str, GroupForm] | None = None) -> dict[str, Any]:
    rt = runtime()
    rows = group_limits(rt.session)
    rt.session.rollback()
    forms = {
        one.public_id: GroupForm(
            None,
            data={"boxes": "" if one.capacity is None else str(one.capacity)},
            prefix=f"{one.public_id}-",
        )
        for one in rows
    }
    return {"rows": rows, "forms_of": {**forms, **(typed or {})}}
