"""Links of mails that do one thing: look first, act by a POST, once, in time, and nothing else."""

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.domain.events import EventKind
from storefront.mails import compose
from storefront.models import BoxSkip, Customer, Subscription, SubscriptionEvent
from storefront.operations.action_links import make_link, read_link
from storefront.operations.secrets import ADDRESS, PAY, SKIP_BOX
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.addresses import PostalAddress, change_address
from storefront.services.box_notices import tell_of_boxes
from storefront.services.cancellations import cancel
from storefront.services.outbox import Delivery
from storefront.services.skips import skip_box, undo_skip
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.boxes import cycles_of
from tests.support.paying import lead, waiting_mails
from tests.support.visitor import Visitor

LINK = r"http://localhost(/links/{}/\S+)"


@pytest.fixture(autouse=True)
def invariants(rt: Runtime):
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def sub(rt: Runtime, clock: FrozenClock) -> Subscription:
    """Somebody whose next box can be changed for three more days, and who was told so."""
    group = make.make_group(rt, cycles=6)
    plan = make.make_plan(rt, group=group, box_notice_days=3)
    make.make_recipe(rt, plan)
    made = make.make_subscription(rt, plan=plan)
    cut = next(one.cutoff_on for one in cycles_of(rt, group) if one.cutoff_on > rt.today())
    clock.advance(days=(cut - rt.today()).days - 3)
    tell_of_boxes(rt)
    return made


@pytest.fixture
def anybody(app: Flask) -> Visitor:
    return Visitor.of(app)


def mail_text(rt: Runtime) -> str:
    (waiting,) = waiting_mails(rt, "box_soon")
    mail = compose(rt, waiting)
    rt.session.rollback()
    assert mail is not None
    return mail.text


def link(rt: Runtime, kind: str) -> str:
    found = re.search(LINK.format(kind), mail_text(rt))
    assert found
    return found[1]


def skips(rt: Runtime) -> int:
    found = rt.session.scalar(sa.select(sa.func.count()).select_from(BoxSkip))
    rt.session.rollback()
    return int(found or 0)


def said_right(rt: Runtime) -> int:
    wanted = SubscriptionEvent.kind == EventKind.ADDRESS_CONFIRMED.value
    found = rt.session.scalar(sa.select(sa.func.count(SubscriptionEvent.id)).where(wanted))
    rt.session.rollback()
    return int(found or 0)


def cycle_of(path: str) -> str:
    return path.rsplit("/", 1)[1].split("-")[1]


def test_looking_at_a_link_changes_nothing_however_often(
    rt: Runtime, sub: Subscription, anybody: Visitor
) -> None:
    for kind in ("skip", "address"):
        path = link(rt, kind)
        for _ in range(3):
            assert anybody.get(path).status_code == 200
            assert anybody.client.head(path).status_code == 200
        page = anybody.get(path)
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["X-Robots-Tag"] == "noindex"
        assert page.headers["Referrer-Policy"] == "same-origin"
    assert (skips(rt), said_right(rt)) == (0, 0)


def test_neither_link_nor_page_says_who_it_is(
    rt: Runtime, sub: Subscription, anybody: Visitor
) -> None:
    customer = rt.session.scalars(sa.select(Customer)).one()
    words = (customer.email, customer.name, "Lindenweg", "07743")
    rt.session.rollback()
    for kind in ("skip", "address"):
        path = link(rt, kind)
        page = anybody.get(path).text
        for word in words:
            assert word not in path
            assert word not in page


def test_a_click_skips_the_box_once_and_a_second_click_says_so(
    rt: Runtime, sub: Subscription, anybody: Visitor
) -> None:
    path = link(rt, "skip")
    assert lead(anybody.get(path).text) == "Skip this box?"

    for _ in range(2):
        assert anybody.post(path).location == path

    assert skips(rt) == 1
    assert lead(anybody.get(path).text) == "This box is skipped"


def test_a_link_that_was_used_does_not_skip_again_what_was_put_back(
    rt: Runtime, sub: Subscription, anybody: Visitor
) -> None:
    path = link(rt, "skip")
    anybody.get(path)
    anybody.post(path)
    undo_skip(rt, sub.customer_id, sub.public_id, cycle_of(path))

    anybody.post(path)

    assert skips(rt) == 0
    assert lead(anybody.get(path).text) == "This link was used"
    # A mail that is written from then on has a link that works again.
    anybody.post(link(rt, "skip"))
    assert skips(rt) == 1


def test_after_the_cut_off_nothing_is_skipped_and_the_page_leads_on(
    rt: Runtime, clock: FrozenClock, sub: Subscription, anybody: Visitor
) -> None:
    path = link(rt, "skip")
    anybody.get(path)
    clock.advance(days=4)

    anybody.post(path)

    assert skips(rt) == 0
    page = anybody.get(path)
    assert lead(page.text) == "It is too late to skip this box"
    assert f"/account/subscriptions/{sub.public_id}" in page.text


