"""Pay one invoice by a link of a mail: no account, no password, and nothing without a click.

The link names an invoice and its end and is signed; who holds it may pay that one invoice, with
a card of its payer that is known or a new one, and nothing else.
Source: docs/decisions/0128-pay-links.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from storefront import paying, vaulting
from storefront.card_breaks import CardBreak, break_of_setup, check_break, warn_of_many
from storefront.database import reading, retrying
from storefront.domain.card_testing import Asker
from storefront.domain.charging import ANSWERABLE, AnswerStatus, AttemptState
from storefront.domain.gateways import Gateway, SetupAnswer, SetupOrder
from storefront.domain.invoices import InvoiceState
from storefront.models import ChargeAttempt, GatewaySetup, Invoice
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.card_tries import note_refused, note_try
from storefront.operations.kept_methods import Card
from storefront.operations.keys import AnyRow
from storefront.operations.method_choice import keep_as_default
from storefront.operations.outbox import Message, enqueue
from storefront.operations.replanning import replan
from storefront.operations.secrets import (
    ATTEMPT,
    PAY,
    SETUP,
    action_token,
    read_action_token,
    read_return_token,
    return_token,
)
from storefront.operations.setups import new_setup, payer_of
from storefront.paying import NotFound, NotNow, Paid, PaymentPartnerSilent
from storefront.replacing import stop_waiting
from storefront.runtime import Runtime

#: How long a mailed link opens the page; after that it can only ask for another one.
VALID = timedelta(days=14)
#: How long one may take on a bank's or gateway's page.
AWAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Opened:
    """What a genuine link leads to."""

    invoice: str
    is_expired: bool


@dataclass(frozen=True, slots=True)
class CardPaid:
    """What became of a new card: its set-up, and the charge right after (None: none was made)."""

    status: AnswerStatus
    reason: str = ""
    paid: Paid | None = None


def link(rt: Runtime, invoice: str, since: datetime | None = None) -> str:
    """Return the secret of a pay link that is valid from ``since`` (now) on."""
    until = int(((since or rt.now()) + VALID).timestamp())
    return action_token(rt.settings.secret_key, PAY, invoice, until)


def opened(rt: Runtime, token: str) -> Opened | None:
    """Return what a link leads to; None if we never made it."""
    found = read_action_token(rt.settings.secret_keys, PAY, token)
    if found is None:
        return None
    invoice, until = found
    return Opened(invoice, rt.now().timestamp() >= until)


def attempt_of(rt: Runtime, token: str) -> str | None:
    """Return the charge somebody comes back from; None if we never sent them there."""
    return read_return_token(rt.settings.secret_key, ATTEMPT, token)


def setup_of(rt: Runtime, token: str) -> str | None:
    """Return the set-up somebody comes back from; None if we never sent them there."""
    return read_return_token(rt.settings.secret_key, SETUP, token)


def pay(rt: Runtime, invoice: str, method: str = "") -> Paid:
    """Charge the invoice of a link now. Raises as ``paying.pay_now`` does."""
    return paying.pay_now(rt, _invoice(rt, invoice).payer_id, invoice, method)


def confirm(rt: Runtime, invoice: str) -> tuple[Paid, str]:
    """Go on to the bank's page of a charge that waits for its customer.

    A renewal's charge has none, because nobody was there: it is stopped at the gateway and asked
    once more with the customer here. The second click is led to the same page.
    """
    payer = _invoice(rt, invoice).payer_id
    page = paying.action_page(rt, payer, invoice)
    if page:
        return Paid.ACTION, page
    paid = paying.pay_now(rt, payer, invoice)
    return paid, paying.action_page(rt, payer, invoice) if paid is Paid.ACTION else ""


def action_page(rt: Runtime, invoice: str) -> str:
    """Return the bank's page of the charge that waits for its customer; empty if none does."""
    return paying.action_page(rt, _invoice(rt, invoice).payer_id, invoice)


def check(rt: Runtime, invoice: str) -> bool:
    """Ask the gateway about a charge without an answer; True if the invoice is paid then."""
    return paying.check_now(rt, _invoice(rt, invoice).payer_id, invoice)


def begin_card(
    rt: Runtime,
    invoice: str,
    root: str,
    locale: str = "",
    gateway: str = "",
    address: str = "",
) -> str:
    """Open a set-up for one invoice and return the address of the gateway's page.

    ``root`` is our address of the pay pages; ``gateway`` is one that takes new methods (the
    first, if empty); ``address`` is the network address it comes from. Raises ``NotFound``, also
    for a gateway that is not offered, ``NotNow`` when there is nothing to pay, ``CardBreak``,
    ``PaymentPartnerSilent``.
    """
    row = _invoice(rt, invoice)
    if row.state != InvoiceState.OPEN or not row.due_minor:
        raise NotNow(invoice=invoice)
    names = rt.sign_up_gateways(row.currency)
    if gateway and gateway not in names:
        raise NotFound(gateway=gateway)
    if not names:
        raise PaymentPartnerSilent
    partner = rt.gateways[gateway or names[0]]
    asker = check_break(rt, partner, row.payer_id, address)
    return _begin(rt, row, partner, root, locale, asker)


def _begin(
    rt: Runtime, row: AnyRow, gateway: Gateway, root: str, locale: str, asker: Asker | None
) -> str:
    payer = payer_of(rt.session, row.payer_id, gateway)
    reference = new_setup(
        rt.session, gateway, rt.now(), customer_id=row.payer_id, invoice_id=row.id
    )
    if asker is not None:
        note_try(rt.session, reference, asker, rt.settings.secret_key, rt.now())
    rt.session.commit()
    back = f"{root}/card/{return_token(rt.settings.secret_key, SETUP, reference)}"
    order = SetupOrder(reference, back, back, merchant=rt.shop.name, locale=locale, **asdict(payer))
    return vaulting.open_page(rt, gateway, order)


