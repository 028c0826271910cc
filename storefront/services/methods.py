"""Methods of a customer: which one pays, a new one by the gateway's page, and paying now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import sqlalchemy as sa

from storefront import vaulting
from storefront.card_breaks import CardBreak, break_of_setup, check_break, warn_of_many
from storefront.database import reading, retrying
from storefront.domain.card_testing import Asker
from storefront.domain.charging import ANSWERABLE, AnswerStatus, AttemptState
from storefront.domain.gateways import Gateway, SetupAnswer, SetupOrder, VaultedMethod
from storefront.models import GatewaySetup, PaymentMethod
from storefront.models.base import table_of
from storefront.operations.card_tries import note_refused, note_try
from storefront.operations.kept_methods import (
    Card,
    find_method,
    insert_method,
    keep_again,
)
from storefront.operations.keys import AnyRow
from storefront.operations.method_choice import make_default, repoint, use_for
from storefront.operations.methods import has_default, was_accepted
from storefront.operations.replanning import replan
from storefront.operations.setups import currencies_of, new_setup, payer_of, subscription_paid_by
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
from storefront.replacing import stop_waiting
from storefront.runtime import Runtime

__all__ = [
    "CardAdded",
    "CardBreak",
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


@dataclass(frozen=True, slots=True)
class CardAdded:
    """What became of a set-up. ``answer`` is succeeded, declined or something still open."""

    status: AnswerStatus
    reason: str = ""
    brand: str = ""
    last4: str = ""
    kind: str = "card"
    label: str = ""
    #: True when it pays for one subscription alone.
    is_for_one: bool = False


def set_default(rt: Runtime, customer_id: int, method: str) -> bool:
    """Let ``method`` pay from now on; False if it did already.

    What is owed is tried with it once; what waits with another method is stopped first.
    Raises ``NotFound`` or ``MethodRefused``.
    """
    table = table_of(PaymentMethod)

    def change() -> list[int] | None:
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
        if row.is_default:
            rt.session.rollback()
            return None
        moved = _let_pay(rt, customer_id, row.id, row.last4)
        rt.session.commit()
        return moved

    moved = retrying(rt.session, change)
    stop_waiting(rt, moved or [])
    return moved is not None


def _let_pay(rt: Runtime, customer_id: int, method_id: int, last4: str) -> list[int]:
    """Make a method the default; returns the subscriptions that follow it."""
    moment = rt.moment()
    make_default(rt.session, customer_id, method_id)
    moved = repoint(rt.session, customer_id, last4, moment)
    replan(rt.session, moved, rt.minimums, moment)
    return moved


def begin_card(
    rt: Runtime,
    customer_id: int,
    return_to: str,
    locale: str = "",
    *,
    gateway: str = "",
    subscription: str = "",
    address: str = "",
) -> str:
    """Open a set-up at a gateway and return the address of its page.

    ``return_to`` is our address without the set-up's id, which is added at its end; ``gateway``
    is one that takes new methods (the first, if empty), and ``subscription`` names the one that
    the new method is for, if it is not for all; ``address`` is the network address it comes
    from. Raises ``PaymentPartnerSilent``, ``CardBreak``, or ``NotFound`` for a gateway that is
    not offered and for a subscription of somebody else.
    """
    partner, subscription_id = _partner(rt, customer_id, gateway, subscription)
    asker = check_break(rt, partner, customer_id, address)
    return _begin(rt, customer_id, partner, subscription_id, return_to, locale, asker)


def _partner(
    rt: Runtime, customer_id: int, gateway: str, subscription: str
) -> tuple[Gateway, int | None]:
    with reading():
        paid_for = subscription_paid_by(rt.session, customer_id, subscription)
        names = rt.sign_up_gateways(*currencies_of(rt.session, customer_id, rt.shop.currency))
        rt.session.rollback()
    if subscription and paid_for is None:
        raise NotFound(subscription=subscription)
    if gateway and gateway not in names:
        raise NotFound(gateway=gateway)
    if not names:
        raise PaymentPartnerSilent
    return rt.gateways[gateway or names[0]], paid_for


def _begin(
    rt: Runtime,
    customer_id: int,
    gateway: Gateway,
    subscription_id: int | None,
    return_to: str,
    locale: str,
    asker: Asker | None,
) -> str:
    payer = payer_of(rt.session, customer_id, gateway)
    reference = new_setup(
        rt.session, gateway, rt.now(), customer_id=customer_id, subscription_id=subscription_id
    )
    if asker is not None:
        note_try(rt.session, reference, asker, rt.settings.secret_key, rt.now())
    rt.session.commit()
    back = f"{return_to.rstrip('/')}/{reference}"
    order = SetupOrder(reference, back, back, merchant=rt.shop.name, locale=locale, **asdict(payer))
    return vaulting.open_page(rt, gateway, order)


def finish_card(rt: Runtime, customer_id: int, setup: str, params: Mapping[str, str]) -> CardAdded:
    """Store the method of a finished set-up and let it pay; the second call changes nothing.

    One that was added for a single subscription pays for that one alone.

    Raises ``NotFound``, ``PaymentPartnerSilent`` or ``CardBreak``.
    """
    table = table_of(GatewaySetup)
    with reading():
        row = rt.session.execute(
            sa.select(table).where(table.c.public_id == setup, table.c.customer_id == customer_id)
        ).one_or_none()
        rt.session.rollback()
    if row is None:
        raise NotFound(setup=setup)
    until = break_of_setup(rt, row.id) if AttemptState(row.state) in ANSWERABLE else None
    if until is not None:
        raise CardBreak(until=until)
    answer = vaulting.outcome(rt, row, params)
    stop_waiting(rt, retrying(rt.session, lambda: _store(rt, row, answer)))
    if answer.status is AnswerStatus.DECLINED:
        warn_of_many(rt)
    method = answer.method
    if method is None:
        return CardAdded(answer.status, answer.reason)
    return CardAdded(
        answer.status,
        answer.reason,
        method.brand,
        method.last4,
        method.kind,
        method.label,
        is_for_one=row.subscription_id is not None,
    )


def _store(rt: Runtime, setup: AnyRow, answer: SetupAnswer) -> list[int]:
    """Write what became of a set-up; returns the subscriptions that follow its method."""
    table = table_of(GatewaySetup)
    state = AttemptState(answer.status.value)
    values: dict[str, object] = {"state": state, "reason": answer.reason[:80]}
    changed = rt.session.execute(
        sa.update(table)
        .where(table.c.id == setup.id, table.c.state.in_(ANSWERABLE))
        .values(values)
        .returning(table.c.id)
    ).one_or_none()
    moved: list[int] = []
    if changed is not None and answer.status is AnswerStatus.DECLINED:
        note_refused(rt.session, setup.id, rt.now())
    if changed is not None and answer.method is not None:
        method_id = _keep(rt, setup, answer.method)
        moved = _put_to_use(rt, setup, method_id, answer.method.last4)
        rt.session.execute(
            sa.update(table).where(table.c.id == setup.id).values(payment_method_id=method_id)
        )
    rt.session.commit()
    return moved


def _put_to_use(rt: Runtime, setup: AnyRow, method_id: int, last4: str) -> list[int]:
    """Let a new method pay for what it was added for; for all where nothing else could."""
    if setup.subscription_id is None or not has_default(rt.session, setup.customer_id):
        return _let_pay(rt, setup.customer_id, method_id, last4)
    moment, moved = rt.moment(), [int(setup.subscription_id)]
    use_for(rt.session, moved, method_id, last4, moment)
    replan(rt.session, moved, rt.minimums, moment)
    return moved


def _keep(rt: Runtime, setup: AnyRow, method: VaultedMethod) -> int:
    """Return the key of the card's row; a token that is known already is used again."""
    card = Card(setup.gateway, setup.account, method)
    known = find_method(rt.session, card, setup.customer_id)
    if known is not None:
        keep_again(rt.session, known, card)
        return known
    moment = rt.moment()
    return insert_method(rt.session, setup.customer_id, card, is_default=False, moment=moment)
