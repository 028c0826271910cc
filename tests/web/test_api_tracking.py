"""A program says where parcels are: with a key, row by row, each once."""

import pytest
import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.models import ApiToken, Box, BoxCycle, OutboxMessage, Shipment, SubscriptionEvent
from storefront.security import CALLS, WRONG_TOKENS
from storefront.services.fulfilment import export_boxes
from storefront.testing.factories import make_group, make_plan
from tests.support.boxes import make_box
from tests.support.desk import Desk

SHIP_TO = {"name": "Ada", "street": "Lindenweg 4", "city": "Jena", "country": "DE"}
PACKING = {"plan": "Pot", "email": "", "contents": [], "weight_grams": 0}
KEYS = "/admin/tracking/keys"


@pytest.fixture
def desk(app, rt):
    return Desk(app, rt, "owner")


@pytest.fixture
def boxes(rt):
    """Two exported boxes."""
    plan = make_plan(rt, group=make_group(rt))
    first = sa.select(sa.func.min(BoxCycle.id)).scalar_subquery()
    rt.session.execute(sa.update(BoxCycle).where(BoxCycle.id == first).values(state="locked"))
    rt.session.commit()
    cycle = rt.session.scalars(sa.select(BoxCycle).order_by(BoxCycle.id)).first()
    rt.session.expunge(cycle)
    rt.session.rollback()
    values = {"state": BoxState.LOCKED, "ship_to": SHIP_TO, "packing": PACKING}
    made = [make_box(rt, plan, cycle, **values).public_id for _ in range(2)]
    export_boxes(rt, cycle.public_id)
    return made


def new_key(desk):
    page = desk.post(KEYS, {"name": "Packer"}, on=KEYS)
    assert page.status_code == 200
    return page.text.partition('value="sft_')[2].partition('"')[0]


def states(rt):
    found = [state.value for state in rt.session.scalars(sa.select(Box.state).order_by(Box.id))]
    rt.session.rollback()
    return found


def say(app, key, *parcels, **over):
    sent = {"json": {"parcels": list(parcels)}, "headers": {"Authorization": f"Bearer {key}"}}
    return app.test_client().post("/api/tracking", **(sent | over))


def count(rt, model):
    found = rt.session.scalar(sa.select(sa.func.count()).select_from(model))
    rt.session.rollback()
    return found


def test_rows_are_done_once_and_wrong_ones_told(app, rt, desk, boxes):
    key = "sft_" + new_key(desk)
    rows = (
        {"box": boxes[0], "number": "JJD1", "carrier": "DHL"},
        {
            "box": boxes[1],
            "number": "JJD2",
            "carrier": "DHL",
            "state": "delivered",
            "at": "2027-03-02T08:00:00+01:00",
        },
        {"box": "box_nobody", "state": "shipped"},
        {"box": 7},
        "box",
        {"box": boxes[1], "number": "JJD2", "at": "yesterday"},
        {"box": boxes[1], "number": "JJD2", "at": "2027-03-02T08:00:00"},
        {"box": "a\0b"},
        {"box": "\ud800"},
        {"box": boxes[1]},
    )

    first = say(app, key, *rows)

    assert first.status_code == 200
    told = first.get_json()
    wanted = {"rows": 10, "shipped": 2, "delivered": 1, "numbered": 0, "returned": 0, "known": 0}
    assert {name: told[name] for name in wanted} == wanted
    assert [(one["row"], one["code"]) for one in told["errors"]] == [
        (3, "unknown"),
        (4, "no_text"),
        (5, "no_object"),
        (6, "bad_time"),
        (7, "bad_time"),
        (8, "no_text"),
        (9, "no_text"),
        (10, "nothing_said"),
    ]
    assert states(rt) == ["shipped", "delivered"]
    said = rt.session.scalars(
        sa.select(SubscriptionEvent).where(SubscriptionEvent.kind == "box.delivered")
    ).one()
    token = rt.session.scalars(sa.select(ApiToken)).one()
    assert said.actor_ref == token.public_id
    assert said.data["said_at"] == "2027-03-02T08:00:00+01:00"
    assert token.token_hash not in key
    rt.session.rollback()

    before = [count(rt, model) for model in (Shipment, OutboxMessage, SubscriptionEvent)]
    again = say(app, key, *rows[:2]).get_json()

    assert (again["known"], again["shipped"], again["delivered"]) == (2, 0, 0)
    assert [count(rt, model) for model in (Shipment, OutboxMessage, SubscriptionEvent)] == before
    # A row that comes late takes nothing back.
    say(app, key, {"box": boxes[1], "number": "JJD2", "state": "shipped"})
    assert states(rt) == ["shipped", "delivered"]


def test_without_a_key_that_works_nothing_is_done(app, rt, desk, boxes):
    key = "sft_" + new_key(desk)
    row = {"box": boxes[0]}

    for wrong in ("", "x", "sft_x", key[:-1], key[4:]):
        answer = say(app, wrong, row)
        assert (answer.status_code, answer.get_json()["error"]) == (401, "unauthorized")
    assert say(app, key, row, headers={}).status_code == 401
    assert desk.client.post("/api/tracking", json={"parcels": [row]}).status_code == 401
    revoke = f"{KEYS}/{_ref(rt)}/revoke"
    assert desk.post(revoke, on=KEYS).status_code == 303
    assert say(app, key, row).status_code == 401
    assert states(rt) == ["exported"] * 2
    page = desk.get(KEYS).text
    assert "Taken back" in page
    assert key not in page


def _ref(rt):
    found = rt.session.scalar(sa.select(ApiToken.public_id))
    rt.session.rollback()
    return found


def test_bodies_that_hold_no_rows_are_refused(app, desk):
    key = "sft_" + new_key(desk)
    bodies = [
        (b"", 400, "no_json"),
        (b"[" * 100_000, 400, "no_json"),
        (b"\xff\xfe", 400, "no_json"),
        (b"[]", 422, "no_parcels"),
        (b'{"parcels": []}', 422, "no_parcels"),
        (b'{"parcels": [' + b"1," * 500 + b"1]}", 422, "too_many"),
        (b" " * ((1 << 20) + 1), 413, "too_big"),
    ]

    for raw, status, code in bodies:
        answer = say(app, key, json=None, data=raw)
        assert (answer.status_code, answer.get_json()["error"]) == (status, code)
    assert app.test_client().get("/api/tracking").status_code == 405


def test_who_guesses_or_calls_too_often_is_slowed_down(app, rt, desk, monkeypatch):
    key = "sft_" + new_key(desk)
    monkeypatch.setattr("storefront.security.CALLS", 2)
    monkeypatch.setattr("storefront.security.WRONG_TOKENS", 2)
    assert CALLS > 60
    assert WRONG_TOKENS < CALLS

    assert [say(app, key, {"box": "x"}).status_code for _ in range(3)] == [200, 200, 429]
    assert [say(app, "sft_x", {}).status_code for _ in range(3)] == [401, 401, 429]


def test_a_key_needs_a_name_and_the_right_to_change_settings(app, rt, desk):
    refused = desk.post(KEYS, {"name": " "}, on=KEYS)

    assert refused.status_code == 422
    assert "Give it a name" in refused.text
    assert Desk(app, rt, "fulfilment").get(KEYS).status_code == 403
