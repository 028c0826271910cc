"""The days on which nothing leaves."""

from __future__ import annotations

from datetime import date
from typing import Any

from babel.dates import get_day_names
from flask import Blueprint, Response, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext, ngettext
from wtforms import ValidationError

from storefront.blueprints.admin.base import page, saved, who
from storefront.blueprints.admin.fields import LinesField, checks, choices_of, read_day
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.domain import permissions
from storefront.formats import day as long_day
from storefront.security import register_policy, staff
from storefront.services import days_off as service
from storefront.templating import writing_locale

_ACCESS = staff(permissions.PLANS_MANAGE)
register_policy({"admin.days_off": _ACCESS, "admin.days_off_save": _ACCESS})
#: Holidays that fit the list, and signs of a line.
_MOST, _LONGEST = 400, 20


class DaysOffForm(Form):
    """Weekdays, and one holiday a line."""

    weekdays = checks(lazy_gettext("Nothing leaves on"))
    holidays = LinesField(lazy_gettext("Holidays"), _MOST, _LONGEST)

    def __init__(self, formdata: Any, **kwargs: Any) -> None:
        super().__init__(formdata, **kwargs)
        names = get_day_names("wide", context="stand-alone", locale=writing_locale())
        self.weekdays.choices = choices_of((str(n + 1), names[n]) for n in range(7))

    def validate_holidays(self, field: LinesField) -> None:
        for number, line in enumerate(field.lines, 1):
            if read_day(line) is None:
                raise ValidationError(_("Line %(n)s: enter a day like 2027-03-12", n=number))

    @property
    def days(self) -> list[date]:
        """The holidays. Only after validation."""
        return [day for line in self.holidays.lines if (day := read_day(line))]


def add_days_off(bp: Blueprint) -> None:
    """Add the page and what it posts to."""
    bp.add_url_rule("/days-off", "days_off", show_days)
    bp.add_url_rule("/days-off", "days_off_save", save_days, methods=["POST"])


def show_days() -> Response:
    """Show the list."""
    return page("plans/days_off", **_context())


def save_days() -> Response:
    """Save the list and move the ship days that fall on it, once it was shown which."""
    form = DaysOffForm(request.form)
    if not form.validate():
        return page("plans/days_off", 422, form=form, wrong=form, preview=None)
    typed = (form.days, [int(one) for one in form.weekdays.data])
    seen = request.form.get("seen", "")
    try:
        done = service.set_days_off(runtime(), who(), *typed, seen)
    except service.NotAsShown:
        preview = service.preview_days_off(runtime(), *typed)
        return page("plans/days_off", 422, form=form, wrong=None, preview=preview, again=bool(seen))
    except service.NoDayLeft:
        form.weekdays.errors = [_("Leave one day on which boxes can leave")]
        return page("plans/days_off", 422, form=form, wrong=form, preview=None)
    except service.PaidBefore as problem:
        form.holidays.errors = [_paid_before(problem)]
        return page("plans/days_off", 422, form=form, wrong=form, preview=None)
    return saved(_said(done), "plans/days_off", url_for("admin.days_off"), **_context())


def _paid_before(problem: service.PaidBefore) -> str:
    days = (problem.ships_on, problem.moves_to, problem.pays_on)
    ships, moves, pays = (long_day(day, writing_locale()) for day in days)
    return _(
        "The cycle that leaves on %(ships)s would leave on %(moves)s, but somebody whose first box"
        " is in it pays again on %(pays)s. Take days off the list so that it leaves by then.",
        ships=ships,
        moves=moves,
        pays=pays,
    )


def _said(done: service.DaysOffChange) -> str:
    if not done.changed:
        return _("Nothing to save: it is all as before.")
    if not done.moved:
        return _("Saved. Every cycle leaves as planned.")
    return ngettext(
        "Saved. %(num)s cycle leaves on another day.",
        "Saved. %(num)s cycles leave on another day.",
        done.moved,
    )


def _context() -> dict[str, Any]:
    off = service.days_off(runtime())
    form = DaysOffForm(
        None,
        data={
            "weekdays": [str(one) for one in sorted(off.weekdays)],
            "holidays": "\n".join(day.isoformat() for day in sorted(off.holidays)),
        },
    )
    return {"form": form, "wrong": None, "preview": None}
