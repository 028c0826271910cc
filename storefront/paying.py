"""Charge one invoice now, while somebody waits: from the account, or from a link of a mail.

The only way a page reaches a gateway's charge call for what is owed. At most one question is
open for an invoice at any time: a charge that waits for its customer is stopped at the gateway
before another is asked. Source: docs/decisions/0128-pay-links.md.
"""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa

from storefront import charges
from storefront.database import reading, retrying
from storefront.domain.charging import (
    ANSWERABLE,
    OPEN_ATTEMPTS,
    AttemptState,
    Refusal,
    TriedTooOften,
)
from storefront.domain.credit import is_too_small
from storefront.domain.errors import DomainError
from storefront.domain.gateways import CancelAnswer
from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import RUNNING
from storefront.models import ChargeAttempt, Invoice, InvoiceLine, PaymentMethod, Subscription
from storefront.models.base import table_of
from storefront.operations.carrying import Small, carry
from storefront.operations.ceilings import paid_now
from storefront.operations.charging import AttemptDraft, plan_attempts
from storefront.operations.keys import AnyRow
from storefront.operations.method_choice import make_default, method_for, repoint
from storefront.operations.replanning import replan
from storefront.operations.retries import abandon_actions
from storefront.operations.sent_unpaid import pays_for_sent
from storefront.replacing import stop_waiting
from storefront.runtime import Runtime


class NotFound(DomainError):
    """No such card, set-up or invoice of this customer."""

    code = "not_found"


class MethodRefused(DomainError):
    """The bank has refused this card for good, or it was taken away."""

    code = "method_refused"


class PaymentPartnerSilent(DomainError):
    """The gateway did not answer; nothing was stored or charged."""

    code = "payment_partner_silent"


class NoMethod(DomainError):
    """There is no card that could pay."""

    code = "no_method"


class NotNow(DomainError):
    """Nothing is owed any more, or a charge is on its way already."""

    code = Refusal.NOTHING_DUE.value


class AttemptOpen(NotNow):
    """A charge of the invoice has no answer yet; no other begins before."""

    code = Refusal.ATTEMPT_OPEN.value


class ChargingHeld(NotNow):
    """The merchant holds all charging."""

    code = Refusal.HELD.value


class Copied(ChargingHeld):
    """This database is not the one that may charge."""

    code = Refusal.LIVE_LOCK.value


class Paid(StrEnum):
    """What became of paying now."""

    DONE = "done"
    DECLINED = "declined"
    ACTION = "action"
    WAITING = "waiting"
    #: The card schemes allow no further try of this card for now; nobody was asked.
    TOO_OFTEN = "too_often"
    #: The customer tried often enough today; nobody was asked.
    TRIED_TODAY = "tried_today"


def pay_now(rt: Runtime, customer_id: int, invoice: str, method: str = "") -> Paid:
    """Charge an open invoice now, while its customer waits; never twice at once.

    ``method`` names one of the payer's cards; one that would not have paid by itself is their
    default from now on. Raises ``NotFound``, ``NoMethod``, ``NotNow``, or
    ``PaymentPartnerSilent`` if nothing was done.
    """
    why = charges.shop_refusal(rt)
    if why is not None:
        raise (Copied if why is Refusal.LIVE_LOCK else ChargingHeld)(invoice=invoice)

    _release(rt, customer_id, invoice)
    try:
        key, moved = retrying(rt.session, lambda: _plan(rt, customer_id, invoice, method))
    except sa.exc.IntegrityError:
        # Another attempt is open: the partial index lets only one ask at a time.
        raise AttemptOpen(invoice=invoice) from None
    except TriedTooOften:
        return Paid.TOO_OFTEN
    if isinstance(key, Paid):
        stop_waiting(rt, moved)
        return key
    recorded = charges.charge_now(rt, [key])
    # After the charge, for which somebody waits.
    stop_waiting(rt, moved)
    if recorded.settled:
        return Paid.DONE
    if recorded.declined:
        return Paid.DECLINED
    if recorded.not_sent:
        raise PaymentPartnerSilent
    return Paid.ACTION if recorded.action_required else Paid.WAITING


def action_page(rt: Runtime, customer_id: int, invoice: str) -> str:
    """Return the bank's page of a charge that waits for its customer; empty if there is none."""
    found = _open_attempt(rt, customer_id, invoice)
    if found is None or found.state != AttemptState.ACTION_REQUIRED:
        return ""
    return str(found.action_url or "")


def check_now(rt: Runtime, customer_id: int, invoice: str) -> bool:
    """Ask the gateway about the open attempt of an invoice; True if it is paid then.

    Raises ``NotFound``.
    """
    found = _open_attempt(rt, customer_id, invoice)
    if found is not None:
        charges.look_up(rt, found.id)
    table = table_of(Invoice)
    with reading():
        state = rt.session.execute(
            sa.select(table.c.state).where(
                table.c.public_id == invoice, table.c.payer_id == customer_id
            )
        ).scalar_one_or_none()
        rt.session.rollback()
    if state is None:
        raise NotFound(invoice=invoice)
    return bool(state == InvoiceState.PAID)


def _release(rt: Runtime, customer_id: int, invoice: str) -> None:
    """Stop a charge that waits for its customer's bank, so that it can be asked anew.

    Only what the gateway says can never succeed any more is given up.
    """
    found = _open_attempt(rt, customer_id, invoice)
    if found is None or found.state != AttemptState.ACTION_REQUIRED:
        return
    if charges.cancel(rt, found) is CancelAnswer.CANCELLED:
        abandon_actions(rt.session, [found.id], rt.moment())
        rt.session.commit()


