"""The words by which somebody lets the shop keep what they do not tolerate, beside a box to tick.

That is data about health, which only an explicit consent allows to keep: article 9 of the GDPR.
"""

from __future__ import annotations

from flask import request
from flask_babel import gettext as _

from storefront.blueprints.typed import one_line
from storefront.operations.consents import Given
from storefront.templating import locale_code

#: Raised with each change of the words that are agreed to.
VERSION = "health 1"


def health_words(*, of_other: bool = False) -> tuple[str, str]:
    """Return what is agreed to, and what stands under it; ``of_other``: who gets a gift."""
    if of_other:
        return (
            _(
                "They agree that I say this about their health and that you keep it, to pack"
                " their boxes without it"
            ),
            _("We use it for nothing else. They can take it back in their account at any time."),
        )
    return (
        _("You may keep this about my health, to pack my boxes without it"),
        _("We use it for nothing else. You can take it back in your account at any time."),
    )


def missing_words() -> str:
    """Return what is said where something is named and its box not ticked."""
    return _("Tick that we may keep this, or tick nothing")


def agreed_words(*, of_other: bool = False) -> tuple[str, str]:
    """Return the words as they are kept as evidence, and their version."""
    agreed, note = health_words(of_other=of_other)
    return f"{agreed}. {note}", f"{VERSION} {locale_code()}"


def given_now(*, keeps: bool) -> Given:
    """Return what this request agrees to, or takes back."""
    text, version = agreed_words()
    if not keeps:
        text = _("I took back that you keep what I do not tolerate.")
    return Given(text, version, request.remote_addr or "", one_line(request.user_agent.string))
