"""Taking over running subscribers: on their day, with their card, once, and nobody pays twice."""

from datetime import date

import pytest
import sqlalchemy as sa

from storefront.domain.lifecycle import PeriodKind, SubscriptionState
from storefront.domain.product_files import FileRefused
from storefront.domain.subscriber_rows import Level
from storefront.models import (
    Address,
    Box,
    Consent,
    Customer,
    Invoice,
    Movement,
    OutboxMessage,
    PaymentMethod,
    Subscription,
    SubscriptionEvent,
    SubscriptionPeriod,
)
from storefront.queries.invariants import broken
from storefront.services import subscriber_imports as service
from storefront.services.renewals import run_renewals
from storefront.services.signin import request_link
from storefront.services.subscriber_imports import import_subscribers
from storefront.testing import factories
from tests.support.statements import counting

NEXT = date(2027, 4, 12)


@pytest.fixture
def plan(rt):
    return factories.make_plan(rt, code="pot")


@pytest.fixture(autouse=True)
def invariants(rt):
    """After each story everything that must always hold still holds."""
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def row(plan, demo_gateway):
    """Return one row's cells, with a card that the demo bank knows."""
    return cells_of(demo_gateway)


def cells_of(demo_gateway, number=1, card="4242", **cells):
    return {
        "source": "woo",
        "id": f"{1000 + number}",
        "email": f"ada{number}@example.com",
        "name": "Ada Lovelace",
        "street": "Lindenweg 4",
        "postcode": "07743",
        "city": "Jena",
        "country": "DE",
        "plan": "pot",
        "interval": "1 month",
        "amount": "26.00",
        "next_charge_on": NEXT.isoformat(),
        "started_on": "2025-06-12",
        "gateway": "demo",
        "gateway_method": demo_gateway.bank.token_for(card),
        **cells,
    }


def file_of(*rows):
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [
        ",".join(names),
        *[",".join(f'"{row.get(name, "")}"' for name in names) for row in rows],
    ]
    return "\n".join(lines).encode()


def run(rt, *rows, **options):
    return import_subscribers(rt, file_of(*rows), dry_run=False, **options)


def count(rt, model):
    found = rt.session.scalar(sa.select(sa.func.count()).select_from(model))
    rt.session.rollback()
    return found


def only(rt, model):
    found = rt.session.scalars(sa.select(model)).one()
    rt.session.expunge(found)
    rt.session.rollback()
    return found


def codes(report):
    return [(one.row, one.column, one.code) for one in report.findings]


def test_a_dry_run_asks_the_gateway_and_writes_nothing(rt, row):
    report = import_subscribers(rt, file_of(row, {**row, "id": "2", "gateway_method": "gone"}))

    assert (report.is_dry_run, report.row_count, report.new, report.left_out) == (True, 2, 1, 1)
    assert codes(report) == [(3, "gateway_method", "no_such_card")]
    assert [count(rt, each) for each in (Customer, Subscription, PaymentMethod)] == [0, 0, 0]


def test_a_copy_of_a_database_asks_the_gateways_of_the_original_nothing(
    rt, row, demo_gateway, monkeypatch
):
    monkeypatch.setattr(service, "is_unlocked", lambda _rt: False)
    monkeypatch.setattr(demo_gateway, "read_method", pytest.fail)

    report = import_subscribers(rt, file_of(row))

    assert codes(report) == [(2, "gateway", "no_answer")]
    assert report.new == 0


def test_a_subscription_comes_with_customer_address_card_consent_and_history(rt, row):
    report = run(rt, {**row, "quantity": "2", "locale": "de"})

    assert (report.new, report.findings) == (1, [])
    customer, subscription = only(rt, Customer), only(rt, Subscription)
    assert (customer.email, customer.password_hash, customer.locale) == (
        "ada1@example.com",
        None,
        "de",
    )
    assert (subscription.imported_from, subscription.imported_id) == ("woo", "1001")
    assert (subscription.state, subscription.quantity) == (SubscriptionState.ACTIVE, 2)
    assert (subscription.next_on, subscription.anchor_on) == (NEXT, NEXT)
    method = only(rt, PaymentMethod)
    assert (method.token, method.last4, method.is_default) == (row["gateway_method"], "4242", True)
    assert subscription.payment_method_id == method.id
    assert only(rt, Address).city == "Jena"
    consent = only(rt, Consent)
    assert (consent.kind, consent.text_version) == ("imported", "imported-1")
    assert "woo, subscription 1001" in consent.text
    assert "2025-06-12" in consent.text
    assert (consent.amount_minor, consent.interval) == (5200, "1 month")
    assert only(rt, SubscriptionEvent).kind == "subscription.imported"
    assert count(rt, Invoice) == 0
    assert count(rt, OutboxMessage) == 0


def test_the_days_up_to_the_next_charge_are_free_and_the_value_is_no_new_business(rt, row):
    run(rt, row)

    period, movement = only(rt, SubscriptionPeriod), only(rt, Movement)
    assert (period.kind, period.start_on, period.end_on) == (PeriodKind.FREE, rt.today(), NEXT)
    assert (movement.kind, movement.reason, movement.cohort) == ("new", "imported", "2025-06")
    # 26.00 with 19 % or a reduced rate of tax inside: net of it, above 20.00 in any case.
    assert only(rt, Subscription).mrr_minor == movement.delta_minor > 2000


