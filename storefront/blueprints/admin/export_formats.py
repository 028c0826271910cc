"""Formats of exports: which group uses which, and a merchant's own columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import BooleanField, SelectField, StringField
from wtforms.validators import DataRequired, Length

from storefront.blueprints.admin.base import page, who
from storefront.blueprints.admin.fields import choices_of
from storefront.blueprints.context import runtime, staff_user
from storefront.blueprints.forms import Form
from storefront.blueprints.typed import one_line
from storefront.domain import permissions as may
from storefront.domain.carriers.fields import FIELDS, ITEM_FIELDS
from storefront.domain.carriers.layout import Column, Layout, Preset
from storefront.domain.carriers.presets import PRESETS
from storefront.domain.privacy import NotAnEmail, normalise_email
from storefront.htmx import go
from storefront.operations.shared_parcels import shares_parcels
from storefront.queries import exports as queries
from storefront.security import register_policy, staff
from storefront.services import export_formats as service

#: Empty rows under the columns there are.
_MORE = 3
#: Rows of columns that are read, and the most characters that a limit allows.
_MOST_ROWS, _MOST_CHARACTERS = 200, 10_000
_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}

register_policy(
    dict.fromkeys(
        (
            "admin.exports",
            "admin.use_format",
            "admin.share_parcels",
            "admin.format_new",
            "admin.format",
            "admin.remove_format",
        ),
        staff(may.BOXES_MANAGE),
    )
)


class FormatForm(Form):
    """A format's name and how its file is written; its columns are read row by row."""

    name = StringField(
        lazy_gettext("Name"),
        [
            DataRequired(lazy_gettext("Give it a name")),
            Length(max=60, message=lazy_gettext("This is too long")),
        ],
        filters=[one_line],
    )
    per_item = BooleanField(lazy_gettext("One row for each product, not for each box"))
    per_box = BooleanField(lazy_gettext("A row for each box, also where several leave together"))
    delimiter = SelectField(
        lazy_gettext("Between the columns"),
        choices=choices_of(
            [
                ("comma", lazy_gettext("Comma")),
                ("semicolon", lazy_gettext("Semicolon")),
                ("tab", lazy_gettext("Tab")),
                ("pipe", lazy_gettext("Vertical bar")),
            ]
        ),
    )
    encoding = SelectField(
        lazy_gettext("Characters"),
        choices=choices_of(
            [("utf-8", "UTF-8"), ("cp1252", "Windows 1252"), ("latin-1", "Latin 1")]
        ),
    )
    is_guarded = BooleanField(
        lazy_gettext("People open it in a spreadsheet"),
        description=lazy_gettext(
            "Cells that a spreadsheet would run get an apostrophe in front. Leave it off where "
            "a tool prints the file as it is; such boxes are then listed before the export."
        ),
    )
    is_marked = BooleanField(
        lazy_gettext("Excel opens it by double click"),
        description=lazy_gettext(
            "A mark goes before UTF-8, so that umlauts and accents come out right. Leave it off "
            "where a program reads the file."
        ),
    )


def add_export_formats(bp: Blueprint) -> None:
    """Add the pages to the admin's blueprint."""
    bp.add_url_rule("/exports", "exports", overview)
    bp.add_url_rule("/exports/groups/<group>", "use_format", use, methods=["POST"])
    bp.add_url_rule("/exports/parcels", "share_parcels", share, methods=["POST"])
    bp.add_url_rule("/exports/formats/new", "format_new", new, methods=["GET", "POST"])
    bp.add_url_rule("/exports/formats/<code>", "format", edit, methods=["GET", "POST"])
    bp.add_url_rule("/exports/formats/<code>/remove", "remove_format", remove, methods=["POST"])


def overview() -> Response:
    """Show what each group is exported in, the merchant's formats, and those there are."""
    return _overview()


