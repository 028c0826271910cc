"""The page that takes over running subscribers: try, confirm, import; in the log afterwards."""

import io
import re

import pytest
import sqlalchemy as sa

from storefront.models import AuditEntry, Subscription
from storefront.testing import factories
from tests.support.desk import PARTIAL, Desk

PAGE = "/admin/imports/subscribers"
HEADING = (
    "source,id,email,name,street,postcode,city,country,plan,interval,next_charge_on,gateway,"
    "gateway_method,billed_elsewhere\n"
)


@pytest.fixture
def desk(app, rt):
    factories.make_plan(rt, code="pot")
    return Desk(app, rt, "owner")


@pytest.fixture
def token(demo_gateway):
    return demo_gateway.bank.token_for("4242")


def line(token, number=1, day="2027-04-12", flag=""):
    return (
        f"woo,{number},a{number}@example.com,Ada,Lindenweg 4,07743,Jena,DE,pot,month,{day},demo,"
        f"{token},{flag}\n"
    )


def try_file(desk, text):
    data = {"file": (io.BytesIO(text.encode()), "subscribers.csv")}
    return desk.post(PAGE, data, on=PAGE, content_type="multipart/form-data")


def run_tried(desk, page, **data):
    digest = re.search(r'name="digest" value="([0-9a-f]{64})"', page)[1]
    return desk.post(f"{PAGE}/run", {"digest": digest, **data}, on=PAGE)


def made(rt):
    found = rt.session.scalar(sa.select(sa.func.count()).select_from(Subscription))
    rt.session.rollback()
    return found


def test_a_file_is_tried_confirmed_and_imported_and_the_log_says_so(rt, desk, token):
    tried = try_file(desk, HEADING + line(token))
    assert tried.status_code == 200
    assert "Import 1 subscription" in tried.text
    assert made(rt) == 0

    done = run_tried(desk, tried.text, stopped="1")

    assert (done.status_code, done.location) == (303, "/admin/subscribers")
    assert made(rt) == 1
    entry = rt.session.execute(
        sa.select(AuditEntry.after).where(AuditEntry.action == "subscribers.imported")
    ).scalar_one()
    assert entry == {"new": 1, "here": 0, "left_out": 0}
    assert "Subscribers imported" in desk.get("/admin/log").text
    again = try_file(desk, HEADING + line(token)).text
    assert "was imported before" in again
    assert 'name="digest"' not in again


def test_without_the_word_that_billing_stopped_nothing_is_imported(rt, desk, token):
    tried = try_file(desk, HEADING + line(token, flag="yes")).text
    assert "1 subscription is still billed by the other system" in tried

    answer = run_tried(desk, tried)

    assert answer.status_code == 422
    assert "Confirm that billing has stopped in the other system" in answer.text
    assert made(rt) == 0
    assert run_tried(desk, answer.text, stopped="1").status_code in (200, 303)
    assert made(rt) == 1


def test_bad_rows_are_listed_with_what_would_be_right(desk, token):
    page = try_file(desk, HEADING + line(token, day="2027-02-12") + line("gone", 2)).text

    assert "is not after today; past days are never charged" in page
    assert "The next turn is 2027-03-12." in page
    assert "is not stored at the gateway" in page
    assert 'name="digest"' not in page or "Import 0" not in page


def test_a_file_with_a_card_number_is_not_kept(rt, desk):
    answer = try_file(desk, HEADING + line("4242424242424242"))

    assert answer.status_code == 422
    assert "Remove the card numbers" in answer.text
    assert "4242424242424242" not in answer.text
    kept = rt.files.path_of("imports")
    assert not kept.is_dir() or not list(kept.glob("subscribers-*"))


def test_a_file_without_its_columns_says_which(desk):
    answer = try_file(desk, "id,email\n1,a@b.de\n")

    assert answer.status_code == 422
    assert "Missing: source, name, street" in answer.text


def test_no_file_and_another_file_are_told(rt, desk, token):
    assert "Choose a CSV file" in desk.post(PAGE, on=PAGE).text
    first = try_file(desk, HEADING + line(token)).text
    try_file(desk, HEADING + line(token, 2))

    answer = run_tried(desk, first, stopped="1")

    assert answer.status_code == 422
    assert made(rt) == 0


def test_it_works_as_a_part_of_the_page(rt, desk, token):
    tried = try_file(desk, HEADING + line(token)).text
    digest = re.search(r'name="digest" value="([0-9a-f]{64})"', tried)[1]

    answer = desk.post(f"{PAGE}/run", {"digest": digest}, on=PAGE, headers=PARTIAL)

    assert answer.status_code == 422
    assert answer.text.lstrip().startswith('<div id="import"')


def test_only_who_may_charge_may_import(app, rt, desk):
    assert f'href="{PAGE}"' in desk.get("/admin/subscribers").text
    support = Desk(app, rt, "support")

    assert support.get(PAGE).status_code == 403
    assert f'href="{PAGE}"' not in support.get("/admin/subscribers").text
