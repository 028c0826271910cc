"""Import running subscribers: upload, see what would happen, then import."""

from __future__ import annotations

import hashlib
from typing import Any

from flask import Blueprint, Response, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.datastructures import FileStorage

from storefront.blueprints.admin.base import who
from storefront.blueprints.context import runtime, staff_user
from storefront.domain import permissions as may
from storefront.domain.product_files import MOST_BYTES, FileRefused
from storefront.domain.subscriber_rows import COLUMNS, Finding, Level
from storefront.htmx import go, show
from storefront.security import register_policy, staff
from storefront.services.subscriber_imports import SubscriberReport, import_subscribers

PAGE = "storefront/admin/imports/subscribers.html"
FORM = "storefront/admin/imports/_subscribers.html"
#: How many findings are shown; the count says how many there are.
SHOWN = 200

register_policy(
    dict.fromkeys(
        ("admin.subscriber_import", "admin.try_subscribers", "admin.run_subscribers"),
        staff(may.CHARGING_MANAGE),
    )
)


def add_subscriber_imports(bp: Blueprint) -> None:
    """Add the import page to the admin's blueprint."""
    bp.add_url_rule("/imports/subscribers", "subscriber_import", page)
    bp.add_url_rule("/imports/subscribers", "try_subscribers", dry_run, methods=["POST"])
    bp.add_url_rule("/imports/subscribers/run", "run_subscribers", run, methods=["POST"])


def page() -> Response:
    """Ask for a file."""
    return _show()


def dry_run() -> Response:
    """Read the file, say what an import would do, and keep the file for it."""
    upload: FileStorage | None = request.files.get("file")
    if upload is None or not upload.filename:
        return _show(422, error=_("Choose a CSV file"))
    with upload.stream as stream:
        data = stream.read(MOST_BYTES + 1)
    rt = runtime()
    try:
        report = import_subscribers(rt, data)
    except FileRefused as refused:
        return _show(422, error=refusal_words(refused))
    if report.has_card_numbers:
        # A card number is kept nowhere, not even until the next click.
        return _show(422, error=_("Remove the card numbers; only tokens are imported."))
    rt.files.publish(_kept(), [data])
    return _show(report=report, digest=hashlib.sha256(data).hexdigest(), name=upload.filename)


def run() -> Response:
    """Import the file that was tried, once somebody says that nobody else bills."""
    rt = runtime()
    path = rt.files.path_of(_kept())
    data = path.read_bytes() if path.is_file() else b""
    digest = hashlib.sha256(data).hexdigest()
    if digest != request.form.get("digest"):
        return _show(422, error=_("Choose the file again; another one was tried meanwhile."))
    if "stopped" not in request.form:
        report = import_subscribers(rt, data)
        error = _("Confirm that billing has stopped in the other system")
        return _show(422, report=report, digest=digest, unconfirmed=error)
    try:
        report = import_subscribers(rt, data, dry_run=False, stopped_elsewhere=True, who=who())
    except FileRefused as refused:
        return _show(422, error=refusal_words(refused))
    path.unlink(missing_ok=True)
    if report.findings:
        return _show(report=report)
    return go(url_for("admin.subscribers"), report_words(report))


def _kept() -> str:
    """Return where the file of this staff user waits for its import: one each, replaced."""
    return f"imports/subscribers-{staff_user().public_id}.csv"


def _show(
    status: int = 200,
    *,
    error: str = "",
    report: SubscriberReport | None = None,
    digest: str = "",
    name: str = "",
    unconfirmed: str = "",
) -> Response:
    levels = {
        Level.ERROR: _("Row left out"),
        Level.WARNING: _("Warning"),
        Level.HERE: _("Here already"),
    }
    context: dict[str, Any] = {
        "error": error or unconfirmed,
        "error_at": "stopped" if unconfirmed else "file",
        "report": report,
        "digest": digest,
        "file_name": name,
        "findings": [
            (one.row, one.column, levels[one.level], *finding_words(one), one.value)
            for one in (report.findings[:SHOWN] if report else ())
        ],
        "needed": [name for name, needed in COLUMNS.items() if needed],
        "most_mb": MOST_BYTES >> 20,
        "page_has_errors": bool(error or unconfirmed),
        "words": report_words(report) if report else "",
    }
    return show(PAGE, FORM, status, **context)


def report_words(report: SubscriberReport) -> str:
    """Return what an import did in one sentence."""
    if not report.new:
        return _("Nothing was imported.")
    return ngettext("%(num)s subscription imported.", "%(num)s subscriptions imported.", report.new)


def refusal_words(refused: FileRefused) -> str:
    """Return why a file cannot be read at all, and what to do."""
    known = refused.params
    words = {
        "file_too_big": lambda: _(
            "The file is bigger than %(limit)s MB. Split it.", limit=known["limit"] >> 20
        ),
        "too_many_rows": lambda: _(
            "The file has more than %(limit)s rows. Split it.", limit=known["limit"]
        ),
        "missing_columns": lambda: _(
            "The first row must hold the column names. Missing: %(missing)s",
            missing=", ".join(known["missing"]),
        ),
        "broken_table": lambda: _(
            "The table breaks off in row %(row)s. Export it again and do not edit it.",
            row=known["row"],
        ),
        "file_empty": lambda: _("The file holds no subscribers."),
    }
    say = words.get(refused.code)
    return say() if say else _("Use a CSV file. This one is no text.")


