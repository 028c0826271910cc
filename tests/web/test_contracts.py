"""Ending a contract and withdrawing from one without an account: by law, in one page or two."""

import re
from html import unescape

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.models import (
    Declaration,
    DeclarationOutcome,
    OutboxMessage,
    ShopSettings,
    Subscription,
)
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.desk import Desk
from tests.support.paying import lead
from tests.support.visitor import PASSWORD, Visitor, customer_with_password

EMAIL = "ada@example.org"
END, WITHDRAW = "/contracts/end", "/contracts/withdraw"


@pytest.fixture(autouse=True)
def nothing_is_broken(rt: Runtime):
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    plan = make.make_plan(rt, group=make.make_group(rt, cycles=6))
    make.make_recipe(rt, plan)
    return make.make_subscription(rt, plan=plan, customer=make.make_customer(rt, email=EMAIL))


@pytest.fixture
def anybody(app: Flask) -> Visitor:
    return Visitor.of(app)


def typed(anybody: Visitor, path: str, contract: str, **values: str) -> dict[str, str]:
    """Return a filled form of the page at ``path``."""
    page = anybody.get(path).text
    once = re.search(r'name="once"[^>]*value="([^"]+)"', page)
    assert once
    own = {"name": "Ada Lovelace", "email": EMAIL, "contract": contract, "once": once[1]}
    return {**own, **({"how": "ordinary"} if path == END else {}), **values}


def count(rt: Runtime, model: type = Declaration) -> int:
    rt.session.rollback()
    found = rt.session.scalar(sa.select(sa.func.count()).select_from(model))
    rt.session.rollback()
    return int(found or 0)


def ends_on(rt: Runtime, sub: Subscription) -> object:
    rt.session.rollback()
    found = rt.session.scalar(sa.select(Subscription.cancel_on).where(Subscription.id == sub.id))
    rt.session.rollback()
    return found


def sells_to(rt: Runtime, *countries: str) -> None:
    rt.session.execute(
        sa.update(ShopSettings).values(
            countries=list(countries), catalogue_version=ShopSettings.catalogue_version + 1
        )
    )
    rt.session.commit()
    rt.forget_shop()


@pytest.mark.parametrize("path", ["/", "/sign-in", "/waiting/place/x", "/contracts/end", "/gone"])
def test_every_page_leads_there_where_the_shop_sells_to_countries_that_ask_for_it(
    rt: Runtime, anybody: Visitor, sub: Subscription, path: str
) -> None:
    sells_to(rt, "DE")
    german = anybody.get(path, **{"Accept-Language": "de"}).text
    assert f'href="{END}">Verträge hier kündigen<' in german
    assert f'href="{WITHDRAW}">Vertrag widerrufen<' in german
    sells_to(rt, "US")
    american = anybody.get(path).text
    assert END not in american.replace(f'action="{END}"', "").replace(f"next={END}", "") or (
        path == END
    )
    assert f'href="{WITHDRAW}"' not in american


def test_the_german_page_has_the_button_that_ends_and_nothing_stands_between(
    rt: Runtime, anybody: Visitor, sub: Subscription
) -> None:
    german = {"Accept-Language": "de"}
    anybody.headers.update(german)
    page = anybody.get(END).text
    assert "jetzt kündigen" in page
    form = typed(anybody, END, sub.public_id)
    done = anybody.post(END, step="send", **form)

    assert done.status_code == 303
    assert ends_on(rt, sub) is not None
    assert count(rt, DeclarationOutcome) == 1
    receipt = anybody.get(done.location).text
    assert EMAIL in receipt
    saved = anybody.get(f"{done.location}/file")
    assert saved.headers["Content-Disposition"].startswith("attachment")
    assert saved.mimetype == "text/plain"
    came = rt.now().astimezone(rt.shop.zone_info).isoformat(sep=" ", timespec="seconds")
    rt.session.rollback()
    assert came in saved.text
    assert came in receipt
    # A second click leads to the same receipt and declares nothing more.
    again = anybody.post(END, step="send", **form)
    assert anybody.get(again.location).status_code == 200
    assert count(rt) == 1


def test_in_french_what_was_typed_is_shown_before_it_is_sent(
    rt: Runtime, anybody: Visitor, sub: Subscription
) -> None:
    anybody.headers["Accept-Language"] = "fr"
    assert 'value="check"' in anybody.get(END).text
    form = typed(anybody, END, sub.public_id)
    review = anybody.post(END, step="check", **form)

    assert review.status_code == 200
    assert "Ada Lovelace" in review.text
    assert "Notifier la résiliation" in unescape(review.text)
    assert count(rt) == 0
    back = anybody.post(END, step="edit", **form)
    assert 'value="Ada Lovelace"' in back.text
    assert anybody.post(END, step="send", **form).status_code == 303
    assert ends_on(rt, sub) is not None


def test_a_withdrawal_takes_two_steps_and_stops_the_subscription(
    rt: Runtime, anybody: Visitor, sub: Subscription
) -> None:
    form = typed(anybody, WITHDRAW, f"Tea, {sub.public_id}")
    review = anybody.post(WITHDRAW, step="check", **form)
    assert "Confirm withdrawal" in review.text
    assert count(rt) == 0

    done = anybody.post(WITHDRAW, step="send", **form)

    page = anybody.get(done.location).text
    assert lead(page) == "We have your declaration"
    held = rt.session.scalar(sa.select(Subscription.held_at).where(Subscription.id == sub.id))
    rt.session.rollback()
    assert held is not None


