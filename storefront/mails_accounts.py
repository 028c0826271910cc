"""Mails about an account itself: it was merged with another one, or it is deleted."""

from __future__ import annotations

from collections.abc import Callable

from flask_babel import gettext as _

from storefront.mail_words import Words, Writer
from storefront.operations.secrets import one_time


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


def two_step_code(writer: Writer, code: str) -> Words:
    """To somebody without a password who changes how they sign in."""
    return Words(
        _("%(code)s changes how you sign in at %(shop)s", code=code, shop=writer.rt.shop.name),
        _("The code %(code)s changes your two-step sign-in.", code=code),
        _("It works for 10 minutes and only once."),
        more=(
            _("Tell nobody this code."),
            _("You did not ask for it? Then do nothing, and all stays as it is."),
        ),
        why=_("You get this because somebody who is signed in as you asked for it."),
    )


def email_code(writer: Writer, code: str) -> Words:
    """To the present address of somebody without a password who wants to use another one."""
    return Words(
        _("%(code)s lets you change your e-mail at %(shop)s", code=code, shop=writer.rt.shop.name),
        _("The code %(code)s lets you change the e-mail of your account.", code=code),
        _("It works for 10 minutes and only once."),
        more=(
            _("Tell nobody this code."),
            _("You did not ask for it? Then do nothing, and all stays as it is."),
        ),
        why=_("You get this because somebody who is signed in as you asked for it."),
    )


def new_email(writer: Writer) -> Words:
    """To an address that somebody wants to use; one with an account is told so, without a code."""
    payload, shop = writer.delivery.payload, writer.rt.shop.name
    why = _("You get this because somebody at %(shop)s entered this address.", shop=shop)
    if payload["is_taken"]:
        return Words(
            _("Your address at %(shop)s", shop=shop),
            _("This address has an account at %(shop)s already.", shop=shop),
            _("Somebody wanted to use it for another account. Nothing was changed."),
            action=(_("Sign in"), writer.url("/sign-in")),
            more=(_("You have two accounts? Answer this mail, and we make them one."),),
            why=why,
        )
    code = one_time(writer.rt.settings.secret_key, payload["nonce"]).code
    return Words(
        _("%(code)s confirms your new e-mail at %(shop)s", code=code, shop=shop),
        _("The code %(code)s confirms this address.", code=code),
        _("It works for 10 minutes and only once."),
        more=(_("You did not ask for it? Then do nothing: without the code nothing is changed."),),
        why=why,
    )


def email_changed(writer: Writer) -> Words:
    """To the address that an account had until now."""
    shop = writer.rt.shop.name
    return Words(
        _("Your e-mail at %(shop)s was changed", shop=shop),
        _("Your account uses another address now."),
        _("This one signs nobody in any more, and gets no more mails."),
        more=(_("That was not you? Answer this mail at once."),),
        why=_had(shop),
    )


def two_step_changed(writer: Writer) -> Words:
    """The second step of the sign-in was switched on or off, whoever did it."""
    shop = writer.rt.shop.name
    unasked = _("That was not you? Sign out all browsers, set a new password and answer this mail.")
    action = (_("See your sign-in"), writer.url("/account/security"))
    if writer.delivery.payload["is_on"]:
        return Words(
            _("Two-step sign-in is on at %(shop)s", shop=shop),
            _("Signing in takes a second step now."),
            _("After your password or our mail you are asked for the code of your app."),
            action=action,
            more=(_("Keep the recovery codes where you find them without your phone."), unasked),
        )
    return Words(
        _("Two-step sign-in is off at %(shop)s", shop=shop),
        _("Signing in takes no second step any more."),
        _("Your password or a mail of ours is enough."),
        action=action,
        more=(unasked,),
    )


def _had(shop: str) -> str:
    return _("You get this mail because you had an account at %(shop)s.", shop=shop)


#: Topic of the outbox -> how it is worded.
ACCOUNT_TOPICS: dict[str, Callable[[Writer], Words | None]] = {
    "accounts_merged": accounts_merged,
    "account_erased": account_erased,
    "two_step_changed": two_step_changed,
    "new_email": new_email,
    "email_changed": email_changed,
}
