"""The page of a cycle group: what moves is shown before anything is saved."""

from __future__ import annotations

import re
from datetime import date

import sqlalchemy as sa
from flask import Flask

from storefront.models import BoxCycle, CycleGroup
from storefront.runtime import Runtime
from storefront.testing import factories as make
from tests.support.admin import desk

FIELDS = {
    "name": "Monthly boxes",
    "cutoff_days": "5",
    "lock_days": "3",
    "ship_days": "9",
    "ship_window_days": "2",
}


def marks(page: str) -> dict[str, str]:
    """Return the hidden fields by which what was shown is what is saved."""
    found = dict(re.findall(r'name="(version|seen)" value="([^"]*)"', page))
    return {"version": found["version"], "seen": found["seen"]}


def test_what_moves_is_shown_before_it_is_saved(app: Flask, rt: Runtime) -> None:
    owner = desk(app, rt)
    group = make.make_group(rt)
    make.make_subscription(rt, plan=make.make_plan(rt, group=group))
    path = f"/admin/cycle-groups/{group.public_id}"
    assert path in owner.get("/admin/cycle-groups").text
    page = owner.get(path).text
    assert 'value="Monthly boxes"' in page
    assert "Save these days" not in page

    # Who saves without having seen what moves is shown it first.
    early = owner.post(path, FIELDS | marks(page))
    assert early.status_code == 422
    shown = owner.post(path, FIELDS | marks(page) | {"step": "preview"}, partial=True)
    assert shown.status_code == 200
    for text in (early.text, shown.text):
        assert "Stays: Somebody was promised it for a first box" in text
        assert re.search(r"<del>[^<]*11 April</del> <ins>[^<]*7 April</ins>", text)
    cutoff = sa.select(BoxCycle.cutoff_on).where(BoxCycle.key == "2027-04")
    assert rt.session.scalar(cutoff) == date(2027, 4, 11)
    rt.session.rollback()

    assert owner.post(path, FIELDS | marks(shown.text)).status_code == 303
    assert rt.session.scalar(cutoff) == date(2027, 4, 7)
    rt.session.rollback()
    assert "Cycle group changed" in owner.get("/admin/log").text

    # A tab that is still open from before changes nothing.
    stale = owner.post(path, FIELDS | marks(page) | {"cutoff_days": "1", "ship_days": "6"})
    assert "Somebody changed this group meanwhile" in stale.text
    stale = owner.post(path, FIELDS | marks(page) | {"ship_days": "6", "step": "preview"})
    assert stale.status_code == 422
    assert "it is Monthly boxes now, with 5, 3, 9 and 2 days" in stale.text
    assert rt.session.scalar(cutoff) == date(2027, 4, 7)
    rt.session.rollback()


def test_days_that_cannot_be_are_said_beside_their_field(app: Flask, rt: Runtime) -> None:
    owner = desk(app, rt)
    group = make.make_group(rt)
    path = f"/admin/cycle-groups/{group.public_id}"
    typed = FIELDS | marks(owner.get(path).text)
    late = owner.post(path, typed | {"ship_days": "1"})
    assert "Boxes ship on the lock day or later" in late.text
    make.make_group(rt, name="Weekly")
    assert "a group of this name" in owner.post(path, typed | {"name": "weekly"}).text
    assert owner.get("/admin/cycle-groups/grp_none").status_code == 404
    names = set(rt.session.scalars(sa.select(CycleGroup.name)))
    rt.session.rollback()
    assert names == {"Monthly boxes", "Weekly"}


def test_a_group_with_own_charge_days_keeps_its_lock_and_says_so(app: Flask, rt: Runtime) -> None:
    owner = desk(app, rt)
    group = make.make_group(rt, unit="week", charge_day=None, anchor_on=date(2027, 3, 1))
    path = f"/admin/cycle-groups/{group.public_id}"
    page = owner.get(path).text
    assert 'name="lock_days"' not in page
    assert "The lock stays 3 days after the packing day" in page
    typed = {name: value for name, value in FIELDS.items() if name != "lock_days"}
    shown = owner.post(path, typed | marks(page) | {"step": "preview"})
    assert owner.post(path, typed | marks(shown.text)).status_code == 303
    assert rt.session.scalar(sa.select(CycleGroup.lock_days)) == 3
    rt.session.rollback()
