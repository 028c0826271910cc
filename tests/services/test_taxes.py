"""Tax of orders, renewals and refunds: by place, buyer and day, asked of a plugin or the table."""

import threading
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa

from storefront import tax_desk
from storefront.adapters.tax_numbers import NotATaxNumber, normalise_tax_number
from storefront.domain.tax_treatment import TaxAnswer
from storefront.hooks import hookimpl
from storefront.models import (
    Address,
    AuditEntry,
    Customer,
    Invoice,
    InvoiceLine,
    ParkedWork,
    ShopSettings,
    Staff,
    Subscription,
)
from storefront.operations.audit import Who
from storefront.operations.taxes import tax_as_account
from storefront.services import tax_ids, taxes
from storefront.services.finishing import Outcome
from storefront.services.renewals import run_renewals
from storefront.services.staff import add_staff
from storefront.services.taxes import RateDraft
from storefront.testing import factories as make
from tests.support.orders import begin, only, paid
from tests.support.visitor import PASSWORD

DUE = datetime(2027, 4, 12, 9, 0, tzinfo=UTC)
FIRM = "FR40303265045"


@pytest.fixture
def who(rt):
    add_staff(rt, email="mia@shop.example", name="Mia", password=PASSWORD, role="owner")
    key, ref = rt.session.execute(sa.select(Staff.id, Staff.public_id)).one()
    rt.session.rollback()
    return Who(key, ref)


def invoices(rt):
    rows = rt.session.execute(sa.select(Invoice.__table__).order_by(Invoice.id)).all()
    rt.session.rollback()
    return rows


def logged(rt):
    """What staff did, without the making of staff."""
    rows = rt.session.scalars(sa.select(AuditEntry.action).order_by(AuditEntry.id)).all()
    rt.session.rollback()
    return [action for action in rows if not action.startswith("staff.")]


def rates(rt, invoice):
    found = rt.session.scalars(
        sa.select(InvoiceLine.tax_rate_bp).where(InvoiceLine.invoice_id == invoice.id).distinct()
    ).all()
    rt.session.rollback()
    return list(found)


def ship_to(rt, subscription, **values):
    rt.session.execute(
        sa.update(Address).where(Address.id == subscription.address_id).values(**values)
    )
    rt.session.commit()


def set_customer(rt, subscription, **values):
    """Set what is known of the payer, as its owner or staff do: it holds for the subscription."""
    tax_as_account(rt.session, subscription.customer_id)
    rt.session.execute(
        sa.update(Customer).where(Customer.id == subscription.customer_id).values(**values)
    )
    rt.session.commit()


def renew(rt, clock, now=DUE):
    clock.set(now)
    return run_renewals(rt)


# ------------------------------------------------------------------------------- tax points


def test_a_new_rate_holds_from_its_tax_point_and_leaves_earlier_invoices_alone(rt, clock, who):
    plan = make.make_plan(rt, tax_class="standard")
    subscription = make.make_subscription(rt, plan=plan)
    before = only(rt, Invoice)
    taxes.add_rate(rt, who, RateDraft("DE", "", "standard", Decimal("21"), date(2027, 4, 12)))
    renew(rt, clock)
    first, second = invoices(rt)

    assert (first.content_hash, first.tax_minor) == (before.content_hash, before.tax_minor)
    assert (rates(rt, first), rates(rt, second)) == ([1900], [2100])
    assert (first.total_minor, second.total_minor) == (2600, 2600)
    assert (first.tax_minor, second.tax_minor) == (415, 451)
    assert second.snapshot["tax"]["source"] == "own"
    assert subscription.public_id


def test_the_day_before_its_first_day_a_rate_changes_nothing(rt, clock, who):
    make.make_subscription(rt, plan=make.make_plan(rt, tax_class="standard"))
    taxes.add_rate(rt, who, RateDraft("DE", "", "standard", Decimal("21"), date(2027, 4, 13)))
    renew(rt, clock)

    assert [rates(rt, each) for each in invoices(rt)] == [[1900], [1900]]


