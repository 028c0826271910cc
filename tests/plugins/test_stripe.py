"""The Stripe gateway beyond the contract: what it sends, understands and refuses."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from storefront.adapters.http import ServiceHttp
from storefront.hooks import (
    AnswerStatus,
    CancelAnswer,
    DeclineKind,
    DisputeState,
    Money,
    decline_kind,
)
from storefront.testing.gateway_orders import order, present, refund_of, setup_order
from storefront_stripe.amounts import from_stripe, to_stripe
from storefront_stripe.declines import MEANINGS, read_decline
from storefront_stripe.gateway import StripeGateway
from storefront_stripe.setups import SetupChoices
from tests.emulators.stripe import (
    ACCOUNT,
    SECRET_KEY,
    running,
)
from tests.support.stripe import StripeRig, gateway_over, rig, stored, type_card

_S = AnswerStatus


@pytest.fixture
def stripe() -> Iterator[StripeRig]:
    with rig() as made:
        yield made


def sent(stripe: StripeRig, path: str) -> dict[str, object]:
    """Return the last call to ``path``."""
    return next(call for call in reversed(stripe.emulator.calls) if call["path"] == path)


# ------------------------------------------------------------------------------- what is sent


def test_a_renewal_says_that_nobody_is_there_and_carries_our_references(stripe: StripeRig):
    method = stripe.method("good")
    asked = replace(stripe.order(method), descriptor="Nine Kettles GmbH")
    stripe.gateway.charge(asked)

    call = sent(stripe, "/v1/payment_intents")
    assert call["key"] == asked.reference
    assert call["fields"] == {
        "amount": "2340",
        "currency": "eur",
        "customer": method.gateway_customer,
        "payment_method": method.token,
        "confirm": "true",
        "off_session": "true",
        "description": "Nine Kettles",
        "metadata[storefront_attempt]": asked.reference,
        "metadata[storefront_invoice]": asked.invoice,
        "statement_descriptor_suffix": "Nine",
    }


def test_no_call_names_kinds_of_method_in_the_old_way_nor_tells_of_this_machine(
    stripe: StripeRig,
):
    asked = stripe.present(stripe.method("confirm"))
    stripe.gateway.charge(asked)

    for call in stripe.emulator.calls:
        assert not [name for name in call["fields"] if name.startswith("payment_method_types")]
        assert not {"x-stripe-client-user-agent", "x-stripe-client-telemetry"} & set(
            call["headers"]
        )
        assert call["headers"]["stripe-version"]


def test_a_failed_call_is_not_tried_again_by_itself(stripe: StripeRig):
    method = stripe.method("good")
    stripe.emulator.faults[method.token] = ["429", "429", "429"]
    before = len(stripe.emulator.calls)

    answer = stripe.gateway.charge(stripe.order(method))

    assert (answer.status, answer.reason) == (_S.UNKNOWN, "rate_limited")
    assert answer.retry_after == 7
    assert len(stripe.emulator.calls) == before + 1


def test_a_known_customer_is_used_again_and_one_who_is_gone_is_made_anew(stripe: StripeRig):
    first = stripe.method("good")
    for customer, expected in (
        (first.gateway_customer, first.gateway_customer),
        ("cus_deleted1", None),
    ):
        asked = replace(setup_order(), gateway_customer=customer)
        start = stripe.gateway.begin_setup(asked)
        type_card(stripe.emulator, start, "pm_card_visa")
        answer = stripe.gateway.finish_setup(asked.reference, {}, start.gateway_reference)
        assert answer.method is not None
        assert answer.method.gateway_customer.startswith("cus_0")
        assert answer.method.gateway_customer == (expected or answer.method.gateway_customer)


def test_a_charge_without_a_known_customer_finds_the_owner_of_the_card(stripe: StripeRig):
    asked = replace(stripe.order(stripe.method("good")), gateway_customer="")

    assert stripe.gateway.charge(asked).status is _S.SUCCEEDED
    assert stripe.gateway.charge(asked).status is _S.SUCCEEDED
    assert stripe.executed(asked.reference) == 1


def test_the_merchant_can_ask_for_3d_secure_and_leave_the_kinds_to_the_dashboard():
    with rig(SetupChoices("element", methods=(), three_d_secure="any")) as made:
        made.gateway.begin_setup(setup_order())
        fields = sent(made, "/v1/setup_intents")["fields"]
    assert fields["payment_method_options[card][request_three_d_secure]"] == "any"
    assert not [name for name in fields if "types" in name]


# ------------------------------------------------------------------------- what is understood


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ({"decline_code": "insufficient_funds"}, ("soft", "insufficient_funds")),
        ({"decline_code": "lost_card"}, ("hard", "lost_card")),
        ({"decline_code": "expired_card"}, ("ask", "expired_card")),
        ({"decline_code": "new_in_2027"}, ("ask", "new_in_2027")),
        (
            {"decline_code": "generic_decline", "advice_code": "do_not_try_again"},
            ("hard", "advice:do_not_try_again"),
        ),
        (
            {"decline_code": "generic_decline", "network_decline_code": "R1"},
            ("hard", "network:R1"),
        ),
        (
            {"decline_code": "generic_decline", "network_decline_code": "51"},
            ("soft", "generic_decline"),
        ),
        # Mastercard's advice on a Visa card means nothing to us.
        (
            {"decline_code": "generic_decline", "network_advice_code": "03"},
            ("soft", "generic_decline"),
        ),
    ],
)
def test_a_decline_means_what_the_strictest_known_code_says(
    stripe: StripeRig, codes: dict[str, str], expected: tuple[str, str]
):
    method = stripe.method("good")
    stripe.emulator.books.bank[method.token] = codes
    asked = stripe.order(method)

    answer = stripe.gateway.charge(asked)

    assert (answer.status, answer.network) == (_S.DECLINED, "visa")
    assert (answer.decline, answer.code) == expected
    assert answer.reason == codes["decline_code"]
    assert stripe.gateway.lookup(asked.reference) == answer


@pytest.mark.parametrize("advice", ["03", "21"])
def test_mastercards_never_again_is_never_again(advice: str):
    error = {
        "decline_code": "generic_decline",
        "network_advice_code": advice,
        "payment_method": {"card": {"brand": "mastercard"}},
    }
    kind, _, network, code = read_decline(error)
    assert (kind, network, code) == (DeclineKind.HARD, "mastercard", f"network_advice:{advice}")
    assert decline_kind(MEANINGS, network, code) is DeclineKind.HARD


def test_every_never_again_of_visa_and_of_the_thieves_is_in_the_table():
    for code in ("04", "07", "12", "14", "15", "41", "43", "46", "57", "R0", "R1", "R3"):
        assert MEANINGS["visa", f"network:{code}"] is DeclineKind.HARD
    for code in (
        "lost_card",
        "stolen_card",
        "pickup_card",
        "revocation_of_authorization",
        "revocation_of_all_authorizations",
        "stop_payment_order",
    ):
        assert MEANINGS["", code] is DeclineKind.HARD


def test_authentication_off_session_is_a_question_and_can_be_cancelled_and_asked_anew(
    stripe: StripeRig,
):
    method = stripe.method("confirm")
    asked = stripe.order(method)
    answer = stripe.gateway.charge(asked)

    assert (answer.status, answer.decline) == (_S.ACTION_REQUIRED, None)
    assert answer.reason == "authentication_required"
    assert stripe.gateway.cancel(asked.reference, answer.gateway_reference) is (
        CancelAnswer.CANCELLED
    )
    again = present(method.token)
    opened = stripe.gateway.charge(replace(again, gateway_customer=method.gateway_customer))
    assert opened.action_url == f"http://shop.test/x/stripe/confirm/{opened.gateway_reference}"
    stripe.confirm(opened, True)
    assert stripe.executed(again.reference) == 1


def test_search_that_lags_is_made_up_for_by_the_newest_of_the_list(stripe: StripeRig):
    stripe.emulator.search_lag = timedelta(hours=1)
    asked = stripe.order(stripe.method("good"))
    stripe.lose_next_answer(asked.token)
    assert stripe.gateway.charge(asked).status is _S.UNKNOWN

    found = stripe.gateway.lookup(asked.reference)

    assert found is not None
    assert found.status is _S.SUCCEEDED


def test_a_charge_that_stripe_broke_off_half_way_is_ended_so_that_another_can_be_tried():
    times = [datetime(2027, 3, 2, tzinfo=UTC)]
    with running(lambda: times[0]) as emulator, gateway_over(emulator) as gateway:
        method = stored(gateway, emulator, "pm_card_visa")
        asked = order(method.token, gateway_customer=method.gateway_customer)
        emulator.faults[method.token] = ["half"]
        assert gateway.charge(asked).status is _S.UNKNOWN
        early = gateway.lookup(asked.reference)
        times[0] += timedelta(minutes=11)
        late = gateway.lookup(asked.reference)

        assert early is not None
        assert late is not None
        assert (early.status, late.status, late.reason) == (_S.UNKNOWN, _S.DECLINED, "cancelled")
        assert gateway.cancel(asked.reference) is CancelAnswer.CANCELLED
        assert emulator.executed(asked.reference) == 0


@pytest.mark.parametrize("page", ["element", "checkout"])
def test_a_set_up_begun_again_after_a_change_of_mind_has_the_new_details(page: str):
    with rig(SetupChoices(page)) as made:
        first = replace(setup_order(), email="ada@example.org", locale="en")
        changed = replace(first, email="ada@example.net", locale="de")
        begun = [made.gateway.begin_setup(each) for each in (first, changed, changed, first)]
        assert begun[1] == begun[2] != begun[0] == begun[3]

        type_card(made.emulator, begun[1], "pm_card_visa")
        answer = made.gateway.finish_setup(first.reference, {}, begun[1].gateway_reference)

        assert answer.method is not None
        owner = made.emulator.books.get("customer", answer.method.gateway_customer)
        assert owner["email"] == "ada@example.net"


@pytest.mark.parametrize(("fault", "reason"), [("500", "no_sense"), ("409", "key_in_use")])
def test_a_broken_or_busy_answer_is_unknown(stripe: StripeRig, fault: str, reason: str):
    method = stripe.method("good")
    stripe.emulator.faults[method.token] = [fault]
    answer = stripe.gateway.charge(stripe.order(method))
    assert (answer.status, answer.reason) == (_S.UNKNOWN, reason)


def test_a_revoked_key_says_so(stripe: StripeRig):
    asked = stripe.order(stripe.method("good"))
    stripe.emulator.is_revoked = True
    answer = stripe.gateway.charge(asked)
    assert (answer.status, answer.reason) == (_S.UNKNOWN, "unauthorized")


def test_nobody_there_is_surely_not_sent(stripe: StripeRig):
    method = stripe.method("good")
    http = ServiceHttp("http://127.0.0.1:9", read_seconds=1)
    from storefront_stripe.api import StripeApi

    dead = StripeGateway(
        StripeApi(SECRET_KEY, "http://127.0.0.1:9", http),
        account=ACCOUNT,
        is_live=False,
        webhook_secrets=(),
        page="{}/{}".format,
        now=stripe.emulator.now,
        choices=SetupChoices(),
    )
    answer = dead.charge(stripe.order(method))
    http.close()
    assert (answer.status, answer.reason) == (_S.UNKNOWN, "not_sent")


def test_the_key_of_other_parameters_is_named(stripe: StripeRig):
    asked = stripe.order(stripe.method("good"))
    stripe.gateway.charge(asked)
    other = replace(asked, amount=Money(1, "USD") + Money(98, "USD"))
    assert stripe.gateway.charge(other).reason == "key_reused"


def test_other_kinds_of_method_are_called_by_our_words(stripe: StripeRig):
    method = stripe.method("good")
    found = stripe.emulator.books.get("payment_method", method.token)
    found.update(type="sepa_debit", sepa_debit={"last4": "3000", "fingerprint": "fp_iban"})

    read = stripe.gateway.read_method(method.token)

    assert read is not None
    assert (read.kind, read.label, read.fingerprint) == ("bank", "•••• 3000", "fp_iban")
    with gateway_over(stripe.emulator, SetupChoices(methods=("card", "sepa_debit"))) as wider:
        assert wider.capabilities.kinds == ("card", "bank")


def test_sums_that_stripe_has_not_are_refused_before_anything_is_sent(stripe: StripeRig):
    method = stripe.method("good")
    before = len(stripe.emulator.calls)
    answer = stripe.gateway.charge(stripe.order(method, 12345, "KWD"))
    assert (answer.status, answer.decline) == (_S.DECLINED, DeclineKind.ASK)
    assert len(stripe.emulator.calls) == before


@pytest.mark.parametrize(
    ("minor", "currency", "theirs"),
    [
        (2340, "EUR", 2340),
        (1200, "JPY", 1200),
        (12340, "KWD", 12340),
        (500, "ISK", 50000),
        (300, "MGA", 3),
        (700, "UGX", 70000),
    ],
)
def test_amounts_go_there_and_back_exactly(minor: int, currency: str, theirs: int):
    assert to_stripe(Money(minor, currency)) == theirs
    assert from_stripe(theirs, currency.lower()) == Money(minor, currency)


def test_an_inquiry_takes_nothing_and_a_dispute_names_fee_and_day(stripe: StripeRig):
    asked = stripe.order(stripe.method("good"))
    answer = stripe.gateway.charge(asked)
    stripe.emulator.books.dispute(answer.gateway_reference, "warning_needs_response")
    stripe.emulator.books.dispute(answer.gateway_reference)

    taken, inquiry = stripe.gateway.disputes(asked.reference, answer.gateway_reference)

    assert (inquiry.state, inquiry.amount, inquiry.fee) == (
        DisputeState.OPEN,
        Money(0, "EUR"),
        None,
    )
    assert (taken.amount, taken.fee) == (asked.amount, Money(1500, "EUR"))
    assert taken.answer_by is not None
    assert taken.answer_by > taken.opened_at


def test_a_refund_may_wait_or_fail(stripe: StripeRig):
    for card, status in (("pendingRefund", _S.PENDING), ("refundFail", _S.DECLINED)):
        method = stored(stripe.gateway, stripe.emulator, f"pm_card_{card}")
        asked = stripe.order(method)
        back = refund_of(asked, stripe.gateway.charge(asked), 300)
        answer = stripe.gateway.refund(back)
        assert answer.status is status
        charged = stripe.gateway.lookup(asked.reference)
        assert charged is not None
        assert stripe.gateway.lookup_refund(back.reference, "", charged.gateway_reference) == answer


def test_the_list_goes_over_many_pages_and_hours_and_leaves_out_what_is_not_ours():
    hour = timedelta(hours=1)
    times = [datetime(2027, 3, 2, tzinfo=UTC)]
    with running(lambda: times[0]) as emulator, gateway_over(emulator) as gateway:
        began = times[0]
        method = stored(gateway, emulator, "pm_card_visa")
        for _ in range(3):
            for _one in range(45):
                gateway.charge(order(method.token, gateway_customer=method.gateway_customer))
            times[0] += 5 * hour
        foreign = emulator.books.all("charge")[7]
        foreign["metadata"] = {}

        listed = list(gateway.list_charges(began))
        late = list(gateway.list_charges(began + 5 * hour))

    assert len(listed) == 3 * 45 - 1
    assert [each.created_at for each in listed] == sorted(each.created_at for each in listed)
    assert len({each.reference for each in listed}) == len(listed)
    assert len(late) == 2 * 45
