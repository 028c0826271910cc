"""The books: exports for the accountant, account numbers, and what the nightly check found."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Any

from flask import Blueprint, Response, abort, request, send_file, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import ValidationError
from wtforms.validators import InputRequired

from storefront.blueprints.admin.base import page, saved, who
from storefront.blueprints.admin.fields import DayField
from storefront.blueprints.admin.words import account_name, seal_reason
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.blueprints.typed import one_line
from storefront.domain import permissions
from storefront.domain.accounting import TotalsDiffer
from storefront.jobs.selfcheck import EXTRA, SEALED
from storefront.operations.ledger_sums import account_sums
from storefront.operations.moment import Moment
from storefront.queries.invariants import INVARIANTS
from storefront.queries.ledger import is_quickly_summed
from storefront.queries.selfcheck import last_check
from storefront.security import register_policy, staff
from storefront.services import accounting as service

_ACCESS = staff(permissions.ACCOUNTING_EXPORT)
register_policy(
    {
        "admin.accounting": _ACCESS,
        "admin.accounting_export": _ACCESS,
        "admin.accounting_file": _ACCESS,
        "admin.accounting_codes": _ACCESS,
    }
)
_FILE = re.compile(r"accounting-\d{4}-\d\d-\d\d-\d{4}-\d\d-\d\d\.zip")
#: Exports listed.
_MOST = 24


class ExportForm(Form):
    """The days to export."""

    first = DayField(lazy_gettext("From"), validators=[InputRequired(lazy_gettext("Enter a day"))])
    last = DayField(
        lazy_gettext("Last day"), validators=[InputRequired(lazy_gettext("Enter a day"))]
    )

    def validate_last(self, field: DayField) -> None:
        if field.errors or self.first.errors or field.day is None or self.first.day is None:
            return
        if field.day < self.first.day:
            raise ValidationError(_("Choose a last day that is not before the first day"))


def add_accounting(bp: Blueprint) -> None:
    """Add the page of the books, its export and its account numbers."""
    bp.add_url_rule("/accounting", "accounting", accounting)
    bp.add_url_rule("/accounting/export", "accounting_export", export, methods=["POST"])
    bp.add_url_rule("/accounting/codes", "accounting_codes", save_codes, methods=["POST"])
    bp.add_url_rule("/accounting/files/<name>", "accounting_file", download)


def accounting() -> Response:
    """Show balances, exports, account numbers and the nightly check."""
    first, last = _last_month(runtime().today())
    return page("accounting/books", **_context(ExportForm(data=_typed(first, last))))


def export() -> Response:
    """Make the export of the days that were typed; listed on the page for download."""
    form = ExportForm(request.form)
    if not form.validate():
        return page("accounting/books", 422, **_context(form))
    assert form.first.day is not None
    assert form.last.day is not None
    try:
        service.make_download(runtime(), who(), form.first.day, form.last.day)
    except service.TooManyForAPage as error:
        form.last.errors = [_too_many(error)]
        return page("accounting/books", 422, **_context(form))
    except TotalsDiffer as error:
        form.last.errors = [_differs(error)]
        return page("accounting/books", 422, **_context(form))
    text = _("The export is ready. Its totals equal the ledger.")
    return saved(text, "accounting/books", url_for("admin.accounting"), **_context(form))


def save_codes() -> Response:
    """Keep the merchant's own account numbers."""
    codes = {account: one_line(text) for account, text in request.form.items() if text}
    codes.pop("csrf_token", None)
    try:
        service.save_account_codes(runtime(), who(), codes)
    except service.AccountUnknown:
        abort(400)
    text = _("Account numbers saved. The next export says them.")
    form = ExportForm(data=_typed(*_last_month(runtime().today())))
    return saved(text, "accounting/books", url_for("admin.accounting"), **_context(form))


def download(name: str) -> Response:
    """Hand out an export made before."""
    if not _FILE.fullmatch(name):
        abort(404)
    path = runtime().files.path_of(f"{service.FOLDER}/{name}")
    if not path.is_file():
        abort(404)
    return send_file(path, mimetype="application/zip", as_attachment=True, download_name=name)


def _context(form: ExportForm) -> dict[str, Any]:
    rt = runtime()
    now = rt.moment()
    sums = None
    if "balances" in request.args or is_quickly_summed(rt.session):
        sums = account_sums(rt.session, *_this_month(now))
    checked = last_check(rt.session)
    return {
        "form": form,
        "wrong": form if form.errors else None,
        "accounts": [(account_name(one.account), one) for one in sums or ()],
        "balances_wait": sums is None,
        "codes": [(each, account_name(each), code) for each, code in service.account_codes(rt)],
        "files": [
            (name.rpartition("/")[2], at, size // 1024 + 1)
            for name, at, size in service.downloads(rt)[:_MOST]
        ],
        "checked": checked,
        "broken": _broken(checked.broken) if checked else [],
        "asked": len(INVARIANTS) + len(EXTRA),
    }


def _broken(found: dict[str, list[str]]) -> list[tuple[str, str, list[str]]]:
    """Return (id, what does not hold, examples) of what the check found broken."""
    says = {one.id: _(one.says) for one in (*INVARIANTS, *EXTRA)}
    return [
        (key, says.get(key, key), [seal_reason(row) if key == SEALED.id else row for row in rows])
        for key, rows in found.items()
    ]


def _last_month(today: date) -> tuple[date, date]:
    last = today.replace(day=1) - timedelta(days=1)
    return last.replace(day=1), last


def _this_month(now: Moment) -> tuple[datetime, datetime]:
    """Return the first instant of this month and of tomorrow."""
    tomorrow = now.today + timedelta(days=1)
    return now.start_of(now.today.replace(day=1)), now.start_of(tomorrow)


def _typed(first: date, last: date) -> dict[str, str]:
    return {"first": first.isoformat(), "last": last.isoformat()}


def _too_many(error: service.TooManyForAPage) -> str:
    return _(
        "These days have %(count)s bookings, too many for a page. Choose fewer days, or have"
        " storefront export-accounting run on the server.",
        count=error.params["transfers"],
    )


def _differs(error: TotalsDiffer) -> str:
    return _(
        "Nothing was exported, because the books disagree: %(what)s. Tell whoever looks after"
        " the server; storefront self-check says more.",
        what=str(error),
    )
