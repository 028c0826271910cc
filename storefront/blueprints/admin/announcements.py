"""What the merchant says to subscribers in their account."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import SelectField, StringField, TextAreaField, ValidationError
from wtforms.validators import InputRequired, Length

from storefront.blueprints.admin.base import page, who
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.blueprints.typed import one_line, read_day, several_lines
from storefront.domain import permissions as may
from storefront.domain.account_notices import LONGEST_TEXT, LONGEST_TITLE, wording
from storefront.htmx import go
from storefront.queries import account_notices as query
from storefront.security import register_policy, staff
from storefront.services import account_notices as service
from storefront.templating import LANGUAGES, locale_code

register_policy(
    dict.fromkeys(
        (
            "admin.announcements",
            "admin.announcement_new",
            "admin.announcement",
            "admin.announcement_remove",
        ),
        staff(may.MESSAGES_MANAGE),
    )
)


class AnnouncementForm(Form):
    """Days and audience; the texts of each language are added below."""

    from_on = StringField(
        lazy_gettext("First day"),
        [InputRequired(lazy_gettext("Enter a day like 2027-03-12"))],
        filters=[one_line],
    )
    until_on = StringField(
        lazy_gettext("Last day"),
        [InputRequired(lazy_gettext("Enter a day like 2027-03-12"))],
        filters=[one_line],
    )
    plan = SelectField(lazy_gettext("Who sees it?"))

    def validate_from_on(self, field: StringField) -> None:
        if read_day(field.data) is None:
            raise ValidationError(_("Enter a day like 2027-03-12"))

    def validate_until_on(self, field: StringField) -> None:
        first, last = read_day(self.from_on.data), read_day(field.data)
        if last is None:
            raise ValidationError(_("Enter a day like 2027-03-12"))
        if first is not None and last < first:
            raise ValidationError(_("Choose a day not before the first"))

    def texts(self) -> dict[str, dict[str, str]]:
        """Return title and text of each language that has some."""
        found = {
            code: {"title": self[f"title_{code}"].data, "text": self[f"text_{code}"].data}
            for code, _name in LANGUAGES
        }
        return {code: texts for code, texts in found.items() if any(texts.values())}

    def check_texts(self, shop_locale: str) -> bool:
        """Say where a text is missing: a title always goes with it, and the shop's language."""
        texts = self.texts()
        for code, _name in LANGUAGES:
            if (code in texts or code == shop_locale) and not texts.get(code, {}).get("title"):
                self[f"title_{code}"].errors = [_("Write a title")]
        return not any(self[f"title_{code}"].errors for code, _name in LANGUAGES)


for _code, _name in LANGUAGES:
    setattr(
        AnnouncementForm,
        f"title_{_code}",
        StringField(_name, [Length(max=LONGEST_TITLE)], filters=[one_line]),
    )
    setattr(
        AnnouncementForm,
        f"text_{_code}",
        TextAreaField(_name, [Length(max=LONGEST_TEXT)], filters=[several_lines]),
    )


def add_announcements(bp: Blueprint) -> None:
    """Add the list, the form, and taking one away."""
    methods = ["GET", "POST"]
    address = "/announcements/<ref>"
    bp.add_url_rule("/announcements", "announcements", announcements)
    bp.add_url_rule("/announcements/new", "announcement_new", new, methods=methods)
    bp.add_url_rule(address, "announcement", edit, methods=methods)
    bp.add_url_rule(f"{address}/remove", "announcement_remove", remove, methods=["POST"])


def announcements() -> Response:
    """List them, those that end last first."""
    rt = runtime()
    return page(
        "announcements/announcements",
        found=query.announcements(rt.session),
        today=rt.today(),
        words=lambda one: wording(one.texts, locale_code(), rt.shop.locale),
    )


def new() -> Response:
    """Write one."""
    return _form("", AnnouncementForm(data={"from_on": runtime().today().isoformat()}))


def edit(ref: str) -> Response:
    """Change one."""
    rt = runtime()
    found = query.announcement(rt.session, ref)
    rt.session.rollback()
    if found is None:
        abort(404)
    known: dict[str, Any] = {
        "from_on": found.from_on.isoformat(),
        "until_on": found.until_on.isoformat(),
        "plan": found.plan,
    }
    for code, texts in found.texts.items():
        known |= {f"{part}_{code}": texts.get(part, "") for part in ("title", "text")}
    return _form(ref, AnnouncementForm(data=known))


def remove(ref: str) -> Response:
    """Take one away for good."""
    try:
        service.withdraw(runtime(), who(), ref)
    except service.NoticeNotFound:
        abort(404)
    return go(url_for("admin.announcements"), _("Removed."))


def _form(ref: str, form: AnnouncementForm) -> Response:
    rt = runtime()
    if request.method == "POST":
        form = AnnouncementForm(request.form)
    form.plan.choices = [("", _("Everybody")), *query.plan_names(rt.session)]
    rt.session.rollback()
    if request.method == "POST":
        is_right = form.validate()
        if form.check_texts(rt.shop.locale) and is_right:
            return _save(ref, form)
        return _show(ref, form, 422)
    return _show(ref, form)


def _save(ref: str, form: AnnouncementForm) -> Response:
    first, last = read_day(form.from_on.data), read_day(form.until_on.data)
    if first is None or last is None:
        return _show(ref, form, 422)
    said = service.Announced(form.texts(), first, last, form.plan.data or "")
    try:
        service.announce(runtime(), who(), said, ref)
    except service.NoticeNotFound:
        abort(404)
    return go(url_for("admin.announcements"), _("Saved."))


def _show(ref: str, form: AnnouncementForm, status: int = 200) -> Response:
    shop_locale = runtime().shop.locale
    languages = sorted(LANGUAGES, key=lambda one: one[0] != shop_locale)
    return page(
        "announcements/announcement",
        status,
        ref=ref,
        form=form,
        languages=languages,
        shop_locale=shop_locale,
    )
