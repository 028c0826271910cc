"""Make two accounts one: lock both, read what decides, move every row, book the credit.

Locks are taken in the order in which a renewal and an order take theirs: orders,
subscriptions, customers. From then on nobody can give either account anything new.
Source: docs/decisions/0174-merging-accounts.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storefront.domain.charging import AttemptState
from storefront.domain.events import Actor, EventKind
from storefront.domain.ledger import CREDITS_GRANTED, CUSTOMER_CREDIT, JournalKind
from storefront.domain.lifecycle import ENDED, RUNNING
from storefront.domain.merging import MergeAccount, PaymentTerms, TaxTerms, closed_email
from storefront.domain.money import Money
from storefront.domain.referrals import ReferralRefusal
from storefront.models import (
    Address,
    CarriedAmount,
    ChargeAttempt,
    Checkout,
    CreditApplication,
    CreditMove,
    Customer,
    CustomerCredit,
    ErasureRequest,
    GatewaySetup,
    Gift,
    HostIdentity,
    Inquiry,
    Invoice,
    LoginLink,
    LoginSession,
    OutboxMessage,
    PaymentMethod,
    Redemption,
    Referral,
    Subscription,
    WaitingPlace,
)
from storefront.models.base import Base, table_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.ledger import Journal, Transfer, book
from storefront.operations.moment import Moment
from storefront.operations.suggestions import move_put_away
from storefront.operations.timeline import Entry, record
from storefront.operations.two_step import forget_of_customers
from storefront.operations.waiting import take_off_list

#: Charges that nobody may come between: they name who pays as it was read before.
_UNDER_WAY = (AttemptState.PLANNED, AttemptState.SENT, AttemptState.UNKNOWN)
#: Rows that simply get another owner, with the column that names them.
_MOVED: tuple[tuple[type[Base], str], ...] = (
    (Address, "customer_id"),
    (CarriedAmount, "payer_id"),
    (GatewaySetup, "customer_id"),
    (Gift, "giver_id"),
    (HostIdentity, "customer_id"),
    (Inquiry, "customer_id"),
    (Invoice, "payer_id"),
    (OutboxMessage, "customer_id"),
    (Redemption, "customer_id"),
)


@dataclass(frozen=True, slots=True)
class Moved:
    """What changed hands, for the log and the page."""

    subscriptions: int
    invoices: int
    methods: int
    addresses: int
    gifts: int
    credit: tuple[Money, ...] = ()


def lock_accounts(session: AnySession, ids: Sequence[int]) -> list[AnyRow]:
    """Lock two customers with their orders and subscriptions; return the customers' rows."""
    customer, checkout = table_of(Customer), table_of(Checkout)
    subscription, wanted = table_of(Subscription), sorted(ids)
    emails = sa.select(customer.c.email).where(customer.c.id.in_(wanted))
    mine = sa.or_(checkout.c.customer_id.in_(wanted), checkout.c.email.in_(emails))
    owned = sa.or_(subscription.c.customer_id.in_(wanted), subscription.c.payer_id.in_(wanted))
    for table, where in ((checkout, mine), (subscription, owned)):
        session.execute(sa.select(table.c.id).where(where).order_by(table.c.id).with_for_update())
    rows = session.execute(
        sa.select(customer)
        .where(customer.c.id.in_(wanted))
        .order_by(customer.c.id)
        .with_for_update()
    )
    return list(rows)


def read_account(session: AnySession, row: AnyRow) -> MergeAccount:
    """Return what decides whether the account of a row of ``customer`` can be merged."""
    invoice, attempt = table_of(Invoice), table_of(ChargeAttempt)
    checkout, subscription = table_of(Checkout), table_of(Subscription)
    payer = sa.func.coalesce(subscription.c.payer_id, subscription.c.customer_id)
    charged = sa.exists().where(
        attempt.c.invoice_id == invoice.c.id,
        invoice.c.payer_id == row.id,
        attempt.c.state.in_(_UNDER_WAY),
    )
    ordering = sa.exists().where(
        sa.or_(checkout.c.customer_id == row.id, checkout.c.email == row.email),
        checkout.c.state == "paying",
    )
    billed = sa.exists().where(
        payer == row.id, subscription.c.state.not_in(ENDED), sa.not_(subscription.c.is_gift)
    )
    request = table_of(ErasureRequest)
    asked = sa.exists().where(request.c.customer_id == row.id, request.c.state == "waiting")
    found = session.execute(sa.select(charged, ordering, billed, asked)).one()
    return MergeAccount(
        row.id,
        row.merged_into_id is not None or row.erased_at is not None,
        bool(found[3]),
        bool(found[0]),
        bool(found[1]),
        bool(found[2]),
        TaxTerms(row.tax_id, row.tax_id_state, row.is_tax_exempt),
        PaymentTerms(row.pays_by, row.payment_days),
    )


