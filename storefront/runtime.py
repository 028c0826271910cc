"""What a use-case is given: session, clock, shop, gateways, mailer, files, hooks.

One object per application, the same for web, worker and commands. It knows no web framework;
its session is whatever the caller's scope is (one request, one tick, one command).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session, scoped_session

from storefront.adapters.clock import Clock
from storefront.adapters.files import FileStore
from storefront.adapters.mail import Mailer
from storefront.adapters.passwords import Passwords
from storefront.database import reading
from storefront.domain.card_testing import Limits
from storefront.domain.gateways import Gateway
from storefront.domain.look import FIELDS as LOOK_FIELDS
from storefront.domain.look import Look, look_of
from storefront.domain.parcels import ShippingProvider
from storefront.domain.sign_up import open_gateways
from storefront.domain.tax_treatment import TaxRules
from storefront.models.settings import ShopSettings, TaxRate
from storefront.operations.moment import Moment
from storefront.operations.taxes import own_rate_columns, rules_of
from storefront.plugins import Hooks
from storefront.settings import Settings

_KEPT = "storefront_shop"


class ShopNotSetUp(LookupError):
    """The shop settings table is empty: nobody has set this shop up yet."""


@dataclass(frozen=True, slots=True)
class Shop:
    """What the merchant has set, as read at the start of a request or tick."""

    name: str
    #: One sentence under the name; may be empty.
    line: str
    #: The same in other languages: ``{"de": {"line": "…"}}``.
    lines: Mapping[str, Mapping[str, str]]
    support_email: str
    seller_name: str
    seller_address: str
    seller_tax_id: str
    seller_country: str
    #: Days to pay for customers who pay by bank and have no days of their own.
    payment_days: int
    #: Where customers who pay by bank send their money; may be empty.
    bank_details: str
    #: Small print at the foot of every invoice; may be empty.
    invoice_footer: str
    #: IANA name of the zone in which charge days and cut-offs are days.
    zone: str
    currency: str
    #: Language of mails and documents of customers who chose none.
    locale: str
    #: ISO codes of the countries delivered to.
    countries: tuple[str, ...]
    #: Whether addresses are asked a phone number; a value of ``PhoneWish``.
    phone: str
    #: Gateways that take new methods, in order; empty: all there are.
    sign_up_gateways: tuple[str, ...]
    #: Origins of sites that may show the plans inside their pages.
    embed_origins: tuple[str, ...]
    #: Carrier -> address of its tracking page, where the merchant set one.
    tracking_links: Mapping[str, str]
    #: What is given for a recommendation, in the shop's currency; both 0: nothing.
    referral_giver_minor: int
    referral_friend_minor: int
    brand_hue: int
    #: Thousandths.
    brand_chroma: int
    accent_hue: int
    #: Thousandths.
    accent_chroma: int
    paper: str
    heading: str
    corners: str
    spacing: str
    #: Set while the merchant holds all charging.
    charging_held_at: datetime | None
    #: ``late`` since renewals were set aside because nothing ran for two days.
    charging_held_reason: str
    #: ``skip`` or ``bill``: periods missed while nothing ran, whose boxes can no longer ship.
    catch_up: str
    #: What fell due until then goes on, however late it is.
    late_released_at: datetime | None
    #: Years for which documents say whom they were made out to.
    document_years: int
    #: Everybody on the staff signs in with a second step.
    staff_two_step: bool
    #: ``{"links": […], "has_faq": …}``: what every page has to know of the merchant's pages.
    content: Mapping[str, Any]
    #: ``{"digest", "width", "height"}`` of the logo; empty: the name stands in its place.
    logo: Mapping[str, Any]
    #: Declined cards within an hour: of one person, of one network address, of the whole shop
    #: before staff are warned.
    declines_person: int
    declines_address: int
    declines_alarm: int
    #: Raised with each change of plans, prices or settings; keys page caches.
    catalogue_version: int
    #: Rates, rounding and the seller's country: what every price is taxed by.
    taxes: TaxRules

    @property
    def look(self) -> Look:
        """How its pages and mails look."""
        return look_of({name: getattr(self, name) for name in LOOK_FIELDS})

    @property
    def declines(self) -> Limits:
        """How many declined cards within an hour are let through."""
        return Limits(self.declines_person, self.declines_address)

    @property
    def gives_referrals(self) -> bool:
        return bool(self.referral_giver_minor or self.referral_friend_minor)

    @property
    def zone_info(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    @property
    def seller(self) -> dict[str, Any]:
        """Return all of the shop that a document says, for ``InvoiceDraft.snapshot``.

        Documents are drawn from it alone, so that they read the same for ever.
        """
        return {
            "shop": self.name,
            "name": self.seller_name,
            "address": self.seller_address,
            "tax_id": self.seller_tax_id,
            "country": self.seller_country,
            "email": self.support_email,
            "bank": self.bank_details,
            "footer": self.invoice_footer,
            "hue": self.brand_hue,
            "chroma": self.brand_chroma,
            "zone": self.zone,
            "locale": self.locale,
        }


#: What of it stands in the one row of settings.
_SHOP_FIELDS = tuple(name for name in Shop.__dataclass_fields__ if name != "taxes")


@dataclass(frozen=True, slots=True)
class Runtime:
    """The world of a use-case."""

    session: scoped_session[Session]
    settings: Settings
    clock: Clock
    mailer: Mailer
    files: FileStore
    passwords: Passwords
    hooks: Hooks

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        return self.clock.now()

    def today(self) -> date:
        """Return the shop's calendar day."""
        return self.day_of(self.now())

    def day_of(self, instant: datetime) -> date:
        """Return the shop's calendar day at ``instant``."""
        return instant.astimezone(self.shop.zone_info).date()

    def moment(self) -> Moment:
        """Return the present as operations need it: instant, zone, whether plugins observe."""
        return Moment(self.now(), self.shop.zone_info, bool(self.hooks.observers()))

    @property
    def gateways(self) -> Mapping[str, Gateway]:
        """Every gateway on offer by its name; each knows the ``account`` it charges for."""
        return self.hooks.gateways

    @property
    def shipping_providers(self) -> Mapping[str, ShippingProvider]:
        """Every shipping provider on offer, by its name."""
        return self.hooks.shipping_providers

    @property
    def box_takers(self) -> list[str]:
        """Names of the shipping providers that boxes are handed over to."""
        found = self.shipping_providers.items()
        return [name for name, one in found if one.capabilities.takes_boxes]

    def sign_up_gateways(self, *currencies: str) -> list[str]:
        """Return the names of the gateways that take new methods for ``currencies``, in order."""
        return open_gateways(self.gateways, self.shop.sign_up_gateways, currencies)

    @property
    def minimums(self) -> Mapping[str, Mapping[str, int]]:
        """Smallest charge of each gateway by currency, in minor units."""
        return {name: one.capabilities.minimums for name, one in self.gateways.items()}

    @property
    def notices(self) -> Mapping[str, timedelta]:
        """How long before a debit its customer must be told, for the gateways that ask for it."""
        return {
            name: timedelta(seconds=one.capabilities.minimum_notice_seconds)
            for name, one in self.gateways.items()
            if one.capabilities.minimum_notice_seconds
        }

    @property
    def shop(self) -> Shop:
        """The merchant's settings, read once per session. Raises :class:`ShopNotSetUp`.

        Outside a transaction it leaves none open: a gateway may be asked right after.
        """
        kept: Shop | None = self.session.info.get(_KEPT)
        if kept is None:
            kept = self.session.info[_KEPT] = _read_shop(self.session)
        return kept

    def tax_by(self, taxes: TaxRules) -> None:
        """Price by ``taxes`` from now on: the shop's own with what a provider answered."""
        self.session.info[_KEPT] = replace(self.shop, taxes=taxes)

    def forget_shop(self) -> None:
        """Have the settings read again; call it after changing them."""
        self.session.info.pop(_KEPT, None)


@cache
def _shop_and_rates() -> sa.Select[Any]:
    """Return what reads the shop: each rate the merchant entered beside its one row of settings.

    Each page and each job asks this first, and putting it together takes longer than the asking.
    """
    table = ShopSettings.__table__
    columns = [table.c[name] for name in _SHOP_FIELDS]
    return sa.select(*columns, table.c.tax_rounding, *own_rate_columns()).select_from(
        table.outerjoin(TaxRate.__table__, sa.true())
    )


def _read_shop(session: scoped_session[Session]) -> Shop:
    inside = session().in_transaction()
    with reading():
        rows = session.execute(_shop_and_rates()).all()
    if not inside:
        session.rollback()
    if not rows:
        raise ShopNotSetUp("this shop has not been set up yet")
    row = rows[0]
    values = {name: getattr(row, name) for name in _SHOP_FIELDS}
    for name in ("countries", "sign_up_gateways", "embed_origins"):
        values[name] = tuple(values[name])
    return Shop(**values, taxes=rules_of(rows, row.seller_country, row.tax_rounding))