def test_a_rate_cannot_begin_where_invoices_are_written(rt, who):
    make.make_subscription(rt)
    draft = RateDraft("DE", "", "reduced", Decimal("8"), date(2027, 3, 2))
    with pytest.raises(taxes.AlreadyInvoiced) as refused:
        taxes.add_rate(rt, who, draft)
    assert refused.value.params == {"last": "2027-03-02"}

    assert taxes.add_rate(rt, who, RateDraft("AT", "", "reduced", Decimal("8"), draft.since))
    assert taxes.add_rate(rt, who, RateDraft("DE", "", "reduced", Decimal("8"), date(2027, 3, 3)))


def test_a_rate_is_entered_once_logged_and_taken_away_only_before_it_begins(rt, clock, who):
    draft = RateDraft("AT", "", "standard", Decimal("21.5"), date(2027, 3, 5))
    ref = taxes.add_rate(rt, who, draft)
    with pytest.raises(taxes.RateExists):
        taxes.add_rate(rt, who, draft)
    assert rt.shop.taxes.own_rate("AT", "", "standard", draft.since).rate == Decimal("21.5")
    clock.advance(days=3)
    with pytest.raises(taxes.RateInForce):
        taxes.remove_rate(rt, who, ref)
    rt.session.rollback()
    clock.advance(days=-1)
    assert taxes.remove_rate(rt, who, ref)
    assert not taxes.remove_rate(rt, who, ref)
    assert logged(rt) == ["tax_rate.added", "tax_rate.removed"]


@pytest.mark.parametrize(
    ("rate", "tax_class"),
    [("-1", "standard"), ("100.5", "standard"), ("7.255", "standard"), ("7", "zero")],
)
def test_a_rate_that_cannot_be_is_refused(rt, who, rate, tax_class):
    draft = RateDraft("DE", "", tax_class, Decimal(rate), date(2027, 6, 1))
    with pytest.raises(ValueError, match="rate"):
        taxes.add_rate(rt, who, draft)


def deliver_to(rt, country):
    """Let the shop deliver there as well: nobody is charged for a box that it does not send."""
    shop = rt.session.scalars(sa.select(ShopSettings)).one()
    shop.countries = [*shop.countries, country]
    rt.session.commit()
    rt.forget_shop()


def test_a_place_without_a_rate_parks_that_one_renewal_with_its_reason(rt, clock):
    lost = make.make_subscription(rt)
    make.make_subscription(rt)
    rt.session.execute(sa.text("UPDATE shop_settings SET seller_country = 'US'"))
    deliver_to(rt, "US")
    for row in rt.session.execute(sa.select(Subscription.id, Subscription.address_id)).all():
        region = "NJ" if row.id == lost.id else "New York"
        rt.session.execute(
            sa.update(Address)
            .where(Address.id == row.address_id)
            .values(country="US", region=region)
        )
    rt.session.commit()
    report = renew(rt, clock)

    assert (report.parked, report.billed) == (1, 1)
    parked = only(rt, ParkedWork)
    assert (parked.subject, parked.reason) == (lost.public_id, "no_tax_rate")
    assert len(invoices(rt)) == 3


# ------------------------------------------------------------------------------- treatments