def merge(session: AnySession, kept: AnyRow, merged: AnyRow, by: str, moment: Moment) -> Moved:
    """Give everything of ``merged`` to ``kept``; both are locked. ``by`` is the staff user.

    Documents keep their names and the ledger its lines. Statements: a constant number, and
    a few for each currency of credit.
    """
    session.execute(
        sa.update(table_of(Customer))
        .where(table_of(Customer).c.id == merged.id)
        .values(**_emptied(merged, kept.id))
    )
    if kept.referral_code is None and merged.referral_code is not None:
        mine = table_of(Customer).c.id == kept.id
        code = {"referral_code": merged.referral_code}
        session.execute(sa.update(table_of(Customer)).where(mine).values(code))
    credit = _move_credit(session, kept.id, merged, moment)
    methods = _move_methods(session, kept.id, merged.id)
    subscriptions = _move_subscriptions(session, kept.id, merged.id, by, moment)
    _sign_out(session, merged.id)
    counts = {model: _move(session, model, column, kept.id, merged.id) for model, column in _MOVED}
    _move_checkouts(session, kept.id, merged)
    _move_waiting(session, kept, merged)
    _move_referrals(session, kept.id, merged.id, moment)
    move_put_away(session, kept.id, merged.id)
    return Moved(
        subscriptions, counts[Invoice], methods, counts[Address], counts[Gift], tuple(credit)
    )


def _emptied(row: AnyRow, kept_id: int) -> dict[str, Any]:
    return {
        "merged_into_id": kept_id,
        "email": closed_email(row.public_id, "merged"),
        "name": "",
        "password_hash": None,
        "locale": "",
        "email_verified_at": None,
        "billing": {},
        "tax_id": "",
        "tax_id_state": "",
        "tax_id_checked_at": None,
        "is_tax_exempt": False,
        "referral_code": None,
    }


def _move(session: AnySession, model: type[Base], column: str, to: int, of: int) -> int:
    table = table_of(model)
    done = session.execute(
        sa.update(table).where(table.c[column] == of).values({column: to}).returning(table.c.id)
    )
    return len(done.all())


def _move_methods(session: AnySession, to: int, of: int) -> int:
    """Move stored methods; what paid for each running subscription goes on paying for it."""
    table, subscription = table_of(PaymentMethod), table_of(Subscription)
    usual = {
        (row.customer_id, name): row.id
        for row in session.execute(
            sa.select(table).where(table.c.customer_id.in_([to, of]), table.c.detached_at.is_(None))
        )
        for name in ("is_default", "is_backup")
        if getattr(row, name)
    }
    values: dict[str, Any] = {"customer_id": to}
    if (to, "is_default") in usual:
        values["is_default"] = False
        if default := usual.get((of, "is_default")):
            payer = sa.func.coalesce(subscription.c.payer_id, subscription.c.customer_id)
            session.execute(
                sa.update(subscription)
                .where(
                    payer == of,
                    subscription.c.payment_method_id.is_(None),
                    subscription.c.state.not_in(ENDED),
                    sa.not_(subscription.c.is_gift),
                )
                .values(payment_method_id=default)
            )
    if (to, "is_backup") in usual:
        values["is_backup"] = False
    moved = session.execute(
        sa.update(table).where(table.c.customer_id == of).values(values).returning(table.c.id)
    )
    return len(moved.all())


