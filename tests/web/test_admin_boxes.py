"""The page of a box: what became of it, sending it again, what that costs."""

import pytest
import sqlalchemy as sa

from storefront.mails import compose
from storefront.models import Box, BoxReplacement, Customer, OutboxMessage, Subscription
from storefront.services.cycles import close_cycles
from storefront.services.fulfilment import export_boxes, ship_batch
from storefront.services.sessions import start_session
from storefront.testing.factories import make_group, make_plan, make_recipe, make_variant
from tests.support.boxes import cycles_of, make_box
from tests.support.desk import PARTIAL, Desk
from tests.support.paying import waiting_mails


@pytest.fixture(params=["sqlite"])
def database(databases, tmp_path):
    """One kind is enough for pages; the services run on both."""
    return databases.sqlite(tmp_path)


@pytest.fixture
def tea(rt):
    return make_variant(rt, sku="ASSAM", name="Assam", on_hand=9, cost_minor=250)


@pytest.fixture
def batch(rt, tea, clock):
    group = make_group(rt)
    plan = make_plan(rt, group=group, name="Pot")
    make_recipe(rt, plan, variants=[tea])
    cycle = cycles_of(rt, group)[0]
    for _ in range(2):
        make_box(rt, plan, cycle)
    clock.advance(days=14)
    close_cycles(rt)
    ref = export_boxes(rt, cycle.public_id).public_id
    ship_batch(rt, ref, carrier="DHL", tracking={})
    return ref


@pytest.fixture
def desk(app, rt, batch):
    return Desk(app, rt, "owner")


@pytest.fixture
def url(rt, batch):
    ref = rt.session.scalar(sa.select(Box.public_id).order_by(Box.id))
    rt.session.rollback()
    return f"/admin/boxes/{ref}"


def filled(tea, **values):
    return {
        "reason": "lost",
        "when": "now",
        "shipping": "4.90",
        "note": "carrier said so",
        f"pieces-{tea.public_id}": "1",
    } | values


def test_the_subscriber_leads_to_the_box_and_the_box_to_the_next_step(rt, desk, url):
    customer = rt.session.scalar(sa.select(Customer.public_id).order_by(Customer.id))
    rt.session.rollback()
    assert f'href="{url}"' in desk.get(f"/admin/subscribers/{customer}").text

    page = desk.get(url).text
    for words in ("Assam", "ASSAM", "It came back", "It is lost", f'href="{url}/replace"'):
        assert words in page


def test_a_box_names_the_others_in_its_parcel(rt, desk, url):
    first, second = rt.session.scalars(sa.select(Box).order_by(Box.id)).all()
    same = {"parcel_id": first.id, "shipment_id": first.shipment_id}
    other = second.public_id
    rt.session.execute(sa.update(Box).values(**same))
    rt.session.commit()
    page = desk.get(url).text
    assert f'In one parcel with <a href="/admin/boxes/{other}">Pot</a>' in page
    assert "holds for every box in the parcel" in page


@pytest.mark.parametrize("headers", [{}, PARTIAL], ids=["page", "partial"])
def test_a_lost_box_is_noted_and_its_page_names_what_to_do(rt, desk, url, headers):
    answer = desk.post(f"{url}/outcome", {"state": "lost"}, on=url, headers=headers)

    assert answer.status_code == (200 if headers else 303)
    page = desk.get(url).text
    assert "Send it again, or give the money back" in page
    assert desk.post(f"{url}/outcome", {"state": "lost"}, on=url).status_code == 422
    assert desk.post(f"{url}/outcome", {"state": "exported"}, on=url).status_code == 422