def test_links_that_nobody_made_open_nothing_and_lead_to_the_sign_in(
    rt: Runtime, sub: Subscription, anybody: Visitor
) -> None:
    path = link(rt, "skip")
    other = path.replace("/skip/", "/address/")
    later = re.sub(r"\.(\d+)\.", lambda end: f".{int(end[1]) + 86400}.", path)
    wrong = [path[:-1], f"{path}A", later, other, "/links/skip/x", "/links/address/a.1.b"]
    wrong += [path.replace(sub.public_id, "sub_of_somebody"), f"/links/skip/{'9' * 500}"]
    for each in wrong:
        page = anybody.get(each)
        assert page.status_code == 404, each
        assert "/sign-in" in page.text
        anybody.post(each)
    assert (skips(rt), said_right(rt)) == (0, 0)


def test_a_key_of_one_purpose_opens_no_other_and_an_old_key_still_reads(rt: Runtime) -> None:
    until = rt.now() + timedelta(days=1)
    made = make_link("old key", SKIP_BOX, "sub_a", "cyc_b", 0, until)
    for purpose in (ADDRESS, PAY):
        assert read_link(["old key"], purpose, made, rt.now()) is None
    assert read_link(["new key"], SKIP_BOX, made, rt.now()) is None
    found = read_link(["new key", "old key"], SKIP_BOX, made, rt.now())
    assert found is not None
    assert (found.subscription, found.thing, found.done, found.is_expired) == (
        "sub_a", "cyc_b", 0, False,
    )  # fmt: skip
    late = read_link(["old key"], SKIP_BOX, made, until)
    assert late is not None
    assert late.is_expired


def test_the_limits_of_the_plan_bind_a_link_as_they_bind_the_account(
    rt: Runtime, sub: Subscription, anybody: Visitor
) -> None:
    path = link(rt, "skip")
    rt.session.execute(sa.text("UPDATE plan SET skips_in_row = 0"))
    rt.session.commit()
    anybody.get(path)

    anybody.post(path)

    assert skips(rt) == 0
    assert lead(anybody.get(path).text) == "This box cannot be skipped"


def test_posting_too_often_is_slowed_down(rt: Runtime, sub: Subscription, anybody: Visitor) -> None:
    path = link(rt, "skip")
    anybody.get(path)
    codes = [anybody.post(f"/links/address/x{n}").status_code for n in range(61)]
    assert codes[-1] == 429
    assert anybody.post(path).status_code == 429
    assert skips(rt) == 0


def test_an_address_is_confirmed_once_and_stands_in_the_timeline(
    rt: Runtime, sub: Subscription, anybody: Visitor
) -> None:
    path = link(rt, "address")
    assert "Is this address right?" in anybody.get(path).text

    for _ in range(2):
        assert anybody.post(path).status_code == 303

    assert said_right(rt) == 1
    assert lead(anybody.get(path).text) == "Your address is confirmed"


def test_an_address_that_changed_since_is_not_confirmed_by_an_older_mail(
    rt: Runtime, sub: Subscription, anybody: Visitor
) -> None:
    path = link(rt, "address")
    to = PostalAddress("Ada", "Am Markt 1", "07745", "Jena", "DE")
    change_address(rt, sub.customer_id, sub.public_id, to)
    anybody.get(path)

    anybody.post(path)

    assert said_right(rt) == 0
    assert lead(anybody.get(path).text) == "The address was changed"


def test_a_subscription_that_is_cancelled_or_skipped_elsewhere_is_told_so(
    rt: Runtime, sub: Subscription, anybody: Visitor
) -> None:
    path = link(rt, "skip")
    skip_box(rt, sub.customer_id, sub.public_id, cycle_of(path))
    assert lead(anybody.get(path).text) == "This box is skipped"
    cancel(rt, sub.customer_id, sub.public_id)
    assert anybody.get(path).status_code == 200


def words_of(rt: Runtime, sub: Subscription, topic: str, **payload: object) -> str:
    own = {"subscription": sub.public_id, "plan": "Pot", **payload}
    mail = compose(rt, Delivery(1, "msg_1", "mail", topic, "key", own, sub.customer_id, rt.now()))
    rt.session.rollback()
    assert mail is not None
    return mail.text


def test_the_reminder_to_choose_offers_to_skip_only_what_can_be_skipped(
    rt: Runtime, sub: Subscription, anybody: Visitor
) -> None:
    cycle = cycle_of(link(rt, "skip"))
    days = {"until_on": (rt.today() + timedelta(days=3)).isoformat(), "ship_on": "2027-04-14"}
    soon = words_of(rt, sub, "choose_soon", cycle=cycle, pieces=2, **days)
    found = re.search(LINK.format("skip"), soon)
    assert found
    assert lead(anybody.get(found[1]).text) == "Skip this box?"

    skip_box(rt, sub.customer_id, sub.public_id, cycle)
    later = words_of(rt, sub, "choose_soon", cycle=cycle, pieces=2, **days)
    assert "/links/skip/" not in later


def test_the_mail_about_a_box_that_came_back_names_the_address_and_asks_about_it(
    rt: Runtime, sub: Subscription, anybody: Visitor
) -> None:
    text = words_of(rt, sub, "box_returned")
    assert "Lindenweg" in text
    found = re.search(LINK.format("address"), text)
    assert found
    assert lead(anybody.get(found[1]).text) == "Is this address right?"
