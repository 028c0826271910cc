"""Take everything personal of somebody out of the database, but what law wants kept.

What is under way is read with the person's rows locked, so that nothing begins meanwhile:
orders, subscriptions, customers, as a merge locks them. ``ERASED`` names what goes; documents
and consents stay for their time and are blanked then.
Source: docs/decisions/0175-erasing-a-person.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.charging import OPEN_ATTEMPTS
from storefront.domain.erasure import (
    Standing,
    without_party,
    without_person,
    without_recipient,
)
from storefront.domain.events import EventKind
from storefront.domain.gateways import DisputeState
from storefront.domain.gifts import without_recipient_of
from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import ENDED
from storefront.domain.merging import closed_email
from storefront.models import (
    Address,
    AllergyAnswer,
    Box,
    BoxAddress,
    BoxReplacement,
    ChargeAttempt,
    Checkout,
    CreditMove,
    Customer,
    CustomerCredit,
    Dispute,
    GatewaySetup,
    Gift,
    HostIdentity,
    Invoice,
    LateChange,
    LoginLink,
    LoginSession,
    OptionAnswer,
    OutboxMessage,
    PaymentMethod,
    ProviderParcel,
    Refund,
    Subscription,
    SubscriptionEvent,
)
from storefront.models.base import Base, table_of
from storefront.operations.keys import AnyRow, AnySelect, AnySession
from storefront.operations.moment import Moment
from storefront.operations.waiting import take_off_list

#: One that is declined waits for a person, who sends it again or gives credit instead.
_REFUNDS_OPEN = ("planned", "sent", "pending", "unknown", "declined")
#: Boxes that somebody still has to pack or hand over.
_LEAVING = (BoxState.PLANNED, BoxState.HELD, BoxState.LOCKED, BoxState.EXPORTED)
#: An address that nobody has, in place of one that somebody had.
_NOWHERE = dict.fromkeys(
    ("name", "company", "street", "extra", "postcode", "city", "region", "phone"), ""
)


def _has_token(method: sa.Table) -> sa.ColumnElement[bool]:
    forgotten = sa.literal("erased:") + method.c.public_id
    return sa.and_(method.c.forget_at.is_(None), method.c.token != forgotten)


def accounts_of(session: AnySession, customer_id: int) -> list[int]:
    """Return the key of a customer and those of every account that was merged into it."""
    table = table_of(Customer)
    found, new = [customer_id], [customer_id]
    while new:
        new = list(
            session.scalars(
                sa.select(table.c.id).where(table.c.merged_into_id.in_(new)).order_by(table.c.id)
            )
        )
        found += new
    return found


def read_standing(session: AnySession, row: AnyRow) -> Standing:
    """Return what is under way for a customer; ``row`` is of ``customer``."""
    subscription, invoice = table_of(Subscription), table_of(Invoice)
    attempt, checkout = table_of(ChargeAttempt), table_of(Checkout)
    refund, dispute = table_of(Refund), table_of(Dispute)
    box, gift = table_of(Box), table_of(Gift)
    mine = sa.or_(
        subscription.c.customer_id == row.id,
        sa.and_(subscription.c.payer_id == row.id, sa.not_(subscription.c.is_gift)),
    )
    running = sa.and_(mine, subscription.c.state.not_in(ENDED))
    paid = attempt.join(invoice, invoice.c.id == attempt.c.invoice_id)
    payer = invoice.c.payer_id == row.id

    def count(source: sa.FromClause, *where: sa.ColumnElement[bool]) -> Any:
        return sa.select(sa.func.count()).select_from(source).where(*where).scalar_subquery()

    found = session.execute(
        sa.select(
            count(
                subscription,
                running,
                subscription.c.cancel_on.is_(None),
                subscription.c.ends_on.is_(None),
                subscription.c.state != "incomplete",
                sa.not_(subscription.c.is_gift),
            ),
            count(subscription, running),
            count(paid, payer, attempt.c.state.in_(OPEN_ATTEMPTS)),
            count(invoice, payer, invoice.c.state == InvoiceState.OPEN),
            count(
                refund.join(paid, attempt.c.id == refund.c.attempt_id),
                payer,
                refund.c.state.in_(_REFUNDS_OPEN),
            ),
            count(
                dispute.join(paid, attempt.c.id == dispute.c.attempt_id),
                payer,
                dispute.c.state == DisputeState.OPEN,
            ),
            count(
                box.join(subscription, subscription.c.id == box.c.subscription_id),
                mine,
                box.c.state.in_(_LEAVING),
            ),
            count(
                checkout,
                sa.or_(checkout.c.customer_id == row.id, checkout.c.email == row.email),
                checkout.c.state.in_(["open", "paying"]),
            ),
            count(
                gift.join(subscription, subscription.c.id == gift.c.subscription_id),
                sa.or_(gift.c.giver_id == row.id, gift.c.recipient_email == row.email),
                gift.c.claimed_at.is_(None),
                subscription.c.state.not_in(ENDED),
            ),
        )
    ).one()
    return Standing(*[int(number) for number in found])


def erase(session: AnySession, row: AnyRow, moment: Moment) -> None:
    """Take everything personal of a customer away; their rows are locked, nothing is under way."""
    ids = accounts_of(session, row.id)
    subscription = table_of(Subscription)
    owned = list(
        session.execute(
            sa.select(subscription.c.id, subscription.c.public_id)
            .where(sa.or_(subscription.c.customer_id.in_(ids), subscription.c.payer_id.in_(ids)))
            .order_by(subscription.c.id)
        )
    )
    keys = [one.id for one in owned]
    _erase_customers(session, ids, moment)
    for model in (LoginSession, LoginLink, HostIdentity):
        table = table_of(model)
        session.execute(sa.delete(table).where(table.c.customer_id.in_(ids)))
    _erase_orders(session, ids, row.email)
    take_off_list(session, row.email)
    _erase_methods(session, ids, moment)
    _set(session, Address, table_of(Address).c.customer_id.in_(ids), **_NOWHERE)
    _erase_subscriptions(session, ids, keys)
    _erase_timeline(session, {one.id: one.public_id for one in owned})
    _erase_boxes(session, ids)
    _erase_gifts(session, ids, row.email)
    _erase_messages(session, ids)


def _set(
    session: AnySession, model: type[Base], where: sa.ColumnElement[bool], **values: Any
) -> None:
    session.execute(sa.update(table_of(model)).where(where).values(**values))


def _erase_customers(session: AnySession, ids: Sequence[int], moment: Moment) -> None:
    table = table_of(Customer)
    rows = session.execute(
        sa.select(table.c.id, table.c.public_id, table.c.merged_into_id).where(table.c.id.in_(ids))
    ).all()
    for one in rows:
        _set(
            session,
            Customer,
            table.c.id == one.id,
            email=closed_email(one.public_id, "erased"),
            name="",
            password_hash=None,
            locale="",
            email_verified_at=None,
            tax_id="",
            tax_id_state="",
            tax_id_checked_at=None,
            referral_code=None,
            source="",
            erased_at=moment.now,
        )


def _erase_orders(session: AnySession, ids: Sequence[int], email: str) -> None:
    table = table_of(Checkout)
    _set(
        session,
        Checkout,
        sa.or_(table.c.customer_id.in_(ids), table.c.email == email),
        email="",
        address={},
        avoids=[],
        gift={},
        tax_id="",
        tax_id_state="",
        consent={},
        source={},
        version=table.c.version + 1,
    )


def _erase_methods(session: AnySession, ids: Sequence[int], moment: Moment) -> None:
    """Take methods away; the worker has their gateways forget them, then ``drop_tokens``."""
    table, attempt = table_of(PaymentMethod), table_of(ChargeAttempt)
    invoice, setup = table_of(Invoice), table_of(GatewaySetup)
    mine = table.c.customer_id.in_(ids)
    detached = {"detached_at": moment.now, "forget_at": moment.now}
    _set(session, PaymentMethod, sa.and_(mine, table.c.detached_at.is_(None)), **detached)
    _set(
        session,
        PaymentMethod,
        mine,
        is_default=False,
        is_backup=False,
        label="",
        last4="",
        exp_month=None,
        exp_year=None,
        fingerprint="",
        gateway_customer="",
        agreement="",
    )
    own = sa.select(invoice.c.id).where(invoice.c.payer_id.in_(ids))
    charged = attempt.c.invoice_id.in_(own)
    _set(session, ChargeAttempt, charged, fingerprint="", action_url="")
    _set(session, GatewaySetup, setup.c.customer_id.in_(ids), redirect_url="")


def drop_tokens(session: AnySession) -> int:
    """Forget the tokens of erased people that their gateways have forgotten; returns how many."""
    table, customer = table_of(PaymentMethod), table_of(Customer)
    erased = sa.select(customer.c.id).where(customer.c.erased_at.is_not(None))
    done = session.execute(
        sa.update(table)
        .where(table.c.customer_id.in_(erased), _has_token(table))
        .values(token=sa.literal("erased:") + table.c.public_id)
        .returning(table.c.id)
    )
    return len(done.all())


def _erase_subscriptions(session: AnySession, ids: Sequence[int], keys: Sequence[int]) -> None:
    table, allergy = table_of(Subscription), table_of(AllergyAnswer)
    owner, move = table_of(CustomerCredit), table_of(CreditMove)
    mine = sa.and_(table.c.id.in_(keys), table.c.customer_id.in_(ids))
    _set(
        session,
        Subscription,
        mine,
        order_tax_id="",
        imported_from="",
        imported_id="",
        version=table.c.version + 1,
    )
    own = sa.select(table.c.id).where(mine)
    session.execute(sa.delete(allergy).where(allergy.c.subscription_id.in_(own)))
    answer, given = table_of(OptionAnswer), table_of(BoxAddress)
    session.execute(sa.delete(answer).where(answer.c.subscription_id.in_(own)))
    session.execute(sa.delete(given).where(given.c.subscription_id.in_(own)))
    credit = sa.select(owner.c.id).where(owner.c.customer_id.in_(ids))
    _set(session, CreditMove, move.c.customer_credit_id.in_(credit), reason="")


def _erase_timeline(session: AnySession, subjects: dict[int, str]) -> None:
    """Leave in the timeline what happened, but no place, card or words; so in its messages."""
    table, message = table_of(SubscriptionEvent), table_of(OutboxMessage)
    rows = session.execute(
        sa.select(table).where(table.c.subscription_id.in_(subjects)).order_by(table.c.id)
    ).all()
    for one in rows:
        kept, of_old_shop = without_person(one.data), ""
        if one.kind == EventKind.SUBSCRIPTION_IMPORTED:
            # The number they had in the shop they came from; its message goes by it.
            of_old_shop = kept.pop("ref", "")
        if kept == one.data:
            continue
        _set(session, SubscriptionEvent, table.c.id == one.id, data=kept)
        subject, stamp = subjects[one.subscription_id], one.at.isoformat()
        payload = {"subject": subject, "occurred_at": stamp, "data": kept}
        key = f"event:{one.kind}:{subject}:{of_old_shop or stamp}"
        _set(session, OutboxMessage, message.c.key == key, payload=payload)


def _erase_boxes(session: AnySession, ids: Sequence[int]) -> None:
    """Leave of every box where in the world it went and what was in it."""
    table, subscription = table_of(Box), table_of(Subscription)
    replacement = table_of(BoxReplacement)
    own = sa.select(subscription.c.id).where(subscription.c.customer_id.in_(ids))
    mine = table.c.subscription_id.in_(own)
    rows = session.execute(
        sa.select(table.c.id, table.c.ship_to, table.c.packing)
        .where(mine, table.c.ship_to.is_not(None))
        .order_by(table.c.id)
    ).all()
    for one in rows:
        values: dict[str, Any] = {"ship_to": without_party(one.ship_to)}
        if one.packing is not None:
            values["packing"] = without_recipient(one.packing)
        _set(session, Box, table.c.id == one.id, **values)
    boxes = sa.select(table.c.id).where(mine)
    _set(session, BoxReplacement, replacement.c.box_id.in_(boxes), note="")
    parcel = table_of(ProviderParcel)
    # A provider says what is wrong with an address by repeating it; and asks for none again.
    over = sa.case((parcel.c.state.in_(["planned", "asked"]), "over"), else_=parcel.c.state)
    handed = parcel.c.box_id.in_(boxes)
    _set(session, ProviderParcel, handed, error="", try_at=None, state=over)
    wish = table_of(LateChange)
    _set(session, LateChange, wish.c.box_id.in_(boxes), address={}, note="")
    refused = wish.c.state == "refused"
    _set(session, LateChange, sa.and_(wish.c.box_id.in_(boxes), refused), reason="-")


def _erase_gifts(session: AnySession, ids: Sequence[int], email: str) -> None:
    """Take out who gave and what they said, and who got it; one side leaves the other's."""
    table, subscription = table_of(Gift), table_of(Subscription)
    own = sa.select(subscription.c.id).where(subscription.c.customer_id.in_(ids))
    got = sa.or_(table.c.subscription_id.in_(own), table.c.recipient_email == email)
    unclaimed = sa.and_(table.c.giver_id.in_(ids), table.c.claimed_at.is_(None))
    gone = session.execute(
        sa.select(table.c.id, table.c.public_id, table.c.giver_id, table.c.recipient_email)
        .where(sa.or_(got, unclaimed))
        .order_by(table.c.id)
    ).all()
    _erase_recipients(session, gone, email)
    given = sa.select(table.c.subscription_id).where(table.c.giver_id.in_(ids))
    _erase_cards(session, given)
    _set(session, Gift, table.c.giver_id.in_(ids), giver_name="", message="")
    keys = [one.id for one in gone]
    _set(session, Gift, table.c.id.in_(keys), recipient_name="", recipient_email="")