def use(group: str) -> Response:
    """Export a group in another format from now on, and mail its files."""
    try:
        mail = _mail_of(group)
    except NotAnEmail:
        return _overview(422, _("Enter an e-mail like name@example.com"), group)
    code = request.form.get("format", "")
    try:
        provider = request.form.get("provider", "")
        changed = service.use_format(runtime(), who(), group, code, mail, provider)
    except service.FormatGone:
        return _overview(422, _("Choose a format from the list."), group)
    said = _("Saved. It holds for batches from now on.") if changed else _("It is so already.")
    return go(url_for("admin.exports"), said)


def _mail_of(group: str) -> str:
    """Return who gets the files; only who may download them may say so, others change nothing.

    Raises ``NotAnEmail``.
    """
    if staff_user().may(may.EXPORTS_DOWNLOAD):
        typed = one_line(request.form.get("mail"))
        return normalise_email(typed) if typed else ""
    session = runtime().session
    known = {each.public_id: each.mail for each in queries.group_exports(session)}
    session.rollback()
    return known.get(group, "")


def share() -> Response:
    """Send boxes of one customer to one address together from now on, or each alone."""
    changed = service.share_parcels(runtime(), who(), shared="shared" in request.form)
    said = _("Saved. It holds for batches from now on.") if changed else _("It is so already.")
    return go(url_for("admin.exports"), said)


def new() -> Response:
    """Make a format, empty or from one there is."""
    start = PRESETS.get(request.args.get("start", ""))
    layout = _started(start) if start else Layout("own", "", (), is_guarded=True)
    return _edit(layout, "", start=start)


def edit(code: str) -> Response:
    """Change a format of the merchant's own."""
    rt = runtime()
    found = [each for each in queries.own_formats(rt.session) if each.public_id == code]
    rt.session.rollback()
    if not found:
        abort(404)
    return _edit(found[0].layout, code)


def remove(code: str) -> Response:
    """Take a format off the lists."""
    try:
        service.remove_format(runtime(), who(), code)
    except service.FormatInUse as used:
        groups = ", ".join(used.params["groups"])
        return _overview(
            422,
            refused=_(
                "%(groups)s is exported in it. Choose another format there first.", groups=groups
            ),
        )
    return go(url_for("admin.exports"), _("Removed. Batches made in it stay as they are."))


def _overview(status: int = 200, refused: str = "", wrong: str = "") -> Response:
    """Show the formats; what was typed for the group ``wrong`` stands as it was typed."""
    rt = runtime()
    groups = [
        replace(one, mail=one_line(request.form.get("mail")) or one.mail)
        if one.public_id == wrong
        else one
        for one in queries.group_exports(rt.session)
    ]
    context = {
        "groups": groups,
        "own": queries.own_formats(rt.session),
        "choices": queries.format_choices(rt.session),
        "can_mail": staff_user().may(may.EXPORTS_DOWNLOAD),
        "providers": list(rt.shipping_providers.values()),
        "shares_parcels": shares_parcels(rt.session),
    }
    rt.session.rollback()
    presets = [(each, _sure(each.confidence), _remark(each.remark)) for each in PRESETS.values()]
    return page("exports/formats", status, presets=presets, refused=refused, **context)


def _edit(layout: Layout, code: str, start: Any = None) -> Response:
    if request.method == "GET":
        form = FormatForm(data=_as_typed(layout))
        return _edit_page(form, layout, code, start=start)
    form = FormatForm(request.form)
    typed, unread, unplaced = _typed(form, layout), _unread("most", _most), _unread("place", _place)
    is_valid = form.validate()
    wrong = {**unread, **unplaced}
    if wrong:
        form.form_errors = [_("Look at the column %(column)s.", column=each) for each in wrong]
    if wrong or not is_valid:
        return _edit_page(form, typed, code, 422, start=start, unread=unread, unplaced=unplaced)
    step = request.form.get("step", "")
    if step == "preview":
        return _edit_page(form, typed, code, start=start, preview=True)
    try:
        service.save_format(runtime(), who(), _without_idle_texts(typed), code)
    except service.BadFormat as bad:
        form.form_errors = [_problem(bad.params["problem"], bad.params["column"])]
        return _edit_page(form, typed, code, 422, start=start)
    except service.FormatGone:
        abort(404)
    return go(url_for("admin.exports"), _("Format saved."))


