"""Write down that somebody says their address is right: what staff see before they send again."""

from __future__ import annotations

import sqlalchemy as sa

from storefront.domain.errors import DomainError
from storefront.domain.events import Actor, EventKind
from storefront.domain.lifecycle import RUNNING
from storefront.models import Address, Subscription
from storefront.models.base import table_of
from storefront.operations.action_links import Link, times_confirmed
from storefront.operations.subscriptions import (
    SubscriptionChange,
    change_subscriptions,
    decide_again,
)
from storefront.operations.timeline import Entry, record
from storefront.runtime import Runtime


class NothingToConfirm(DomainError):
    """The link was used, the address changed since, or the subscription is over."""

    code = "nothing_to_confirm"


def confirm_address(rt: Runtime, link: Link) -> None:
    """Note that the address a link is about is right, once. Raises ``NothingToConfirm``."""

    def change() -> None:
        table, address = table_of(Subscription), table_of(Address)
        row = rt.session.execute(
            sa.select(table.c.id, table.c.version, table.c.state, address.c.public_id)
            .join(address, address.c.id == table.c.address_id)
            .where(table.c.public_id == link.subscription)
            .with_for_update(of=table)
        ).one_or_none()
        stale = row is None or row.public_id != link.thing or row.state not in RUNNING
        if row is None or stale or times_confirmed(rt.session, row.id) != link.done:
            rt.session.rollback()
            raise NothingToConfirm(subscription=link.subscription)
        change_subscriptions(rt.session, [SubscriptionChange(row.id, row.version, {})])
        entry = Entry(row.id, link.subscription, EventKind.ADDRESS_CONFIRMED, Actor.CUSTOMER)
        record(rt.session, [entry], rt.moment())
        rt.session.commit()

    decide_again(rt.session, change)