def _erase_recipients(session: AnySession, gifts: Sequence[AnyRow], email: str) -> None:
    """Take who gets these gifts out of their mails, and out of the orders they were bought by.

    The mails name no customer: a recipient is none yet. Orders that are open stay as they are.
    """
    mail, order = table_of(OutboxMessage), table_of(Checkout)
    topics = ("gift_received", "gift_reminder")
    _blank(
        session, mail.c.key.in_([f"mail:{topic}:{g.public_id}" for g in gifts for topic in topics])
    )
    bought = {(one.giver_id, one.recipient_email) for one in gifts}
    to = order.c.gift["email"].as_string()
    rows = session.execute(
        sa.select(order.c.id, order.c.customer_id, order.c.gift)
        .where(to.in_({email, *(one for _giver, one in bought)} - {""}))
        .where(order.c.state.not_in(["open", "paying"]))
        .order_by(order.c.id)
    ).all()
    for one in rows:
        if one.gift["email"] != email and (one.customer_id, one.gift["email"]) not in bought:
            continue
        kept = without_recipient_of(one.gift)
        _set(session, Checkout, order.c.id == one.id, gift=kept, version=order.c.version + 1)


def forget_recipients(session: AnySession, until: date, limit: int) -> int:
    """Take out who was to get gifts that nobody claimed and nobody can any more.

    Of gifts that were to begin before ``until`` and are over; returns how many.
    """
    table, subscription = table_of(Gift), table_of(Subscription)
    rows = session.execute(
        sa.select(table.c.id, table.c.public_id, table.c.giver_id, table.c.recipient_email)
        .join(subscription, subscription.c.id == table.c.subscription_id)
        .where(
            table.c.claimed_at.is_(None),
            table.c.send_on < until,
            table.c.recipient_email != "",
            subscription.c.state.in_(ENDED),
        )
        .order_by(table.c.id)
        .limit(limit)
    ).all()
    if rows:
        _erase_recipients(session, rows, "")
        keys = [one.id for one in rows]
        _set(session, Gift, table.c.id.in_(keys), recipient_name="", recipient_email="", message="")
    return len(rows)


def _erase_cards(session: AnySession, subscriptions: AnySelect) -> None:
    """Take the card that lies in a box, with who gives it and their words, from these boxes."""
    table = table_of(Box)
    rows = session.execute(
        sa.select(table.c.id, table.c.packing)
        .where(table.c.subscription_id.in_(subscriptions), table.c.packing.is_not(None))
        .order_by(table.c.id)
    ).all()
    for one in rows:
        kept = {key: value for key, value in (one.packing or {}).items() if key != "gift"}
        if kept != one.packing:
            _set(session, Box, table.c.id == one.id, packing=kept)


def _erase_messages(session: AnySession, ids: Sequence[int]) -> None:
    _blank(session, table_of(OutboxMessage).c.customer_id.in_(ids))


def _blank(session: AnySession, which: sa.ColumnElement[bool]) -> None:
    """Empty messages; what was not sent yet is not sent any more."""
    table = table_of(OutboxMessage)
    unsent = sa.case((table.c.state.in_(["waiting", "dead"]), "stopped"), else_=table.c.state)
    _set(session, OutboxMessage, which, payload={}, error="", state=unsent)
