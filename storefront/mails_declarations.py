"""Word what is mailed about a declaration: its receipt, and to the shop that money is due back."""

from __future__ import annotations

from collections.abc import Callable

from flask_babel import gettext as _

from storefront.domain.declarations import DeclarationKind
from storefront.mail_words import Words, Writer
from storefront.queries.declarations import Said, said_of


def _declaration_received(writer: Writer) -> Words | None:
    """Repeat the whole of it with the instant it came; it goes to the e-mail that was typed."""
    said = said_of(writer.rt.session, str(writer.delivery.payload["declaration"]))
    if said is None or not said.email:
        return None
    zone = writer.rt.shop.zone_info
    came = said.received_at.astimezone(zone)
    # To the second, with its distance from UTC: whoever reads it later can count on it.
    instant = came.isoformat(sep=" ", timespec="seconds")
    facts = [(_("Received"), f"{writer.moment(said.received_at)} ({instant})")]
    if said.ends_on is not None:
        facts.append((_("Ends on"), writer.day(said.ends_on)))
    facts += _typed(writer, said)
    if said.kind is DeclarationKind.WITHDRAW:
        subject = _("We received your withdrawal")
        more = _(
            "A person looks at it now. If you withdrew in time, what you paid comes back within 14"
            " days, the way you paid it."
        )
    else:
        subject = _("We received your cancellation")
        more = _("A person looks at it now and writes to you when it ends.")
        if said.ends_on is not None:
            more = _("You will not be charged again after that day.")
    return Words(
        subject,
        f"{subject}.",
        _("This is what you declared. Keep this mail."),
        tuple(facts),
        more=(more, _("It was not you? Answer this mail, and we find a way.")),
        why=_("You get this because somebody typed this e-mail at %(shop)s.", shop=_shop(writer)),
    )


def _withdrawal_due(writer: Writer) -> Words | None:
    """To the shop's contact address; None once it is done."""
    said = said_of(writer.rt.session, str(writer.delivery.payload["declaration"]))
    moment = writer.rt.moment()
    due_on = said.due_on(moment) if said is not None and not said.is_done else None
    if said is None or due_on is None:
        return None
    day, name = writer.day(due_on), said.name or _("somebody who was erased")
    if due_on < moment.today:
        subject = _("Overdue since %(day)s: money back to %(name)s", day=day, name=name)
        lead = _("%(name)s withdrew from a contract. The money should be back by now.", name=name)
    else:
        subject = _("Money back to %(name)s by %(day)s", day=day, name=name)
        lead = _("%(name)s withdrew from a contract, and nobody noted it as done.", name=name)
    return Words(
        subject,
        lead,
        _(
            "All that was paid goes back, the usual delivery included. You may wait for the goods,"
            " or for proof that they were sent, where they were not to stay with the buyer."
        ),
        (
            (_("Received"), writer.moment(said.received_at)),
            (_("Money back by"), day),
            (_("Contract"), said.contract),
            (_("E-mail"), said.email),
        ),
        (_("Open declarations"), writer.url("/admin/declarations")),
        (_("Refund and end it, then note it as done: after that no mail reminds you."),),
        why=_("You get this because it is the contact address of %(shop)s.", shop=_shop(writer)),
    )


def _typed(writer: Writer, said: Said) -> list[tuple[str, str]]:
    facts = [(_("Contract"), said.contract)]
    if said.kind is DeclarationKind.END:
        wished = writer.day(said.wished_on) if said.wished_on else _("as soon as possible")
        facts += [
            (_("How"), _("for cause") if said.is_for_cause else _("ordinary")),
            (_("When"), wished),
        ]
    if said.reason:
        facts.append((_("Reason"), said.reason))
    return [*facts, (_("Name"), said.name), (_("E-mail"), said.email)]


def _shop(writer: Writer) -> str:
    return writer.rt.shop.name


#: Topic of the outbox -> how it is worded.
DECLARATION_TOPICS: dict[str, Callable[[Writer], Words | None]] = {
    "declaration_received": _declaration_received,
    "withdrawal_due": _withdrawal_due,
}
