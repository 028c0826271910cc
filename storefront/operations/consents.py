"""Keep what a person agreed to, word for word, as evidence that is never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.models import Consent, Customer
from storefront.models.base import public_id, table_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment

#: Kind of the consent that an order or a change renews itself.
RENEWAL = "renewal"
#: Kinds of a consent to mails about offers: the newest of a person's rows is what holds.
MARKETING, MARKETING_OFF = "marketing", "marketing_off"
#: Ticked with an order before anybody has proved to read the mailbox: counts once somebody has.
MARKETING_WISH = "marketing_wish"

#: Kinds of the consent to keep what somebody does not tolerate, and of taking it back.
HEALTH, HEALTH_OFF = "health", "health_off"


@dataclass(frozen=True, slots=True)
class Given:
    """The words as they were shown, their version, and where the answer came from."""

    text: str
    version: str
    ip: str
    user_agent: str
    #: The label of the button, and the words of the page that lead to it.
    button: str = ""
    page: str = ""

    @property
    def page_hash(self) -> str:
        """Return the id of the page's rendering: the same for the same words and button."""
        if not self.page:
            return ""
        return sha256(f"{self.page}\n{self.button}".encode()).hexdigest()


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
            kind=RENEWAL,
            text=given.text,
            text_hash=sha256(given.text.encode()).hexdigest(),
            text_version=given.version,
            amount_minor=amount.minor,
            currency=amount.currency,
            interval=str(interval),
            given_at=moment.now,
            ip=given.ip[:45],
            user_agent=given.user_agent[:255],
            button=given.button[:120],
            page=given.page,
            page_hash=given.page_hash,
        )
    )


def write_marketing(
    session: AnySession, customer_id: int, given: Given, *, wants: bool, moment: Moment
) -> None:
    """Write that a person wants mails about offers, or no more of them."""
    _write(session, customer_id, MARKETING if wants else MARKETING_OFF, given, moment)


def keep_order_wish(
    session: AnySession, customer_id: int, kept: Mapping[str, Any], moment: Moment
) -> None:
    """Write what an order's consent ``kept`` says about mails about offers, if it was ticked.

    It counts at once for who was signed in with a confirmed e-mail, and waits where nobody has
    confirmed it yet. Of an order under an e-mail that is somebody's already, without having
    signed in, nothing is kept: it may be anybody's tick.
    """
    said = kept.get("offers")
    if not said:
        return
    table = table_of(Customer)
    is_proved = session.scalar(
        sa.select(table.c.email_verified_at.is_not(None)).where(table.c.id == customer_id)
    )
    last = _last_said(session, customer_id)
    kind = MARKETING if is_proved else MARKETING_WISH
    is_theirs = not is_proved or said.get("customer") == customer_id
    if is_theirs and (last is None or last.kind not in (MARKETING, kind)):
        given = Given(said["text"], said["version"], kept["ip"], kept["agent"])
        _write(session, customer_id, kind, given, moment)


def write_health(
    session: AnySession, customer_id: int, given: Given, *, keeps: bool, moment: Moment
) -> None:
    """Write that what a person does not tolerate may be kept, or no more; the words, not what.

    Nothing where their last word was the same. Of the person, not of a subscription: a
    subscription's consent is the one by which it may be charged.
    """
    kind = HEALTH if keeps else HEALTH_OFF
    last = _last_of(session, customer_id, (HEALTH, HEALTH_OFF))
    if last is None or (last.kind, last.text) != (kind, given.text):
        _write(session, customer_id, kind, given, moment)


def keep_order_health(
    session: AnySession, customer_id: int, kept: Mapping[str, Any], moment: Moment
) -> None:
    """Write what an order's consent ``kept`` says about what is not tolerated, if it does."""
    said = kept.get("health")
    if said:
        given = Given(said["text"], said["version"], kept["ip"], kept["agent"])
        write_health(session, customer_id, given, keeps=True, moment=moment)


def fulfil_wish(session: AnySession, customer_id: int, moment: Moment) -> None:
    """Let a wish count, now that somebody has proved to read the mailbox."""
    last = _last_said(session, customer_id)
    if last is not None and last.kind == MARKETING_WISH:
        given = Given(last.text, last.text_version, last.ip, last.user_agent)
        _write(session, customer_id, MARKETING, given, moment)


def _last_said(session: AnySession, customer_id: int) -> AnyRow | None:
    return _last_of(session, customer_id, (MARKETING, MARKETING_OFF, MARKETING_WISH))


def _last_of(session: AnySession, customer_id: int, kinds: Sequence[str]) -> AnyRow | None:
    table = table_of(Consent)
    return session.execute(
        sa.select(table)
        .where(table.c.customer_id == customer_id, table.c.kind.in_(kinds))
        .order_by(table.c.id.desc())
        .limit(1)
    ).one_or_none()


def _write(session: AnySession, customer_id: int, kind: str, given: Given, moment: Moment) -> None:
    session.execute(
        sa.insert(table_of(Consent)).values(
            public_id=public_id("con"),
            customer_id=customer_id,
            subscription_id=None,
            kind=kind,
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
