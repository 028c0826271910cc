"""The cycle board: from recipe to batch to parcel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, abort, request, send_file, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext, ngettext
from wtforms import StringField, TextAreaField, ValidationError
from wtforms.validators import Length

from storefront.blueprints.admin.base import who
from storefront.blueprints.context import runtime, staff_user
from storefront.blueprints.forms import Form
from storefront.blueprints.typed import one_line
from storefront.domain import permissions as may
from storefront.domain.carriers.layout import MIMETYPES, content_type
from storefront.domain.packing import Problem
from storefront.htmx import done, go, show
from storefront.operations.checkout import Market
from storefront.operations.packing import Decided
from storefront.queries import cycles as queries
from storefront.queries.capacity import cycle_limits
from storefront.queries.customs_ahead import customs_ahead
from storefront.queries.cycles import BatchRow
from storefront.queries.late_changes import number_waiting
from storefront.queries.shortages import packed_by_rule, rules_by_sku
from storefront.security import register_policy, staff
from storefront.services import cycles, fulfilment, packing

BOARD = "storefront/admin/cycles/board.html"
PANEL = "storefront/admin/cycles/_board.html"
_MOST_TRACKING = 60_000

register_policy(
    dict.fromkeys(
        (
            "admin.cycles",
            "admin.cycle",
            "admin.lock_cycle",
            "admin.export_cycle",
            "admin.retry_boxes",
            "admin.check_batch",
            "admin.ship_batch",
            "admin.deliver_batch",
        ),
        staff(may.BOXES_MANAGE),
    )
    | {"admin.batch_file": staff(may.EXPORTS_DOWNLOAD)}
)


class ShipForm(Form):
    """Who carries the parcels, and the tracking numbers known already."""

    carrier = StringField(
        lazy_gettext("Carrier"),
        [Length(max=40, message=lazy_gettext("Carrier must be 40 characters or fewer"))],
        filters=[one_line],
    )
    tracking = TextAreaField(
        lazy_gettext("Tracking numbers"),
        description=lazy_gettext(
            "One box per line: the box id from the file, a comma or a tab, the number."
        ),
    )

    def validate_tracking(self, field: TextAreaField) -> None:
        if len(field.data or "") > _MOST_TRACKING:
            raise ValidationError(_("That is too much at once. Ship without, or in parts."))
        for number, line in enumerate((field.data or "").splitlines(), 1):
            if line.strip() and _pair(line) is None:
                raise ValidationError(
                    _("Line %(n)s needs a box id and a number, like box_…, JJD0001", n=number)
                )

    @property
    def numbers(self) -> dict[str, str]:
        """Tracking number by box. Only after validation."""
        pairs = (_pair(line) for line in (self.tracking.data or "").splitlines())
        return dict(pair for pair in pairs if pair)


class DeliverForm(Form):
    """Which parcels arrived; all of the batch when nothing is typed."""

    boxes = TextAreaField(
        lazy_gettext("Boxes that arrived"),
        description=lazy_gettext(
            "One box id or tracking number per line. Leave it empty when all of them arrived."
        ),
    )

    def validate_boxes(self, field: TextAreaField) -> None:
        if len(field.data or "") > _MOST_TRACKING:
            raise ValidationError(_("That is too much at once. Do it in parts."))

    @property
    def names(self) -> list[str]:
        """The lines that say something."""
        return [name for line in (self.boxes.data or "").splitlines() if (name := one_line(line))]


def _pair(line: str) -> tuple[str, str] | None:
    parts = one_line(line.replace("\t", ",").replace(";", ",").replace(" ", ",")).split(",")
    cells = [part.strip("\"' ") for part in parts if part.strip("\"' ")]
    return (cells[0], cells[1]) if len(cells) == 2 and len(cells[1]) <= 80 else None


def add_cycles(bp: Blueprint) -> None:
    """Add the pages of cycles and batches to the admin's blueprint."""
    bp.add_url_rule("/cycles", "cycles", overview)
    bp.add_url_rule("/cycles/<cycle>", "cycle", board)
    bp.add_url_rule("/cycles/<cycle>/lock", "lock_cycle", lock, methods=["POST"])
    bp.add_url_rule("/cycles/<cycle>/export", "export_cycle", export, methods=["POST"])
    bp.add_url_rule("/cycles/<cycle>/retry", "retry_boxes", retry, methods=["POST"])
    bp.add_url_rule("/batches/<batch>/file", "batch_file", download)
    bp.add_url_rule("/batches/<batch>/check", "check_batch", check, methods=["POST"])
    bp.add_url_rule("/batches/<batch>/ship", "ship_batch", ship, methods=["GET", "POST"])
    bp.add_url_rule("/batches/<batch>/deliver", "deliver_batch", deliver, methods=["GET", "POST"])