def test_it_renews_on_its_date_with_its_card_once_and_makes_a_box(rt, row, clock, demo_gateway):
    run(rt, row)
    clock.advance(days=(NEXT - rt.today()).days - 1)
    run_renewals(rt)
    assert demo_gateway.bank.executed_count() == 0

    clock.advance(days=1)
    run_renewals(rt)
    run_renewals(rt)

    assert demo_gateway.bank.executed_count() == 1
    invoice = only(rt, Invoice)
    assert (invoice.total_minor, invoice.paid_minor) == (2600, 2600)
    assert count(rt, Box) == 1
    assert only(rt, Subscription).next_on == date(2027, 5, 12)
    # The renewal is no sign-up: what it is worth was there before.
    assert count(rt, Movement) == 1
    kinds = rt.session.scalars(sa.select(SubscriptionEvent.kind)).all()
    assert "subscription.renewed" in kinds
    assert "subscription.started" not in kinds


def test_the_same_file_again_makes_nothing_and_says_so_for_each_row(rt, row, demo_gateway):
    rows = [row, cells_of(demo_gateway, 2)]
    run(rt, *rows)

    again = run(rt, *rows)

    assert (again.new, again.here, again.left_out) == (0, 2, 0)
    assert codes(again) == [(2, "id", "here"), (3, "id", "here")]
    assert {one.level for one in again.findings} == {Level.HERE}
    assert [count(rt, each) for each in (Customer, Subscription, PaymentMethod)] == [2, 2, 2]


def test_two_subscriptions_of_one_customer_share_account_and_card(rt, row):
    run(rt, row, {**row, "id": "1002"})

    assert [count(rt, each) for each in (Customer, PaymentMethod, Subscription)] == [1, 1, 2]


def test_who_is_a_customer_already_keeps_account_and_default_card(rt, row):
    customer = factories.make_customer(rt, email="ada1@example.com", name="Ada K.")
    mine = factories.make_method(rt, customer)

    run(rt, row)

    assert only(rt, Customer).name == "Ada K."
    methods = rt.session.scalars(sa.select(PaymentMethod).order_by(PaymentMethod.id)).all()
    assert [(one.token, one.is_default) for one in methods] == [
        (mine.token, True),
        (row["gateway_method"], False),
    ]
    assert rt.session.scalars(sa.select(Subscription.payment_method_id)).one() == methods[1].id


def test_a_card_of_somebody_else_is_never_charged(rt, row):
    other = factories.make_method(rt, factories.make_customer(rt))

    report = run(rt, {**row, "gateway_method": other.token})

    assert codes(report) == [(2, "gateway_method", "others_card")]
    assert count(rt, Subscription) == 0


@pytest.mark.parametrize(
    ("cells", "column", "code", "right"),
    [
        ({"plan": "cup"}, "plan", "unknown_plan", "pot"),
        ({"country": "US"}, "country", "unknown_country", "DE, AT, FR"),
        ({"interval": "1 year"}, "amount", "no_price", "1 month: 26.00 EUR"),
        ({"amount": "24.00"}, "amount", "no_price", "1 month: 26.00 EUR"),
        ({"price_id": "pri_no"}, "price_id", "no_price", "1 month: 26.00 EUR"),
        ({"options": "size=xl"}, "options", "unknown_option", ""),
        ({"gateway": "stripe"}, "gateway", "unknown_gateway", "demo"),
        ({"gateway_account": "acct_9"}, "gateway_account", "other_account", "demo"),
        ({"last4": "1111"}, "last4", "other_card", "4242"),
        ({"next_charge_on": "2027-04-13"}, "next_charge_on", "not_billing_day", "2027-05-12"),
    ],
)
def test_a_bad_row_is_named_with_what_would_be_right_and_stops_no_other(
    rt, row, demo_gateway, cells, column, code, right
):
    report = run(rt, {**row, **cells}, cells_of(demo_gateway, 2))

    (finding,) = report.findings
    assert (finding.row, finding.column, finding.code) == (2, column, code)
    if right != "demo" or column == "gateway":
        assert finding.right == right
    assert (report.new, report.left_out, count(rt, Subscription)) == (1, 1, 1)


def test_a_gateway_that_does_not_answer_leaves_the_row_out(rt, row, demo_gateway):
    demo_gateway.bank.set_fault("down")

    report = run(rt, row)

    assert codes(report) == [(2, "gateway", "no_answer")]
    assert count(rt, Subscription) == 0


def test_a_question_of_the_plan_must_be_answered(rt, row, plan):
    factories.make_options(rt, plan)

    assert codes(run(rt, row)) == [(2, "options", "unanswered")]
    assert run(rt, {**row, "options": "taste=strong"}).new == 1
    assert only(rt, Subscription).options == {"taste": "strong"}


