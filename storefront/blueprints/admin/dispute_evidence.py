"""The facts of a disputed payment as one file, to be handed in at the gateway.

A plain text: every gateway takes one, and whoever answers the bank copies from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Response, abort
from flask_babel import gettext as _

from storefront.blueprints.admin.outbox import topic_name
from storefront.blueprints.context import runtime
from storefront.domain.address_lines import address_lines
from storefront.formats import money
from storefront.queries import dispute_evidence as query
from storefront.queries.disputes import DisputeRow, dispute
from storefront.templating import writing_locale


def evidence(ref: str) -> Response:
    """Hand out what the shop knows about the payment of a dispute."""
    session = runtime().session
    found, known = dispute(session, ref), query.evidence(session, ref)
    if found is None or known is None:
        abort(404)
    card = f"{found.brand} {found.last4}".strip()
    text = "\n".join([*_payment(found.row, known, card), *_facts(known)])
    response = Response(text + "\n", mimetype="text/plain")
    name = f"evidence-{found.row.number or found.row.public_id}.txt"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


def _payment(row: DisputeRow, known: query.Evidence, card: str) -> Iterator[str]:
    yield _("Dispute %(name)s at %(gateway)s", name=row.gateway_reference, gateway=row.gateway)
    yield f"{_('Payment')}: {row.charge_at_gateway}"
    yield f"{_('Invoice')}: {row.number}"
    yield f"{_('Amount')}: {money(row.amount, writing_locale())}"
    yield f"{_('Card')}: {card}"
    if known.paid_at:
        yield f"{_('Paid')}: {_at(known.paid_at)}"
    yield (
        _("The customer was there.") if known.was_present else _("Renewed by the agreement below.")
    )
    yield ""
    yield f"{_('Customer')}: {known.name} <{known.email}>, {_at(known.customer_since)}"
    yield from (f"- {line}" for line in known.lines)


def _facts(known: query.Evidence) -> Iterator[str]:
    yield from _headed(_("Agreed to"))
    for one in known.agreed:
        yield f"{_at(one.given_at)}  {one.kind}, {one.version}, {one.ip}, {one.user_agent}"
        yield f"SHA-256 {one.text_hash}"
        yield one.text
        if one.page:
            yield f"{_('Button')}: {one.button}"
            yield f"{_('Words of the page')} (SHA-256 {one.page_hash}): {one.page}"
    yield from _headed(_("What was sent"))
    for parcel in known.parcels:
        track = f"{parcel.carrier} {parcel.tracking_number}".strip()
        parts = (_at(parcel.shipped_at), parcel.box, track, _place(parcel.ship_to))
        yield "  ".join(filter(None, parts))
    if not known.parcels:
        yield _("Nothing was sent yet.")
    yield from _headed(_("Mails"))
    for mail in known.mails:
        yield f"{_at(mail.delivered_at)}  {topic_name(mail.topic)}"
    if not known.mails:
        yield _("No mail was sent yet.")


def _headed(title: str) -> tuple[str, ...]:
    return ("", title, "-" * len(title))


def _at(when: datetime) -> str:
    # The same for every reader, wherever the bank is.
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _place(ship_to: Mapping[str, Any] | None) -> str:
    return ", ".join([*address_lines(ship_to), str(ship_to.get("country", ""))]) if ship_to else ""
