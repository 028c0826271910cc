"""Messages of gateways at the door: what is taken, and what is refused (W-03 to W-13)."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from storefront.blueprints import incoming
from storefront.domain.gateways import GatewayEvent, WebhookError
from storefront.extensions import db
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services import webhooks
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.availability import is_long
from tests.support.hooks import (
    URL,
    body,
    events,
    gateway_state,
    lost_renewal,
    never,
    send,
    signed,
    state_of,
)


@pytest.fixture(autouse=True)
def invariants(rt: Runtime) -> Iterator[None]:
    incoming.flood.clear()
    incoming.desk.open()
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def renewal(rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway) -> str:
    return lost_renewal(rt, clock, demo_gateway)


def test_w03_what_is_forged_is_refused_and_only_counted(
    rt: Runtime, client: FlaskClient, renewal: str
) -> None:
    raw = body(rt, reference=renewal)
    json_only = {"Content-Type": "application/json"}
    again = json.dumps(json.loads(raw), indent=1).encode()
    forged = [
        (raw, json_only),
        (raw, signed(rt, raw, secret="another")),
        (again, signed(rt, raw)),
        (raw + b" ", signed(rt, raw)),
        (raw, {**json_only, "demo-signature": "t=1,v1="}),
        (raw, {**json_only, "demo-signature": "rubbish"}),
    ]

    statuses = [client.post(URL, data=it, headers=headers).status_code for it, headers in forged]

    assert statuses == [400] * len(forged)
    assert events(rt) == []
    assert gateway_state(rt).refused == len(forged)
    assert gateway_state(rt).last_event_at is None
    assert state_of(rt, renewal) == "unknown"


@pytest.mark.parametrize(("seconds", "status"), [(-301, 400), (301, 400), (-300, 200), (300, 200)])
def test_w04_a_signature_counts_for_five_minutes_either_way(
    rt: Runtime, client: FlaskClient, seconds: int, status: int
) -> None:
    raw = body(rt, about="other")
    assert (
        client.post(URL, data=raw, headers=signed(rt, raw, seconds=seconds)).status_code == status
    )
    if status == 400:
        assert gateway_state(rt).refused_reason == "too_old"


def test_w05_a_replay_inside_the_tolerance_does_nothing(
    rt: Runtime, client: FlaskClient, renewal: str, clock: FrozenClock
) -> None:
    raw = body(rt, reference=renewal)
    headers = signed(rt, raw)
    assert client.post(URL, data=raw, headers=headers).text == "stored\n"
    clock.advance(minutes=4)
    assert client.post(URL, data=raw, headers=headers).text == "repeated\n"
    assert len(events(rt)) == 1


def test_w06_both_secrets_count_while_one_is_exchanged(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which secrets count is the plugin's; what is genuine to it is taken."""
    plain = type(demo_gateway).parse_webhook

    def either(headers: Any, raw: bytes) -> GatewayEvent:
        for secret in ("new", "demo"):
            monkeypatch.setattr(demo_gateway, "_secret", secret)
            try:
                return plain(demo_gateway, headers, raw)
            except WebhookError:
                continue
        raise WebhookError("bad_signature")

    monkeypatch.setattr(demo_gateway, "parse_webhook", either)
    statuses = []
    for secret in ("demo", "new", "other"):
        raw = body(rt, about="other")
        sent = client.post(URL, data=raw, headers=signed(rt, raw, secret=secret))
        statuses.append(sent.status_code)
    assert statuses == [200, 200, 400]


