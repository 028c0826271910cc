"""Who may reach what: foreign and missing rows are not there, strangers are asked to sign in."""

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import IntegerConverter, Rule

from storefront.domain.gateways import DisputeState
from storefront.models import (
    ChargeAttempt,
    Customer,
    Dispute,
    Gift,
    LeavingOffer,
    Role,
    Staff,
    Subscription,
)
from storefront.runtime import Runtime
from storefront.security import CUSTOMER, POLICY
from storefront.testing import factories as make
from tests.support.inquiries import make_inquiry
from tests.support.notices import make_announcement, make_notice
from tests.support.visitor import HTMX, PASSWORD, Visitor, customer_with_password

MISSING = "nothing_22222222222222222222222222"


def customer_rules(app: Flask) -> list[tuple[Rule, str]]:
    """Return (rule, method) of everything a customer may call."""
    return [
        (rule, method)
        for rule in app.url_map.iter_rules()
        if POLICY[rule.endpoint] is CUSTOMER
        for method in sorted((rule.methods or set()) & {"GET", "POST"})
    ]


@pytest.fixture
def owned(rt: Runtime) -> dict[str, str]:
    """Public ids of things that belong to Bob, by the names the routes use."""
    customer = make.make_customer(rt, email="bob@example.org")
    sub = make.make_subscription(rt, customer=customer)
    queries = {
        "invoice": "SELECT public_id FROM invoice",
        "method": "SELECT public_id FROM payment_method",
        "cycle": "SELECT public_id FROM box_cycle WHERE key = '2027-03'",
        "setup": "SELECT public_id FROM gateway_setup",
        "attempt": "SELECT public_id FROM charge_attempt",
    }
    found = {name: rt.session.execute(sa.text(sql)).scalar_one() for name, sql in queries.items()}
    rt.session.rollback()
    attempt = rt.session.scalars(sa.select(ChargeAttempt.id)).one()
    make.save(
        rt,
        Dispute(
            public_id="dsp_of_bob",
            attempt_id=attempt,
            gateway="demo",
            gateway_reference="dp_1",
            state=DisputeState.WON,
            amount_minor=2600,
            currency="EUR",
            opened_at=rt.now(),
        ),
    )
    make.save(
        rt,
        Gift(
            public_id="gft_of_bob",
            subscription_id=sub.id,
            giver_id=customer.id,
            giver_name="Bob",
            recipient_name="Cleo",
            recipient_email="",
            locale="en",
            country="DE",
            message="",
            send_on=rt.today(),
            is_quiet=True,
            code_hash="0" * 64,
        ),
    )
    make.save(
        rt,
        LeavingOffer(public_id="off_to_bob", kind="skip", rest_days=30, created_at=rt.now()),
    )
    own = {
        "subscription": sub.public_id,
        "offer": "off_to_bob",
        "reference": "0" * 24,
        "dispute": "dsp_of_bob",
        "gift": "gft_of_bob",
        "inquiry": make_inquiry(rt, customer),
        "notice": make_notice(rt, customer),
        # For subscribers of a plan that neither has.
        "announcement": make_announcement(rt, plan=make.make_plan(rt, code="other").code),
    }
    return {**found, **own}


@pytest.fixture
def ada(rt: Runtime, app: Flask, owned: dict[str, str]) -> Visitor:
    """A customer with a subscription of her own, signed in."""
    key = customer_with_password(rt, "ada@example.org")
    person = rt.session.get(Customer, key)
    assert person is not None
    rt.session.expunge(person)
    rt.session.rollback()
    make.make_subscription(rt, customer=person)
    return Visitor.of(app).sign_in("ada@example.org")


@pytest.fixture
def mia(rt: Runtime, app: Flask) -> Visitor:
    """A staff user with every permission, signed in."""
    role = Role(code="owner", name="Owner", permissions=["everything"])
    rt.session.add(role)
    rt.session.flush()
    rt.session.add(
        Staff(
            public_id="stf_mia",
            email="mia@shop.example",
            name="Mia",
            password_hash=rt.passwords.hash(PASSWORD),
            role_id=role.id,
            created_at=rt.now(),
        )
    )
    rt.session.commit()
    visitor = Visitor.of(app)
    visitor.get("/admin/sign-in")
    assert visitor.post("/admin/sign-in", email="mia@shop.example", password=PASSWORD).location
    return visitor


def url_of(app: Flask, rule: Rule, values: dict[str, str]) -> str:
    with app.test_request_context():
        return app.url_map.bind("localhost").build(
            rule.endpoint, {name: values[name] for name in rule.arguments}
        )


def state_of(rt: Runtime) -> list[tuple[object, ...]]:
    """Return everything of Bob's that a stranger could have changed."""
    rows: list[tuple[object, ...]] = []
    for sql in (
        "SELECT public_id, state, version, cancel_on, address_id FROM subscription ORDER BY id",
        "SELECT id, cycle_id FROM box ORDER BY id",
        "SELECT id, is_default FROM payment_method ORDER BY id",
        "SELECT count(*) FROM box_skip",
        "SELECT count(*) FROM charge_attempt",
        "SELECT count(*) FROM address",
    ):
        rows += [tuple(row) for row in rt.session.execute(sa.text(sql))]
    rt.session.rollback()
    return rows


