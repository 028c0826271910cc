"""Word packing slips, labels and pick lists, and have them drawn.

A slip is in the language of its box's subscriber, a pick list in its reader's, a label in none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time
from typing import Any

from flask_babel import force_locale, ngettext
from flask_babel import gettext as _

from storefront.adapters import slips
from storefront.adapters.slips import Label, Row, Section, Slip
from storefront.domain.address_lines import address_lines
from storefront.domain.boxes import BoxKind
from storefront.domain.papers import LABELS, LAYOUTS, PickList, pieces_of
from storefront.formats import writing_locale
from storefront.operations.papers import Paper, PaperBox


def draw(paper: Paper, boxes: Sequence[PaperBox]) -> bytes:
    """Return the paper of these boxes as PDF; the same boxes, the same bytes."""
    layout = LAYOUTS[paper.kind, paper.layout]
    created = datetime.combine(paper.batch_made_at.date(), time(12), UTC)
    size = (layout.width, layout.height)
    title = f"{paper.shop['shop']} {paper.cycle_key} {paper.batch_number}"
    if paper.kind == LABELS:
        places = [layout.place(number) for number in range(layout.per_page)]
        found = [_label(box, paper.shop) for box in boxes]
        return slips.labels(found, title, size, layout.cell, places, created)
    return slips.slips((slip(box, paper) for box in boxes), title, size, created)


def slip(box: PaperBox, paper: Paper) -> Slip:
    """Return the slip of a box in the language frozen with it, or the shop's."""
    language = box.packing.get("language") or paper.shop["locale"] or "en"
    with force_locale(language):
        return Slip(
            shop=paper.shop["shop"],
            sender=tuple(_sender(paper.shop)),
            recipient=_recipient(box.ship_to, paper.shop),
            facts=tuple(_facts(box, paper)),
            heading=_("In this parcel") if box.others else _("In this box"),
            rows=tuple(_contents(box)),
            note=_note(box),
            footer=_(
                "Something missing or broken? Write to %(email)s and name the box %(box)s.",
                email=paper.shop["email"],
                box=", ".join(one.public_id for one in (box, *box.others)),
            ),
        )


def _contents(box: PaperBox) -> Iterator[Row]:
    """Return what is in a box; of a parcel with several, below the name of each."""
    for one in (box, *box.others):
        if box.others:
            name = _("Box %(reference)s", reference=reference(one.public_id))
            yield Row("", f"{name} · {one.packing['plan']}", "", is_heading=True)
        for piece in pieces_of(one.packing):
            yield Row(str(piece.pieces), piece.name, piece.sku)
        for lack in one.packing.get("lacks", ()):
            yield Row("", _lack(*lack), "", is_note=True)


def _lack(product: str, instead: str, is_credited: bool, is_asked: bool = False) -> str:
    """Return why something that was to be in the box is not; ``is_asked``: it is not wanted."""
    if is_asked and instead:
        return _(
            "%(product)s was left out as asked: %(other)s is in it instead.",
            product=product,
            other=instead,
        )
    if is_asked:
        return _("%(product)s was left out as asked.", product=product)
    if instead:
        return _(
            "%(product)s had run out: %(other)s is in it instead.", product=product, other=instead
        )
    if is_credited:
        return _(
            "%(product)s had run out and was left out. It is credited to your account.",
            product=product,
        )
    return _("%(product)s had run out and was left out.", product=product)


def _note(box: PaperBox) -> str:
    """Return what stands in a frame: why it comes again, or what the giver of a gift writes."""
    if box.kind == BoxKind.REPLACEMENT:
        return _("We send this box again, in place of one that did not reach you as it should.")
    gift = box.packing.get("gift")
    if not gift:
        return ""
    title = _("A gift from %(giver)s", giver=gift["from"])
    return f"{title}\n{gift['message']}".strip()


def _facts(box: PaperBox, paper: Paper) -> Iterator[str]:
    yield _("Box %(reference)s", reference=reference(box.public_id))
    if box.others:
        inside = 1 + len(box.others)
        yield ngettext("%(num)s box in this parcel", "%(num)s boxes in this parcel", inside)
        yield paper.cycle_key
        return
    yield box.packing["plan"]
    number, count = box.packing.get("ordinal", 1), box.packing.get("of", 1)
    if count > 1:
        yield _("Box %(number)s of %(count)s", number=number, count=count)
    if box.quantity > 1:
        yield ngettext("%(num)s box in one", "%(num)s boxes in one", box.quantity)
    yield paper.cycle_key


def _sender(shop: dict[str, Any]) -> Iterator[str]:
    if shop["name"] != shop["shop"]:
        yield shop["name"]
    yield from shop["address"].splitlines()


def _recipient(ship_to: dict[str, Any], shop: dict[str, Any]) -> tuple[str, ...]:
    """Return the address; a parcel that leaves the country names the one it goes to.

    The country's name is what the post that takes the parcel reads: in the shop's language.
    """
    lines = address_lines(ship_to)
    code = ship_to.get("country") or ""
    if code and code != shop["country"]:
        names = writing_locale(shop["locale"] or "en").territories
        lines.append(str(names.get(code, code)).upper())
    return tuple(lines)


def _label(box: PaperBox, shop: dict[str, Any]) -> Label:
    sender = " · ".join([shop["name"] or shop["shop"], *shop["address"].splitlines()])
    return Label(sender, _recipient(box.ship_to, shop), reference(box.public_id))


def reference(box: str) -> str:
    """Return the end of a box's id in capitals: enough to tell the parcels of a day apart."""
    return box[-6:].upper()


def draw_pick_list(found: PickList, title: str, lead: str, created: datetime) -> bytes:
    """Return a pick list as PDF in the language of its reader."""
    sections = [Section(_("From the shelf"), "", tuple(_rows(found)))]
    for group in found.groups:
        note = ngettext("%(num)s box", "%(num)s boxes", group.boxes)
        rows = tuple(
            Row(
                str(total),
                each.name,
                f"{ngettext('%(num)s per box', '%(num)s per box', each.pieces)} · {each.sku}",
            )
            for each, total in group.totals
        )
        sections.append(Section(group.plan, note, rows))
    return slips.pick_list(sections, title, lead, created)


def _rows(found: PickList) -> Iterator[Row]:
    for one in found.sums:
        yield Row(str(one.pieces), one.name, one.sku)
