"""Import products: upload, see what would happen, then import."""

from __future__ import annotations

import hashlib
from typing import Any

from flask import Blueprint, Response, request, url_for
from flask_babel import gettext as _
from werkzeug.datastructures import FileStorage

from storefront.blueprints.admin.base import who
from storefront.blueprints.context import runtime, staff_user
from storefront.domain import permissions as may
from storefront.domain import product_files
from storefront.domain.product_files import FileRefused
from storefront.htmx import go, show
from storefront.security import register_policy, staff
from storefront.services.imports import ImportReport, import_products

PAGE = "storefront/admin/imports/page.html"
FORM = "storefront/admin/imports/_form.html"
#: How many issues are shown; the count says how many there are.
SHOWN = 200

register_policy(
    dict.fromkeys(
        ("admin.imports", "admin.try_import", "admin.run_import"), staff(may.PRODUCTS_MANAGE)
    )
)


def add_imports(bp: Blueprint) -> None:
    """Add the import page to the admin's blueprint."""
    bp.add_url_rule("/imports", "imports", page)
    bp.add_url_rule("/imports", "try_import", dry_run, methods=["POST"])
    bp.add_url_rule("/imports/run", "run_import", run, methods=["POST"])


def page() -> Response:
    """Ask for a file."""
    return _show()


def dry_run() -> Response:
    """Read the file, say what an import would do, and keep the file for it."""
    upload: FileStorage | None = request.files.get("file")
    if upload is None or not upload.filename:
        return _show(422, error=_("Choose a CSV file"))
    with upload.stream as stream:
        data = stream.read(product_files.MOST_BYTES + 1)
    rt, set_stock = runtime(), "set_stock" in request.form
    try:
        report = import_products(rt, data, dry_run=True, set_stock=set_stock)
    except FileRefused as refused:
        return _show(422, error=refusal_words(refused), set_stock=set_stock)
    rt.files.publish(_kept(), [data])
    digest = hashlib.sha256(data).hexdigest()
    return _show(report=report, digest=digest, set_stock=set_stock, file_name=upload.filename)


def run() -> Response:
    """Import the file that was tried."""
    rt, set_stock = runtime(), "set_stock" in request.form
    path = rt.files.path_of(_kept())
    data = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(data).hexdigest() != request.form.get("digest"):
        return _show(422, error=_("Choose the file again; another one was tried meanwhile."))
    try:
        report = import_products(rt, data, set_stock=set_stock, who=who())
    except FileRefused as refused:
        return _show(422, error=refusal_words(refused), set_stock=set_stock)
    path.unlink(missing_ok=True)
    if report.issues:
        return _show(report=report, set_stock=set_stock)
    return go(url_for("admin.products"), report_words(report))


def _kept() -> str:
    """Return where the file of this staff user waits for its import: one each, replaced."""
    return f"imports/{staff_user().public_id}.csv"


def _show(
    status: int = 200,
    *,
    error: str = "",
    report: ImportReport | None = None,
    digest: str = "",
    set_stock: bool = False,
    file_name: str = "",
) -> Response:
    context: dict[str, Any] = {
        "error": error,
        "report": report,
        "digest": digest,
        "set_stock": set_stock,
        "file_name": file_name,
        "issues": [
            (issue.row, issue.column, issue_words().get(issue.code, issue.code), issue.value)
            for issue in (report.issues[:SHOWN] if report else ())
        ],
        "most_mb": product_files.MOST_BYTES >> 20,
        "most_rows": product_files.MOST_ROWS,
        "page_has_errors": bool(error),
        "words": report_words(report) if report else "",
    }
    return show(PAGE, FORM, status, **context)


def report_words(report: ImportReport) -> str:
    """Return what an import did in one sentence."""
    if report.changes_nothing:
        return _("Everything in this file is here already. Nothing was changed.")
    return _(
        "Imported: %(new)s new, %(changed)s changed, %(same)s as they were.",
        new=report.new,
        changed=report.changed,
        same=report.unchanged,
    )


def refusal_words(refused: FileRefused) -> str:
    """Return why a file cannot be read at all, and what to do."""
    known = refused.params
    words = {
        "file_too_big": lambda: _(
            "The file is bigger than %(limit)s MB. Export fewer products at a time.",
            limit=known["limit"] >> 20,
        ),
        "too_many_rows": lambda: _(
            "The file has more than %(limit)s rows. Export fewer products at a time.",
            limit=known["limit"],
        ),
        "unknown_heading": lambda: _(
            "The first row must hold the column names of a Shopify or WooCommerce export. "
            "We found: %(found)s",
            found="; ".join(known["found"]) or _("nothing"),
        ),
        "broken_table": lambda: _(
            "The table breaks off in row %(row)s. Export it again and do not edit it.",
            row=known["row"],
        ),
        "file_empty": lambda: _("The file holds no products."),
    }
    say = words.get(refused.code)
    return say() if say else _("Use a CSV file. This one is no text.")


def issue_words() -> dict[str, str]:
    """Return what each issue of a cell means."""
    return {
        "missing": _("is missing"),
        "too_long": _("is too long"),
        "not_an_amount": _("is no amount like 26.00"),
        "negative": _("is below 0"),
        "too_fine": _("could be two amounts, or has too many decimals"),
        "not_whole": _("is no whole number"),
        "not_a_weight": _("is no weight like 0.25"),
        "not_an_hs_code": _("is no HS code of 6, 8 or 10 digits"),
        "not_a_country": _("is no code of a country like DE"),
        "not_packable": _("cannot be packed into a box"),
        "no_variants": _("has no variations in this file"),
        "variant_twice": _("is there twice in this product"),
        "sku_twice": _("is there twice in this file"),
        "sku_taken": _("belongs to another product here"),
        "too_many_cells": _("row has more cells than the heading"),
    }