def finding_words(one: Finding) -> tuple[str, str]:
    """Return what is wrong with a cell, and what would be right."""
    known = {**_words_of_cells(one.right), **_words_of_matches(one.right)}
    return known.get(one.code, (one.code, one.right))


def _words_of_cells(right: str) -> dict[str, tuple[str, str]]:
    day, one_of = _("Write a day like 2027-04-12."), _("One of: %(known)s", known=right)
    amount = _("Write an amount like 26.00.")
    return {
        "missing": (_("is missing"), _("Fill it in.")),
        "too_long": (_("is too long"), _("Shorten it.")),
        "not_an_amount": (_("is no amount like 26.00"), amount),
        "negative": (_("is below 0"), amount),
        "too_fine": (_("could be two amounts, or has too many decimals"), amount),
        "not_whole": (_("is no whole number"), _("Write a number like 1.")),
        "too_many_cells": (
            _("row has more cells than the heading"),
            _("Put texts with commas in quotes."),
        ),
        "not_an_email": (_("is no e-mail address"), _("Write one like ada@example.org.")),
        "card_number": (
            _("is a card number, which must not be stored"),
            _("Put in the token that the gateway has for the card, and delete this file."),
        ),
        "not_a_token": (_("is no token"), _("Copy the gateway's id of the payment method.")),
        "not_a_currency": (_("is no currency"), _("Write a code like %(code)s.", code=right)),
        "unknown_word": (_("is not known"), one_of),
        "not_last4": (_("is not four digits"), _("Write the last four digits only.")),
        "not_a_quantity": (_("is no quantity"), one_of),
        "not_options": (_("cannot be read"), _("Write it like size=large; taste=dark.")),
        "not_an_interval": (_("is no interval"), _("Write it like 1 month, 2 weeks or 1 year.")),
        "not_a_day": (_("is no day"), day),
        "has_come": (
            _("is not after today; past days are never charged"),
            _("The next turn is %(day)s. Write the next day not charged elsewhere.", day=right)
            if right
            else _("Write the next day not charged elsewhere."),
        ),
        "too_far": (_("is too far ahead"), _("%(day)s at the latest.", day=right)),
        "before_pause_ends": (_("is before the pause ends"), _("%(day)s or later.", day=right)),
        "in_future": (_("is in the future"), _("%(day)s at the latest.", day=right)),
        "not_paused": (_("is given, but it is not paused"), _("Empty it, or set status paused.")),
        "pause_over": (_("has come"), _("Set the status active, or a later day.")),
        "id_twice": (_("stands twice in this file"), _("It is in row %(row)s.", row=right)),
    }


def _words_of_matches(right: str) -> dict[str, tuple[str, str]]:
    one_of = _("One of: %(known)s", known=right)
    is_there = _("There is %(right)s.", right=right)
    return {
        "here": (_("was imported before"), _("Nothing to do.")),
        "others_card": (
            _("belongs to another customer"),
            _("Use the same e-mail, or a payment method of this customer."),
        ),
        "refused_card": (
            _("was refused for good by its bank"),
            _("Ask the customer for another card first."),
        ),
        "unknown_gateway": (_("is no gateway that is set up here"), one_of),
        "other_account": (_("is another account than the one set up here"), is_there),
        "unknown_country": (_("is no country you deliver to"), one_of),
        "unknown_plan": (_("is no plan"), one_of),
        "unknown_option": (_("is no answer of this plan"), one_of),
        "unanswered": (_("leaves a question of the plan open"), one_of),
        "no_price": (_("no price of the plan fits"), one_of),
        "other_amount": (_("is not what this price costs"), is_there),
        "ends_by_itself": (
            _("ends by itself after some boxes, and how many are left is not known"),
            _("Use a plan without an end."),
        ),
        "falls_to_monthly": (
            _("is a term after which the plan goes on at another interval"),
            _("Use the interval it goes on with: %(interval)s.", interval=right),
        ),
        "not_billing_day": (
            _("is not the billing day of the plan"),
            _("The next one is %(day)s.", day=right),
        ),
        "still_billed": (
            _("the other system still bills it"),
            _("Stop that first, or the customer pays twice."),
        ),
        "no_answer": (_("did not answer"), _("Try again later.")),
        "no_such_card": (
            _("is not stored at the gateway"),
            _("Copy the id of the payment method from %(gateway)s.", gateway=right),
        ),
        "other_owner": (_("is not the customer of this payment method there"), is_there),
        "other_card": (_("is another card than the one at the gateway"), is_there),
        "card_expires": (
            _("card expires before the next charge"),
            _("The customer can replace it in the account."),
        ),
        "failed": (_("could not be written"), _("Try this row again; the log says more.")),
    }
