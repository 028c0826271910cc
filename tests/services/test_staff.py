"""Roles and staff users: who may what, and that somebody can always run the shop."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from storefront.domain import permissions
from storefront.models import AuditEntry, OutboxMessage, Role, StaffSession
from storefront.operations.audit import Who, verify
from storefront.runtime import Runtime
from storefront.services import sessions, signin
from storefront.services import staff as service
from storefront.testing.clock import FrozenClock
from tests.support.admin import make_staff

PASSWORD = "a long password"


def add(rt: Runtime, name: str, role: str = "owner") -> str:
    return service.add_staff(
        rt, email=f"{name}@shop.example", name=name, password=PASSWORD, role=role
    )


def test_the_first_roles_are_made_once_and_the_owner_may_everything(rt: Runtime) -> None:
    first = service.ensure_roles(rt)
    assert service.ensure_roles(rt) == first
    rows = dict(rt.session.execute(sa.select(Role.code, Role.permissions)).all())  # type: ignore[arg-type]
    assert set(rows) == {"owner", "fulfilment", "support"}
    assert set(rows["owner"]) == permissions.ALL
    assert permissions.PLANS_MANAGE not in rows["support"]
    assert permissions.SUBSCRIBERS_VIEW not in rows["fulfilment"]


def test_a_role_the_shop_changed_stays_as_it_is(rt: Runtime) -> None:
    service.ensure_roles(rt)
    support = Role.code == "support"
    rt.session.execute(sa.update(Role).where(support).values(permissions=["subscribers.view"]))
    rt.session.commit()
    service.ensure_roles(rt)
    kept = rt.session.scalar(sa.select(Role.permissions).where(support))
    assert kept == ["subscribers.view"]


def test_an_owner_that_lost_a_permission_gets_it_back(rt: Runtime) -> None:
    service.ensure_roles(rt)
    rt.session.execute(sa.update(Role).where(Role.code == "owner").values(permissions=[]))
    rt.session.commit()
    service.ensure_roles(rt)
    owned = rt.session.scalar(sa.select(Role.permissions).where(Role.code == "owner"))
    assert set(owned or ()) == permissions.ALL


def test_a_staff_user_signs_in_with_the_password_they_were_given(rt: Runtime) -> None:
    add(rt, "mia")
    assert signin.check_staff_password(rt, "mia@shop.example", PASSWORD) is not None
    service.change_password(rt, "mia@shop.example", "another password")
    assert signin.check_staff_password(rt, "mia@shop.example", PASSWORD) is None
    assert signin.check_staff_password(rt, "mia@shop.example", "another password") is not None


def test_the_last_owner_can_neither_be_disabled_nor_get_another_role(rt: Runtime) -> None:
    add(rt, "mia")
    add(rt, "sam", "support")
    with pytest.raises(service.LastOwner):
        service.disable_staff(rt, "mia@shop.example")
    with pytest.raises(service.LastOwner):
        service.change_role(rt, "mia@shop.example", "support")
    add(rt, "ola")
    service.change_role(rt, "mia@shop.example", "support")
    with pytest.raises(service.LastOwner):
        service.disable_staff(rt, "ola@shop.example")


def test_another_role_or_a_lock_out_ends_open_sessions(rt: Runtime) -> None:
    add(rt, "mia")
    add(rt, "sam", "support")
    key = signin.check_staff_password(rt, "sam@shop.example", PASSWORD)
    assert key is not None
    for change in (
        lambda: service.change_role(rt, "sam@shop.example", "fulfilment"),
        lambda: service.disable_staff(rt, "sam@shop.example"),
    ):
        sessions.start_staff_session(rt, key, "", "")
        change()
        still = sa.select(StaffSession.id).where(StaffSession.revoked_at.is_(None))
        assert rt.session.execute(still).first() is None
        rt.session.rollback()
    assert signin.check_staff_password(rt, "sam@shop.example", PASSWORD) is None


def test_what_cannot_be_a_staff_user_is_refused(rt: Runtime) -> None:
    add(rt, "mia")
    with pytest.raises(service.StaffExists):
        service.add_staff(rt, email="MIA@shop.example", name="Mia", password=PASSWORD)
    with pytest.raises(service.UnknownRole):
        add(rt, "sam", "emperor")
    with pytest.raises(service.PasswordTooShort):
        service.add_staff(rt, email="a@shop.example", name="A", password="short")
    with pytest.raises(service.UnknownStaff):
        service.disable_staff(rt, "nobody@shop.example")
    assert [row.email for row in service.list_staff(rt)] == ["mia@shop.example"]


def link_of(rt: Runtime, topic: str = "staff_link") -> str:
    """Return the one-time link of the newest mail to the staff."""
    row = rt.session.execute(
        sa.select(OutboxMessage.payload)
        .where(OutboxMessage.topic == topic)
        .order_by(OutboxMessage.id.desc())
        .limit(1)
    ).scalar_one()
    rt.session.rollback()
    return service.link_token(rt, row)


@pytest.fixture
def mia(rt: Runtime) -> Who:
    return make_staff(rt)


def test_who_is_invited_chooses_a_password_once_and_is_in(rt: Runtime, mia: Who) -> None:
    service.invite_staff(rt, mia, email="Sam@shop.example", name="Sam", role="support")
    assert [row.is_invited for row in service.list_staff(rt)] == [False, True]
    assert signin.check_staff_password(rt, "sam@shop.example", "") is None
    token = link_of(rt)
    assert service.person_of_link(rt, token) == "sam@shop.example"

    with pytest.raises(service.PasswordTooShort):
        service.choose_password(rt, token, "short")
    service.choose_password(rt, token, "a password of Sam")

    assert signin.check_staff_password(rt, "sam@shop.example", "a password of Sam") is not None
    assert service.person_of_link(rt, token) is None
    with pytest.raises(service.LinkRefused):
        service.choose_password(rt, token, "another password")


def test_a_link_dies_after_three_days_with_the_person_and_when_it_is_altered(
    rt: Runtime, mia: Who, clock: FrozenClock
) -> None:
    service.invite_staff(rt, mia, email="sam@shop.example", name="Sam", role="support")
    token = link_of(rt)
    ref, until, mac = token.split(".")
    for forged in (f"{ref}.{int(until) + 1}.{mac}", f"{mia.public_id}.{until}.{mac}", "", "a.b.c"):
        assert service.person_of_link(rt, forged) is None
    service.disable_staff(rt, "sam@shop.example", mia)
    assert service.person_of_link(rt, token) is None
    service.enable_staff(rt, "sam@shop.example", mia)
    assert service.person_of_link(rt, token) == "sam@shop.example"
    clock.advance(days=3, seconds=1)
    assert service.person_of_link(rt, token) is None
    service.send_link(rt, mia, "sam@shop.example")
    assert service.person_of_link(rt, link_of(rt)) == "sam@shop.example"


def test_nobody_changes_their_own_role_or_locks_themselves_out(rt: Runtime, mia: Who) -> None:
    add(rt, "sam")
    with pytest.raises(service.OwnAccount):
        service.change_role(rt, "owner@shop.example", "support", mia)
    with pytest.raises(service.OwnAccount):
        service.disable_staff(rt, "owner@shop.example", mia)


def test_what_an_owner_does_to_the_staff_is_in_the_log_under_their_name(
    rt: Runtime, mia: Who
) -> None:
    ref = service.invite_staff(rt, mia, email="sam@shop.example", name="Sam", role="support")
    service.change_role(rt, "sam@shop.example", "fulfilment", mia)
    service.send_link(rt, mia, "sam@shop.example")
    service.choose_password(rt, link_of(rt), "a password of Sam")
    service.disable_staff(rt, "sam@shop.example", mia)
    service.enable_staff(rt, "sam@shop.example", mia)
    rows = rt.session.execute(
        sa.select(AuditEntry.staff_id, AuditEntry.action)
        .where(AuditEntry.object_ref == ref)
        .order_by(AuditEntry.id)
    ).all()
    sam = rows[3].staff_id
    assert sam != mia.id
    assert [tuple(row) for row in rows] == [
        (mia.id, "staff.added"),
        (mia.id, "staff.role_changed"),
        (mia.id, "staff.link_sent"),
        (sam, "staff.password_changed"),
        (mia.id, "staff.disabled"),
        (mia.id, "staff.enabled"),
    ]
    assert verify(rt.session).is_unbroken