def overview() -> Response:
    """List the cycles that are worked on, come, or are done."""
    rt = runtime()
    which = request.args.get("show", "")
    which = which if which in {"coming", "done"} else "current"
    rows = queries.cycle_list(rt.session, which)
    return show(
        "storefront/admin/cycles/list.html",
        "storefront/admin/cycles/_list.html",
        cycles=rows,
        limits=cycle_limits(rt.session, [one.public_id for one in rows], rt.moment()),
        which=which,
        late_changes=number_waiting(rt.session),
        tabs=[
            (_("Current"), url_for("admin.cycles"), which == "current"),
            (_("Coming"), url_for("admin.cycles", show="coming"), which == "coming"),
            (_("Done"), url_for("admin.cycles", show="done"), which == "done"),
        ],
    )


def board(cycle: str) -> Response:
    """Show one cycle from recipe to parcel."""
    return show(BOARD, PANEL, **_board(cycle))


def lock(cycle: str) -> Response:
    """Lock a cycle whose lock day is over, without waiting for the worker."""
    _board(cycle)
    try:
        report = cycles.close_cycle(runtime(), cycle, who())
    except cycles.LockNotDue:
        return _refused(cycle, _("This cycle is locked, or its lock day is not over."))
    return _board_done(cycle, _("Cycle locked. %(boxes)s", boxes=_decided(report.boxes)))


def export(cycle: str) -> Response:
    """Export the locked boxes that are in no batch, in the format asked for or the group's."""
    _board(cycle)
    code = request.form.get("format", "")
    try:
        batches = fulfilment.export_all(runtime(), cycle, format_code=code, who=who())
    except fulfilment.CycleNotLocked:
        return _refused(cycle, _("Boxes can still change. Export after the lock."))
    except fulfilment.FormatNotFound:
        return _refused(cycle, _("Choose a format from the list."))
    return _board_done(cycle, _exported(batches))


def _exported(batches: Sequence[fulfilment.ExportedBatch]) -> str:
    if not batches:
        return _("No box is left that fits. Those in no batch are listed before the export.")
    if len(batches) > 1:
        boxes = sum(batch.rows for batch in batches)
        return _("Exported %(boxes)s boxes in %(num)s batches.", boxes=boxes, num=len(batches))
    return ngettext(
        "Exported %(num)s box in batch %(batch)s.",
        "Exported %(num)s boxes in batch %(batch)s.",
        batches[0].rows,
        batch=batches[0].number,
    )


def retry(cycle: str) -> Response:
    """Decide held boxes again: one, or all."""
    _board(cycle)
    one = request.form.get("box")
    try:
        result = packing.retry_boxes(runtime(), cycle, [one] if one else None, who())
    except packing.CycleNotLocked:
        return _refused(cycle, _("These boxes are decided when the cycle locks."))
    return _board_done(cycle, _decided(result))


def download(batch: str) -> Response:
    """Hand out the file of a batch; made again where it is gone or was changed."""
    _batch(batch)
    path = fulfilment.batch_file(runtime(), batch)
    if path is None:
        abort(409)
    layout = fulfilment.batch_layout(runtime(), batch)
    kind = MIMETYPES[layout.kind]
    answer = send_file(path, mimetype=kind, as_attachment=True, download_name=path.name)
    answer.content_type = content_type(layout.kind, layout.encoding)
    return answer


def check(batch: str) -> Response:
    """Make the file of a batch again and compare."""
    found = _batch(batch)
    result = fulfilment.recheck_batch(runtime(), batch)
    if not result.is_same:
        text = _("Batch %(n)s is not what was exported. Do not use it.", n=found.number)
        return _refused(found.cycle_ref, text)
    text = _(
        "Batch %(n)s made again: same bytes, %(rows)s boxes.", n=found.number, rows=result.rows
    )
    return _board_done(found.cycle_ref, text)


def ship(batch: str) -> Response:
    """Ask for carrier and numbers, then mark the batch as shipped."""
    found, form = _batch(batch), ShipForm(request.form)
    if request.method == "GET":
        return _ship_page(found, form)
    if not form.validate():
        return _ship_page(found, form, 422)
    try:
        count = fulfilment.ship_batch(
            runtime(), batch, carrier=form.carrier.data or "", tracking=form.numbers, who=who()
        )
    except fulfilment.UnknownBoxes as unknown:
        boxes = unknown.params["boxes"]
        form.tracking.errors = [_("Not in this batch: %(box)s", box=", ".join(boxes[:3]))]
        return _ship_page(found, form, 422)
    text = ngettext("%(num)s box is on its way.", "%(num)s boxes are on their way.", count)
    return go(url_for("admin.cycle", cycle=found.cycle_ref), text)


