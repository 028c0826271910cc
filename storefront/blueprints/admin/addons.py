"""Things sold beside a box: the list, a new one, its prices, taking it off sale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import SelectField, ValidationError
from wtforms.validators import DataRequired, Length

from storefront.blueprints.admin.base import page, saved, who
from storefront.blueprints.admin.fields import (
    LineField,
    MoneyField,
    WholeField,
    checks,
    choices_of,
    plain_money,
)
from storefront.blueprints.admin.translated import (
    in_languages,
    translations_of,
    typed_translations,
)
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.blueprints.typed import one_line
from storefront.domain import permissions
from storefront.htmx import go
from storefront.kept import register_kept
from storefront.queries import addons as query
from storefront.queries.addons import AddonRow
from storefront.security import register_policy, staff
from storefront.services import addon_catalogue as service
from storefront.services.addon_catalogue import AddonDraft, BadAddon

_ACCESS = staff(permissions.PLANS_MANAGE)
_NAMES = ("addons", "addon_new", "addon_edit", "addon_archive")
register_policy({f"admin.{name}": _ACCESS for name in _NAMES})
register_kept(["admin.addon_new", "admin.addon_edit"])


class AddonForm(Form):
    """What one add-on is; ``form_for`` adds a price per currency."""

    name = LineField(
        lazy_gettext("Name"),
        [
            DataRequired(lazy_gettext("Enter a name, such as Tin of biscuits")),
            Length(max=80, message=lazy_gettext("A name has 80 characters at most")),
        ],
        filters=[one_line],
    )
    hint = LineField(
        lazy_gettext("One line about it"),
        [Length(max=160, message=lazy_gettext("The line has 160 characters at most"))],
        filters=[one_line],
    )
    tax_class = SelectField(lazy_gettext("Tax class"))
    sku = LineField(lazy_gettext("Product in the box (SKU)"), filters=[one_line])
    plans = checks(lazy_gettext("Offered with"))
    position = WholeField(lazy_gettext("Place in the list"), 0, 999)


#: What of an add-on is typed in another language.
TEXTS: dict[str, Any] = {
    "name": lambda: LineField(
        lazy_gettext("Name"),
        [Length(max=80, message=lazy_gettext("A name has 80 characters at most"))],
        filters=[one_line],
    ),
    "hint": lambda: LineField(
        lazy_gettext("One line about it"),
        [Length(max=160, message=lazy_gettext("The line has 160 characters at most"))],
        filters=[one_line],
    ),
}
in_languages(AddonForm, TEXTS)


def form_for(formdata: Any, currencies: Sequence[str], row: AddonRow | None = None) -> Any:
    """Return the form with a price for each of ``currencies``, filled from ``row``."""
    fields: dict[str, Any] = {
        f"amount_{code}": MoneyField(_("Price in %(currency)s", currency=code))
        for code in currencies
    }

    def validate(_form: Any, field: MoneyField) -> None:
        typed = (field.data or "").strip()
        if not field.errors and (not field.money.minor if typed else True):
            raise ValidationError(_("Enter what one costs, such as 9.00"))

    # The shop's own currency needs a price; without one elsewhere it is not offered there.
    fields[f"validate_amount_{currencies[0]}"] = validate
    data: dict[str, Any] = {"tax_class": "standard", "position": ""}
    if row is not None:
        data = {
            "name": row.name,
            "hint": row.hint,
            "tax_class": row.tax_class,
            "sku": row.sku,
            "plans": list(row.plans),
            "position": str(row.position),
            **typed_translations(row.translations),
        }
        data |= {f"amount_{code}": plain_money(one) for code, one in row.amounts.items()}
    form = type("AddonFormOf", (AddonForm,), fields)(formdata, data=data)
    for code in currencies:
        form[f"amount_{code}"].currency = code
    form.tax_class.choices = choices_of(
        [("standard", _("Standard")), ("reduced", _("Reduced")), ("zero", _("Zero"))]
    )
    return form


def add_addons(bp: Blueprint) -> None:
    """Add the list, a new one, and one to change."""
    both = ["GET", "POST"]
    bp.add_url_rule("/addons", "addons", addons)
    bp.add_url_rule("/addons/new", "addon_new", new, methods=both)
    bp.add_url_rule("/addons/<addon>", "addon_edit", edit, methods=both)
    bp.add_url_rule("/addons/<addon>/archive", "addon_archive", archive, methods=["POST"])


def addons() -> Response:
    """List what is sold beside boxes."""
    return page("addons/list", **_context())


def new() -> Response:
    """Ask what it is and what it costs, and put it on sale."""
    return _form(None)


def edit(addon: str) -> Response:
    """Change an add-on; who has it keeps the price it was added at."""
    rt = runtime()
    row = query.addon_named(rt.session, addon)
    rt.session.rollback()
    if row is None:
        abort(404)
    return _form(row)


def _form(row: AddonRow | None) -> Response:
    rt = runtime()
    currencies = query.currencies(rt.session, rt.shop.currency)
    names = query.plan_names(rt.session)
    rt.session.rollback()
    form = form_for(request.form, currencies, row)
    kept = [(code, code) for code in (row.plans if row else ()) if code not in dict(names)]
    form.plans.choices = choices_of([*names, *kept])
    status = 200
    if request.method == "POST":
        status = 422
        if form.validate():
            try:
                ref = row.public_id if row is not None else None
                service.save_addon(rt, who(), _draft(form, currencies), ref)
            except BadAddon as error:
                _refuse(form, str(error.params.get("field")))
            else:
                return go(url_for("admin.addons"), _("Saved."))
    return page("addons/form", status, form=form, addon=row, currencies=currencies, **_tongues())


def _tongues() -> dict[str, Any]:
    return {"translated": tuple(TEXTS), "shop_locale": runtime().shop.locale}


def _draft(form: Any, currencies: Sequence[str]) -> AddonDraft:
    prices = {code: form[f"amount_{code}"].money for code in currencies}
    return AddonDraft(
        form.name.text,
        form.hint.text,
        {code: one for code, one in prices.items() if one.minor},
        form.tax_class.data,
        form.sku.text,
        tuple(form.plans.data or ()),
        form.position.number or 0,
        translations_of(form, TEXTS, runtime().shop.locale),
    )


def _refuse(form: Any, field: str) -> None:
    if field == "sku":
        form.sku.errors = [_("No product has this SKU. Look it up under Products and stock")]
    else:
        form.name.errors = [_("This cannot be saved. Check every field")]


def archive(addon: str) -> Response:
    """Take it off sale, or put it back."""
    restore = request.form.get("restore") == "yes"
    try:
        service.archive_addon(runtime(), who(), addon, restore=restore)
    except LookupError:
        abort(404)
    text = _("It is on sale again.") if restore else _("Off sale. Who has it keeps it.")
    return saved(text, "addons/list", url_for("admin.addons"), **_context())


def _context() -> dict[str, Any]:
    rt = runtime()
    return {
        "addons": query.addon_list(rt.session),
        "plan_names": dict(query.plan_names(rt.session)),
    }