@pytest.mark.parametrize(
    ("country", "customer", "total", "treatment"),
    [
        ("FR", {}, 2600, "standard"),
        ("FR", {"tax_id": FIRM, "tax_id_state": "valid"}, 2167, "reverse_charge"),
        ("FR", {"tax_id": FIRM, "tax_id_state": "pending"}, 2600, "standard"),
        ("FR", {"tax_id": FIRM, "tax_id_state": "invalid"}, 2600, "standard"),
        ("DE", {"tax_id": FIRM, "tax_id_state": "valid"}, 2600, "standard"),
        ("AT", {"tax_id": FIRM, "tax_id_state": "valid"}, 2167, "reverse_charge"),
        ("DE", {"is_tax_exempt": True}, 2185, "exempt"),
        ("CH", {}, 2185, "export"),
        ("NO", {}, 2185, "export"),
    ],
)
def test_a_renewal_is_taxed_by_who_pays_and_where_it_goes(
    rt, clock, country, customer, total, treatment
):
    subscription = make.make_subscription(rt)
    ship_to(rt, subscription, country=country)
    deliver_to(rt, country)
    if customer:
        set_customer(rt, subscription, **customer)
    renew(rt, clock)
    invoice = invoices(rt)[-1]

    assert (invoice.total_minor, invoice.tax_treatment) == (total, treatment)
    assert (invoice.tax_minor == 0) == (treatment != "standard")
    assert invoice.snapshot["tax"]["treatment"] == treatment
    shown = FIRM if treatment == "reverse_charge" else None
    assert invoice.snapshot["buyer"].get("tax_id") == shown


# ---------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("typed", "country", "number"),
    [
        ("de 136 695 976", "DE", "DE136695976"),
        ("136695976", "DE", "DE136695976"),
        ("U37675002", "AT", "ATU37675002"),
        ("fr-40.303.265.045", "DE", "FR40303265045"),
        ("GR 094259216", "DE", "EL094259216"),
        ("094259216", "GR", "EL094259216"),
        ("", "DE", ""),
        (" . ", "DE", ""),
    ],
)
def test_a_number_is_spelt_one_way(typed, country, number):
    assert normalise_tax_number(typed, country) == number


@pytest.mark.parametrize("typed", ["DE136695975", "123", "GB123456789", "ZZ136695976", "💥x"])
def test_what_no_state_writes_is_no_number(typed):
    with pytest.raises(NotATaxNumber):
        normalise_tax_number(typed, "DE")


class Register:
    def __init__(self, answer):
        self.answer, self.asked = answer, []

    @hookimpl
    def check_tax_id(self, number):
        self.asked.append(number)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ("valid", "valid"),
        ("invalid", "invalid"),
        ("unreachable", "pending"),
        (None, "pending"),
        (OSError("down"), "pending"),
        (True, "pending"),
    ],
)
def test_only_a_clear_answer_of_the_register_counts(rt, answer, state):
    rt.hooks.register(Register(answer), name="register")
    customer = make.make_customer(rt)

    assert tax_ids.save_tax_id(rt, customer.id, "fr40303265045", "FR") == state
    row = only(rt, Customer)
    assert (row.tax_id, row.tax_id_state) == (FIRM, state)


def test_a_pending_number_is_asked_for_once_a_day_until_there_is_an_answer(rt, clock):
    customer = make.make_customer(rt)
    tax_ids.save_tax_id(rt, customer.id, FIRM, "FR")
    assert tax_ids.look_up_pending(rt) == {}
    register = Register("unreachable")
    rt.hooks.register(register, name="register")
    clock.advance(days=1)
    assert tax_ids.look_up_pending(rt)["pending"] == 1
    assert tax_ids.look_up_pending(rt)["pending"] == 0
    register.answer = "valid"
    clock.advance(days=1)
    assert tax_ids.look_up_pending(rt)["valid"] == 1

    assert only(rt, Customer).tax_id_state == "valid"
    assert register.asked == [FIRM, FIRM]


def test_staff_judge_a_number_by_hand_and_the_log_says_so(rt, who):
    customer = make.make_customer(rt, tax_id=FIRM, tax_id_state="pending")
    judge = tax_ids.judge_tax_id

    assert not judge(rt, who, customer.public_id, "ATU37675002", is_valid=True)
    assert judge(rt, who, customer.public_id, FIRM, is_valid=True)
    assert not judge(rt, who, customer.public_id, FIRM, is_valid=True)
    assert only(rt, Customer).tax_id_state == "valid"
    assert logged(rt) == ["tax_id.confirmed"]
    with pytest.raises(LookupError):
        judge(rt, who, "cus_nobody", FIRM, is_valid=True)