def deliver(batch: str) -> Response:
    """Ask which boxes arrived, then mark them as delivered."""
    found, form = _batch(batch), DeliverForm(request.form)
    if request.method == "GET":
        return _deliver_page(found, form)
    if not form.validate():
        return _deliver_page(found, form, 422)
    try:
        count = fulfilment.deliver_batch(runtime(), batch, form.names, who())
    except fulfilment.UnknownBoxes as unknown:
        boxes = ", ".join(unknown.params["boxes"][:3])
        form.boxes.errors = [_("Not in this batch, or not shipped yet: %(box)s", box=boxes)]
        return _deliver_page(found, form, 422)
    text = ngettext(
        "%(num)s box is marked as delivered.", "%(num)s boxes are marked as delivered.", count
    )
    return go(url_for("admin.cycle", cycle=found.cycle_ref), text)


def _board(cycle: str) -> dict[str, Any]:
    rt = runtime()
    found = queries.board(rt.session, cycle, rt.today())
    if found is None:
        rt.session.rollback()
        abort(404)
    rules = rules_by_sku(rt.session, [one.sku for one in found.shortages])
    by_rule = packed_by_rule(rt.session, cycle)
    limits = cycle_limits(rt.session, [cycle], rt.moment())
    countries = Market.of(rt.shop).countries
    border = customs_ahead(rt.session, rt.shop.seller_country, countries, cycle)
    rt.session.rollback()
    return {
        "customs_ahead": border,
        "board": found,
        "rules": rules,
        "by_rule": by_rule,
        "cycle": found.cycle,
        "limit": limits[cycle],
        "problems": problem_words(),
        "can_download": staff_user().may(may.EXPORTS_DOWNLOAD),
        "can_see_products": staff_user().may(may.PRODUCTS_MANAGE),
        "can_see_people": staff_user().may(may.SUBSCRIBERS_VIEW),
    }


def _board_done(cycle: str, message: str) -> Response:
    return done(message, PANEL, url_for("admin.cycle", cycle=cycle), **_board(cycle))


def _refused(cycle: str, text: str) -> Response:
    return show(BOARD, PANEL, 422, refused=text, page_has_errors=True, **_board(cycle))


def _batch(batch: str) -> BatchRow:
    rt = runtime()
    found = queries.batch(rt.session, batch)
    rt.session.rollback()
    if found is None or not found.sha256:
        abort(404)
    return found


def _ship_page(found: BatchRow, form: ShipForm, status: int = 200) -> Response:
    return show(
        "storefront/admin/cycles/ship.html",
        "storefront/admin/cycles/_ship.html",
        status,
        batch=found,
        form=form,
        page_has_errors=status != 200,
    )


def _deliver_page(found: BatchRow, form: DeliverForm, status: int = 200) -> Response:
    return show(
        "storefront/admin/cycles/deliver.html",
        "storefront/admin/cycles/_deliver.html",
        status,
        batch=found,
        form=form,
        page_has_errors=status != 200,
    )


def problem_words() -> dict[str, tuple[str, str]]:
    """Return what each problem is called, and how it is put right."""
    return {
        Problem.HELD: (_("On hold"), _("Release the subscription, then try again.")),
        Problem.NO_ADDRESS: (
            _("No address, or nothing is sent there"),
            _("Give an address where you deliver, or open its zone or country, then try again."),
        ),
        Problem.NO_RECIPE: (_("No recipe"), _("Write the recipe, then try again.")),
        Problem.SHORT_STOCK: (_("Not enough stock"), _("Receive stock, then try again.")),
        Problem.NO_FIT: (
            _("Does not fit the format"),
            _("Correct the address, then export again."),
        ),
        Problem.SHORT_CHOICE: (
            _("Not enough to choose from"),
            _("Receive stock or add to the pool of the recipe, then try again."),
        ),
        Problem.NOT_TOLERATED: (
            _("Holds what is not tolerated"),
            _("Give the product another that comes instead, or a price; receive what is short."),
        ),
    }


def _decided(result: Decided) -> str:
    locked = ngettext("%(num)s box locked", "%(num)s boxes locked", result.locked)
    held = result.held.total()
    if not held:
        return f"{locked}."
    waits = ngettext("%(num)s waits", "%(num)s wait", held)
    return f"{locked}, {waits}."