def test_w10_while_the_database_is_locked_the_gateway_is_asked_to_send_again(
    rt: Runtime, client: FlaskClient, renewal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = rt.session.get_bind()
    raw = body(rt, reference=renewal)
    headers = signed(rt, raw)
    with engine.connect() as other:
        if other.dialect.name == "sqlite":
            other.execute(sa.text("UPDATE shop_settings SET name = name"))
        else:
            other.execute(sa.text("LOCK TABLE gateway_event IN ACCESS EXCLUSIVE MODE"))
        answer = client.post(URL, data=raw, headers=headers)
        other.rollback()

    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert events(rt) == []
    assert client.post(URL, data=raw, headers=headers).status_code == 200
    webhooks.apply_due(rt, never)
    assert state_of(rt, renewal) == "succeeded"


def test_w10_what_cannot_be_checked_now_is_not_taken_and_not_refused(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: Any) -> GatewayEvent:
        raise WebhookError("unreachable")

    monkeypatch.setattr(demo_gateway, "parse_webhook", unreachable)
    assert send(client, rt).status_code == 503
    assert (events(rt), gateway_state(rt)) == ([], None)


def test_w10_a_message_is_checked_outside_any_transaction(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    plain = demo_gateway.parse_webhook

    def watched(headers: Any, raw: bytes) -> GatewayEvent:
        seen.append(db.session().in_transaction())
        return plain(headers, raw)

    monkeypatch.setattr(demo_gateway, "parse_webhook", watched)
    assert send(client, rt, about="other").status_code == 200
    assert seen == [False]


@pytest.mark.parametrize(
    ("size", "headers", "status"),
    [
        (1 << 20, {}, 413),
        (incoming.MOST_BYTES + 1, {}, 413),
        (100, {"Content-Encoding": "gzip"}, 415),
        (100, {"Content-Type": "text/plain"}, 415),
        (100, {"Content-Type": "multipart/form-data; boundary=x"}, 415),
        (100, {}, 400),
    ],
)
def test_w11_what_is_too_big_packed_or_no_json_is_refused_unread(
    rt: Runtime, client: FlaskClient, size: int, headers: dict[str, str], status: int
) -> None:
    raw = b"[" * size
    sent = client.post(URL, data=raw, headers={"Content-Type": "application/json"} | headers)
    assert (sent.status_code, events(rt)) == (status, [])


def test_w11_json_as_deep_as_a_well_is_refused_even_when_signed(
    rt: Runtime, client: FlaskClient
) -> None:
    raw = b"[" * 100_000 + b"]" * 100_000
    sent = client.post(URL, data=raw, headers=signed(rt, raw))
    assert (sent.status_code, events(rt)) == (400, [])
    assert gateway_state(rt).refused_reason == "unreadable"


def test_w11_thousands_at_once_are_slowed_down_and_take_no_memory(
    app: Flask, rt: Runtime, client: FlaskClient
) -> None:
    headers = {"Content-Type": "application/json", "demo-signature": "t=1,v1=x"}
    raw = b"{" + b" " * 2000 + b"}"
    client.post(URL, data=raw, headers=headers)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # What is kept out costs no write, so one kind of database shows it in full.
    many = 10_000 if is_long() and db.engine.dialect.name == "sqlite" else 2_000
    statuses = [client.post(URL, data=raw, headers=headers).status_code for _ in range(many)]
    grown_kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert set(statuses) == {400, 429}
    assert statuses.count(400) < 1000
    assert grown_kilobytes < 50 * 1024
    assert events(rt) == []


def test_w11_one_that_forges_does_not_keep_another_address_out(
    rt: Runtime, client: FlaskClient
) -> None:
    headers = {"Content-Type": "application/json"}
    while client.post(URL, data=b"{}", headers=headers).status_code != 429:
        pass
    raw = body(rt, about="other")
    other = {"REMOTE_ADDR": "198.51.100.7"}
    sent = client.post(URL, data=raw, headers=signed(rt, raw), environ_overrides=other)
    assert sent.status_code == 200


def test_w13_messages_of_another_account_or_mode_are_refused(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert send(client, rt, account="another").status_code == 400
    assert gateway_state(rt).refused_reason == "other_account"

    def test_mode(*_: Any) -> GatewayEvent:
        raise WebhookError("wrong_mode")

    monkeypatch.setattr(demo_gateway, "parse_webhook", test_mode)
    assert send(client, rt).status_code == 400
    assert (gateway_state(rt).refused_reason, events(rt)) == ("wrong_mode", [])


def test_a_gateway_there_is_not_has_no_door(rt: Runtime, client: FlaskClient) -> None:
    assert client.post("/hooks/nobody", json={}).status_code == 404
    assert client.get(URL).status_code == 405


def test_texts_that_no_database_keeps_do_no_harm(rt: Runtime, client: FlaskClient) -> None:
    odd = {"id": "evt\0" + "x" * 300, "type": "a\0b" * 50, "reference": "\ud800" + "y" * 400}
    assert send(client, rt, **odd).status_code == 200
    [event] = events(rt)
    assert (len(event.event_id), "\0" in event.kind) == (64, False)
