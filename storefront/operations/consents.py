"""Keep what a person agreed to, word for word, as evidence that is never changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

import sqlalchemy as sa

from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.models import Consent
from storefront.models.base import public_id, table_of
from storefront.operations.keys import AnySession
from storefront.operations.moment import Moment

#: Kinds of a consent to mails about offers: the newest of a person's rows is what holds.
MARKETING, MARKETING_OFF = "marketing", "marketing_off"


@dataclass(frozen=True, slots=True)
class Given:
    """The words as they were shown, their version, and where the answer came from."""

    text: str
    version: str
    ip: str
    user_agent: str


def write_consent(
    session: AnySession,
    owner: tuple[int, int],
    given: Given,
    amount: Money,
    interval: Interval,
    moment: Moment,
) -> None:
    """Write a renewal consent: so much, each ``interval``.

    ``owner`` is the customer and the subscription. Texts longer than their columns are cut,
    the words agreed to never are.
    """
    customer_id, subscription_id = owner
    session.execute(
        sa.insert(table_of(Consent)).values(
            public_id=public_id("con"),
            customer_id=customer_id,
            subscription_id=subscription_id,
            kind="renewal",
            text=given.text,
            text_hash=sha256(given.text.encode()).hexdigest(),
            text_version=given.version,
            amount_minor=amount.minor,
            currency=amount.currency,
            interval=str(interval),
            given_at=moment.now,
            ip=given.ip[:45],
            user_agent=given.user_agent[:255],
        )
    )


def write_marketing(
    session: AnySession, customer_id: int, given: Given, *, wants: bool, moment: Moment
) -> None:
    """Write that a person wants mails about offers, or no more of them."""
    session.execute(
        sa.insert(table_of(Consent)).values(
            public_id=public_id("con"),
            customer_id=customer_id,
            subscription_id=None,
            kind=MARKETING if wants else MARKETING_OFF,
            text=given.text,
            text_hash=sha256(given.text.encode()).hexdigest(),
            text_version=given.version,
            amount_minor=0,
            currency="",
            interval="",
            given_at=moment.now,
            ip=given.ip[:45],
            user_agent=given.user_agent[:255],
        )
    )


def marketing_since(customer_id: sa.ColumnElement[int]) -> sa.ScalarSelect[datetime]:
    """Return since when a person wants mails about offers, for a statement; NULL: not."""
    newest, said = table_of(Consent).alias(), table_of(Consent).alias()
    last = (
        sa.select(sa.func.max(newest.c.id))
        .where(newest.c.customer_id == customer_id, newest.c.kind.in_((MARKETING, MARKETING_OFF)))
        .correlate_except(newest)
        .scalar_subquery()
    )
    return (
        sa.select(said.c.given_at)
        .where(said.c.id == last, said.c.kind == MARKETING)
        .correlate_except(said)
        .scalar_subquery()
    )
