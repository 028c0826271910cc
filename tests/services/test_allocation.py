"""Who gets what is short: the same boxes however the work is cut, and never more than there is."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.adapters.failpoints import FailpointReached, arm
from storefront.models import Box, BoxItem, ProductVariant
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services import cycles as service
from storefront.services.cycles import close_cycles
from storefront.testing.clock import FrozenClock
from storefront.testing.factories import make_group, make_plan, make_recipe, make_variant
from tests.support.availability import is_long
from tests.support.boxes import cycles_of, make_box, make_subscribed
from tests.support.orders import in_parallel

#: Pieces that each box wants, in the order in which they were paid, and how many there are.
WANTED, THERE = (3, 1, 4, 2, 1, 3, 1), 9


#: Boxes in a slice, and whether two workers die meanwhile.
CUTS = [(1, False), (3, True), (100, False)]
CUTS += [(1, True), (3, False), (100, True)] if is_long() else []


@pytest.mark.parametrize(("size", "crash"), CUTS)
def test_the_same_boxes_get_what_is_short_however_the_lock_is_cut(
    rt: Runtime, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, size: int, *, crash: bool
) -> None:
    group = make_group(rt)
    plan = make_plan(rt, group=group)
    make_recipe(rt, plan, variants=[make_variant(rt, on_hand=THERE)])
    cycle = cycles_of(rt, group)[0]
    for pieces in WANTED:
        sub = make_subscribed(rt, plan, renews_at=rt.now() + timedelta(days=31))
        make_box(rt, plan, cycle, subscription=sub, quantity=pieces)
    clock.advance(days=14)
    monkeypatch.setattr(service, "SLICE", size)
    if crash:
        for point in ("close.before_commit:raise", "close.after_slice:raise"):
            arm(point)
            try:
                with pytest.raises(FailpointReached):
                    close_cycles(rt)
            finally:
                arm("")
            rt.session.rollback()

    close_cycles(rt)

    states = list(rt.session.scalars(sa.select(Box.state).order_by(Box.id)))
    packed = list(rt.session.scalars(sa.select(BoxItem.quantity).order_by(BoxItem.box_id)))
    left = rt.session.scalars(sa.select(ProductVariant.on_hand)).one()
    assert [state.value for state in states] == [
        # 3 and 1 of nine; 4; then one is left, which the next that wants two cannot have.
        *("locked", "locked", "locked", "held", "locked", "held", "held")
    ]
    assert (packed, left) == ([3, 1, 4, 1], 0)
    assert broken(rt.session) == {}
    rt.session.rollback()


def test_a_second_worker_takes_nothing_from_those_whom_the_first_is_about_to_serve(
    app: Flask, rt: Runtime, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = make_group(rt)
    plan = make_plan(rt, group=group)
    make_recipe(rt, plan, variants=[make_variant(rt, on_hand=2)])
    cycle = cycles_of(rt, group)[0]
    for _ in range(4):
        make_box(rt, plan, cycle)
    clock.advance(days=14)
    monkeypatch.setattr(service, "SLICE", 2)
    monkeypatch.setattr(service, "decide_boxes", _after_a_pause(service.decide_boxes))
    rt.session.remove()

    in_parallel(app, 2, lambda own, _number: close_cycles(own))

    states = list(rt.session.scalars(sa.select(Box.state).order_by(Box.id)))
    rt.session.rollback()
    assert [state.value for state in states] == ["locked", "locked", "held", "held"]


def _after_a_pause(decide: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``decide``; who comes first has read its boxes and waits a moment with the stock."""
    first, second = threading.Lock(), threading.Event()

    def waiting(*given: Any) -> Any:
        if first.acquire(blocking=False):
            second.wait(0.4)
            return decide(*given)
        done = decide(*given)
        given[0].commit()
        second.set()
        return done

    return waiting
