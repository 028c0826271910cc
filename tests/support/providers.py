"""A shipping provider's emulator called in this process, and a batch for it."""

from __future__ import annotations

import json as text
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from werkzeug.test import Client, EnvironBuilder

from storefront.domain.boxes import BoxState
from storefront.hooks import HttpAnswer, HttpError
from storefront.models import Box, BoxCycle, CycleGroup, Installation
from storefront.runtime import Runtime
from storefront.services.fulfilment import export_boxes
from storefront.testing.factories import make_group, make_plan
from tests.emulators.serving import AnswerLost
from tests.support.boxes import make_box

SHIP_TO = {"name": "Ada", "street": "Lindenweg 4", "city": "Jena", "country": "DE"}
PACKING = {"plan": "Pot", "email": "", "contents": [["TEA-1", 2]], "weight_grams": 850}


class NearHttp:
    """The client of an emulator without a socket between them."""

    def __init__(self, app: Any) -> None:
        self._client = Client(app)

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        seconds: float | None = None,
    ) -> HttpAnswer:
        builder = EnvironBuilder(
            path,
            method=method,
            data=text.dumps(json) if json is not None else None,
            content_type="application/json" if json is not None else None,
            query_string=dict(params or {}),
            headers=dict(headers or {}),
            auth=auth,
        )
        try:
            answer = self._client.open(builder.get_request())
        except AnswerLost as error:
            raise HttpError("no answer") from error
        found = {name.lower(): value for name, value in answer.headers.items()}
        return HttpAnswer(answer.status_code, found, answer.get_data())


def batch_for(rt: Runtime, provider: str, boxes: int, **over: Any) -> list[str]:
    """Export so many boxes of a group that uses ``provider``; returns their public ids."""
    plan = make_plan(rt, group=make_group(rt))
    first = sa.select(sa.func.min(BoxCycle.id)).scalar_subquery()
    rt.session.execute(sa.update(BoxCycle).where(BoxCycle.id == first).values(state="locked"))
    rt.session.execute(sa.update(CycleGroup).values(export_provider=provider))
    rt.session.commit()
    cycle = rt.session.scalars(sa.select(BoxCycle).order_by(BoxCycle.id)).first()
    assert cycle is not None
    rt.session.expunge(cycle)
    rt.session.rollback()
    values = {"state": BoxState.LOCKED, "ship_to": SHIP_TO, "packing": PACKING, **over}
    made = [make_box(rt, plan, cycle, **values).public_id for _ in range(boxes)]
    export_boxes(rt, cycle.public_id)
    return made


def box_states(rt: Runtime) -> list[str]:
    """Return the states of all boxes, in the order in which they were made."""
    found = [state.value for state in rt.session.scalars(sa.select(Box.state).order_by(Box.id))]
    rt.session.rollback()
    return found


def confirm_elsewhere(rt: Runtime) -> None:
    """Make this database the copy of a shop that runs at another address."""
    rt.session.execute(sa.delete(Installation))
    rt.session.add(
        Installation(
            id=1,
            public_id="ins_1",
            site_url="https://the-real.example",
            accounts={},
            confirmed_at=rt.now(),
            created_at=rt.now(),
        )
    )
    rt.session.commit()
