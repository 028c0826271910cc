"""How the shop looks: set, tried beside the form, measured, and brought back."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, make_response, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import RadioField, ValidationError
from wtforms.validators import InputRequired

from storefront.assets import brand_url
from storefront.blueprints.admin.base import page, saved, who
from storefront.blueprints.admin.fields import LineField, choices_of
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.domain import permissions
from storefront.domain.look import (
    FIELDS,
    OURS,
    THEMES,
    Correction,
    Look,
    NotAColour,
    NotALook,
    checks,
    correction,
    read_colour,
)
from storefront.domain.money import Money
from storefront.headers import allow
from storefront.security import register_policy, staff
from storefront.services import look as service

_PAGE = "settings/look"

register_policy(
    dict.fromkeys(
        ("admin.look", "admin.look_save", "admin.look_back", "admin.look_sample"),
        staff(permissions.SETTINGS_MANAGE),
    )
)


class ColourField(LineField):
    """A colour as its six digits."""

    def pre_validate(self, form: Form) -> None:
        try:
            read_colour(self.text)
        except NotAColour:
            raise ValidationError(_("Enter a colour like #274c93")) from None


class LookForm(Form):
    """Two colours, and how pages are set."""

    main_colour = ColourField(
        lazy_gettext("Main colour"), [InputRequired(lazy_gettext("Enter a colour"))]
    )
    second_colour = ColourField(
        lazy_gettext("Second colour"), [InputRequired(lazy_gettext("Enter a colour"))]
    )
    paper = RadioField(
        lazy_gettext("Ground of the pages"),
        choices=choices_of(
            {
                "warm": lazy_gettext("Warm"),
                "cool": lazy_gettext("Cool"),
                "grey": lazy_gettext("Grey"),
            }.items()
        ),
    )
    heading = RadioField(
        lazy_gettext("Headings"),
        choices=choices_of(
            {
                "serif": lazy_gettext("With serifs"),
                "sans": lazy_gettext("Without serifs"),
            }.items()
        ),
    )
    corners = RadioField(
        lazy_gettext("Corners"),
        choices=choices_of(
            {
                "square": lazy_gettext("Square"),
                "soft": lazy_gettext("Soft"),
                "round": lazy_gettext("Round"),
            }.items()
        ),
    )
    spacing = RadioField(
        lazy_gettext("Space between parts"),
        choices=choices_of(
            {
                "close": lazy_gettext("Tight"),
                "even": lazy_gettext("Even"),
                "airy": lazy_gettext("Airy"),
            }.items()
        ),
    )

    def look(self, now: Look) -> Look:
        """Return the look that is typed. Only after validation."""
        found = now.with_colours(self.main_colour.text, self.second_colour.text)
        rest = {name: self[name].data for name in ("paper", "heading", "corners", "spacing")}
        return Look(**{**found.values(), **rest})


def add_look(bp: Blueprint) -> None:
    """Add the page of the look to the admin's blueprint."""
    bp.add_url_rule("/look", "look", look)
    bp.add_url_rule("/look", "look_save", look_save, methods=["POST"])
    bp.add_url_rule("/look/back", "look_back", look_back, methods=["POST"])
    bp.add_url_rule("/look/sample", "look_sample", look_sample)


def look() -> Response:
    """Show what is set."""
    return look_page()


def look_page(status: int = 200, **context: Any) -> Response:
    """Answer with the page as it is set."""
    allow("frame-src", "'self'")
    return page(_PAGE, status, **_context(runtime().shop.look), **context)


def look_save() -> Response:
    """Save what is typed, or only show how it would look where nobody pressed the button."""
    allow("frame-src", "'self'")
    rt = runtime()
    form = LookForm(request.form)
    if not form.validate():
        return page(_PAGE, 422, **_context(rt.shop.look, form, wrong=form))
    draft = form.look(rt.shop.look)
    changed = correction(form.main_colour.text, draft)
    if "save" not in request.form:
        return page(_PAGE, **_context(draft, form, changed=changed))
    is_new = service.save_look(rt, who(), draft)
    text = _("Saved.") if is_new else _("Nothing to save: it is all as before.")
    return saved(text, _PAGE, url_for("admin.look"), **_context(rt.shop.look, changed=changed))


def look_back() -> Response:
    """Bring back a look the shop had, or ours."""
    allow("frame-src", "'self'")
    rt, ref = runtime(), request.form.get("ref", "")
    try:
        is_new = service.bring_back(rt, who(), ref) if ref else service.save_look(rt, who(), OURS)
    except service.NoSuchLook:
        abort(404)
    text = _("The shop looks as before again.") if is_new else _("The shop looks like that.")
    return saved(text, _PAGE, url_for("admin.look"), **_context(rt.shop.look))


def look_sample() -> Response:
    """Show a page of the shop with a look that is not saved; for the frame beside the form."""
    values = {name: _plain(request.args.get(name, "")) for name in FIELDS}
    theme = request.args.get("theme", "")
    try:
        draft = Look(**values)  # type: ignore[arg-type]
    except (NotALook, TypeError):
        abort(404)
    if theme not in THEMES:
        abort(404)
    allow("frame-ancestors", "'self'")
    currency = runtime().shop.currency
    return make_response(
        render_template(
            "storefront/admin/settings/look_sample.html",
            brand_url=brand_url(draft),
            theme_choice=lambda: theme,
            customer=None,
            demo=False,
            amounts=[Money(minor, currency) for minor in (1600, 2600, 4200)],
        )
    )


def _plain(text: str) -> str | int:
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 4 else text


def _context(
    draft: Look,
    form: LookForm | None = None,
    *,
    wrong: LookForm | None = None,
    changed: Correction | None = None,
) -> dict[str, Any]:
    rt = runtime()
    values = draft.values()
    stored = {**values, "main_colour": draft.main, "second_colour": draft.second}
    return {
        "form": form or LookForm(data=stored),
        "wrong": wrong,
        "changed": changed,
        "is_draft": draft != rt.shop.look,
        "is_ours": rt.shop.look == OURS,
        "samples": [
            (theme, url_for("admin.look_sample", theme=theme, **values)) for theme in THEMES
        ],
        "checks": checks(draft),
        "roles": _role_words(),
        "past": service.past_looks(rt),
    }


def _role_words() -> dict[tuple[str, str], str]:
    """Return what each pair of ``checks`` is on a page."""
    return {
        ("text", "bg"): _("Text on the page"),
        ("muted", "sunken"): _("Small text in the foot"),
        ("on-action", "action"): _("Words on a button"),
        ("on-action", "action-hover"): _("Words on a button under the pointer"),
        ("link", "bg"): _("Links on the page"),
        ("link", "action-soft"): _("Links on what is chosen"),
        ("text", "action-soft"): _("Text on what is chosen"),
        ("on-accent", "accent"): _("Words on a mark"),
        ("accent-text", "bg"): _("Savings"),
        ("action", "bg"): _("A button against the page"),
        ("control", "surface"): _("Edge of a field"),
        ("focus", "bg"): _("Ring around what has the focus"),
    }
