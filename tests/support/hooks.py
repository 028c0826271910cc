"""The demo bank's messages, as it signs and sends them."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import count
from typing import Any, cast

import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from storefront.domain.charging import AttemptState
from storefront.models import ChargeAttempt, GatewayEvent, GatewayState, PaymentMethod
from storefront.runtime import Runtime
from storefront.services.renewals import run_renewals
from storefront.services.webhooks import SetUp
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway, sign_webhook

_numbers = count(1)
URL = "/hooks/demo"


def body(rt: Runtime, **values: Any) -> bytes:
    """Return a message of the demo bank about a charge, or about what ``values`` say."""
    known = {
        "id": f"evt_{next(_numbers)}",
        "type": "charge.succeeded",
        "about": "charge",
        "account": "demo",
        "occurred_at": rt.now().isoformat(),
        "reference": "",
    }
    return json.dumps(known | values).encode()


def signed(
    rt: Runtime,
    raw: bytes,
    *,
    secret: str = "demo",  # noqa: S107 - it guards play money
    seconds: int = 0,
) -> dict[str, str]:
    """Return the headers of ``raw``, signed so many seconds from now."""
    at = rt.now() + timedelta(seconds=seconds)
    return {**sign_webhook(secret, at, raw), "Content-Type": "application/json"}


def send(client: FlaskClient, rt: Runtime, **values: Any) -> TestResponse:
    """Send one genuine message."""
    raw = body(rt, **values)
    return client.post(URL, data=raw, headers=signed(rt, raw))


def lost_renewal(rt: Runtime, clock: FrozenClock, gateway: DemoGateway) -> str:
    """Return the renewal of one subscription whose answer got lost: the money was taken."""
    plan = make.make_plan(rt, group=make.make_group(rt, cycles=30))
    make.make_subscription(rt, plan=plan)
    rt.session.execute(
        sa.update(PaymentMethod).values(token=cast(Any, gateway.bank).token_for("0408"))
    )
    rt.session.commit()
    waits = sa.select(ChargeAttempt.public_id).where(ChargeAttempt.state == AttemptState.UNKNOWN)
    while (found := rt.session.scalar(waits)) is None:
        rt.session.rollback()
        clock.advance(days=1)
        run_renewals(rt)
    rt.session.rollback()
    return str(found)


def never(_rt: Runtime, _setup: SetUp) -> bool:
    """Finish a set-up where none is expected."""
    raise AssertionError("no set-up is to be finished here")


def events(rt: Runtime) -> list[Any]:
    """Return the stored messages, oldest first."""
    rows = rt.session.execute(sa.select(GatewayEvent.__table__).order_by(GatewayEvent.id)).all()
    rt.session.rollback()
    return list(rows)


def state_of(rt: Runtime, payment: str) -> str:
    """Return where a charge stands."""
    found = rt.session.scalars(
        sa.select(ChargeAttempt.state).where(ChargeAttempt.public_id == payment)
    ).one()
    rt.session.rollback()
    return found.value


def gateway_state(rt: Runtime) -> Any:
    """Return what is known of the one gateway there is, None before its first message."""
    row = rt.session.execute(sa.select(GatewayState.__table__)).one_or_none()
    rt.session.rollback()
    return row
