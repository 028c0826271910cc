"""How a plan begins, binds and ends, and its prices by country: a page of the plan."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext, ngettext
from flask_babel import lazy_gettext as _
from wtforms import BooleanField, RadioField, SelectField, ValidationError
from wtforms.validators import InputRequired

from storefront.blueprints.admin.base import page, saved, who
from storefront.blueprints.admin.fields import DayField, MoneyField, WholeField, choices_of
from storefront.blueprints.admin.interval_field import IntervalField
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.domain import permissions
from storefront.domain.least_terms import CHECKED_ON, LIMITS, Limit
from storefront.domain.openings import REMINDED_TRIAL_DAYS
from storefront.domain.plan_terms import PlanTerms
from storefront.domain.regions import region_name
from storefront.operations.catalogue import UnknownPlan
from storefront.queries import plan_terms as query
from storefront.security import register_policy, staff
from storefront.services import plan_terms
from storefront.templating import writing_locale

_ACCESS = staff(permissions.PLANS_MANAGE)
register_policy(
    {f"admin.{name}": _ACCESS for name in ("plan_terms", "plan_terms_save", "plan_list_price")}
)
#: Currencies that a price list can be kept in.
CURRENCIES = (
    "EUR", "CHF", "GBP", "USD", "CAD", "AUD", "NZD", "DKK", "NOK", "SEK", "PLN", "CZK", "HUF",
    "RON", "BGN", "JPY", "KWD",
)  # fmt: skip

_AT_END = (
    ("renew", _("Renew it for another term")),
    ("stop", _("End the subscription")),
    ("monthly", _("Continue box by box, at the price of one box on the day of the order")),
)
_FIRST = (
    ("full", _("A whole period is paid at once; days up to the billing day are given")),
    ("free", _("Free until the billing day, which takes the first payment")),
    ("prorated", _("Paid by the day; only for plans that ship nothing")),
)
_FIRST_BOX = (
    ("next", _("With the next box of everybody")),
    ("now", _("At once: with the boxes last packed, and the next payment is that of everybody")),
    ("later", _("Not before a day; it is paid with the order")),
)
_POLICY = (
    ("boxes", _("By boxes that have not been packed; where nothing ships, by days")),
    ("days", _("By the days that are left")),
    ("full", _("The full difference")),
    ("none", _("Not at all: the new price holds from the next period")),
)
_PAST_DUE = (
    ("hold", _("Hold the box until it is paid")),
    ("ship", _("Send it all the same")),
    ("ship_once", _("Send one, then hold")),
)
_UNPAID = (
    ("credit", _("Cancel what is owed for boxes that have not left")),
    ("keep", _("Keep it owed")),
)


class TermsForm(Form):
    """How a plan begins, binds, changes and ends."""

    trial_days = WholeField(_("Free trial, days"), 0, 365)
    trial_needs_card = BooleanField(_("A trial needs a payment method"))
    first_period = RadioField(_("Up to a fixed billing day"), choices=choices_of(_FIRST))
    charge_day = WholeField(_("Fixed billing day"), 1, 31)
    first_box = RadioField(
        _("The first box leaves"), choices=choices_of(_FIRST_BOX), default="next"
    )
    first_box_on = DayField(_("No box leaves before"))
    min_boxes = WholeField(_("At least this many boxes"), 0, 60)
    max_boxes = WholeField(_("Ends after this many boxes"), 1, 240)
    ends_on = DayField(_("Ends on"))
    at_term_end = RadioField(_("When a term of several boxes is over"), choices=choices_of(_AT_END))
    change_policy = RadioField(
        _("How the unused part counts when the plan changes inside a paid period"),
        choices=choices_of(_POLICY),
    )
    past_due_shipping = RadioField(_("While a payment is late"), choices=choices_of(_PAST_DUE))
    pause_unpaid = RadioField(_("What a pause does with unpaid boxes"), choices=choices_of(_UNPAID))
    skips_in_row = WholeField(_("Boxes that may be skipped in a row"), 0, 60)
    skips_per_year = WholeField(_("Boxes that may be skipped in a calendar year"), 0, 366)
    skip_notice_days = WholeField(_("A skip is asked for so many days before the cut-off"), 0, 60)
    second_withdrawal = BooleanField(_("A second right of withdrawal after a free trial"))
    box_notice_days = WholeField(_("Mail about the next box, days before the cut-off"), 0, 14)

    def terms(self) -> PlanTerms:
        """Return what was typed. Only after validation."""
        return PlanTerms(
            trial_days=self.trial_days.number or 0,
            trial_needs_card=self.trial_needs_card.data,
            min_boxes=self.min_boxes.number or 0,
            max_boxes=self.max_boxes.number,
            ends_on=self.ends_on.day,
            at_term_end=self.at_term_end.data,
            first_period=self.first_period.data,
            charge_day=self.charge_day.number,
            change_policy=self.change_policy.data,
            past_due_shipping=self.past_due_shipping.data,
            pause_unpaid=self.pause_unpaid.data,
            skips_in_row=self.skips_in_row.number,
            skips_per_year=self.skips_per_year.number,
            skip_notice_days=self.skip_notice_days.number or 0,
            box_notice_days=self.box_notice_days.number or 0,
            second_withdrawal=self.second_withdrawal.data,
            first_box=self.first_box.data,
            first_box_on=self.first_box_on.day if self.first_box.data == "later" else None,
        )


class ListPriceForm(Form):
    """A price for everybody or one country, with its fee and introductory price."""

    country = SelectField(_("Country"))
    currency = SelectField(_("Currency"), choices=choices_of((code, code) for code in CURRENCIES))
    billing = IntervalField(_("Paid every"), default="1m")
    amount = MoneyField(_("Price"), [InputRequired(_("Enter an amount like 26.00"))])
    is_tax_inside = BooleanField(_("Tax is inside"))
    fee = MoneyField(_("Sign-up fee, once"))
    intro_boxes = WholeField(_("Introductory price for the first boxes"), 0, 60)
    intro_amount = MoneyField(_("Introductory price"))

    def __init__(self, formdata: Any, currency: str, countries: tuple[str, ...]) -> None:
        super().__init__(formdata, data={"currency": currency, "is_tax_inside": True})
        names = writing_locale().territories
        self.country.choices = choices_of(
            [("", gettext("Everywhere")), *((code, names.get(code, code)) for code in countries)]
        )
        typed = self.currency.data if self.currency.data in CURRENCIES else currency
        for field in (self.amount, self.fee, self.intro_amount):
            field.currency = typed

    def validate_intro_boxes(self, field: WholeField) -> None:
        if (self.intro_amount.data or "").strip() and not field.number and not field.errors:
            raise ValidationError(gettext("Enter for how many boxes, or empty the price beside it"))

    def validate_intro_amount(self, field: MoneyField) -> None:
        if self.intro_boxes.number and not (field.data or "").strip():
            raise ValidationError(gettext("Enter the price for the first boxes"))

    def price(self) -> plan_terms.ListPrice:
        """Return what was typed. Only after validation."""
        boxes = self.intro_boxes.number or 0
        return plan_terms.ListPrice(
            self.amount.money,
            self.billing.interval,
            self.country.data,
            self.is_tax_inside.data,
            self.fee.money,
            ((boxes, self.intro_amount.money),) if boxes else (),
        )


def add_plan_terms(bp: Blueprint) -> None:
    """Add the page and what it posts to."""
    bp.add_url_rule("/plans/<ref>/terms", "plan_terms", show_terms)
    bp.add_url_rule("/plans/<ref>/terms", "plan_terms_save", save_terms, methods=["POST"])
    bp.add_url_rule("/plans/<ref>/price-list", "plan_list_price", list_price, methods=["POST"])


def show_terms(ref: str) -> Response:
    """Show the terms and the price list of a plan."""
    return page("plans/terms", **_context(ref))


def save_terms(ref: str) -> Response:
    """Set the terms."""
    form = TermsForm(request.form)
    if not form.validate():
        return _wrong(ref, terms=form)
    try:
        changed = plan_terms.save_terms(runtime(), who(), ref, form.terms())
    except UnknownPlan:
        abort(404)
    except plan_terms.ImpossibleTerms as error:
        for name, reason in error.params["fields"].items():
            form[name].errors = [_reason(reason)]
        return _wrong(ref, terms=form)
    text = gettext("Saved.") if changed else gettext("Nothing to save: it is all as before.")
    return saved(text, "plans/terms", url_for("admin.plan_terms", ref=ref), **_context(ref))


def list_price(ref: str) -> Response:
    """Put a price on sale."""
    rt = runtime()
    form = ListPriceForm(request.form, rt.shop.currency, _countries())
    if not form.validate():
        return _wrong(ref, price=form)
    if not form.country.data and form.currency.data != rt.shop.currency:
        form.currency.errors = [
            gettext("Choose a country, or the shop's own currency: a price for everywhere is in it")
        ]
        return _wrong(ref, price=form)
    rt.session.rollback()
    try:
        changed = plan_terms.list_price(rt, who(), ref, form.price())
    except UnknownPlan:
        abort(404)
    except plan_terms.ImpossiblePrice as error:
        reason = str(error.params["reason"])
        field = _FIELDS.get(reason, "intro_boxes")
        form[field].errors = [_reason(reason)]
        return _wrong(ref, price=form)
    text = gettext("On sale from now on.") if changed else gettext("It costs that already.")
    return saved(text, "plans/terms", url_for("admin.plan_terms", ref=ref), **_context(ref))


#: Why a price cannot be sold -> the field that says so; every other reason is about the boxes.
_FIELDS = {
    "does_not_fit": "billing",
    "zero": "amount",
    "not_lower": "intro_amount",
    "other_currency": "currency",
}


def _reason(code: str) -> str:
    return {
        "not_prorated": gettext(
            "A box has no parts, so its first period cannot be paid by the day"
        ),
        "group_decides": gettext("Boxes are charged on the day of their cycle group"),
        "below_minimum": gettext("Fewer than the least it binds for"),
        "not_whole": gettext("Must be a whole number of payments"),
        "no_single": gettext("Nothing is sold a box at a time; add that price first"),
        "not_rising": gettext("Count from the first box on"),
        "does_not_fit": gettext("Must be a whole multiple of how often a box leaves"),
        "zero": gettext("A price above 0 is needed"),
        "not_lower": gettext("Must be below the price"),
        "other_currency": gettext(
            "This country is sold in another currency. Stop selling those prices first"
        ),
        "is_past": gettext("Choose a day in the future"),
        "no_day": gettext("Say from which day on boxes leave"),
        "with_payment": gettext(
            "After a trial or free days the first box comes with its payment; choose the next box"
        ),
    }[code]


def _countries() -> tuple[str, ...]:
    shop = runtime().shop
    return shop.countries or (shop.seller_country,)


def _context(ref: str) -> dict[str, Any]:
    rt = runtime()
    found = query.plan_terms(rt.session, ref)
    if found is None:
        abort(404)
    now = asdict(found.terms)
    texts = {name: "" if now[name] is None else str(now[name]) for name in _TYPED}
    form = TermsForm(data={**now, **texts})
    price = ListPriceForm(None, rt.shop.currency, _countries())
    names = writing_locale().territories
    return {
        "plan": found,
        "terms": form,
        "price": price,
        "country_names": names,
        "limits": [(_place_of(one, names), _bound_for(one), one.source) for one in LIMITS],
        "checked_on": CHECKED_ON,
        "reminded_from": REMINDED_TRIAL_DAYS,
        "wrong": None,
    }


def _place_of(one: Limit, names: Any) -> str:
    country = str(names.get(one.country, one.country))
    return f"{region_name(one.country, one.region)} ({country})" if one.region else country


def _bound_for(one: Limit) -> str:
    if not one.months:
        return gettext("not at all")
    return ngettext("%(num)s month", "%(num)s months", one.months)


#: Fields that are shown as text.
_TYPED = (
    "trial_days", "min_boxes", "max_boxes", "ends_on", "charge_day", "first_box_on",
    "skips_in_row", "skips_per_year", "skip_notice_days", "box_notice_days",
)  # fmt: skip


def _wrong(ref: str, **forms: Form) -> Response:
    runtime().session.rollback()
    return page(
        "plans/terms", 422, **{**_context(ref), **forms, "wrong": next(iter(forms.values()))}
    )