def test_there_are_routes_to_look_at(app: Flask) -> None:
    assert len(customer_rules(app)) > 20


def test_what_belongs_to_somebody_else_is_not_there(
    rt: Runtime, app: Flask, owned: dict[str, str], ada: Visitor
) -> None:
    before = state_of(rt)
    leaks = []
    for rule, method in customer_rules(app):
        if not rule.arguments:
            continue
        for values in (owned, dict.fromkeys(owned, MISSING)):
            url = url_of(app, rule, values)
            answer = ada.get(url) if method == "GET" else ada.post(url)
            if answer.status_code != 404:
                leaks.append((method, url, answer.status_code))
    assert leaks == []
    assert state_of(rt) == before


def test_her_own_subscription_with_his_box_is_not_there(
    rt: Runtime, owned: dict[str, str], ada: Visitor
) -> None:
    mine = rt.session.scalars(
        sa.select(Subscription.public_id).order_by(Subscription.id.desc()).limit(1)
    ).one()
    rt.session.rollback()
    url = f"/account/subscriptions/{mine}/boxes/{owned['cycle']}/skip"
    assert ada.post(url).status_code == 404


def test_a_stranger_is_asked_to_sign_in(app: Flask, owned: dict[str, str]) -> None:
    visitor = Visitor.of(app)
    for rule, method in customer_rules(app):
        url = url_of(app, rule, owned)
        answer = visitor.get(url) if method == "GET" else visitor.post(url)
        assert answer.status_code == 303, (method, url)
        assert answer.location.startswith("/sign-in"), (method, url)


def test_a_stranger_with_the_script_is_sent_to_the_whole_page(
    app: Flask, owned: dict[str, str]
) -> None:
    visitor = Visitor.of(app)
    for rule, method in customer_rules(app):
        url = url_of(app, rule, owned)
        answer = visitor.get(url, **HTMX) if method == "GET" else visitor.post(url, htmx=True)
        assert answer.status_code == 401, (method, url)
        assert answer.headers["HX-Redirect"].startswith("/sign-in"), (method, url)
        assert "<form" not in answer.text


def test_staff_are_nobody_in_the_account(app: Flask, owned: dict[str, str], mia: Visitor) -> None:
    assert mia.get("/admin/").status_code == 200
    for rule, method in customer_rules(app):
        url = url_of(app, rule, owned)
        answer = mia.get(url) if method == "GET" else mia.post(url)
        assert answer.status_code == 303, (method, url)
        assert answer.location.startswith("/sign-in"), (method, url)


def test_customers_are_nobody_in_the_admin(app: Flask, ada: Visitor) -> None:
    seen = 0
    for rule in app.url_map.iter_rules():
        if POLICY[rule.endpoint].kind != "staff":
            continue
        values = {
            name: "1" if isinstance(rule._converters[name], IntegerConverter) else MISSING
            for name in rule.arguments
        }
        for method in sorted((rule.methods or set()) & {"GET", "POST"}):
            url = url_of(app, rule, values)
            answer = ada.get(url) if method == "GET" else ada.post(url)
            assert answer.status_code == 303, (method, url)
            assert answer.location.startswith("/admin/sign-in"), (method, url)
            seen += 1
    assert seen > 0


def test_looking_changes_nothing(rt: Runtime, app: Flask, ada: Visitor) -> None:
    mine = rt.session.scalars(
        sa.select(Subscription.public_id).order_by(Subscription.id.desc()).limit(1)
    ).one()
    rt.session.rollback()
    before = state_of(rt)
    for path in ("", "/cancel", "/address", "/cancelled"):
        answer = ada.get(f"/account/subscriptions/{mine}{path}")
        assert answer.status_code in {200, 303}
    for rule, method in customer_rules(app):
        if method == "GET" and not rule.arguments:
            assert ada.get(rule.rule).status_code == 200, rule.rule
    assert state_of(rt) == before


def test_odd_characters_and_lengths_are_refused_and_break_nothing(
    app: Flask, owned: dict[str, str], ada: Visitor
) -> None:
    odd = ["%00", "a%00b", "%F0%9F%8D%B5", "x" * 3000, "%2e%2e", "' OR 1=1--"]
    for value in odd:
        for rule, method in customer_rules(app):
            if rule.arguments:
                url = rule.rule
                for name in rule.arguments:
                    url = url.replace(f"<{name}>", value)
                answer = ada.get(url) if method == "GET" else ada.post(url)
                assert answer.status_code in {400, 404}, (method, url[:80])
    for value in ("a\0b", "\ud83d", "x" * 3000, "<script>"):
        safe = value.encode("utf-8", "replace").decode()
        for path, name in (("/sign-in", "email"), ("/sign-in/code", "code")):
            assert ada.post(path, **{name: safe}).status_code in {303, 400, 422, 429}
        assert (
            ada.get(f"/account/invoices?before={safe[:50]}".replace("\0", "%00")).status_code < 500
        )


def test_a_fresh_browser_shares_nothing_with_one_that_is_signed_in(
    client: FlaskClient, ada: Visitor
) -> None:
    assert ada.get("/account/").status_code == 200
    assert client.get("/account/").status_code == 303
