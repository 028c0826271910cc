"""Word the mails of a conversation: to the shop that somebody asks, to them that it answered."""

from __future__ import annotations

from collections.abc import Callable

from flask_babel import gettext as _

from storefront.inquiry_words import about_name, title
from storefront.mail_words import Words, Writer
from storefront.queries.inquiries import Conversation, Said, conversation


def _received(writer: Writer) -> Words | None:
    """To the shop's contact address, with the whole message."""
    found = _found(writer)
    if found is None:
        return None
    talk, said = found
    name = talk.row.name or talk.row.email
    facts = [(_("Customer"), f"{talk.row.name} ({talk.row.email})" if talk.row.name else name)]
    if talk.about is not None:
        facts.append((_("About"), about_name(talk.about, writer.day)))
    return Words(
        _("%(name)s asks: %(subject)s", name=name, subject=title(talk.row)),
        _("%(name)s wrote to you.", name=name),
        facts=((_("Subject"), title(talk.row)), *facts),
        action=(_("Read and answer"), writer.url(f"/admin/inquiries/{talk.row.ref}")),
        more=(
            *_lines(said),
            _(
                "Answer there, not to this mail: then the answer is mailed and stands in their"
                " account."
            ),
        ),
        why=_("You get this because it is the contact address of %(shop)s.", shop=_shop(writer)),
    )


def _answered(writer: Writer) -> Words | None:
    found = _found(writer)
    if found is None:
        return None
    talk, said = found
    return Words(
        _("Our answer: %(subject)s", subject=title(talk.row)),
        _("We answered you."),
        facts=((_("Subject"), title(talk.row)),),
        action=(
            _("See it and write back"),
            writer.url(f"/account/inquiries/{talk.row.ref}"),
        ),
        more=(*_lines(said), _("The whole conversation stands in your account.")),
        why=_("You get this because you wrote to %(shop)s.", shop=_shop(writer)),
    )


def _found(writer: Writer) -> tuple[Conversation, Said] | None:
    payload = writer.delivery.payload
    talk = conversation(writer.rt.session, str(payload.get("inquiry")))
    if talk is None:
        return None
    said = next((one for one in talk.said if one.number == payload.get("number")), None)
    return None if said is None else (talk, said)


def _lines(said: Said) -> list[str]:
    return [line for line in said.text.splitlines() if line]


def _shop(writer: Writer) -> str:
    return writer.rt.shop.name


#: Topic of the outbox -> how it is worded.
INQUIRY_TOPICS: dict[str, Callable[[Writer], Words | None]] = {
    "inquiry_received": _received,
    "inquiry_answered": _answered,
}
