"""What a merchant edits, and which installation this database belongs to."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class ShopSettings(Base):
    """One row (id 1). Process settings (addresses, secrets) live in the environment."""

    __tablename__ = "shop_settings"
    __table_args__ = (
        sa.CheckConstraint("id = 1", name="one_row"),
        sa.CheckConstraint("tax_rounding IN ('sum','line')", name="tax_rounding"),
        sa.CheckConstraint(
            "referral_giver_minor >= 0 AND referral_friend_minor >= 0",
            name="referral_not_negative",
        ),
        sa.CheckConstraint("catch_up IN ('skip','bill')", name="catch_up"),
        sa.CheckConstraint("phone IN ('no','may','must')", name="phone"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(80))
    #: One sentence under the name.
    line: Mapped[str] = mapped_column(default="")
    #: The same in other languages: ``{"de": {"line": "…"}}``.
    lines: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    support_email: Mapped[str]
    #: Seller's name, address lines and VAT number for documents.
    seller_name: Mapped[str]
    seller_address: Mapped[str] = mapped_column(sa.Text)
    seller_tax_id: Mapped[str] = mapped_column(sa.String(40), default="")
    seller_country: Mapped[str] = mapped_column(sa.String(2))
    #: IANA name; charge days and cut-offs are days in this zone.
    zone: Mapped[str] = mapped_column(sa.String(40))
    currency: Mapped[str] = mapped_column(sa.String(3))
    locale: Mapped[str] = mapped_column(sa.String(12))
    #: ISO codes of the countries delivered to.
    countries: Mapped[list[Any]] = mapped_column(default=list)
    #: Tax is rounded once per rate on the document (sum), or on each line.
    tax_rounding: Mapped[str] = mapped_column(sa.String(4), default="sum")
    #: Days to pay for customers who pay by bank.
    payment_days: Mapped[int] = mapped_column(default=14)
    #: Where to pay, printed on invoices paid by bank: holder, IBAN, BIC.
    bank_details: Mapped[str] = mapped_column(sa.Text, default="")
    #: Small print at the foot of every invoice.
    invoice_footer: Mapped[str] = mapped_column(sa.Text, default="")
    #: Credit for who recommends and for the friend, in the shop's currency; both 0: off.
    referral_giver_minor: Mapped[int] = mapped_column(default=0)
    referral_friend_minor: Mapped[int] = mapped_column(default=0)
    #: Account of the ledger -> number of the merchant's own chart, for the accounting export.
    account_codes: Mapped[dict[str, Any]] = mapped_column(default=dict)
    #: Brand: hue and chroma (in thousandths) of action and accent colour.
    brand_hue: Mapped[int] = mapped_column(default=262)
    brand_chroma: Mapped[int] = mapped_column(default=125)
    accent_hue: Mapped[int] = mapped_column(default=52)
    accent_chroma: Mapped[int] = mapped_column(default=155)
    #: The rest of the look: values of ``domain.look``.
    paper: Mapped[str] = mapped_column(sa.String(8), default="warm", server_default="warm")
    heading: Mapped[str] = mapped_column(sa.String(8), default="serif", server_default="serif")
    corners: Mapped[str] = mapped_column(sa.String(8), default="soft", server_default="soft")
    spacing: Mapped[str] = mapped_column(sa.String(8), default="even", server_default="even")
    #: Set while the merchant holds all charging.
    charging_held_at: Mapped[datetime | None]
    #: Why: ``staff``, or ``late`` when renewals were more than two days behind.
    charging_held_reason: Mapped[str] = mapped_column(sa.String(16), default="", server_default="")
    #: Carrier as typed -> address of its tracking page with ``{number}`` in it; stands before
    #: the product's own list.
    tracking_links: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    #: Gateways new sign-ups may choose from, in order; empty: all there are.
    sign_up_gateways: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    #: Origins of sites that may show the plans inside their pages; empty: none.
    embed_origins: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    #: What becomes of periods missed while nothing ran, whose boxes can no longer ship.
    catch_up: Mapped[str] = mapped_column(sa.String(8), default="skip", server_default="skip")
    #: Days (ISO text) and ISO weekdays on which nothing leaves.
    holidays: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    closed_weekdays: Mapped[list[Any]] = mapped_column(default=lambda: [7], server_default="[7]")
    #: Boxes of one customer to one address leave in one parcel.
    shares_parcels: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    #: Whether whoever gets boxes is asked for a phone number; values of ``PhoneWish``.
    phone: Mapped[str] = mapped_column(sa.String(4), default="may", server_default="may")
    #: The owner let renewals that are this late go on.
    late_released_at: Mapped[datetime | None]
    #: Everybody on the staff signs in with a second step.
    staff_two_step: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    #: Years, from the end of that of its day, for which a document says whom it was made out to.
    document_years: Mapped[int] = mapped_column(default=10, server_default="10")
    #: Links of the merchant's public pages and whether there are questions; see
    #: ``operations.content``.
    content: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    #: Address and size of the logo as shown; empty: there is none.
    logo: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    #: Declined cards within an hour after which one person, one network address takes a break,
    #: and after which staff are warned.
    declines_person: Mapped[int] = mapped_column(default=6, server_default="6")
    declines_address: Mapped[int] = mapped_column(default=20, server_default="20")
    declines_alarm: Mapped[int] = mapped_column(default=30, server_default="30")
    #: Raised with each change of plans, prices or these settings; keys page caches.
    catalogue_version: Mapped[int] = mapped_column(default=1)


class ShopLook(Base):
    """A look the shop had or has, so that it can be brought back; the newest is the present."""

    __tablename__ = "shop_look"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    #: Fields of ``domain.look.Look``.
    look: Mapped[dict[str, Any]] = mapped_column(default=dict)
    since_at: Mapped[datetime]


class ShopLogo(Base):
    """The picture in the head of every page; one row, or none where the name stands there."""

    __tablename__ = "shop_logo"
    __table_args__ = (sa.CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    #: Of the picture; ends its address.
    digest: Mapped[str] = mapped_column(sa.String(24))
    png: Mapped[bytes] = mapped_column(sa.LargeBinary)
    created_at: Mapped[datetime]


class Installation(Base):
    """Live-lock: a copied database neither charges nor mails until an owner confirms.

    Compares only where a live gateway is configured.
    """

    __tablename__ = "installation"
    __table_args__ = (sa.CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    #: Site address and gateway accounts that were confirmed last.
    site_url: Mapped[str]
    accounts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    confirmed_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class Throttle(Base):
    """Counts of tries per bucket and key, shared by all processes."""

    __tablename__ = "throttle"
    __table_args__ = (sa.UniqueConstraint("bucket", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    bucket: Mapped[str] = mapped_column(sa.String(24))
    #: Hash of account or address; never the address itself.
    key: Mapped[str] = mapped_column(sa.String(64))
    window_start_at: Mapped[datetime]
    count: Mapped[int]


class TaxRate(Base):
    """A rate the merchant entered; stands before the product's own table from its day on."""

    __tablename__ = "tax_rate"
    __table_args__ = (
        sa.UniqueConstraint("country", "region", "tax_class", "since_on"),
        sa.CheckConstraint("rate_bp BETWEEN 0 AND 10000", name="rate_range"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    country: Mapped[str] = mapped_column(sa.String(2))
    #: State or province code, such as ``CA``; empty = the whole country.
    region: Mapped[str] = mapped_column(sa.String(8), default="")
    tax_class: Mapped[str] = mapped_column(sa.String(12))
    #: Hundredths of a percent.
    rate_bp: Mapped[int]
    #: First tax point it holds for.
    since_on: Mapped[date]
    created_at: Mapped[datetime]


class SelfCheck(Base):
    """One run of the nightly look at every invariant; broken ones by name, with examples."""

    __tablename__ = "self_check"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    milliseconds: Mapped[int]
    is_whole: Mapped[bool]
    #: ``{"M3": ["inv_… due 100, attempts 200"]}``, at most a few of each.
    broken: Mapped[dict[str, Any]] = mapped_column(default=dict)
