"""Messages of gateways that were applied long ago are deleted; what waits for a person is not."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from storefront.models import GatewayEvent
from storefront.runtime import Runtime
from storefront.services import old_messages
from storefront.services.old_messages import delete_old_messages
from storefront.testing.clock import FrozenClock


def came(rt: Runtime, name: str, state: str, came: int, applied: int | None = None) -> None:
    """Write a message that came and was applied so many days ago."""
    row = GatewayEvent(
        gateway="demo",
        event_id=name,
        kind="charge",
        state=state,
        received_at=rt.now() - timedelta(days=came),
        applied_at=None if applied is None else rt.now() - timedelta(days=applied),
    )
    rt.session.add(row)
    rt.session.commit()


def kept(rt: Runtime) -> list[str]:
    found = list(rt.session.scalars(sa.select(GatewayEvent.event_id).order_by(GatewayEvent.id)))
    rt.session.rollback()
    return found


def test_only_what_was_applied_before_the_last_ninety_days_is_deleted(
    rt: Runtime, clock: FrozenClock
) -> None:
    came(rt, "old", "applied", 92, 92)
    came(rt, "late", "applied", 92, 89)
    came(rt, "young", "applied", 90, 90)
    for state in ("failed", "orphan", "waiting"):
        came(rt, state, state, 200)

    assert delete_old_messages(rt) == {"deleted": 1}
    assert kept(rt) == ["late", "young", "failed", "orphan", "waiting"]
    assert delete_old_messages(rt) == {"deleted": 0}

    clock.advance(days=1)
    assert delete_old_messages(rt) == {"deleted": 1}
    assert kept(rt)[0] == "late"


def test_many_are_deleted_in_batches_and_no_more_than_so_many_at_once(
    rt: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_messages, "BATCH", 2)
    monkeypatch.setattr(old_messages, "AT_ONCE", 4)
    for number in range(7):
        came(rt, f"m{number}", "applied", 100, 100)

    assert [delete_old_messages(rt)["deleted"] for _ in range(3)] == [4, 3, 0]
