"""Private plans: nobody finds one without its code, and who knows it orders as ever."""

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from storefront.models import Plan, WaitingPlace
from storefront.models.base import table_of
from storefront.operations.audit import Who
from storefront.operations.secrets import return_token
from storefront.runtime import Runtime
from storefront.services.places import set_places
from storefront.services.plans import archive_plan, save_plan
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import desk, make_staff
from tests.support.boxes import make_subscribed
from tests.support.shopper import Shopper, place

CODE = "FRIENDS2027"
KNOWN = "/private?code=FRIENDS2027"


@pytest.fixture
def who(rt: Runtime) -> Who:
    return make_staff(rt, "support")


@pytest.fixture
def plan(rt: Runtime, who: Who) -> Plan:
    make.make_plan(rt, code="pot", name="Pot")
    plan = make.make_plan(rt, code="friends", name="Friends", is_public=False)
    save_plan(rt, who, plan.public_id, {"access_code": CODE})
    return plan


@pytest.fixture
def ada(plan: Plan, client: FlaskClient, demo_gateway: DemoGateway) -> Shopper:
    return Shopper(client, demo_gateway)


def open_plan(ada: Shopper, code: str = "friends-2027") -> None:
    answer = ada.post("/private", code=code)
    assert (answer.status_code, place(answer)) == (303, "friends")


def begin(ada: Shopper) -> None:
    answer = ada.post("/checkout", plan="friends", interval="1m")
    ada.key = answer.location.split("/")[-2]


def pay(ada: Shopper) -> TestResponse:
    ada.deliver()
    ada.choose(ada.order())
    return ada.post(ada.at("finish"))


@pytest.mark.parametrize(
    "path",
    [
        "/plans/friends",
        "/plans/friends/picture.png",
        "/checkout?plan=friends&interval=1m",
        "/waiting/plans/friends",
    ],
)
def test_without_its_code_it_answers_as_if_there_were_none(ada: Shopper, path: str):
    there_is_none = ada.get(path.replace("friends", "nothing"))
    assert (ada.get(path).status_code, there_is_none.status_code) == (404, 404)


def test_nobody_orders_it_by_guessing_its_name(ada: Shopper):
    ada.begin()
    assert ada.post("/checkout", plan="friends", interval="1m", step="box").status_code == 404
    assert ada.post(ada.at("add"), plan="friends", interval="1m").status_code == 404


def test_a_typed_code_leads_to_the_plan_and_through_the_order(ada: Shopper):
    assert "I have a code for a private plan" in ada.get("/").text
    open_plan(ada)

    page = ada.get("/plans/friends")
    assert "Friends" in page.text
    assert 'name="robots" content="noindex' in page.text
    assert "public" not in page.headers["Cache-Control"]

    begin(ada)
    assert place(pay(ada)) == "confirmation"


def test_a_page_that_one_has_opened_is_not_sent_to_another(ada: Shopper, app: Flask):
    open_plan(ada)
    assert ada.get("/plans/friends").status_code == 200
    assert app.test_client().get("/plans/friends").status_code == 404
    assert ada.get("/plans/friends").status_code == 200


def test_a_link_brings_the_code_and_looking_opens_nothing(ada: Shopper):
    page = ada.get(KNOWN)
    assert 'value="FRIENDS2027"' in page.text
    assert "no-store" in page.headers["Cache-Control"]
    assert ada.get("/plans/friends").status_code == 404


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "Enter the code that you were given"),
        ("enemies-2027", "We do not know this code"),
        ("<b>friends</b>", "We do not know this code"),
    ],
)
def test_a_wrong_code_is_said_beside_the_field_and_stays_typed(
    ada: Shopper, typed: str, words: str
):
    answer = ada.post("/private", code=typed)
    assert answer.status_code == 422
    assert words in answer.text
    assert "Friends" not in answer.text
    assert f'value="{typed.replace("<", "&lt;").replace(">", "&gt;")}"' in answer.text


def test_codes_cannot_be_tried_without_end(ada: Shopper):
    for at in range(30):
        assert ada.post("/private", code=f"guess-{at:04}").status_code == 422
    assert ada.post("/private", code="friends-2027").status_code == 429
    assert ada.get("/plans/friends").status_code == 404


def test_a_changed_code_opens_nothing_any_more(rt: Runtime, who: Who, plan: Plan, ada: Shopper):
    open_plan(ada)
    save_plan(rt, who, plan.public_id, {"access_code": "OTHER2027"})
    assert ada.get("/plans/friends").status_code == 404
    assert ada.get("/checkout?plan=friends&interval=1m").status_code == 404


def test_an_order_that_was_begun_goes_on_where_the_code_is_not_known(
    ada: Shopper, rt: Runtime, who: Who, plan: Plan
):
    open_plan(ada)
    begin(ada)
    save_plan(rt, who, plan.public_id, {"access_code": "OTHER2027"})
    assert place(pay(ada)) == "confirmation"


def test_where_no_code_opens_anything_nobody_is_asked_for_one(
    rt: Runtime, who: Who, plan: Plan, ada: Shopper
):
    archive_plan(rt, who, plan.public_id)
    assert "private plan" not in ada.get("/").text


def test_an_unlisted_plan_without_a_code_is_reached_by_its_link(ada: Shopper, rt: Runtime):
    make.make_plan(rt, code="quiet", name="Quiet", is_public=False)
    assert ada.get("/plans/quiet").status_code == 200


def test_staff_set_the_code_and_are_given_the_link(app: Flask, rt: Runtime, plan: Plan):
    greta = desk(app, rt)
    page = greta.get(f"/admin/plans/{plan.public_id}").text
    assert "http://localhost/private?code=FRIENDS2027" in page

    url = f"/admin/plans/{plan.public_id}/text"
    typed = {"name": "Friends", "position": "1"}
    wrong = greta.post(url, {**typed, "access_code": "short"})
    assert wrong.status_code == 422
    assert "Enter 6 to 40 letters and digits" in wrong.text
    assert 'value="short"' in wrong.text

    greta.post(url, {**typed, "access_code": "tea lovers 1"})
    found = rt.session.scalar(
        sa.select(table_of(Plan).c.access_code).where(table_of(Plan).c.id == plan.id)
    )
    rt.session.rollback()
    assert found == "TEALOVERS1"


def test_two_plans_are_not_opened_by_one_code(app: Flask, rt: Runtime, plan: Plan):
    other = make.make_plan(rt, code="family", name="Family", is_public=False)
    greta = desk(app, rt)
    typed = {"name": "Family", "position": "1", "access_code": "friends-2027"}
    answer = greta.post(f"/admin/plans/{other.public_id}/text", typed)
    assert answer.status_code == 422
    assert "Another plan is opened by this code" in answer.text
    assert 'value="friends-2027"' in answer.text


def test_the_mailed_link_to_a_place_opens_the_plan_it_is_of(
    app: Flask, rt: Runtime, who: Who, plan: Plan, ada: Shopper
):
    set_places(rt, who, plan.public_id, 1, sells_by_stock=False)
    make_subscribed(rt, plan)
    open_plan(ada)
    assert ada.get("/waiting/plans/friends").status_code == 200
    ada.post("/waiting/plans/friends", email="ada@example.org", agrees="y")
    ref = rt.session.scalar(sa.select(WaitingPlace.public_id))
    rt.session.rollback()

    phone = app.test_client()
    assert phone.get("/plans/friends").status_code == 404
    token = return_token(rt.settings.secret_key, "waiting", ref)
    assert phone.get(f"/waiting/place/{token}").status_code == 200
    assert phone.get("/plans/friends").status_code == 200
