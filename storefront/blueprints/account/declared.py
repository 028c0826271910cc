"""What the account says of a contract that somebody declared to end or to withdraw from."""

from __future__ import annotations

from collections.abc import Iterable

from flask_babel import gettext as _

from storefront import formats
from storefront.blueprints.context import runtime
from storefront.domain.declarations import DeclarationKind
from storefront.queries.declarations import Declared, declared_of
from storefront.templating import writing_locale


def told(subscriptions: Iterable[str]) -> dict[str, str]:
    """Return the sentence about the newest declaration of each subscription that has one."""
    found = declared_of(runtime().session, list(subscriptions))
    return {one.subscription: _words(one) for one in found}


def _words(one: Declared) -> str:
    rt, locale = runtime(), writing_locale()
    day = formats.day(rt.moment().day_of(one.received_at), locale, rt.today())
    if one.kind is DeclarationKind.WITHDRAW:
        if one.has_stopped:
            return _(
                "On %(day)s we got a declaration to withdraw from this contract. We are looking at"
                " it: until that is settled nothing is charged and no box is sent.",
                day=day,
            )
        return _(
            "On %(day)s we got a declaration to withdraw from this contract. We are looking at it.",
            day=day,
        )
    if one.ends_on is not None:
        return _("On %(day)s we got a declaration to end this contract.", day=day)
    if one.wished_on is not None:
        return _(
            "On %(day)s we got a declaration to end this contract on %(end)s. We are looking at"
            " it.",
            day=day,
            end=formats.day(one.wished_on, locale, rt.today()),
        )
    return _(
        "On %(day)s we got a declaration to end this contract as soon as possible. We are looking"
        " at it.",
        day=day,
    )
