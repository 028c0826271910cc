"""New prices for running subscribers: drafted, looked at, set going, stopped."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import islice
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from wtforms import SelectField, ValidationError
from wtforms.validators import InputRequired, Length

from storefront.blueprints.admin.base import page, who
from storefront.blueprints.admin.fields import DayField, LineField, WholeField, choices_of
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.domain import permissions
from storefront.domain.price_changes import ImpossibleMigration, last_day
from storefront.formats import interval_inside, money
from storefront.htmx import go
from storefront.queries import price_changes as query
from storefront.security import register_policy, staff
from storefront.services import price_changes
from storefront.templating import writing_locale

_ACCESS = staff(permissions.PLANS_MANAGE)
register_policy(
    {
        f"admin.{name}": _ACCESS
        for name in (
            "price_changes",
            "price_change_new",
            "price_change",
            "price_change_schedule",
            "price_change_stop",
            "price_change_delete",
        )
    }
)
#: Subscribers listed in a dry run; all are counted.
_LISTED = 50


class PriceChangeForm(Form):
    """What everybody is to pay, from when, and how long before they are told."""

    name = LineField(_("Name, for you"), [InputRequired(_("Enter a name")), Length(max=80)])
    price = SelectField(_("New price"))
    effective_on = DayField(_("From"), [InputRequired(_("Enter a day like 2027-03-12"))])
    notice_days = WholeField(
        _("Days of notice"), 0, 365, validators=[InputRequired(_("Enter the days of notice"))]
    )
    country = SelectField(_("Only deliveries to"), default="")
    began_before = DayField(_("Only who signed up before"))

    def __init__(
        self,
        formdata: Any,
        prices: list[query.Offered],
        countries: list[tuple[str, str]],
        today: date,
    ) -> None:
        super().__init__(formdata)
        self.today = today
        locale, names = writing_locale(), dict(countries)
        self.country.choices = choices_of([("", gettext("Everywhere")), *countries])
        self.price.choices = choices_of(
            (
                one.ref,
                gettext(
                    "%(plan)s, %(where)s, %(interval)s: %(amount)s %(currency)s"
                    " (%(count)s on another price)",
                    plan=one.plan,
                    where=names.get(one.country, one.country) or gettext("everywhere"),
                    currency=one.amount.currency,
                    interval=interval_inside(one.interval),
                    amount=money(one.amount, locale),
                    count=one.others,
                ),
            )
            for one in prices
        )

    def validate_effective_on(self, field: DayField) -> None:
        # What is no day at all has its own words already.
        if not field.errors and (field.day is None or field.day <= self.today):
            raise ValidationError(gettext("Choose a day in the future"))
        if field.day is not None and field.day > last_day(self.today):
            raise ValidationError(gettext("Choose a day within two years"))


def add_price_changes(bp: Blueprint) -> None:
    """Add the list, a new change and the page of one."""
    bp.add_url_rule("/price-changes", "price_changes", change_list)
    bp.add_url_rule("/price-changes/new", "price_change_new", new, methods=["GET", "POST"])
    bp.add_url_rule("/price-changes/<ref>", "price_change", change)
    for name, view in (("schedule", schedule), ("stop", stop), ("delete", delete)):
        rule = f"/price-changes/<ref>/{name}"
        bp.add_url_rule(rule, f"price_change_{name}", view, methods=["POST"])


def change_list() -> Response:
    """List every change of prices for subscribers."""
    rt = runtime()
    return page(
        "price_changes/changes",
        changes=query.price_changes(rt.session),
        can_begin=bool(query.prices_with_older(rt.session)),
    )


def new() -> Response:
    """Ask for a change and keep it as a draft."""
    rt = runtime()
    prices = query.prices_with_older(rt.session)
    form = PriceChangeForm(request.form, prices, _countries(), rt.today())
    if request.method == "GET":
        form.effective_on.data = (rt.today() + timedelta(days=60)).isoformat()
        form.notice_days.data = "30"
        return page("price_changes/new", form=form, prices=prices)
    if not form.validate():
        return page("price_changes/new", 422, form=form, prices=prices)
    rt.session.rollback()
    assert form.effective_on.day is not None
    draft = price_changes.MigrationDraft(
        form.name.text,
        form.price.data,
        form.effective_on.day,
        (form.country.data,) if form.country.data else (),
        form.notice_days.number or 0,
        form.began_before.day,
    )
    try:
        ref = price_changes.draft_migration(rt, who(), draft)
    except ImpossibleMigration:
        form.price.errors = [gettext("Nobody pays another version of this price any more")]
        return page("price_changes/new", 422, form=form, prices=prices)
    return go(
        url_for("admin.price_change", ref=ref),
        gettext("Saved as a draft. Look at who pays what before you set it going."),
    )


def change(ref: str) -> Response:
    """Show a change: as a draft with its dry run, else how far it has come."""
    return page("price_changes/change", **_context(ref))


def schedule(ref: str) -> Response:
    """Set a draft going."""
    return _moved(ref, price_changes.schedule, gettext("Set going. The first notices leave soon."))


def stop(ref: str) -> Response:
    """Stop a change; nobody else is told."""
    return _moved(ref, price_changes.stop, gettext("Stopped. Everybody keeps the price they pay."))


def delete(ref: str) -> Response:
    """Delete a draft."""
    try:
        gone = price_changes.discard(runtime(), who(), ref)
    except LookupError:
        abort(404)
    if gone:
        return go(url_for("admin.price_changes"), gettext("The draft is deleted."))
    return go(url_for("admin.price_change", ref=ref), gettext("It is no draft any more."))


def _moved(ref: str, move: Any, text: str) -> Response:
    try:
        moved = move(runtime(), who(), ref)
    except LookupError:
        abort(404)
    said = text if moved else gettext("It is over already.")
    return go(url_for("admin.price_change", ref=ref), said)


def _countries() -> list[tuple[str, str]]:
    """Return (code, name) of the countries delivered to, named in the reader's language."""
    names, shop = writing_locale().territories, runtime().shop
    return [(code, names.get(code, code)) for code in shop.countries or (shop.seller_country,)]


def _context(ref: str) -> dict[str, Any]:
    rt = runtime()
    found = query.price_change(rt.session, ref)
    if found is None:
        abort(404)
    names = dict(_countries())
    shown = {
        "change": found,
        "where": names.get(found.country, found.country),
        "segment": [names.get(code, code) for code in found.countries],
    }
    if found.state != "draft":
        return {**shown, "people": query.concerned(rt.session, ref), "tried": None}
    rt.session.rollback()
    concerned = price_changes.concerned(rt, ref)
    every = price_changes.dry_run(rt, ref)
    listed = list(islice(every, _LISTED))
    more = sum(1 for _one in every)
    return {
        **shown,
        "people": [],
        "tried": listed,
        "more": more,
        "ending": concerned - len(listed) - more,
        "is_fallback": any(one.is_fallback for one in listed),
    }