def _open_attempt(rt: Runtime, customer_id: int, invoice: str) -> AnyRow | None:
    table, attempt = table_of(Invoice), table_of(ChargeAttempt)
    with reading():
        row = rt.session.execute(
            sa.select(
                attempt.c.id,
                attempt.c.public_id,
                attempt.c.state,
                attempt.c.gateway,
                attempt.c.account,
                attempt.c.gateway_reference,
                attempt.c.action_url,
            )
            .join(table, table.c.id == attempt.c.invoice_id)
            .where(
                table.c.public_id == invoice,
                table.c.payer_id == customer_id,
                attempt.c.state.in_(ANSWERABLE),
            )
        ).one_or_none()
        rt.session.rollback()
    return row


def _plan(rt: Runtime, customer_id: int, invoice: str, method: str) -> tuple[int | Paid, list[int]]:
    """Write the attempt and commit, so that it is on disk before anybody asks.

    Returns what became of it instead where no gateway is asked: the customer tried often
    enough today, or a total under the gateway's minimum is carried, as anywhere else. Beside
    it, the subscriptions that follow the card from now on; what else they owe asks it as well.
    """
    row = _owed(rt, customer_id, invoice)
    if row is None:
        raise NotFound(invoice=invoice)
    if row.state != InvoiceState.OPEN or not row.due_minor:
        raise NotNow(invoice=invoice)
    card = row if not method else _chosen(rt, customer_id, method)
    if card is None or card.method_id is None:
        raise NoMethod(invoice=invoice)
    moved: list[int] = []
    if card.method_id != row.method_id:
        make_default(rt.session, customer_id, card.method_id)
        moved = repoint(rt.session, customer_id, card.last4, rt.moment())
    if paid_now(rt.session, row.id, rt.moment()).is_enough:
        rt.session.rollback()
        return Paid.TRIED_TODAY, []
    replan(rt.session, moved, rt.minimums, rt.moment())
    if is_too_small(row.due_minor, rt.minimums, card.gateway, row.currency):
        if row.is_asked:
            raise NotNow(invoice=invoice)
        carry(rt.session, [Small(row.id, customer_id, row.currency, row.due_minor)], rt.moment())
        rt.session.commit()
        return Paid.DONE, moved
    draft = AttemptDraft(
        invoice_id=row.id,
        number=(row.last_number or 0) + 1,
        gateway=card.gateway,
        account=card.account,
        payment_method_id=card.method_id,
        fingerprint=card.fingerprint,
        amount_minor=row.due_minor,
        currency=row.currency,
        on_session=True,
    )
    [(key, _)] = plan_attempts(rt.session, [draft], rt.moment(), AttemptState.SENT)
    rt.session.commit()
    return key, moved


def _owed(rt: Runtime, customer_id: int, invoice: str) -> AnyRow | None:
    """Return the invoice with the card that would pay it; nothing for an ended subscription.

    Something extra, which pays for no period, stays owed when its subscription has ended, and
    so do boxes that left before they were paid.
    """
    table, line = table_of(Invoice), table_of(InvoiceLine)
    method, attempt = table_of(PaymentMethod), table_of(ChargeAttempt)
    subscription = table_of(Subscription)
    mine = attempt.c.invoice_id == table.c.id
    last = sa.select(sa.func.max(attempt.c.number)).where(mine)
    on_its_way = sa.exists().where(mine, attempt.c.state.in_(OPEN_ATTEMPTS))
    own = sa.and_(
        line.c.invoice_id == table.c.id,
        sa.not_(line.c.is_void),
        subscription.c.id == line.c.subscription_id,
    )
    held, runs = subscription.c.held_at.is_not(None), subscription.c.state.in_(RUNNING)
    running = sa.and_(sa.exists().where(own, runs), sa.not_(sa.exists().where(own, held)))
    for_time = sa.exists().where(line.c.invoice_id == table.c.id, line.c.period_id.is_not(None))
    for_sent = pays_for_sent(table)
    beside = sa.and_(sa.or_(sa.not_(for_time), for_sent), sa.not_(sa.exists().where(own, held)))
    statement = (
        sa.select(
            table.c.id,
            table.c.state,
            table.c.due_minor,
            table.c.currency,
            method.c.id.label("method_id"),
            method.c.gateway,
            method.c.account,
            method.c.fingerprint,
            method.c.last4,
            last.scalar_subquery().label("last_number"),
            on_its_way.label("is_asked"),
        )
        .select_from(table)
        .outerjoin(method, method.c.id == method_for(table))
        .where(
            table.c.public_id == invoice, table.c.payer_id == customer_id, sa.or_(running, beside)
        )
    )
    if rt.session.get_bind().dialect.name == "postgresql":
        statement = statement.with_for_update(of=table)
    return rt.session.execute(statement).one_or_none()


def _chosen(rt: Runtime, customer_id: int, method: str) -> AnyRow | None:
    """Return one of the payer's own usable cards."""
    table = table_of(PaymentMethod)
    return rt.session.execute(
        sa.select(
            table.c.id.label("method_id"),
            table.c.gateway,
            table.c.account,
            table.c.fingerprint,
            table.c.last4,
        ).where(
            table.c.public_id == method,
            table.c.customer_id == customer_id,
            table.c.detached_at.is_(None),
            table.c.refused_at.is_(None),
        )
    ).one_or_none()