def test_the_price_they_pay_may_be_off_sale(rt, row, plan):
    old = factories.price_of(rt, plan)
    rt.session.execute(sa.update(type(old)).values(retired_at=rt.now()))
    rt.session.commit()
    factories.make_price(rt, plan, amount_minor=2900)

    run(rt, row)

    assert only(rt, Subscription).price_id == old.id


def test_a_first_price_is_over_for_who_comes_from_elsewhere(rt, demo_gateway, clock):
    plan = factories.make_plan(rt, code="pot", amount_minor=None)
    factories.make_price(rt, plan, phases=[{"boxes": 3, "amount_minor": 900}])
    run(rt, cells_of(demo_gateway))
    clock.advance(days=(NEXT - rt.today()).days)

    run_renewals(rt)

    assert only(rt, Invoice).total_minor == 2600


def test_who_is_still_billed_elsewhere_comes_only_when_that_is_confirmed(rt, row):
    row = {**row, "billed_elsewhere": "yes"}

    dry = import_subscribers(rt, file_of(row))
    assert (dry.new, dry.still_billed, dry.left_out) == (1, 1, 0)
    assert (run(rt, row).new, count(rt, Subscription)) == (0, 0)
    assert run(rt, row, stopped_elsewhere=True).new == 1


def test_a_pause_goes_on_until_its_day(rt, row, clock, demo_gateway):
    run(rt, {**row, "status": "paused", "paused_until": "2027-03-20"})
    subscription = only(rt, Subscription)
    assert (subscription.state, subscription.mrr_minor) == (SubscriptionState.PAUSED, 0)
    assert only(rt, SubscriptionPeriod).kind is PeriodKind.PAUSED

    clock.advance(days=(date(2027, 3, 20) - rt.today()).days)
    run_renewals(rt)
    assert demo_gateway.bank.executed_count() == 0
    assert only(rt, Subscription).state is SubscriptionState.ACTIVE

    clock.advance(days=(NEXT - rt.today()).days)
    run_renewals(rt)
    assert demo_gateway.bank.executed_count() == 1


def test_a_row_that_fails_while_it_is_written_takes_no_other_with_it(
    rt, row, demo_gateway, monkeypatch
):
    write = service.write_arrivals

    def fails(session, arrivals, *rest):
        write(session, arrivals, *rest)
        if any(one.row.ref == "1002" for one in arrivals):
            raise ValueError("no")

    monkeypatch.setattr(service, "write_arrivals", fails)

    report = run(rt, row, cells_of(demo_gateway, 2), cells_of(demo_gateway, 3))

    assert (report.new, codes(report)) == (2, [(3, "id", "failed")])
    refs = rt.session.scalars(sa.select(Subscription.imported_id).order_by(Subscription.id))
    assert list(refs) == ["1001", "1003"]
    assert [count(rt, each) for each in (Customer, PaymentMethod, Consent)] == [2, 2, 2]


def test_a_thousand_rows_cost_few_statements(rt, row, demo_gateway):
    rows = [{**row, "id": str(n), "email": f"a{n}@example.com"} for n in range(1000)]
    token = row["gateway_method"]
    for n, each in enumerate(rows):
        each["gateway_method"] = f"{token}{n}"

    with counting() as statements:
        report = run(rt, *rows)

    assert (report.new, report.findings) == (1000, [])
    assert count(rt, Subscription) == 1000
    # Ten batches, each the same few statements whatever it holds.
    assert len(statements) < 500


def test_who_came_signs_in_with_a_mailed_link(rt, row):
    run(rt, row)

    request_link(rt, "ada1@example.com")

    message = only(rt, OutboxMessage)
    assert (message.topic, message.customer_id) == ("sign_in", only(rt, Customer).id)


def test_the_day_of_month_survives_short_months(rt, demo_gateway, clock):
    factories.make_plan(rt, code="club", ships=False)
    run(rt, cells_of(demo_gateway, plan="club", next_charge_on="2027-03-31"))

    for day, following in ((31, date(2027, 4, 30)), (30, date(2027, 5, 31))):
        while rt.today().day != day:
            clock.advance(days=1)
        run_renewals(rt)
        assert only(rt, Subscription).next_on == following
    assert demo_gateway.bank.executed_count() == 2


def test_two_rows_of_a_rolling_plan_keep_their_own_days(rt, demo_gateway, clock):
    factories.make_plan(rt, code="roll", group=factories.make_group(rt, charge_day=None))
    cells = {"plan": "roll", "next_charge_on": "2027-03-17"}
    run(
        rt,
        cells_of(demo_gateway, **cells),
        cells_of(demo_gateway, 2, **cells | {"next_charge_on": "2027-03-25"}),
    )

    clock.advance(days=(date(2027, 3, 17) - rt.today()).days)
    run_renewals(rt)

    days = rt.session.scalars(sa.select(Subscription.next_on).order_by(Subscription.id)).all()
    assert days == [date(2027, 4, 17), date(2027, 3, 25)]
    assert demo_gateway.bank.executed_count() == 1


def test_a_file_that_is_none_is_refused(rt):
    with pytest.raises(FileRefused):
        import_subscribers(rt, b"\x00\x01")
