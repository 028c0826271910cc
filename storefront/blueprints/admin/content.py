"""The shop's own pages: listed, written, looked at before they are public, and taken away."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from markupsafe import Markup
from wtforms import RadioField, StringField, TextAreaField, ValidationError
from wtforms.validators import Length

from storefront.adapters.markdown import markdown_html
from storefront.blueprints.admin.base import page, saved, who
from storefront.blueprints.admin.fields import choices_of
from storefront.blueprints.admin.texts import TextsForm, languages_of, typed_texts
from storefront.blueprints.context import runtime
from storefront.blueprints.typed import markdown_lines, one_line
from storefront.domain import permissions as may
from storefront.domain.content import (
    LONGEST_SLUG,
    LONGEST_TEXT,
    LONGEST_TITLE,
    SlugTaken,
    TooMany,
    in_language,
    is_slug,
    slug_of,
)
from storefront.htmx import go
from storefront.queries import content as query
from storefront.security import register_policy, staff
from storefront.services import content as service
from storefront.templating import LANGUAGES, locale_code

_LIST = "content/content"

register_policy(
    dict.fromkeys(
        (
            "admin.content",
            "admin.content_page_new",
            "admin.content_page",
            "admin.content_page_up",
            "admin.content_page_remove",
        ),
        staff(may.SETTINGS_MANAGE),
    )
)


def shown_field() -> RadioField:
    """Return the choice between a draft and what everybody reads."""
    words = {"draft": lazy_gettext("Draft: staff alone"), "public": lazy_gettext("Everybody")}
    return RadioField(lazy_gettext("Who reads it?"), choices=choices_of(words.items()))


class PageForm(TextsForm):
    """Address, place and readers; title and text of each language are added below."""

    PARTS = {"title": lazy_gettext("Write a title"), "text": lazy_gettext("Write a text")}

    slug = StringField(lazy_gettext("Address"), filters=[one_line])
    place = RadioField(
        lazy_gettext("Linked from"),
        choices=choices_of(
            {
                "footer": lazy_gettext("The foot of every page"),
                "header": lazy_gettext("The head of the shop"),
                "nowhere": lazy_gettext("Nowhere; who has the address finds it"),
            }.items()
        ),
    )
    shown = shown_field()

    def validate_slug(self, field: StringField) -> None:
        if field.data and not is_slug(field.data):
            raise ValidationError(
                _(
                    "Use lower case letters, digits and hyphens, %(count)s at most",
                    count=LONGEST_SLUG,
                )
            )

    def address(self, shop_locale: str) -> str:
        """Return the typed end of the address, or one made of the title."""
        return self.slug.data or slug_of(self[f"title_{shop_locale}"].data)

    def check_address(self, shop_locale: str) -> bool:
        """Say beside the field that no address could be made of the title."""
        if not self.address(shop_locale) and not self.slug.errors:
            self.slug.errors = [_("Enter an address, like about-us")]
        return not self.slug.errors


for _code, _name in LANGUAGES:
    _title = StringField(_name, [Length(max=LONGEST_TITLE)], filters=[one_line])
    _text = TextAreaField(_name, [Length(max=LONGEST_TEXT)], filters=[markdown_lines])
    setattr(PageForm, f"title_{_code}", _title)
    setattr(PageForm, f"text_{_code}", _text)


def add_content(bp: Blueprint) -> None:
    """Add the list of pages and questions, and writing a page."""
    methods = ["GET", "POST"]
    address = "/content/pages/<ref>"
    bp.add_url_rule("/content", "content", content)
    bp.add_url_rule("/content/pages/new", "content_page_new", new, methods=methods)
    bp.add_url_rule(address, "content_page", edit, methods=methods)
    bp.add_url_rule(f"{address}/up", "content_page_up", up, methods=["POST"])
    bp.add_url_rule(f"{address}/remove", "content_page_remove", remove, methods=methods)


def content() -> Response:
    """List pages and questions."""
    return page(_LIST, **listed())


def listed() -> dict[str, Any]:
    """Return what the list shows."""
    rt = runtime()
    return {
        "pages": query.pages(rt.session),
        "questions": query.questions(rt.session),
        "words": lambda one: in_language(one.texts, locale_code(), rt.shop.locale)[1],
        "written_in": lambda one: [name for code, name in LANGUAGES if one.texts.get(code)],
    }


def new() -> Response:
    """Write a page."""
    return _form(None, {"place": "footer", "shown": "draft"})


def edit(ref: str) -> Response:
    """Change a page."""
    found = _found(ref)
    known = {"slug": found.slug, "place": found.place, **typed_texts(found.texts)}
    return _form(found, {**known, "shown": "public" if found.is_public else "draft"})


def up(ref: str) -> Response:
    """Link it before the one in front of it."""
    try:
        service.move_page_up(runtime(), who(), ref)
    except service.ContentGone:
        abort(404)
    return saved(_("Moved up."), _LIST, url_for("admin.content"), **listed())


def remove(ref: str) -> Response:
    """Ask, and then take a page away for good."""
    found, rt = _found(ref), runtime()
    if request.method == "POST" and "sure" in request.form:
        try:
            service.remove_page(rt, who(), ref)
        except service.ContentGone:
            abort(404)
        return go(url_for("admin.content"), _("Removed."))
    _language, words = in_language(found.texts, locale_code(), rt.shop.locale)
    return page(
        "content/remove",
        question=_("Remove the page %(page)s?", page=words.get("title", "")),
        effect=_(
            "Links to its address lead nowhere from then on. To hide it only, make it a draft."
        ),
        action_url=url_for("admin.content_page_remove", ref=ref),
        back_url=url_for("admin.content_page", ref=ref),
    )


def _found(ref: str) -> query.PageRow:
    rt = runtime()
    found = query.page(rt.session, ref)
    rt.session.rollback()
    if found is None:
        abort(404)
    return found


def _form(found: query.PageRow | None, known: dict[str, Any]) -> Response:
    locale = runtime().shop.locale
    if request.method != "POST":
        return _show(found, PageForm(data=known))
    form = PageForm(request.form)
    if "preview" in request.form:
        return _show(found, form, preview=preview(form.texts(), "title", "text"))
    is_right = form.validate()
    is_whole = form.check_texts(locale)
    if form.check_address(locale) and is_right and is_whole:
        return _save(found, form, form.address(locale))
    return _show(found, form, 422)


def preview(texts: dict[str, dict[str, str]], head: str, body: str) -> list[Any]:
    """Return (language, its name, heading, body as HTML) of what is typed, saved or not."""
    base, names = runtime().settings.base_url, dict(LANGUAGES)
    return [
        (code, names[code], one[head], Markup(markdown_html(one[body], base)))  # noqa: S704 - cleaned
        for code, one in texts.items()
    ]


def _save(found: query.PageRow | None, form: PageForm, slug: str) -> Response:
    draft = service.PageDraft(slug, form.texts(), form.place.data, form.shown.data == "public")
    try:
        service.save_page(runtime(), who(), draft, found.ref if found else "")
    except SlugTaken:
        form.slug.errors = [_("Another page has this address")]
        return _show(found, form, 422)
    except TooMany:
        form.form_errors = [_("There is no room for more pages. Remove one first.")]
        return _show(found, form, 422)
    except service.ContentGone:
        abort(404)
    return go(url_for("admin.content"), _("Saved."))


def _show(
    found: query.PageRow | None, form: PageForm, status: int = 200, preview: Any = None
) -> Response:
    shop_locale = runtime().shop.locale
    return page(
        "content/page",
        status,
        found=found,
        form=form,
        preview=preview,
        languages=languages_of(shop_locale),
        shop_locale=shop_locale,
    )
