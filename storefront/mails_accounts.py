"""Mails about an account itself: it was merged with another one, or it is deleted."""

from __future__ import annotations

from collections.abc import Callable

from flask_babel import gettext as _

from storefront.mail_words import Words, Writer


def accounts_merged(writer: Writer) -> Words:
    """To the account that stays, and to the address of the one that was closed.

    The closed one is not told the other's address: should staff have mistaken somebody for
    another person, nobody's address goes to a stranger.
    """
    payload, shop = writer.delivery.payload, writer.rt.shop.name
    unasked = _("You did not expect this? Answer this mail.")
    if payload.get("to"):
        return Words(
            _("Your accounts at %(shop)s are one now", shop=shop),
            _("Your account under this address was merged into another one of yours."),
            _("This address signs nobody in any more."),
            more=(
                _("Sign in with the other address: everything is there."),
                unasked,
            ),
            why=_had(shop),
        )
    return Words(
        _("Your accounts at %(shop)s are one now", shop=shop),
        _("Your account under %(email)s was merged into this one.", email=payload["email"]),
        _("Everything of it is here now; that address signs nobody in any more."),
        action=(_("See your boxes"), writer.url("/account/")),
        more=(
            _("Subscriptions go on at the same price, with the same card, to the same address."),
            unasked,
        ),
    )


def account_erased(writer: Writer) -> Words:
    """The last mail to somebody; its row goes when it was sent."""
    shop = writer.rt.shop.name
    return Words(
        _("Your account at %(shop)s is deleted", shop=shop),
        _("Your account is deleted."),
        _("This is the last mail to this address."),
        more=(
            _(
                "What law has us keep, such as invoices, stays for its time. Nothing else says who"
                " you were."
            ),
            _("You did not expect this? Answer this mail."),
        ),
        why=_had(shop),
    )


def erase_code(writer: Writer, code: str) -> Words:
    """To somebody without a password who wants the account deleted. No button: the page has it."""
    shop = writer.rt.shop.name
    return Words(
        _("%(code)s deletes your account at %(shop)s", code=code, shop=shop),
        _("The code %(code)s deletes your account.", code=code),
        _("It works for 10 minutes and only once."),
        more=(
            _("Tell nobody this code."),
            _("You did not ask for it? Then do nothing, and your account stays."),
        ),
        why=_("You get this because somebody who is signed in as you asked for it."),
    )


def _had(shop: str) -> str:
    return _("You get this mail because you had an account at %(shop)s.", shop=shop)


#: Topic of the outbox -> how it is worded.
ACCOUNT_TOPICS: dict[str, Callable[[Writer], Words | None]] = {
    "accounts_merged": accounts_merged,
    "account_erased": account_erased,
}