def _move_subscriptions(session: AnySession, to: int, of: int, by: str, moment: Moment) -> int:
    """Move subscriptions; the version tells whoever read one before to read it again."""
    table = table_of(Subscription)

    def owner(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
        return sa.case((column == of, to), else_=column)

    rows = session.execute(
        sa.update(table)
        .where(sa.or_(table.c.customer_id == of, table.c.payer_id == of))
        .values(
            customer_id=owner(table.c.customer_id),
            payer_id=owner(table.c.payer_id),
            version=table.c.version + 1,
        )
        .returning(table.c.id, table.c.public_id, table.c.state)
    ).all()
    entries = [
        Entry(row.id, row.public_id, EventKind.SUBSCRIPTION_TAKEN_OVER, Actor.STAFF, by)
        for row in sorted(rows, key=lambda row: row.id)
        if row.state in RUNNING
    ]
    record(session, entries, moment)
    return len(rows)


def _move_credit(session: AnySession, to: int, merged: AnyRow, moment: Moment) -> list[Money]:
    """Move what is left of credit, and what is set aside for unpaid orders, and book both.

    The shop gives nothing: what one journal takes from one account it gives to the other.
    """
    table, move = table_of(CustomerCredit), table_of(CreditMove)
    rows = session.execute(
        sa.select(table)
        .where(table.c.customer_id == merged.id)
        .order_by(table.c.id)
        .with_for_update()
    ).all()
    dialect: Any = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    left, journals = [], []
    for row in rows:
        insert = dialect.insert(table).values(
            customer_id=to, currency=row.currency, balance_minor=row.balance_minor
        )
        own = session.execute(
            insert.on_conflict_do_update(
                index_elements=["customer_id", "currency"],
                set_={"balance_minor": table.c.balance_minor + row.balance_minor},
            ).returning(table.c.id)
        ).scalar_one()
        session.execute(
            sa.update(move)
            .where(move.c.customer_credit_id == row.id)
            .values(customer_credit_id=own)
        )
        session.execute(sa.update(table).where(table.c.id == row.id).values(balance_minor=0))
        booked = row.balance_minor + _set_aside(session, merged.id, row.currency)
        if booked:
            transfers = (
                Transfer(CUSTOMER_CREDIT, CREDITS_GRANTED, booked, row.currency, merged.id),
                Transfer(CREDITS_GRANTED, CUSTOMER_CREDIT, booked, row.currency, to),
            )
            ref = f"merge:{merged.public_id}:{row.currency}"
            journals.append(Journal(JournalKind.CREDIT_GRANTED, ref, transfers))
            left.append(Money(row.balance_minor, row.currency))
    book(session, journals, moment.now)
    return [money for money in left if money.minor]


def _set_aside(session: AnySession, customer_id: int, currency: str) -> int:
    used, invoice = table_of(CreditApplication), table_of(Invoice)
    minor = session.execute(
        sa.select(sa.func.sum(used.c.amount_minor))
        .join(invoice, invoice.c.id == used.c.invoice_id)
        .where(
            invoice.c.payer_id == customer_id,
            invoice.c.currency == currency,
            invoice.c.number.is_(None),
            used.c.given_back_at.is_(None),
        )
    ).scalar_one()
    return int(minor or 0)


def _move_checkouts(session: AnySession, to: int, merged: AnyRow) -> None:
    """Move orders; whoever is writing an open one reads it again first."""
    table = table_of(Checkout)
    for column in ("customer_id", "referrer_id"):
        _move(session, Checkout, column, to, merged.id)
    session.execute(
        sa.update(table)
        .where(
            sa.or_(table.c.customer_id == to, table.c.email == merged.email),
            table.c.state == "open",
        )
        .values(version=table.c.version + 1)
    )
    # Found by nothing but the e-mail, which is gone after this.
    left = sa.and_(table.c.customer_id.is_(None), table.c.email == merged.email)
    session.execute(sa.update(table).where(left, table.c.state != "open").values(customer_id=to))


def _move_waiting(session: AnySession, kept: AnyRow, merged: AnyRow) -> None:
    """Move places on waiting lists to the e-mail that stays; where both wait, one is enough."""
    table = table_of(WaitingPlace)
    twice = session.scalars(sa.select(table.c.plan_id).where(table.c.email == kept.email)).all()
    take_off_list(session, merged.email, twice)
    session.execute(sa.update(table).where(table.c.email == merged.email).values(email=kept.email))


def _move_referrals(session: AnySession, to: int, of: int, moment: Moment) -> None:
    """Move who recommended whom. Nobody recommends themselves or is recommended twice."""
    table = table_of(Referral)
    other = table.alias()
    was_sent = sa.exists().where(other.c.friend_id == to)
    session.execute(
        sa.update(table).where(table.c.giver_id == of, table.c.friend_id != to).values(giver_id=to)
    )
    session.execute(
        sa.update(table)
        .where(table.c.friend_id == of, table.c.giver_id != to, sa.not_(was_sent))
        .values(friend_id=to)
    )
    session.execute(
        sa.update(table)
        .where(sa.or_(table.c.giver_id == of, table.c.friend_id == of), table.c.state == "waiting")
        .values(state="refused", reason=ReferralRefusal.SAME_PERSON, settled_at=moment.now)
    )


def _sign_out(session: AnySession, customer_id: int) -> None:
    """End every way in: sessions, links, and mails with one that have not left."""
    for model in (LoginSession, LoginLink):
        table = table_of(model)
        session.execute(sa.delete(table).where(table.c.customer_id == customer_id))
    forget_of_customers(session, [customer_id])
    message = table_of(OutboxMessage)
    session.execute(
        sa.update(message)
        .where(
            message.c.customer_id == customer_id,
            message.c.topic == "sign_in",
            message.c.state == "waiting",
        )
        .values(state="stopped")
    )
