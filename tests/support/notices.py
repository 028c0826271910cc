"""Notices and announcements for tests."""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from storefront.models import Announcement, Customer, OutboxMessage, Plan, Staff
from storefront.models.base import public_id
from storefront.operations.audit import Who
from storefront.operations.outbox import Message, enqueue
from storefront.runtime import Runtime
from storefront.services.staff import add_staff


def make_notice(
    rt: Runtime, customer: Customer, topic: str = "card_gone", key: str = "1", **payload: Any
) -> str:
    """Mail a customer something that is a notice too; returns the public id of it."""
    message = Message("mail", topic, f"mail:{topic}:{customer.id}:{key}", payload, customer.id)
    enqueue(rt.session, [message], rt.now())
    rt.session.commit()
    found = rt.session.scalar(
        sa.select(OutboxMessage.public_id).where(OutboxMessage.key == message.key)
    )
    rt.session.rollback()
    return str(found)


def make_writer(rt: Runtime) -> Who:
    """Return the staff user who writes announcements."""
    email = "writer@shop.example"
    found = sa.select(Staff.id, Staff.public_id).where(Staff.email == email)
    if rt.session.execute(found).first() is None:
        add_staff(rt, email=email, name="Wes", password="a long password", role="support")
    row = rt.session.execute(found).one()
    rt.session.rollback()
    return Who(row.id, row.public_id, "192.0.2.1")


def make_announcement(rt: Runtime, title: str = "We moved", plan: str = "", days: int = 3) -> str:
    """Announce something from today on; returns its public id."""
    ref, today = public_id("ann"), rt.today()
    chosen = rt.session.scalar(sa.select(Plan.id).where(Plan.code == plan))
    rt.session.add(
        Announcement(
            public_id=ref,
            texts={"en": {"title": title, "text": ""}},
            from_on=today,
            until_on=today + timedelta(days=days),
            plan_id=chosen,
            created_at=rt.now(),
        )
    )
    rt.session.commit()
    return ref
