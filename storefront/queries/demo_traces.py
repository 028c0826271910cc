"""What a demo leaves in a database: people who must not be in a real shop."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from storefront.adapters.passwords import LOW_COST_MARK
from storefront.database import AnySession
from storefront.models import Customer, PaymentMethod, Staff
from storefront.models.base import table_of


@dataclass(frozen=True, slots=True)
class DemoTraces:
    """How many people of a demo there are."""

    staff: int
    customers: int


def demo_traces(session: AnySession) -> DemoTraces:
    """Count who has a password as demos hash it, or a card of the demo gateway."""
    staff, customer, method = table_of(Staff), table_of(Customer), table_of(PaymentMethod)
    card = sa.exists().where(method.c.customer_id == customer.c.id, method.c.gateway == "demo")
    people = sa.select(sa.func.count()).select_from(customer)
    desk = sa.select(sa.func.count()).select_from(staff)
    return DemoTraces(
        staff=session.scalar(desk.where(staff.c.password_hash.contains(LOW_COST_MARK))) or 0,
        customers=session.scalar(
            people.where(sa.or_(card, customer.c.password_hash.contains(LOW_COST_MARK)))
        )
        or 0,
    )
