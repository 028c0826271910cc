"""What a mail is made of, and what the function that words it is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from babel import Locale
from flask_babel import gettext as _

from storefront import formats
from storefront.adapters.mail import Attachment
from storefront.domain.money import Money
from storefront.queries.mails import Person, next_charge_of
from storefront.runtime import Runtime
from storefront.services.outbox import Delivery


@dataclass(frozen=True, slots=True)
class Words:
    """What one mail says; ready texts in the reader's language."""

    subject: str
    news: str
    #: What else is new, in one sentence: below the news, and beside the subject in a list of mails.
    preheader: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    #: Label and address of the one button.
    action: tuple[str, str] | None = None
    more: tuple[str, ...] = ()
    #: Why the reader gets it, where that is not their subscription.
    why: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Writer:
    """What a topic's function is given."""

    rt: Runtime
    delivery: Delivery
    reader: Person
    locale: Locale

    def money(self, value: Money) -> str:
        return formats.money(value, self.locale)

    def day(self, value: date) -> str:
        return formats.day(value, self.locale, self.rt.today())

    def cutoff(self, value: date) -> str:
        """Return the last moment of a day, with the shop's time zone."""
        return formats.cutoff(self.day(value), self.rt.shop.zone)

    def moment(self, value: datetime) -> str:
        return formats.moment(value, self.locale, self.rt.shop.zone_info, self.rt.today())

    def next_charge(self, subscription: str) -> str:
        """Return amount and day of its next charge as the account shows them; empty: none."""
        rt = self.rt
        found = next_charge_of(rt.session, subscription, rt.moment(), rt.shop.taxes)
        return "" if found is None else self.charge(*found)

    def charge(self, day: date, amount: Money) -> str:
        return _("%(amount)s on %(day)s", amount=self.money(amount), day=self.day(day))

    def url(self, path: str) -> str:
        settings = self.rt.settings
        return f"{settings.base_url}{settings.url_prefix}{path}"
