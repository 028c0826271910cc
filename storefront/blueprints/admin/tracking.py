"""Tracking numbers from a shipping tool's file, and the pages where parcels are followed."""

from __future__ import annotations

import hashlib

from flask import Blueprint, Response, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.datastructures import FileStorage

from storefront.blueprints.admin.base import page, who
from storefront.blueprints.admin.providers import provider_facts
from storefront.blueprints.context import external_url, runtime, staff_user
from storefront.blueprints.typed import one_line
from storefront.domain import permissions as may
from storefront.domain.carriers.links import MOST_ADDRESS, MOST_NAME
from storefront.domain.product_files import MOST_BYTES, FileRefused
from storefront.domain.tracking_rows import TrackingIssue
from storefront.htmx import go
from storefront.parcels import TrackingReport
from storefront.security import register_policy, staff
from storefront.services.tracking import BadLink, save_tracking_links, take_tracking

#: How many rows left out are shown; the count says how many there are.
_SHOWN = 200
_MORE = 2

register_policy(
    dict.fromkeys(
        ("admin.tracking", "admin.try_tracking", "admin.run_tracking", "admin.tracking_links"),
        staff(may.BOXES_MANAGE),
    )
)


def add_tracking(bp: Blueprint) -> None:
    """Add the page to the admin's blueprint."""
    bp.add_url_rule("/tracking", "tracking", overview)
    bp.add_url_rule("/tracking", "try_tracking", dry_run, methods=["POST"])
    bp.add_url_rule("/tracking/run", "run_tracking", run, methods=["POST"])
    bp.add_url_rule("/tracking/links", "tracking_links", links, methods=["POST"])


def overview() -> Response:
    """Ask for a file."""
    return _page()


def dry_run() -> Response:
    """Read the file, say what it would do, and keep it for that."""
    upload: FileStorage | None = request.files.get("file")
    if upload is None or not upload.filename:
        return _page(422, error=_("Choose a CSV file"), carrier=_typed_carrier())
    with upload.stream as stream:
        data = stream.read(MOST_BYTES + 1)
    carrier = _carrier()
    rt = runtime()
    try:
        report = take_tracking(rt, data, carrier=carrier)
    except FileRefused as refused:
        return _page(422, error=_refusal(refused), carrier=_typed_carrier())
    rt.files.publish(_kept(), [data])
    digest = hashlib.sha256(data).hexdigest()
    return _page(report=report, digest=digest, name=upload.filename, carrier=carrier)


def run() -> Response:
    """Do what the file says that was tried."""
    rt = runtime()
    path = rt.files.path_of(_kept())
    data = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(data).hexdigest() != request.form.get("digest"):
        return _page(422, error=_("Choose the file again; another one was tried meanwhile."))
    report = take_tracking(rt, data, carrier=_carrier(), who=who(), dry_run=False)
    path.unlink(missing_ok=True)
    if report.issues:
        return _page(report=report)
    return go(url_for("admin.cycles"), _done(report))


def links() -> Response:
    """Keep the merchant's own tracking pages."""
    rows = range(min(request.form.get("rows", 0, int) or 0, 60))
    typed = [
        (one_line(request.form.get(f"carrier-{row}")), one_line(request.form.get(f"address-{row}")))
        for row in rows
    ]
    filled = [pair for pair in typed if any(pair)]
    names = [carrier for carrier, _address in filled]
    if twice := next((each for each in names if names.count(each) > 1), ""):
        text = _("%(carrier)s is there twice. Keep one of them.", carrier=twice)
        return _page(422, links_error=text, typed=typed)
    try:
        save_tracking_links(
            runtime(),
            who(),
            {carrier[: MOST_NAME + 1]: address[: MOST_ADDRESS + 1] for carrier, address in filled},
        )
    except BadLink as bad:
        text = _(
            "The page of %(carrier)s must begin with https:// and hold {number}",
            carrier=bad.params["carrier"] or _("each carrier"),
        )
        return _page(422, links_error=text, typed=typed)
    return go(url_for("admin.tracking"), _("Tracking pages saved."))


def _kept() -> str:
    """Return where the file of this staff user waits: one each, replaced."""
    return f"imports/tracking-{staff_user().public_id}.csv"


def _typed_carrier() -> str:
    return one_line(request.form.get("carrier"))


def _carrier() -> str:
    return _typed_carrier()[:MOST_NAME]


def _page(
    status: int = 200,
    *,
    error: str = "",
    report: TrackingReport | None = None,
    digest: str = "",
    name: str = "",
    carrier: str = "",
    links_error: str = "",
    typed: list[tuple[str, str]] | None = None,
) -> Response:
    own = list(dict(runtime().shop.tracking_links).items()) if typed is None else typed
    return page(
        "tracking/tracking",
        status,
        error=error,
        report=report,
        digest=digest,
        file_name=name,
        carrier=carrier,
        words=_done(report) if report else "",
        issues=[
            (one.row, issue_words(one), one.value)
            for one in (report.issues[:_SHOWN] if report else ())
        ],
        links_error=links_error,
        links=[*own, *([("", "")] * _MORE if typed is None else [])],
        api_url=external_url("api.tracking"),
        providers=provider_facts(runtime()),
        most_mb=MOST_BYTES >> 20,
        most_name=MOST_NAME,
        most_address=MOST_ADDRESS,
    )


def _done(report: TrackingReport) -> str:
    """Return what a file did or would do, in sentences."""
    if not report.new and report.issues and not report.here:
        return _("Nothing was taken from the file.")
    if not report.new:
        return _("Nothing new: the boxes are where the file says.")
    said = []
    if report.ship:
        said.append(ngettext("%(num)s box leaves.", "%(num)s boxes leave.", report.ship))
    if report.numbered:
        said.append(
            ngettext(
                "%(num)s parcel gets its number.",
                "%(num)s parcels get their numbers.",
                report.numbered,
            )
        )
    if report.deliver:
        said.append(ngettext("%(num)s box arrived.", "%(num)s boxes arrived.", report.deliver))
    if report.come_back:
        said.append(
            ngettext("%(num)s box came back.", "%(num)s boxes came back.", report.come_back)
        )
    return " ".join(said)


def _refusal(refused: FileRefused) -> str:
    known = {
        "file_too_big": lambda: _(
            "The file is bigger than %(limit)s MB. Split it.", limit=refused.params["limit"] >> 20
        ),
        "too_many_rows": lambda: _(
            "The file has more than %(limit)s rows. Split it.", limit=refused.params["limit"]
        ),
        "no_headings": lambda: _("The first row must name the columns: box, tracking number"),
        "file_empty": lambda: _("The file holds no rows."),
        "broken_table": lambda: _(
            "The table breaks off in row %(row)s. Export it again and do not edit it.",
            row=refused.params["row"],
        ),
    }
    say = known.get(refused.code)
    return say() if say else _("Use a CSV file. This one is no text.")


def issue_words(one: TrackingIssue) -> str:
    """Return why a row is left out."""
    known = {
        "missing": lambda: _("names neither a box nor a tracking number"),
        "nothing_said": lambda: _("has neither a tracking number nor a status"),
        "too_long": lambda: _("number or carrier is too long"),
        "unknown_status": lambda: _("status is not shipped, delivered or returned"),
        "unknown": lambda: _("no such box or parcel"),
        "twice": lambda: _("its box stands in row %(row)s already", row=one.value),
        "not_exported": lambda: _("this box is in no exported batch"),
        "lost": lambda: _("this box was noted as lost; if it turned up, say so on its page"),
        "other_number": lambda: _(
            "this parcel has another number; put it right on the page of the box"
        ),
    }
    return known[one.code]()
