"""Cards of a customer: which one pays, a new one by the gateway's page, and paying now."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import sqlalchemy as sa

from storefront.database import reading, retrying
from storefront.domain.charging import ANSWERABLE, AnswerStatus, AttemptState
from storefront.domain.gateways import SetupAnswer, SetupOrder, VaultedMethod
from storefront.models import GatewaySetup, PaymentMethod
from storefront.models.base import public_id, table_of
from storefront.operations.kept_methods import (
    Card,
    find_method,
    insert_method,
    keep_again,
)
from storefront.operations.keys import AnyRow
from storefront.operations.method_choice import make_default, repoint
from storefront.operations.methods import was_accepted
from storefront.operations.setups import payer_of
from storefront.paying import (
    ChargingHeld,
    MethodRefused,
    NoMethod,
    NotFound,
    NotNow,
    Paid,
    PaymentPartnerSilent,
    check_now,
    pay_now,
)
from storefront.runtime import Runtime

__all__ = [
    "CardAdded",
    "ChargingHeld",
    "MethodRefused",
    "NoMethod",
    "NotFound",
    "NotNow",
    "Paid",
    "PaymentPartnerSilent",
    "begin_card",
    "check_now",
    "finish_card",
    "pay_now",
    "set_default",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CardAdded:
    """What became of a set-up. ``answer`` is succeeded, declined or something still open."""

    status: AnswerStatus
    reason: str = ""
    last4: str = ""


def set_default(rt: Runtime, customer_id: int, method: str) -> bool:
    """Let ``method`` pay from now on; False if it did already.

    Raises ``NotFound`` or ``MethodRefused``.
    """
    table = table_of(PaymentMethod)

    def change() -> bool:
        row = rt.session.execute(
            sa.select(table).where(
                table.c.public_id == method,
                table.c.customer_id == customer_id,
                table.c.detached_at.is_(None),
                was_accepted(),
            )
        ).one_or_none()
        if row is None:
            raise NotFound(method=method)
        if row.refused_at is not None:
            raise MethodRefused(last4=row.last4)
        make_default(rt.session, customer_id, row.id)
        changed = not row.is_default
        if changed:
            repoint(rt.session, customer_id, row.last4, rt.moment())
        rt.session.commit()
        return bool(changed)

    return retrying(rt.session, change)


def begin_card(rt: Runtime, customer_id: int, return_to: str, locale: str = "") -> str:
    """Open a set-up at the gateway and return the address of its page.

    ``return_to`` is our address without the set-up's id, which is added at its end.
    Raises ``PaymentPartnerSilent``.
    """
    gateway = next((one for one in rt.gateways.values()), None)
    if gateway is None:
        raise PaymentPartnerSilent
    reference = public_id("set")
    table = table_of(GatewaySetup)
    payer = payer_of(rt.session, customer_id, gateway)
    rt.session.execute(
        sa.insert(table).values(
            public_id=reference,
            customer_id=customer_id,
            gateway=gateway.name,
            account=gateway.account,
            state=AttemptState.SENT,
            redirect_url="",
            reason="",
            created_at=rt.now(),
        )
    )
    rt.session.commit()
    back = f"{return_to.rstrip('/')}/{reference}"
    order = SetupOrder(
        reference,
        back,
        back,
        merchant=rt.shop.name,
        locale=locale,
        **asdict(payer),
    )
    try:
        start = gateway.begin_setup(order)
    except Exception as error:
        log.exception("gateway %s could not begin %s", gateway.name, reference)
        raise PaymentPartnerSilent from error
    if not start.redirect_url:
        raise PaymentPartnerSilent
    rt.session.execute(
        sa.update(table)
        .where(table.c.public_id == reference)
        .values(redirect_url=start.redirect_url, gateway_reference=start.gateway_reference[:255])
    )
    rt.session.commit()
    return start.redirect_url


def finish_card(rt: Runtime, customer_id: int, setup: str, params: Mapping[str, str]) -> CardAdded:
    """Store the card of a finished set-up as the one that pays; the second call changes nothing.

    Raises ``NotFound`` or ``PaymentPartnerSilent``.
    """
    table = table_of(GatewaySetup)
    with reading():
        row = rt.session.execute(
            sa.select(table).where(table.c.public_id == setup, table.c.customer_id == customer_id)
        ).one_or_none()
        rt.session.rollback()
    if row is None:
        raise NotFound(setup=setup)
    gateway = rt.gateways.get(row.gateway)
    if gateway is None or gateway.account != row.account:
        raise PaymentPartnerSilent
    try:
        answer = gateway.finish_setup(setup, params, row.gateway_reference)
    except Exception as error:
        log.exception("gateway %s could not finish %s", row.gateway, setup)
        raise PaymentPartnerSilent from error
    retrying(rt.session, lambda: _store(rt, row, answer))
    last4 = answer.method.last4 if answer.method else ""
    return CardAdded(answer.status, answer.reason, last4)


def _store(rt: Runtime, setup: AnyRow, answer: SetupAnswer) -> None:
    table = table_of(GatewaySetup)
    state = AttemptState(answer.status.value)
    values: dict[str, object] = {"state": state, "reason": answer.reason[:80]}
    changed = rt.session.execute(
        sa.update(table)
        .where(table.c.id == setup.id, table.c.state.in_(ANSWERABLE))
        .values(values)
        .returning(table.c.id)
    ).one_or_none()
    if changed is not None and answer.method is not None:
        method_id = _keep(rt, setup, answer.method)
        make_default(rt.session, setup.customer_id, method_id)
        repoint(rt.session, setup.customer_id, answer.method.last4, rt.moment())
        rt.session.execute(
            sa.update(table).where(table.c.id == setup.id).values(payment_method_id=method_id)
        )
    rt.session.commit()


def _keep(rt: Runtime, setup: AnyRow, method: VaultedMethod) -> int:
    """Return the key of the card's row; a token that is known already is used again."""
    card = Card(setup.gateway, setup.account, method)
    known = find_method(rt.session, card, setup.customer_id)
    if known is not None:
        keep_again(rt.session, known, card)
        return known
    moment = rt.moment()
    return insert_method(rt.session, setup.customer_id, card, is_default=False, moment=moment)
