"""Roles and staff users: who may what, and that somebody can always run the shop."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from storefront.domain import permissions
from storefront.models import Role, StaffSession
from storefront.runtime import Runtime
from storefront.services import sessions, signin
from storefront.services import staff as service

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