def test_staff_exempt_a_customer_and_the_log_says_so(rt, who):
    customer = make.make_customer(rt)

    assert tax_ids.set_exempt(rt, who, customer.public_id, is_exempt=True)
    assert not tax_ids.set_exempt(rt, who, customer.public_id, is_exempt=True)
    assert only(rt, Customer).is_tax_exempt
    assert logged(rt) == ["customer.exempt"]


# --------------------------------------------------------------------------------- providers


class Provider:
    def __init__(self, rate="9.75"):
        self.rate, self.asked = rate, []

    @hookimpl
    def quote_tax(self, question):
        self.asked.append(question)
        return TaxAnswer(Decimal(self.rate), "sample-tax")


def test_a_providers_rate_is_charged_and_named_on_the_invoice(rt, clock, demo_gateway):
    provider = Provider()
    rt.hooks.register(provider, name="sample-tax")
    key = begin(rt, make.make_plan(rt))
    tax_desk.prepare_checkout(rt, key)
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    renew(rt, clock)
    first, second = invoices(rt)

    assert (rates(rt, first), rates(rt, second)) == ([975], [975])
    assert {each.snapshot["tax"]["source"] for each in (first, second)} == {"sample-tax"}
    asked = provider.asked[-1]
    assert (asked.place.country, asked.place.postcode, asked.on) == (
        "DE",
        "07743",
        date(2027, 4, 12),
    )


@pytest.mark.parametrize("rate", ["-1", "101"])
def test_a_rate_that_cannot_be_falls_back_to_the_table_and_says_so(rt, clock, caplog, rate):
    make.make_subscription(rt)
    rt.hooks.register(Provider(rate), name="sample-tax")
    renew(rt, clock)
    invoice = invoices(rt)[-1]

    assert (rates(rt, invoice), invoice.snapshot["tax"]["source"]) == ([1900], "fallback")
    assert "no tax provider answered for DE" in caplog.text


def test_a_provider_that_takes_too_long_is_not_waited_for(rt, clock, monkeypatch):
    release = threading.Event()

    class Slow:
        @hookimpl
        def quote_tax(self, question):
            release.wait(20)

    make.make_subscription(rt)
    rt.hooks.register(Slow(), name="slow")
    monkeypatch.setattr(tax_desk, "SECONDS", 0.05)
    try:
        assert renew(rt, clock).billed == 1
    finally:
        release.set()
    assert invoices(rt)[-1].snapshot["tax"]["source"] == "fallback"


def test_no_transaction_is_open_while_a_provider_thinks(rt, clock, demo_gateway):
    seen = []

    class Looks:
        @hookimpl
        def quote_tax(self, question):
            seen.append(rt_session.in_transaction())
            return TaxAnswer(Decimal(7), "looks")

    rt_session = rt.session()
    key = begin(rt, make.make_plan(rt))
    rt.hooks.register(Looks(), name="looks")
    tax_desk.prepare_checkout(rt, key)
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    renew(rt, clock)

    assert seen
    assert not any(seen)


# ---------------------------------------------------------------------------------- rounding


def test_rounding_by_line_is_read_by_everything_that_prices(rt, clock, who):
    plan = make.make_plan(rt, amount_minor=None)
    make.make_price(rt, plan, amount_minor=33, tax_inclusive=False)
    make.make_options(rt, plan, code="milk", choices=[("oat", "Oat", 33)])
    subscription = make.make_subscription(rt, plan=plan, options={"milk": "oat"})
    assert taxes.set_rounding(rt, who, "line")
    assert not taxes.set_rounding(rt, who, "line")
    renew(rt, clock)
    by_sum, by_line = invoices(rt)

    assert (by_sum.tax_minor, by_line.tax_minor) == (13, 12)
    assert subscription.public_id
    with pytest.raises(ValueError, match="rounding"):
        taxes.set_rounding(rt, who, "bankers")