def _edit_page(
    form: FormatForm,
    layout: Layout,
    code: str,
    status: int = 200,
    *,
    start: Any = None,
    preview: bool = False,
    unread: Mapping[str, str] | None = None,
    unplaced: Mapping[str, str] | None = None,
) -> Response:
    rt = runtime()
    shown = _without_idle_texts(layout)
    rows = queries.preview(rt.session, shown) if preview and _is_sound(layout) else []
    rt.session.rollback()
    return page(
        "exports/format",
        status,
        form=form,
        layout=layout,
        code=code,
        columns=[*layout.columns, *[Column("")] * _MORE],
        fields=field_words(),
        is_preview=preview,
        rows=rows,
        to_type=start.typed if start else (),
        unread=unread or {},
        unplaced=unplaced or {},
        most_rows=_MOST_ROWS,
        most_characters=_MOST_CHARACTERS,
        start=request.args.get("start", ""),
    )


def _is_sound(layout: Layout) -> bool:
    return all(layout.per_item or one.source not in ITEM_FIELDS for one in layout.columns)


def _started(start: Preset) -> Layout:
    """Return a preset as a start: what has to be typed is needed, so that nobody forgets it."""
    columns = [
        replace(one, is_required=True) if one.heading in start.typed else one
        for one in start.layout.columns
    ]
    return replace(start.layout, columns=tuple(columns))


def _as_typed(layout: Layout) -> dict[str, Any]:
    delimiters = {sign: name for name, sign in _DELIMITERS.items()}
    return {
        "name": layout.name,
        "per_item": layout.per_item,
        "per_box": layout.per_box,
        "delimiter": delimiters.get(layout.delimiter, "comma"),
        "encoding": layout.encoding,
        "is_guarded": layout.is_guarded,
        "is_marked": layout.is_marked,
    }


def _most(typed: str) -> int | None:
    """Return how many characters fit, 0 for no limit, None where ``typed`` is no such number."""
    if not typed:
        return 0
    is_number = typed.isascii() and typed.isdigit() and int(typed) <= _MOST_CHARACTERS
    return int(typed) if is_number else None


def _place(typed: str) -> int | None:
    """Return which column it shall be, 0 where nothing was typed, None for no such number."""
    if not typed:
        return 0
    is_number = typed.isascii() and typed.isdigit() and 0 < int(typed[:9]) <= _MOST_ROWS
    return int(typed) if is_number else None


def _unread(part: str, read: Callable[[str], int | None]) -> dict[str, str]:
    """Return by heading what was typed as ``part`` of a column and is no number of them."""
    rows = range(min(request.form.get("rows", 0, int) or 0, _MOST_ROWS))
    typed = {
        one_line(request.form.get(f"heading-{row}"))[:80]: one_line(
            request.form.get(f"{part}-{row}")
        )
        for row in rows
    }
    return {each: text for each, text in typed.items() if each and read(text) is None}


def _typed(form: FormatForm, before: Layout) -> Layout:
    """Return the layout that the form asks for; columns without a heading are left out."""
    rules = {one.heading: one.rule for one in before.columns}
    columns = []
    for row in range(min(request.form.get("rows", 0, int) or 0, _MOST_ROWS)):
        heading = one_line(request.form.get(f"heading-{row}"))[:80]
        if not heading:
            continue
        source = request.form.get(f"source-{row}", "")
        source = source if source in FIELDS else ""
        text = one_line(request.form.get(f"text-{row}"))[:200]
        most = _most(one_line(request.form.get(f"most-{row}"))) or 0
        place = _place(one_line(request.form.get(f"place-{row}"))) or row + 1
        needed = f"needed-{row}" in request.form
        rule = rules.get(heading, "")
        columns.append((place, row, Column(heading, source, text, most, needed, rule)))
    return replace(
        before,
        code="own",
        name=form.name.data or "",
        columns=tuple(column for _place, _row, column in sorted(columns, key=lambda one: one[:2])),
        kind="csv",
        delimiter=_DELIMITERS.get(form.delimiter.data, ","),
        encoding=form.encoding.data
        if form.encoding.data in ("utf-8", "cp1252", "latin-1")
        else "utf-8",
        is_guarded=bool(form.is_guarded.data),
        is_marked=bool(form.is_marked.data),
        per_item=bool(form.per_item.data),
        per_box=bool(form.per_box.data),
    )


