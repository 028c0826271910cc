"""The shop's settings, each section with its own button, and the log of what staff did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from zoneinfo import available_timezones

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import EmailField, SelectField, SelectMultipleField, TextAreaField, ValidationError
from wtforms.validators import InputRequired, Length

from storefront.blueprints.admin.base import page, saved, who
from storefront.blueprints.admin.declines import DeclinesForm
from storefront.blueprints.admin.embed_form import EmbedForm
from storefront.blueprints.admin.fields import (
    LineField,
    MoneyField,
    WholeField,
    checks,
    choices_of,
    plain_money,
)
from storefront.blueprints.admin.log_words import action_name, changes
from storefront.blueprints.admin.sign_up_gateways import add_sign_up_gateways
from storefront.blueprints.admin.translated import (
    in_languages,
    translations_of,
    typed_translations,
)
from storefront.blueprints.context import runtime
from storefront.blueprints.embed import snippet
from storefront.blueprints.forms import Form
from storefront.blueprints.typed import several_lines
from storefront.domain import permissions
from storefront.domain.erasure import LONGEST_YEARS
from storefront.domain.money import EXPONENTS, Money
from storefront.domain.postal import PhoneWish
from storefront.domain.privacy import NotAnEmail, normalise_email
from storefront.domain.rates import RATES, REGIONS
from storefront.operations.audit import verify
from storefront.operations.shipping import read_zones
from storefront.queries import audit as log
from storefront.queries import shipping as delivery
from storefront.runtime import Shop
from storefront.security import register_policy, staff
from storefront.services import shop as service
from storefront.services.bank import LONGEST_DAYS
from storefront.templating import LANGUAGES, writing_locale

_ACCESS = staff(permissions.SETTINGS_MANAGE)
register_policy(
    {"admin.settings": _ACCESS, "admin.settings_save": _ACCESS, "admin.staff_log": _ACCESS}
)


class ShopForm(Form):
    """Who the shop is."""

    name = LineField(
        lazy_gettext("Name of the shop"),
        [InputRequired(lazy_gettext("Enter the shop's name")), Length(max=80)],
    )
    line = LineField(lazy_gettext("One sentence under the name"), [Length(max=200)])
    support_email = EmailField(
        lazy_gettext("E-mail for questions"), [InputRequired(lazy_gettext("Enter your e-mail"))]
    )

    def validate_support_email(self, field: EmailField) -> None:
        try:
            normalise_email(field.data or "")
        except NotAnEmail:
            raise ValidationError(_("Enter an e-mail like name@example.com")) from None

    def values(self) -> dict[str, Any]:
        return {
            "name": self.name.text,
            "line": self.line.text,
            "lines": translations_of(self, LINES, runtime().shop.locale),
            "support_email": normalise_email(self.support_email.data or ""),
        }


#: What of the shop is typed in another language.
LINES: dict[str, Any] = {
    "line": lambda: LineField(lazy_gettext("One sentence under the name"), [Length(max=200)])
}
in_languages(ShopForm, LINES)


class SellerForm(Form):
    """Who sells, as invoices say it."""

    seller_name = LineField(
        lazy_gettext("Legal name"),
        [InputRequired(lazy_gettext("Enter the name that stands on invoices")), Length(max=200)],
    )
    seller_address = TextAreaField(
        lazy_gettext("Address"),
        [InputRequired(lazy_gettext("Enter the address")), Length(max=500)],
    )
    seller_tax_id = LineField(lazy_gettext("VAT number"), [Length(max=40)])
    seller_country = SelectField(lazy_gettext("Country"))

    def values(self) -> dict[str, Any]:
        lines = several_lines(self.seller_address.data).splitlines()
        return {
            "seller_name": self.seller_name.text,
            "seller_address": "\n".join(line for line in lines if line),
            "seller_tax_id": self.seller_tax_id.text.replace(" ", "").upper(),
            "seller_country": self.seller_country.data,
        }


class PapersForm(Form):
    """What every invoice says beside seller and lines."""

    bank_details = TextAreaField(lazy_gettext("Bank details"), [Length(max=400)])
    payment_days = WholeField(lazy_gettext("Days to pay by transfer"), 0, LONGEST_DAYS)
    invoice_footer = TextAreaField(lazy_gettext("Small print of invoices"), [Length(max=600)])
    document_years = WholeField(
        lazy_gettext("Years to keep invoices of people who were erased"), 1, LONGEST_YEARS
    )

    def validate_document_years(self, field: WholeField) -> None:
        self.validate_payment_days(field)

    def validate_payment_days(self, field: WholeField) -> None:
        if field.number is None:
            raise ValidationError(
                _("Enter a whole number from %(low)s to %(high)s", low=field.low, high=field.high)
            )

    def values(self) -> dict[str, Any]:
        return {
            "bank_details": several_lines(self.bank_details.data),
            "payment_days": self.payment_days.number,
            "invoice_footer": several_lines(self.invoice_footer.data),
            "document_years": self.document_years.number,
        }


class SellingForm(Form):
    """Where, in what language and by which clock the shop sells."""

    countries = checks(lazy_gettext("We deliver to"))
    first_country = SelectField(lazy_gettext("Country of new visitors"))
    phone = SelectField(
        lazy_gettext("Phone number for the carrier"),
        choices=choices_of(
            {
                PhoneWish.NO.value: lazy_gettext("is not asked for"),
                PhoneWish.MAY.value: lazy_gettext("can be given"),
                PhoneWish.MUST.value: lazy_gettext("has to be given"),
            }.items()
        ),
    )
    zone = SelectField(lazy_gettext("Time zone"))
    locale = SelectField(
        lazy_gettext("Language of mails and documents"), choices=choices_of(LANGUAGES)
    )
    currency = SelectField(lazy_gettext("Currency"), choices=sorted(EXPONENTS))

    def offer(self, countries: Sequence[tuple[str, str]], now: Sequence[str]) -> None:
        """Give the country fields their choices; ``now`` is the order the shop has."""
        self.now = now
        self.countries.choices = choices_of(countries)
        self.first_country.choices = choices_of(countries)
        self.first_country.data = self.first_country.data or next(iter(now), countries[0][0])

    def validate_countries(self, field: SelectMultipleField) -> None:
        if not field.data:
            raise ValidationError(_("Tick one country at least"))

    def validate_first_country(self, field: SelectField) -> None:
        if field.raw_data and self.countries.data and field.data not in self.countries.data:
            raise ValidationError(_("Choose one that is ticked below"))

    def values(self) -> dict[str, Any]:
        ticked = self.countries.data
        order = dict.fromkeys([self.first_country.data, *self.now, *ticked])
        return {
            "countries": [country for country in order if country in ticked],
            "phone": self.phone.data,
            "zone": self.zone.data,
            "locale": self.locale.data,
            "currency": self.currency.data,
        }


class ReferralForm(Form):
    """What is given for a recommendation."""

    referral_giver_minor = MoneyField(lazy_gettext("Who recommends gets"))
    referral_friend_minor = MoneyField(lazy_gettext("The friend gets"))

    def values(self) -> dict[str, Any]:
        return {field.name: field.money.minor for field in self}


class LateForm(Form):
    """What becomes of periods that were missed."""

    catch_up = SelectField(
        lazy_gettext("A period whose box can no longer ship"),
        choices=choices_of(
            {
                "skip": lazy_gettext("is left out: not charged, no box"),
                "bill": lazy_gettext("is charged, and its box goes out in a later delivery"),
            }.items()
        ),
    )

    def values(self) -> dict[str, Any]:
        return {"catch_up": self.catch_up.data}


#: Digits that fit the key of any row.
_LONGEST_KEY = 18
#: Section of the page -> its form.
SECTIONS: dict[str, Callable[..., Any]] = {
    "shop": ShopForm,
    "seller": SellerForm,
    "papers": PapersForm,
    "selling": SellingForm,
    "referral": ReferralForm,
    "late": LateForm,
    "declines": DeclinesForm,
    "embed": EmbedForm,
}


def add_settings(bp: Blueprint) -> None:
    """Add the settings and the log."""
    bp.add_url_rule("/settings", "settings", settings)
    bp.add_url_rule("/settings/<section>", "settings_save", save, methods=["POST"])
    bp.add_url_rule("/log", "staff_log", staff_log)
    add_sign_up_gateways(bp)


def settings() -> Response:
    """Show every setting."""
    return page("settings/settings", **_context())


def save(section: str) -> Response:
    """Save one section; the others stay as they are."""
    if section not in SECTIONS:
        abort(404)
    rt = runtime()
    form = _form(section, request.form)
    fixed = _is_fixed()
    if section == "selling" and fixed:
        form.currency.data = rt.shop.currency
    if not form.validate():
        return _wrong(section, form)
    rt.session.rollback()
    cut_off = _cut_off(form.values()["countries"]) if section == "selling" else 0
    if cut_off and request.form.get("cut_off") != str(cut_off):
        return _wrong(section, form, cut_off)
    try:
        changed = service.save_settings(rt, who(), form.values())
    except service.CurrencyFixed:
        form.currency.errors = [_("Prices exist in the present currency, so it stays")]
        return _wrong(section, form)
    text = _("Saved.") if changed else _("Nothing to save: it is all as before.")
    return saved(text, "settings/settings", url_for("admin.settings"), **_context())


def staff_log() -> Response:
    """Show what staff did, and whether the chain is unbroken."""
    rt = runtime()
    below = request.args.get("below", "")
    known = below.isdecimal() and len(below) < _LONGEST_KEY
    rows = log.entries(rt.session, below=int(below) if known else None)
    return page(
        "settings/log",
        entries=rows[: log.PAGE],
        older=rows[log.PAGE - 1].id if len(rows) > log.PAGE else None,
        newest=not known,
        chain=verify(rt.session),
        action_name=action_name,
        changes=changes,
    )


def _cut_off(countries: Sequence[str]) -> int:
    """Return how many running subscriptions go to countries that are ticked no more."""
    rt = runtime()
    zones = read_zones(rt.session)
    before = delivery.Served(rt.shop.countries, zones)
    found = delivery.cut_off_by(rt.session, before, delivery.Served(countries, zones))
    rt.session.rollback()
    return found


def _wrong(section: str, form: Any, cut_off: int = 0) -> Response:
    runtime().session.rollback()
    context = _context()
    context["forms_by_section"][section] = form
    context["wrong"] = form if form.errors else None
    context["cut_off"] = cut_off
    return page("settings/settings", 422, **context)


def _context() -> dict[str, Any]:
    rt = runtime()
    return {
        "forms_by_section": {name: _form(name, None, rt.shop) for name in SECTIONS},
        "is_fixed": _is_fixed(),
        "translated": tuple(LINES),
        "shop_locale": rt.shop.locale,
        "snippet": snippet(),
        "wrong": None,
        "cut_off": 0,
    }


def _is_fixed() -> bool:
    return service.has_prices(runtime())


def _stored(section: str, now: Shop) -> dict[str, Any]:
    """Return what is set now, as the fields of a section show it."""
    names = [name for name in service.EDITABLE if hasattr(SECTIONS[section], name)]
    if section == "referral":
        sums = {name: Money(getattr(now, name), now.currency) for name in names}
        return {name: plain_money(one) if one.minor else "" for name, one in sums.items()}
    values = {name: getattr(now, name) for name in names}
    if section == "shop":
        values |= typed_translations(now.lines)
    return {name: str(one) if isinstance(one, int) else one for name, one in values.items()}


def _form(section: str, typed: Any, now: Shop | None = None) -> Any:
    data = _stored(section, now) if now is not None else None
    form = SECTIONS[section](typed, data=data)
    if section == "referral":
        for field in form:
            field.currency = runtime().shop.currency
    names = writing_locale().territories
    shop = runtime().shop
    known = {*RATES, *REGIONS, *shop.countries, shop.seller_country}
    countries = sorted(((code, names.get(code, code)) for code in known), key=lambda c: c[1])
    if section == "seller":
        form.seller_country.choices = choices_of(countries)
    if section == "selling":
        form.offer(countries, shop.countries)
        form.zone.choices = sorted(zone for zone in available_timezones() if "/" in zone)
    return form