def test_looking_declares_nothing_and_a_number_in_the_link_is_filled_in(
    rt: Runtime, app: Flask, anybody: Visitor, sub: Subscription
) -> None:
    for path in (END, WITHDRAW):
        for _ in range(2):
            assert anybody.get(f"{path}?contract={sub.public_id}").status_code == 200
        assert f'value="{sub.public_id}"' in anybody.get(f"{path}?contract={sub.public_id}").text
        assert "<script>" not in anybody.get(f"{path}?contract=<script>").text
    assert count(rt) == 0
    customer_with_password(rt, "bob@example.org")
    bob = Visitor.of(app).sign_in("bob@example.org", PASSWORD)
    assert 'value="bob@example.org"' in bob.get(END).text


def test_the_answer_is_the_same_whether_there_is_such_a_contract(
    rt: Runtime, anybody: Visitor, sub: Subscription
) -> None:
    def answer(contract: str, email: str) -> str:
        form = typed(anybody, END, contract, email=email)
        text = anybody.get(anybody.post(END, step="send", **form).location).text
        for own in (contract, email):
            text = text.replace(own, "…")
        return re.sub(r'(csrf_token" value=|nonce=|/received/)"?[^"]+', "", text)

    known = answer(sub.public_id, EMAIL)
    assert answer("sub_that_nobody_has", EMAIL) == known
    assert answer(sub.public_id, "nobody@example.org") == known
    assert count(rt) == 3
    assert count(rt, DeclarationOutcome) == 1


def test_what_is_missing_is_said_beside_its_field_and_nothing_typed_is_lost(
    rt: Runtime, anybody: Visitor, sub: Subscription
) -> None:
    form = typed(anybody, END, "", email="nobody", how="cause", wished_on="soon")
    refused = anybody.post(END, step="send", **form)

    assert refused.status_code == 422
    for words in (
        "Say which contract",
        "Enter an e-mail like",
        "Write the reason",
        "Enter a day like",
    ):
        assert words in refused.text
    for kept in ("Ada Lovelace", "nobody", "soon"):
        assert f'value="{kept}"' in refused.text
    assert count(rt) == 0


def test_a_day_after_the_paid_time_is_for_a_person_and_an_earlier_one_is_not(
    rt: Runtime, anybody: Visitor, sub: Subscription
) -> None:
    later = typed(anybody, END, sub.public_id, wished_on="1.1.2028")
    anybody.post(END, step="send", **later)
    assert ends_on(rt, sub) is None
    assert count(rt, DeclarationOutcome) == 0

    sooner = typed(anybody, END, sub.public_id, wished_on="01/03/2027")
    anybody.post(END, step="send", **sooner)
    assert ends_on(rt, sub) is not None
    assert count(rt, DeclarationOutcome) == 1


def test_who_declares_too_often_is_slowed_down_and_keeps_what_they_typed(
    rt: Runtime, anybody: Visitor, sub: Subscription
) -> None:
    for _ in range(6):
        form = typed(anybody, END, "tea")
        assert anybody.post(END, step="send", **form).status_code == 303
    form = typed(anybody, END, "tea")
    slowed = anybody.post(END, step="send", **form)

    assert slowed.status_code == 429
    assert 'value="Ada Lovelace"' in slowed.text
    assert count(rt) == 6
    mails = rt.session.scalar(
        sa.select(sa.func.count()).where(OutboxMessage.topic == "declaration_received")
    )
    rt.session.rollback()
    assert mails == 6


def test_receipts_cannot_be_guessed_and_close_after_two_days(
    rt: Runtime, clock: FrozenClock, anybody: Visitor, sub: Subscription
) -> None:
    form = typed(anybody, END, "tea")
    path = anybody.post(END, step="send", **form).location
    page = anybody.get(path)
    assert page.headers["Cache-Control"] == "no-store"
    for wrong in (path[:-1], f"{path}A", path.replace("dec_", "dec_2"), "/contracts/received/x"):
        assert anybody.get(wrong).status_code == 404
        assert anybody.get(f"{wrong}/file").status_code == 404
    clock.advance(days=2)
    assert anybody.get(path).status_code == 404


def test_a_page_of_another_site_declares_nothing(
    rt: Runtime, anybody: Visitor, sub: Subscription
) -> None:
    form = typed(anybody, END, sub.public_id)
    anybody.headers["Origin"] = "https://evil.example"
    assert anybody.post(END, step="send", **form).status_code == 400
    assert count(rt) == 0


def test_staff_see_what_waits_on_the_first_page_and_note_it_as_done(
    rt: Runtime, app: Flask, anybody: Visitor, sub: Subscription
) -> None:
    form = typed(anybody, END, "my <b>box</b>", how="cause", reason="Mouldy")
    anybody.post(END, step="send", **form)
    desk = Desk(app, rt, "support")

    assert "1 declaration about a contract waits" in desk.get("/admin/").text
    page = desk.get("/admin/declarations").text
    for words in ("End for cause", "Mouldy", "my &lt;b&gt;box&lt;/b&gt;", "likely", "Ada"):
        assert words in page
    found = re.search(r'action="(/admin/declarations/dec_[^"]+)"', page)
    assert found
    for _ in range(2):
        assert desk.post(found[1], {"note": "Ended by hand"}, on="/admin/").status_code == 303
    assert desk.post("/admin/declarations/dec_missing", on="/admin/").status_code == 404
    page = desk.get("/admin/declarations").text
    assert "Ended by hand" in page
    assert "Nothing waits for a decision" in page
    packer = Desk(app, rt, "fulfilment")
    assert packer.get("/admin/declarations").status_code == 403


@pytest.mark.parametrize("path", [END, WITHDRAW])
def test_below_a_path_of_another_shop_the_form_is_sent_there(
    anybody: Visitor, sub: Subscription, path: str
) -> None:
    page = anybody.client.get(path, base_url="http://localhost/boxes").text
    assert f'action="/boxes{path}"' in page
