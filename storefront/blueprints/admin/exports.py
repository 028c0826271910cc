"""Look before boxes are exported: what fits a format, what does not, and how to put it right."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import StringField
from wtforms.validators import DataRequired, Length

from storefront.blueprints.admin.base import page, who
from storefront.blueprints.context import runtime, staff_user
from storefront.blueprints.forms import Form
from storefront.blueprints.typed import one_line
from storefront.domain import permissions as may
from storefront.domain.carriers.layout import Layout, content_type
from storefront.domain.carriers.rows import Finding
from storefront.htmx import go
from storefront.operations.export_formats import layout_named
from storefront.queries import cycles as cycle_queries
from storefront.queries import exports as queries
from storefront.security import register_policy, staff
from storefront.services import fulfilment
from storefront.services.parcel_addresses import (
    AddressIncomplete,
    ParcelGone,
    correct_parcel_address,
)

register_policy(
    dict.fromkeys(
        ("admin.check_export", "admin.batch_formats", "admin.parcel_address"),
        staff(may.BOXES_MANAGE),
    )
    | {"admin.batch_as": staff(may.EXPORTS_DOWNLOAD)}
)


def _text(label: Any, most: int, *, needed: bool = False) -> StringField:
    checks: list[Any] = [Length(max=most, message=lazy_gettext("This is too long"))]
    if needed:
        checks.insert(0, DataRequired(lazy_gettext("Fill in this field")))
    return StringField(label, checks, filters=[one_line])


class ParcelForm(Form):
    """What stands on one parcel."""

    name = _text(lazy_gettext("Name"), 120, needed=True)
    company = _text(lazy_gettext("Company"), 120)
    street = _text(lazy_gettext("Street and number"), 160, needed=True)
    extra = _text(lazy_gettext("Address line 2"), 160)
    postcode = _text(lazy_gettext("Postcode"), 20)
    city = _text(lazy_gettext("City"), 120, needed=True)
    region = _text(lazy_gettext("State or region"), 80)
    phone = _text(lazy_gettext("Phone"), 40)


def add_exports(bp: Blueprint) -> None:
    """Add the pages to the admin's blueprint."""
    bp.add_url_rule("/cycles/<cycle>/check", "check_export", check)
    bp.add_url_rule("/batches/<batch>/formats", "batch_formats", batch_formats)
    bp.add_url_rule("/batches/<batch>/as/<code>", "batch_as", download)
    bp.add_url_rule(
        "/parcels/<box>/address", "parcel_address", parcel_address, methods=["GET", "POST"]
    )


def check(cycle: str) -> Response:
    """Say which locked boxes of a cycle fit a format, before they are exported in it."""
    rt = runtime()
    board = cycle_queries.board(rt.session, cycle, rt.today())
    if board is None:
        abort(404)
    code, layout = _asked(queries.group_format(rt.session, cycle))
    found = queries.check_cycle(rt.session, cycle, layout)
    rt.session.rollback()
    return _check_page(found, code, layout, title=_("Check before export"))


def batch_formats(batch: str) -> Response:
    """Say what of a batch fits another format, and offer it as a file."""
    rt = runtime()
    row = cycle_queries.batch(rt.session, batch)
    if row is None or not row.sha256:
        abort(404)
    code, layout = _asked("generic_csv")
    found = queries.check_batch(rt.session, batch, layout)
    rt.session.rollback()
    title = _("Batch %(n)s in another format", n=row.number)
    return _check_page(found, code, layout, title=title, batch=row)


def download(batch: str, code: str) -> Response:
    """Hand out the boxes of a batch in another format."""
    try:
        name, pieces = fulfilment.batch_as(runtime(), batch, code)
    except (
        fulfilment.BatchNotFound,
        fulfilment.BatchNotPublished,
        fulfilment.FormatNotFound,
    ):
        abort(404)
    layout = fulfilment.named_layout(runtime(), code)
    answer = Response(b"".join(pieces), content_type=content_type(layout.kind, layout.encoding))
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def parcel_address(box: str) -> Response:
    """Put right what stands on one locked parcel."""
    rt = runtime()
    row = queries.open_box(rt.session, box)
    rt.session.rollback()
    if row is None:
        abort(404)
    if request.method == "GET":
        form = ParcelForm(data={name: row.ship_to.get(name) or "" for name in ParcelForm()._fields})
        return _parcel_page(row, form)
    form = ParcelForm(request.form)
    if not form.validate():
        return _parcel_page(row, form, 422)
    try:
        correct_parcel_address(rt, who(), box, form.data)
    except (ParcelGone, AddressIncomplete):
        form.form_errors = [_("The box left for a batch meanwhile, or its address is incomplete.")]
        return _parcel_page(row, form, 422)
    to = url_for("admin.check_export", cycle=row.cycle_ref, format=request.args.get("format"))
    return go(to, _("Address of this parcel saved."))


def finding_words(one: Finding) -> str:
    """Return what of a box does not fit, and the way out."""
    known = {
        "missing": lambda: _("is needed and missing"),
        "too_long": lambda: _(
            "has %(has)s characters, %(most)s fit: shorten it", has=len(one.value), most=one.most
        ),
        "charset": lambda: _("has signs this file cannot hold: %(signs)s", signs=one.signs),
        "roman": lambda: _(
            "takes letters of Western European languages only, not %(signs)s", signs=one.signs
        ),
        "digits": lambda: _("takes digits only"),
        "formula": lambda: _("begins like a formula of a spreadsheet"),
        "line_break": lambda: _("has a line break"),
    }
    return known[one.code]()


def _asked(default: str) -> tuple[str, Layout]:
    """Return the format of the address, else the default, else the one that takes every box."""
    session = runtime().session
    for code in (request.args.get("format", ""), default):
        layout = layout_named(session, code)
        if layout is not None:
            return code, layout
    layout = layout_named(session, "generic_csv")
    if layout is None:
        raise RuntimeError("the generic format is gone")
    return "generic_csv", layout


def _check_page(
    found: queries.Check, code: str, layout: Layout, *, title: str, batch: Any = None
) -> Response:
    rt = runtime()
    choices = queries.format_choices(rt.session)
    rt.session.rollback()
    return page(
        "exports/check",
        check=found,
        code=code,
        layout=layout,
        choices=choices,
        batch=batch,
        title=title,
        misfits=[
            (one, [(each.column, finding_words(each), each.value) for each in one.findings])
            for one in found.misfits
        ],
        can_see_products=staff_user().may(may.PRODUCTS_MANAGE),
        can_download=staff_user().may(may.EXPORTS_DOWNLOAD),
    )


def _parcel_page(row: Any, form: ParcelForm, status: int = 200) -> Response:
    return page("exports/parcel", status, row=row, form=form, code=request.args.get("format", ""))
