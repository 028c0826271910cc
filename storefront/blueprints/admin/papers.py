"""Paper for packers: pick lists, packing slips and address labels."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

from flask import Blueprint, Response, abort, request, send_file, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext, ngettext
from wtforms import RadioField

from storefront import paper_words
from storefront.blueprints.admin.base import may, page, saved, who
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.domain import permissions
from storefront.domain.papers import LABELS, LAYOUTS, SLIPS
from storefront.operations.papers import Paper
from storefront.queries import cycles
from storefront.queries import papers as query
from storefront.queries.cycles import BatchRow
from storefront.security import register_policy, staff
from storefront.services import papers

_PACK = staff(permissions.BOXES_MANAGE)
#: Slips and labels hold names and addresses, as the files of an export do.
_TAKE = staff(permissions.EXPORTS_DOWNLOAD)
#: So many seconds lie between two looks of a page at papers being made, fewer at first.
_OFTEN, _SELDOM, _OFTEN_FOR = 3, 15, timedelta(minutes=2)
register_policy(
    {
        "admin.cycle_pick_list": _PACK,
        "admin.batch_pick_list": _PACK,
        "admin.batch_pick_list_pdf": _PACK,
        "admin.batch_papers": _PACK,
        "admin.make_paper": _TAKE,
        "admin.paper_file": _TAKE,
    }
)


class PaperForm(Form):
    """On what a paper is printed."""

    layout = RadioField(lazy_gettext("Paper"), validate_choice=False)


def add_papers(bp: Blueprint) -> None:
    """Add the papers of batches and cycles."""
    bp.add_url_rule("/cycles/<cycle>/pick-list", "cycle_pick_list", cycle_pick_list)
    bp.add_url_rule("/batches/<batch>/pick-list", "batch_pick_list", batch_pick_list)
    bp.add_url_rule("/batches/<batch>/pick-list.pdf", "batch_pick_list_pdf", pick_list_pdf)
    bp.add_url_rule("/batches/<batch>/papers", "batch_papers", overview)
    bp.add_url_rule("/batches/<batch>/papers/<kind>", "make_paper", make, methods=["POST"])
    bp.add_url_rule("/papers/<paper>/<int:number>", "paper_file", download)


def cycle_pick_list(cycle: str) -> Response:
    """Show what to take from the shelf for all boxes of a cycle that have not left."""
    rt = runtime()
    return _pick_page(query.cycle_pick_list(rt.session, cycle), "")


def batch_pick_list(batch: str) -> Response:
    """Show what to take from the shelf for a batch."""
    rt = runtime()
    return _pick_page(query.batch_pick_list(rt.session, batch), batch)


def pick_list_pdf(batch: str) -> Response:
    """Hand the pick list of a batch out on paper, in the language of who asks."""
    rt = runtime()
    picked = query.batch_pick_list(rt.session, batch)
    if picked is None:
        abort(404)
    lead = ngettext("%(num)s box", "%(num)s boxes", picked.found.boxes)
    created = datetime.combine(rt.today(), time(12), UTC)
    done = paper_words.draw_pick_list(picked.found, _title(picked), lead, created)
    response = Response(done, mimetype="application/pdf")
    name = f"pick-list-{picked.cycle_key}-{picked.number}.pdf"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


def overview(batch: str) -> Response:
    """Show the papers of a batch: what there is, what is being made, what can be asked for."""
    return page("cycles/papers", **_papers(_batch(batch)))


def make(batch: str, kind: str) -> Response:
    """Let the worker make slips or labels."""
    found, form = _batch(batch), _form(kind)
    if (kind, form.layout.data) not in LAYOUTS:
        form.layout.errors = [_("Choose the paper you print on")]
        return page("cycles/papers", 422, **_papers(found, form, kind))
    papers.ask_for_paper(runtime(), batch, kind, form.layout.data, who())
    return saved(
        _("It is being made. This page shows it as soon as it is there."),
        "cycles/papers",
        url_for("admin.batch_papers", batch=batch),
        **_papers(found),
    )


def download(paper: str, number: int) -> Response:
    """Hand out one file of a paper."""
    found = papers.paper_file(runtime(), paper, number)
    if found is None:
        abort(404)
    about, path = found
    name = f"{about.kind}-{about.cycle_key}-{about.batch_number}-{about.layout}-{number}.pdf"
    return send_file(path, mimetype="application/pdf", as_attachment=True, download_name=name)


def _pick_page(picked: query.Picked | None, batch: str) -> Response:
    if picked is None:
        abort(404)
    return page("cycles/pick_list", picked=picked, title=_title(picked), batch=batch)


def _title(picked: query.Picked) -> str:
    if picked.number:
        return _("Pick list %(cycle)s, batch %(n)s", cycle=picked.cycle_key, n=picked.number)
    return _("Pick list %(cycle)s", cycle=picked.cycle_key)


def _batch(batch: str) -> BatchRow:
    rt = runtime()
    found = cycles.batch(rt.session, batch)
    rt.session.rollback()
    if found is None or not found.sha256:
        abort(404)
    return found


def _form(kind: str) -> PaperForm:
    form = PaperForm(request.form, prefix=kind)
    names = layout_names()
    form.layout.choices = [(code, names[of, code]) for of, code in LAYOUTS if of == kind]
    return form


def _papers(
    found: BatchRow, typed: PaperForm | None = None, typed_kind: str = ""
) -> dict[str, Any]:
    rt = runtime()
    asked = query.of_batch(rt.session, found.public_id)
    last = query.last_layouts(rt.session)
    rt.session.rollback()
    waiting = [paper.asked_at for paper in asked if paper.made_at is None]
    newest = max(waiting, default=None)
    forms = {}
    for kind, first in ((SLIPS, "a6"), (LABELS, "l7160")):
        form = typed if typed is not None and kind == typed_kind else _form(kind)
        if form is not typed:
            form.layout.process_data(last.get(kind, first))
        forms[kind] = form
    return {
        "batch": found,
        "papers": [(paper, _paper_name(paper)) for paper in asked],
        "is_waiting": bool(waiting),
        "seconds": _OFTEN if newest and rt.now() - newest < _OFTEN_FOR else _SELDOM,
        "forms_by_kind": forms,
        "can_take": may(permissions.EXPORTS_DOWNLOAD),
        "kept_days": papers.KEPT.days,
    }


def _paper_name(paper: Paper) -> str:
    kind = {SLIPS: _("Packing slips"), LABELS: _("Address labels")}[paper.kind]
    return f"{kind}, {layout_names()[paper.kind, paper.layout]}"


def layout_names() -> dict[tuple[str, str], str]:
    """Return what each layout is called."""
    return {
        (SLIPS, "a4"): _("A4, one box on a page"),
        (SLIPS, "a6"): _("A6, one box on a page"),
        (SLIPS, "4x6"): _("4 × 6 inch, one box on a page"),
        (LABELS, "l7160"): _("A4 sheet, 3 × 7 of 63.5 × 38.1 mm (as Avery L7160)"),
        (LABELS, "l7163"): _("A4 sheet, 2 × 7 of 99.1 × 38.1 mm (as Avery L7163)"),
        (LABELS, "5160"): _("US letter sheet, 3 × 10 of 2⅝ × 1 inch (as Avery 5160)"),
        (LABELS, "4x6"): _("4 × 6 inch, one label on a page"),
    }
