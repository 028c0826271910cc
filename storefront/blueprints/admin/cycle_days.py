"""The days of one cycle: an earlier cut-off before the holidays, a later lock."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import DateField
from wtforms.validators import InputRequired, Optional

from storefront.blueprints.admin.base import page, saved, who
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.domain import permissions as may
from storefront.domain.cycle_days import DayProblem
from storefront.htmx import go
from storefront.operations.cycles import UNLOCKED
from storefront.queries import cycles as queries
from storefront.security import register_policy, staff
from storefront.services.cycle_days import CycleGone, DaysDoNotFit, NewDays, set_cycle_days

_PAGE = "cycles/days"

register_policy(
    dict.fromkeys(("admin.cycle_days", "admin.cycle_days_save"), staff(may.BOXES_MANAGE))
)


class DaysForm(Form):
    """The days that can be changed."""

    cutoff_on = DateField(lazy_gettext("Cut-off"), [InputRequired()])
    lock_on = DateField(lazy_gettext("Lock"), [InputRequired()])
    ship_from = DateField(lazy_gettext("Ships from"), [InputRequired()])
    ship_to = DateField(lazy_gettext("Ships until"), [InputRequired()])
    sells_from = DateField(lazy_gettext("On sale from"), [Optional()])
    sells_until = DateField(lazy_gettext("On sale until"), [Optional()])

    def days(self) -> NewDays:
        """Return what was typed. Only after validation."""
        return NewDays(**{name: self[name].data for name in NewDays.__slots__})


def add_cycle_days(bp: Blueprint) -> None:
    """Add the page of a cycle's days to the admin's blueprint."""
    rule = "/cycles/<cycle>/days"
    bp.add_url_rule(rule, "cycle_days", days)
    bp.add_url_rule(rule, "cycle_days_save", save, methods=["POST"])


def days(cycle: str) -> Response:
    """Show the days of one cycle."""
    return page(_PAGE, **_context(cycle))


def save(cycle: str) -> Response:
    """Change the days of one cycle."""
    form = DaysForm(request.form)
    if not form.validate():
        return page(_PAGE, 422, **_context(cycle, form))
    try:
        changed = set_cycle_days(runtime(), who(), cycle, form.days())
    except CycleGone:
        return go(url_for("admin.cycle", cycle=cycle), _("It is locked by now; its days stay."))
    except DaysDoNotFit as error:
        name, words = _problem(error.problem)
        form[name].errors = [words]
        return page(_PAGE, 422, **_context(cycle, form))
    text = _("Saved.") if changed else _("Nothing to save: it is all as before.")
    return saved(text, _PAGE, url_for("admin.cycle_days", cycle=cycle), **_context(cycle))


def _problem(problem: DayProblem) -> tuple[str, str]:
    """Return the field to blame, and what is said beside it."""
    return {
        DayProblem.CUTOFF_OVER: (
            "cutoff_on",
            _("A cut-off that is over stays; a new one is today or later"),
        ),
        DayProblem.CUTOFF_AFTER_LOCK: ("cutoff_on", _("The cut-off comes before the lock")),
        DayProblem.LOCK_BEFORE_CHARGE: (
            "lock_on",
            _("The lock is not before the charge day, nor over"),
        ),
        DayProblem.LOCK_FIXED: (
            "lock_on",
            _("Plans with charge days of their own find their box by the lock, so it stays"),
        ),
        DayProblem.LOCK_AFTER_SHIP: ("ship_from", _("Nothing leaves before the lock")),
        DayProblem.SHIP_BACKWARDS: ("ship_to", _("The last day is not before the first")),
        DayProblem.DAY_OFF: ("ship_from", _("Nothing leaves on that day; see “Days off”")),
        DayProblem.BEFORE_OTHER: (
            "ship_from",
            _("That is not behind the cycle before: its cut-off, lock and ship day come first"),
        ),
        DayProblem.AFTER_OTHER: (
            "ship_from",
            _("That is not before the next cycle: its cut-off, lock and ship day come later"),
        ),
        DayProblem.PAID_BEFORE: (
            "ship_from",
            _("Somebody would pay for the second box before this one, their first, has left"),
        ),
        DayProblem.SALES_BACKWARDS: (
            "sells_until",
            _("The last day is not before the first"),
        ),
        DayProblem.SALES_AFTER_CUTOFF: (
            "sells_until",
            _("Nothing is sold for it after its cut-off"),
        ),
        DayProblem.CUTOFF_BEFORE_SALES: (
            "cutoff_on",
            _("That is before its first day on sale: it would never be sold"),
        ),
    }[problem]


def _context(cycle: str, typed: DaysForm | None = None) -> dict[str, Any]:
    rt = runtime()
    found = queries.cycle_row(rt.session, cycle)
    if found is None or found.state not in UNLOCKED or found.lock_on < rt.today():
        abort(404)
    rt.session.rollback()
    form = typed or DaysForm(None, data={name: getattr(found, name) for name in NewDays.__slots__})
    return {"cycle": found, "form": form}