def _without_idle_texts(layout: Layout) -> Layout:
    """Return the layout without texts beside a source, which would be written nowhere."""
    columns = tuple(replace(one, text="") if one.source else one for one in layout.columns)
    return replace(layout, columns=columns)


def _problem(problem: str, column: str) -> str:
    known = {
        "no_columns": lambda: _("Give at least one column a heading."),
        "too_many_columns": lambda: _("These are too many columns."),
        "twice": lambda: _("The heading %(column)s is there twice.", column=column),
        "item_field": lambda: _(
            "%(column)s holds one product: choose one row for each product.", column=column
        ),
    }
    return known.get(problem, lambda: _("Look at the column %(column)s.", column=column))()


def _sure(confidence: str) -> str:
    return {
        "own": _("all that is known of a box"),
        "documented": _("as its maker documents it"),
        "seen": _("as public code uses it"),
        "part": _("part of its columns: add the others"),
    }.get(confidence, "")


def _remark(code: str) -> str:
    return {
        "one_name": _("Choose there that the name stands in one column."),
        "mapped": _("You map the columns when you upload the file."),
    }.get(code, "")


def field_words() -> dict[str, str]:
    """Return what each field of a box is called."""
    return {
        "box": _("Box id"),
        "batch": _("Batch id"),
        "cycle": _("Cycle"),
        "plan": _("Plan"),
        "quantity": _("Quantity of the subscription"),
        "contents": _("Contents in one cell"),
        "contents_named": _("Contents by name in one cell"),
        "pieces": _("Number of pieces"),
        "name": _("Name"),
        "company": _("Company"),
        "street": _("Street and number"),
        "street_name": _("Street without number"),
        "house_number": _("House number"),
        "extra": _("Address line 2"),
        "postcode": _("Postcode"),
        "city": _("City"),
        "region": _("State or region"),
        "country": _("Country, 2 letters"),
        "country_3": _("Country, 3 letters"),
        "phone": _("Phone"),
        "phone_digits": _("Phone, digits only"),
        "email": _("E-mail"),
        "weight_grams": _("Weight in grams"),
        "weight_kg": _("Weight in kilograms"),
        "weight_oz": _("Weight in ounces"),
        "gift_from": _("Gift: who gives it"),
        "gift_message": _("Gift: what is written"),
        "note": _("Kind of box, if not a regular one, and its parcel"),
        "answers": _("Answers of the subscriber"),
        "price_net": _("Price without tax"),
        "price_tax": _("Tax in the price"),
        "price": _("Price with tax"),
        "price_currency": _("Currency of the price"),
        "parcel": _("Parcel: its first box"),
        "boxes": _("Boxes of the row"),
        "boxes_in_parcel": _("Boxes in the parcel"),
        "date_iso": _("Day of the lock, 2027-03-31"),
        "date_dmy": _("Day of the lock, 31/03/27"),
        "date_mdy": _("Day of the lock, 03/31/27"),
        "date_us_time": _("Day of the lock, 03/31/2027 00:00:00"),
        "sku": _("Product: SKU"),
        "product": _("Product: name"),
        "pieces_of_sku": _("Product: pieces"),
        "customs": _("Customs: everything in one cell"),
        "customs_total_value": _("Customs: value of everything, without the currency"),
        "customs_total_currency": _("Customs: currency"),
        "customs_total": _("Customs: value of the box"),
        "hs_code": _("Product: HS code"),
        "origin_country": _("Product: country of origin"),
        "customs_text": _("Product: what it is, for customs"),
        "customs_value": _("Product: value of one"),
        "customs_currency": _("Product: currency of the value"),
        "grams_of_sku": _("Product: grams of one"),
        "ounces_of_sku": _("Product: ounces of one"),
    }