def finish_card(rt: Runtime, setup: str, params: Mapping[str, str]) -> CardPaid:
    """Store the card of a set-up, let it pay from now on, and charge its invoice with it, once.

    A second call finds that charge and makes no other. Raises ``NotFound``, ``CardBreak``,
    ``PaymentPartnerSilent`` while the set-up has no answer, and as ``paying.pay_now`` does.
    """
    row = _setup(rt, setup)
    until = break_of_setup(rt, row.id) if AttemptState(row.state) in ANSWERABLE else None
    if until is not None:
        raise CardBreak(until=until)
    answer = vaulting.outcome(rt, row, params)
    stop_waiting(rt, retrying(rt.session, lambda: _store(rt, row, answer)))
    if answer.status is AnswerStatus.DECLINED:
        warn_of_many(rt)
    if answer.status is not AnswerStatus.SUCCEEDED:
        return CardPaid(answer.status, answer.reason)
    if _was_tried(rt, setup):
        return CardPaid(answer.status)
    paid = paying.pay_now(rt, row.customer_id, row.invoice)
    if paid is Paid.DECLINED:
        warn_of_many(rt)
    return CardPaid(answer.status, paid=paid)


def send_again(rt: Runtime, invoice: str, who: Who | None = None) -> bool:
    """Mail a new link to the payer; False when there is nothing to pay or confirm.

    ``who`` is the member of staff that wished it. The mail goes to the payer's own address.
    """

    def write() -> bool:
        table, attempt = table_of(Invoice), table_of(ChargeAttempt)
        row = rt.session.execute(
            sa.select(
                table.c.payer_id,
                table.c.state,
                attempt.c.public_id,
                attempt.c.reason,
                attempt.c.state.label("attempt"),
            )
            .join(attempt, attempt.c.invoice_id == table.c.id)
            .where(table.c.public_id == invoice)
            .order_by(attempt.c.id.desc())
            .limit(1)
        ).one_or_none()
        if row is None or row.state != InvoiceState.OPEN:
            rt.session.rollback()
            return False
        waits = row.attempt == AttemptState.ACTION_REQUIRED
        topic = "payment_confirm" if waits else "payment_link"
        key = f"mail:{topic}:{row.public_id}:{int(rt.now().timestamp())}"
        payload = {"attempt": row.public_id, "reason": row.reason}
        enqueue(rt.session, [Message("mail", topic, key, payload, row.payer_id)], rt.now())
        if who is not None:
            after = {"topic": topic}
            moment = rt.moment()
            audit.write(rt.session, who.id, "invoice.link_sent", invoice, {}, after, moment, who.ip)
        rt.session.commit()
        return True

    return retrying(rt.session, write)


def _invoice(rt: Runtime, invoice: str) -> AnyRow:
    table = table_of(Invoice)
    with reading():
        row = rt.session.execute(
            sa.select(
                table.c.id, table.c.payer_id, table.c.state, table.c.due_minor, table.c.currency
            ).where(table.c.public_id == invoice)
        ).one_or_none()
        rt.session.rollback()
    if row is None:
        raise NotFound(invoice=invoice)
    return row


def _setup(rt: Runtime, setup: str) -> AnyRow:
    table, invoice = table_of(GatewaySetup), table_of(Invoice)
    with reading():
        row = rt.session.execute(
            sa.select(table, invoice.c.public_id.label("invoice"))
            .join(invoice, invoice.c.id == table.c.invoice_id)
            .where(table.c.public_id == setup)
        ).one_or_none()
        rt.session.rollback()
    if row is None or rt.now() >= row.created_at + AWAY:
        raise NotFound(setup=setup)
    return row


def _store(rt: Runtime, setup: AnyRow, answer: SetupAnswer) -> list[int]:
    """Write what became of a set-up; returns the subscriptions that follow its card."""
    table = table_of(GatewaySetup)
    changed = rt.session.execute(
        sa.update(table)
        .where(table.c.id == setup.id, table.c.state.in_(ANSWERABLE))
        .values(state=AttemptState(answer.status.value), reason=answer.reason[:80])
        .returning(table.c.id)
    ).one_or_none()
    moved: list[int] = []
    if changed is not None and answer.status is AnswerStatus.DECLINED:
        note_refused(rt.session, setup.id, rt.now())
    if changed is not None and answer.method is not None:
        card = Card(setup.gateway, setup.account, answer.method)
        moment = rt.moment()
        key, moved = keep_as_default(rt.session, setup.customer_id, card, moment)
        replan(rt.session, moved, rt.minimums, moment)
        rt.session.execute(
            sa.update(table).where(table.c.id == setup.id).values(payment_method_id=key)
        )
    rt.session.commit()
    return moved


def _was_tried(rt: Runtime, setup: str) -> bool:
    """True once its invoice was charged with the card of a set-up, or while that is under way."""
    table, attempt = table_of(GatewaySetup), table_of(ChargeAttempt)
    with reading():
        found = rt.session.execute(
            sa.select(attempt.c.id)
            .join(table, table.c.invoice_id == attempt.c.invoice_id)
            .where(
                table.c.public_id == setup,
                attempt.c.payment_method_id == table.c.payment_method_id,
                attempt.c.created_at >= table.c.created_at,
            )
            .limit(1)
        ).one_or_none()
        rt.session.rollback()
    return found is not None
