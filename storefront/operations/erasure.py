"""Take everything personal of somebody out of the database, but what law wants kept.

What is under way is read with the person's rows locked, so that nothing begins meanwhile:
orders, subscriptions, customers, as a merge locks them. ``ERASED`` names what goes; documents
and consents stay for their time and are blanked then.
Source: docs/decisions/0175-erasing-a-person.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from storefront.domain.charging import OPEN_ATTEMPTS
from storefront.domain.erasure import (
    Standing,
    without_person,
)
from storefront.domain.events import EventKind
from storefront.domain.gateways import DisputeState
from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import ENDED
from storefront.domain.merging import closed_email
from storefront.models import (
    Address,
    AllergyAnswer,
    Box,
    BoxAddress,
    CardTry,
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
    LoginLink,
    LoginSession,
    OptionAnswer,
    OutboxMessage,
    PaymentMethod,
    Refund,
    Subscription,
    SubscriptionEvent,
)
from storefront.models.base import table_of
from storefront.operations.account_notices import forget_dismissals
from storefront.operations.declarations import erase_declarations
from storefront.operations.erasure_gifts import erase_gifts
from storefront.operations.erasure_rows import (
    LEAVING,
    NOWHERE,
    blank_messages,
    erase_boxes,
    set_values,
)
from storefront.operations.inquiries import erase_inquiries
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.order_links import message_keys
from storefront.operations.suggestions import forget_put_away
from storefront.operations.two_step import forget_of_customers
from storefront.operations.waiting import take_off_list

#: One that is declined waits for a person, who sends it again or gives credit instead.
_REFUNDS_OPEN = ("planned", "sent", "pending", "unknown", "declined")


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
                box.c.state.in_(LEAVING),
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
                sa.or_(
                    subscription.c.state.not_in(ENDED),
                    sa.exists().where(
                        box.c.subscription_id == subscription.c.id, box.c.state.in_(LEAVING)
                    ),
                ),
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
    forget_of_customers(session, ids)
    _erase_orders(session, ids, row.email)
    take_off_list(session, row.email)
    _erase_methods(session, ids, moment)
    set_values(session, Address, table_of(Address).c.customer_id.in_(ids), **NOWHERE)
    _erase_subscriptions(session, ids, keys)
    _erase_timeline(session, {one.id: one.public_id for one in owned})
    own = sa.select(subscription.c.id).where(subscription.c.customer_id.in_(ids))
    erase_boxes(session, own)
    erase_gifts(session, ids, row.email)
    erase_declarations(session, ids, keys, row.email, moment.now)
    erase_inquiries(session, ids)
    forget_dismissals(session, ids)
    forget_put_away(session, ids)
    _erase_messages(session, ids)


def _erase_customers(session: AnySession, ids: Sequence[int], moment: Moment) -> None:
    table = table_of(Customer)
    rows = session.execute(
        sa.select(table.c.id, table.c.public_id, table.c.merged_into_id).where(table.c.id.in_(ids))
    ).all()
    for one in rows:
        set_values(
            session,
            Customer,
            table.c.id == one.id,
            email=closed_email(one.public_id, "erased"),
            name="",
            password_hash=None,
            locale="",
            email_verified_at=None,
            billing={},
            tax_id="",
            tax_id_state="",
            tax_id_checked_at=None,
            referral_code=None,
            source="",
            erased_at=moment.now,
        )


def _erase_orders(session: AnySession, ids: Sequence[int], email: str) -> None:
    table = table_of(Checkout)
    own = sa.or_(table.c.customer_id.in_(ids), table.c.email == email)
    links = message_keys(session.scalars(sa.select(table.c.public_id).where(own)))
    blank_messages(session, table_of(OutboxMessage).c.key.in_(links))
    set_values(
        session,
        Checkout,
        own,
        email="",
        address={},
        billing={},
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
    set_values(session, PaymentMethod, sa.and_(mine, table.c.detached_at.is_(None)), **detached)
    set_values(
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
    set_values(session, ChargeAttempt, charged, fingerprint="", action_url="")
    set_values(session, GatewaySetup, setup.c.customer_id.in_(ids), redirect_url="")
    tried, opened = table_of(CardTry), sa.select(setup.c.id).where(setup.c.customer_id.in_(ids))
    session.execute(sa.delete(tried).where(tried.c.setup_id.in_(opened)))


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
    set_values(
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
    set_values(session, CreditMove, move.c.customer_credit_id.in_(credit), reason="")


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
        set_values(session, SubscriptionEvent, table.c.id == one.id, data=kept)
        subject, stamp = subjects[one.subscription_id], one.at.isoformat()
        payload = {"subject": subject, "occurred_at": stamp, "data": kept}
        key = f"event:{one.kind}:{subject}:{of_old_shop or stamp}"
        set_values(session, OutboxMessage, message.c.key == key, payload=payload)


def _erase_messages(session: AnySession, ids: Sequence[int]) -> None:
    blank_messages(session, table_of(OutboxMessage).c.customer_id.in_(ids))
