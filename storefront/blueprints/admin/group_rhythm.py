"""A cycle group once it is there: its name, and its days with what moves by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext, ngettext
from wtforms import BooleanField, ValidationError

from storefront.blueprints.admin.base import page, who
from storefront.blueprints.admin.fields import LineField, WholeField
from storefront.blueprints.admin.plan_forms import NAME
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.domain import permissions
from storefront.domain.periods import Interval
from storefront.domain.rhythm_changes import Kept, RhythmProblem, Step
from storefront.htmx import go
from storefront.security import register_policy, staff
from storefront.services import group_rhythm as service
from storefront.services.group_rhythm import RhythmDraft, RhythmPreview

_PAGE = "plans/group"
_DAYS = ("cutoff_days", "lock_days", "ship_days", "ship_window_days")

register_policy(
    dict.fromkeys(("admin.cycle_group", "admin.cycle_group_save"), staff(permissions.PLANS_MANAGE))
)


class RhythmForm(Form):
    """Name and days of a group; its kind, interval and charge day stay."""

    name = LineField(lazy_gettext("Name"), NAME)
    cutoff_days = WholeField(lazy_gettext("Cut-off, days before"), 0, 28)
    lock_days = WholeField(lazy_gettext("Lock, days after"), 0, 28)
    ship_days = WholeField(lazy_gettext("Ships, days after"), 0, 40)
    ship_window_days = WholeField(lazy_gettext("Shipping takes, days"), 0, 14)
    moves_paid = BooleanField(lazy_gettext("Move cycles with paid boxes, too"))

    def validate_ship_days(self, field: WholeField) -> None:
        if field.errors or self.lock_days.errors:
            return
        if (field.number or 0) < (self.lock_days.number or 0):
            raise ValidationError(_("Boxes ship on the lock day or later"))

    def draft(self) -> RhythmDraft:
        """Return what was typed. Only after validation."""
        cutoff, lock, ship, window = (self[name].number or 0 for name in _DAYS)
        name, moves_paid = self.name.text, bool(self.moves_paid.data)
        return RhythmDraft(name, cutoff, lock, ship, window, moves_paid)


@dataclass(frozen=True, slots=True)
class StepRow:
    """A cycle in the list of what moves; ``why`` says why one stays."""

    step: Step
    why: str


def add_group_rhythm(bp: Blueprint) -> None:
    """Add the page of a group and what it posts to."""
    rule = "/cycle-groups/<group>"
    bp.add_url_rule(rule, "cycle_group", show_group)
    bp.add_url_rule(rule, "cycle_group_save", save_group, methods=["POST"])


def show_group(group: str) -> Response:
    """Show name and days of a group."""
    row, version = _group(group)
    form = RhythmForm(None, data={name: getattr(row, name) for name in ("name", *_DAYS)})
    return _page(row, version, form)


def save_group(group: str) -> Response:
    """Show what would move, or save what was shown."""
    row, version = _group(group)
    form = RhythmForm(request.form)
    if row.charge_day is None:
        # Payments find their box by the lock: it is shown, not asked for.
        form.lock_days.data = str(row.lock_days)
    if not form.validate():
        return _page(row, request.form.get("version", ""), form, 422)
    draft = form.draft()
    try:
        preview = service.preview_group(runtime(), group, draft)
    except ValueError:
        form.lock_days.errors = [_("Cut-off and charge day come before the lock")]
        return _page(row, version, form, 422)
    if preview.refused is not None:
        form.ship_days.errors = [_refusal(*preview.refused)]
        return _page(row, version, form, 422, preview)
    if request.form.get("step") == "preview":
        if request.form.get("version", "") != version:
            return _page(row, version, form, 422, preview, refused=_meanwhile(row))
        return _page(row, version, form, 200, preview)
    return _save(row, form, preview)


def _save(row: Any, form: RhythmForm, preview: RhythmPreview) -> Response:
    typed = (request.form.get("version", ""), request.form.get("seen", ""))
    try:
        moved = service.change_group(runtime(), who(), row.public_id, form.draft(), *typed)
    except service.NameTaken:
        form.name.errors = [_("There is a group of this name already")]
        return _page(row, preview.version, form, 422, preview)
    except service.RhythmRefused as error:
        form.ship_days.errors = [_refusal(error.problem, error.key)]
        return _page(row, preview.version, form, 422, preview)
    except service.NotAsShown:
        text = (
            _meanwhile(row)
            if typed[0] != preview.version
            else _("These cycles would get other days. Check them, then save.")
        )
        return _page(row, preview.version, form, 422, preview, refused=text)
    text = (
        ngettext(
            "Saved. %(num)s cycle has other days.", "Saved. %(num)s cycles have other days.", moved
        )
        if moved
        else _("Saved. No cycle has other days.")
    )
    return go(url_for("admin.cycle_groups"), text)


def _group(group: str) -> tuple[Any, str]:
    try:
        return service.group_of(runtime(), group)
    except service.GroupGone:
        abort(404)


def _meanwhile(row: Any) -> str:
    return _(
        "Somebody changed this group meanwhile: it is %(name)s now, with %(cutoff)s, %(lock)s, "
        "%(ship)s and %(window)s days. Check what you typed and the days below, then save.",
        name=row.name,
        cutoff=row.cutoff_days,
        lock=row.lock_days,
        ship=row.ship_days,
        window=row.ship_window_days,
    )


def _refusal(problem: RhythmProblem, key: str) -> str:
    if problem is RhythmProblem.ORDER:
        return _("The cycle %(key)s would not come behind the one before it", key=key)
    return _("In %(key)s somebody would pay for the second box before the first has left", key=key)


def _why(kept: Kept | None) -> str:
    if kept is None:
        return ""
    return {
        Kept.OVER: _("Its cut-off or charge day is over"),
        Kept.BOXES: _("Boxes are paid for in it"),
        Kept.PROMISED: _("Somebody was promised it for a first box"),
        Kept.TOLD: _("Subscribers were told its days"),
        Kept.BY_HAND: _("It has days of its own"),
        Kept.TOO_SOON: _("Its new cut-off would be over"),
    }[kept]


def _page(
    row: Any,
    version: str,
    form: RhythmForm,
    status: int = 200,
    preview: RhythmPreview | None = None,
    *,
    refused: str = "",
) -> Response:
    today = runtime().today()
    coming = [one for one in preview.steps if one.after.ship_to >= today] if preview else []
    return page(
        _PAGE,
        status,
        group=row,
        interval=Interval(row.unit, row._mapping["count"]),
        form=form,
        version=version,
        seen=preview.seen if preview and preview.refused is None else "",
        has_preview=preview is not None,
        rows=[StepRow(one, _why(one.kept)) for one in coming],
        refused=refused,
    )