def test_a_box_is_sent_again_and_both_pages_name_the_other(rt, desk, url, tea):
    form = desk.get(f"{url}/replace").text
    assert "With the next cycle" in form
    assert "2.50" in form

    answer = desk.post(f"{url}/replace", filled(tea), on=f"{url}/replace")

    assert answer.status_code == 303
    again = answer.headers["Location"]
    page = desk.get(again).text
    assert "carrier said so" in page
    assert f'href="{url}"' in page
    assert f'href="{again}"' in desk.get(url).text
    assert desk.get(f"{url}/replace").status_code == 303, "once at a time"
    figures = desk.get("/admin/replacements").text
    assert "It never arrived" in figures
    assert "7.40" in figures
    message = rt.session.scalars(
        sa.select(OutboxMessage).where(OutboxMessage.topic == "box_replaced")
    ).one()
    rt.session.expunge(message)
    rt.session.rollback()
    mail = compose(rt, message)
    assert mail.subject == "We send your box again"
    assert "It costs you nothing" in mail.text
    assert "carrier said so" not in mail.text, "the note is for colleagues"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"reason": ""}, "problem"),
        ({"pieces": "0"}, "Choose at least one product"),
        ({"pieces": "2"}, "at most 1"),
        ({"pieces": "x"}, "at most 1"),
        ({"shipping": "much"}, "problem"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_everything_kept(rt, desk, url, tea, values, words):
    given = {
        (f"pieces-{tea.public_id}" if key == "pieces" else key): text
        for key, text in values.items()
    }

    answer = desk.post(f"{url}/replace", filled(tea) | given, on=f"{url}/replace")

    assert answer.status_code == 422
    assert words in answer.text
    assert "carrier said so" in answer.text
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(BoxReplacement)) == 0


def test_a_replacement_is_taken_back_before_the_packers_have_it(rt, desk, url, tea):
    again = desk.post(f"{url}/replace", filled(tea), on=f"{url}/replace").headers["Location"]
    assert "Do not send it" in desk.get(again).text

    assert desk.post(f"{again}/take-back", on=again).status_code == 303

    assert "Do not send it" not in desk.get(again).text
    assert "See the new box" not in desk.get(url).text
    assert desk.post(f"{again}/take-back", on=url).status_code == 422


def test_boxes_of_a_batch_are_noted_together(rt, desk, batch, url):
    here = f"/admin/batches/{batch}/outcome"
    refs = rt.session.scalars(sa.select(Box.public_id).order_by(Box.id)).all()
    rt.session.rollback()
    wrong = desk.post(here, {"state": "returned", "boxes": "box_x"}, on=here)
    assert wrong.status_code == 422
    assert "box_x" in wrong.text
    assert desk.post(here, {"state": "returned", "boxes": " "}, on=here).status_code == 422

    answer = desk.post(here, {"state": "returned", "boxes": "\n".join(refs)}, on=here)

    assert answer.status_code == 303
    states = {state.value for state in rt.session.scalars(sa.select(Box.state))}
    assert states == {"returned"}


def test_the_customer_sees_that_a_box_is_sent_again(app, rt, desk, url, tea):
    desk.post(f"{url}/replace", filled(tea, when="next"), on=f"{url}/replace")
    customer = rt.session.scalar(sa.select(Subscription.customer_id).order_by(Subscription.id))
    rt.session.rollback()
    browser = app.test_client()
    secret = start_session(rt, customer, "code", "127.0.0.1", "test")
    with browser.session_transaction() as session:
        session["_user_id"] = secret

    page = browser.get("/account/").text

    assert "Sent again" in page
    assert "Leaves on" in page


def test_boxes_that_do_not_exist_are_not_found(desk):
    for path in ("/admin/boxes/box_x", "/admin/boxes/box_x/replace", "/admin/batches/b/outcome"):
        assert desk.get(path).status_code == 404
    assert desk.get("/admin/replacements").status_code == 200


def test_a_box_that_came_back_is_settled_from_the_list_and_mailed_without_its_contents(
    rt, desk, url
):
    desk.post(f"{url}/outcome", {"state": "returned"}, on=url)
    assert "1 box came back" in desk.get("/admin/").text
    page = desk.get("/admin/today/returned").text
    assert f'href="{url}"' in page
    assert f'action="{url}/settle"' in page
    assert f'action="{url}/settle"' in desk.get(url).text
    message = waiting_mails(rt, "box_returned")[0]
    mail = compose(rt, message)
    assert "came back to us" in mail.subject
    assert "Assam" not in mail.text
    rt.session.rollback()

    done = desk.post(f"{url}/settle", {"from": "list"}, on="/admin/today/returned")
    assert (done.status_code, done.headers["Location"]) == (303, "/admin/today/returned")
    assert f'action="{url}/settle"' not in desk.get(url).text
    assert "1 box came back" not in desk.get("/admin/").text
