"""Links of mails that do one thing without signing in; each opens a page that asks first."""

from __future__ import annotations

from datetime import datetime, timedelta

from flask_babel import gettext as _

from storefront.mail_words import Writer
from storefront.operations.action_links import make_link
from storefront.operations.secrets import ADDRESS, SKIP_BOX
from storefront.queries.action_links import AddressToCheck, address_to_check, skips_of

#: How long an address can be confirmed by the link of a mail.
_ADDRESS_DAYS = 30


def skip_line(writer: Writer, subscription: str, cycle: str, until: datetime) -> str:
    """Offer to skip the box of a cycle, until the first instant after its cut-off."""
    done = skips_of(writer.rt.session, subscription, cycle)
    key = writer.rt.settings.secret_key
    token = make_link(key, SKIP_BOX, subscription, cycle, done, until)
    url = writer.url(f"/links/skip/{token}")
    return _("Skip this box, without signing in: %(url)s", url=url)


def address_of(writer: Writer, subscription: str) -> AddressToCheck | None:
    """Return where the boxes of a subscription go."""
    return address_to_check(writer.rt.session, subscription)


def address_url(writer: Writer, subscription: str, found: AddressToCheck) -> str:
    """Return the page on which somebody says that an address is right."""
    until = writer.rt.now() + timedelta(days=_ADDRESS_DAYS)
    key = writer.rt.settings.secret_key
    token = make_link(key, ADDRESS, subscription, found.public_id, found.done, until)
    return writer.url(f"/links/address/{token}")
