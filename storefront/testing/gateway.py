"""The contract suite every payment gateway must pass.

A plugin author subclasses ``GatewayContract`` in a test module and gives a fixture ``rig`` that
returns a ``GatewayRig``: the gateway, and a way to play the customer and the bank behind it.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from storefront.hooks import (
    AnswerStatus,
    CancelAnswer,
    ChargeAnswer,
    ChargeOrder,
    ChargeRecord,
    DeclineKind,
    DisputeState,
    EventAbout,
    Gateway,
    Money,
    SetupStart,
    VaultedMethod,
    WebhookError,
)
from storefront.testing.gateway_orders import Kind, order, refund_of, setup_order

_S = AnswerStatus


class GatewayRig(ABC):
    """A gateway with a hand on the other side of it. One rig per test."""

    gateway: Gateway
    #: What the cases are charged in, and sums of other decimals if the gateway takes them.
    currency = "EUR"
    amounts: Sequence[tuple[int, str]] = ((2340, "EUR"), (1200, "JPY"), (12345, "KWD"))

    @abstractmethod
    def method(self, kind: Kind) -> VaultedMethod:
        """Return a stored method that approves, declines softly or for ever, or has to be
        confirmed by the customer.
        """

    def order(self, method: VaultedMethod, minor: int = 2340, currency: str = "") -> ChargeOrder:
        """Return a renewal's order over the method, in the rig's currency unless told."""
        return order(
            method.token,
            minor,
            currency or self.currency,
            gateway_customer=method.gateway_customer,
            agreement=method.agreement,
        )

    def present(self, method: VaultedMethod) -> ChargeOrder:
        """Return an order whose customer is there."""
        asked = self.order(method)
        return replace(asked, on_session=True, return_url="http://shop.test/back")

    @abstractmethod
    def choose(self, start: SetupStart, kind: Kind) -> None:
        """Play the customer who takes a card at a set-up."""

    @abstractmethod
    def confirm(self, answer: ChargeAnswer, is_confirmed: bool) -> None:
        """Play the customer who answers their bank."""

    @abstractmethod
    def lose_next_answer(self, token: str) -> None:
        """Have the next charge of ``token`` executed and its answer lost."""

    @abstractmethod
    def ignore_next_charge(self, token: str) -> None:
        """Have the next charge of ``token`` neither executed nor answered."""

    @abstractmethod
    def set_down(self, is_down: bool) -> None:
        """Switch the whole gateway off or on."""

    @abstractmethod
    def executed(self, reference: str) -> int:
        """Return how often money really moved for ``reference``."""

    @abstractmethod
    def dispute(self, asked: ChargeOrder, answer: ChargeAnswer) -> None:
        """Have the customer's bank take a successful charge back."""

    @abstractmethod
    def decide(self, asked: ChargeOrder, answer: ChargeAnswer, is_won: bool) -> None:
        """Have the bank decide the dispute of a charge for the merchant, or against."""

    @abstractmethod
    def message(self, asked: ChargeOrder, answer: ChargeAnswer) -> tuple[dict[str, str], bytes]:
        """Return headers and body of a genuine message about a charge, signed now."""


class GatewayContract:
    """Subclass it as ``Test…`` and give a fixture ``rig``."""

    # --------------------------------------------------------------------- what it says of itself

    def test_it_is_a_gateway(self, rig: GatewayRig) -> None:
        assert isinstance(rig.gateway, Gateway)
        assert rig.gateway.name
        assert rig.gateway.account

    def test_its_capabilities_are_usable(self, rig: GatewayRig) -> None:
        can = rig.gateway.capabilities
        assert can.max_in_flight >= 1
        assert can.per_second is None or can.per_second > 0
        windows = (can.key_window_seconds, can.lookup_settle_seconds, can.duplicate_window_seconds)
        assert min(*windows, can.minimum_notice_seconds) >= 0
        assert all(minor > 0 for minor in can.minimums.values())
        assert can.has_lookup, "without look-up no automatic renewals"

    def test_its_sources_are_directives(self, rig: GatewayRig) -> None:
        for directive, sources in rig.gateway.csp_sources().items():
            assert directive.endswith("-src") or directive == "form-action"
            assert not isinstance(sources, str)
            assert all("'" not in source and ";" not in source for source in sources)

    # -------------------------------------------------------------------------------- set-up

    def test_a_set_up_says_where_to_go_on(self, rig: GatewayRig) -> None:
        start = rig.gateway.begin_setup(setup_order())
        if rig.gateway.capabilities.mode == "redirect":
            assert start.redirect_url
        else:
            assert start.fields

    def test_a_set_up_that_is_not_finished_waits(self, rig: GatewayRig) -> None:
        asked = setup_order()
        rig.gateway.begin_setup(asked)
        answer = rig.gateway.finish_setup(asked.reference, {})
        assert (answer.status, answer.method) == (_S.ACTION_REQUIRED, None)

    def test_a_finished_set_up_gives_a_method_that_can_be_charged(self, rig: GatewayRig) -> None:
        method = _stored(rig)
        assert method.kind in rig.gateway.capabilities.kinds
        assert len(method.last4) == 4 if method.kind == "card" else method.label
        assert method.fingerprint
        assert rig.gateway.charge(rig.order(method)).status is _S.SUCCEEDED

    def test_a_set_up_whose_answer_was_lost_is_found_by_our_reference(
        self, rig: GatewayRig
    ) -> None:
        asked = setup_order()
        rig.choose(rig.gateway.begin_setup(asked), "good")
        assert rig.gateway.finish_setup(asked.reference, {}, "").status is _S.SUCCEEDED

    def test_a_stored_method_can_be_read_again(self, rig: GatewayRig) -> None:
        method = _stored(rig)
        assert rig.gateway.read_method(method.token, method.gateway_customer) == method
        assert rig.gateway.read_method("nobodys_token") is None

    def test_a_finished_set_up_answers_the_same_again(self, rig: GatewayRig) -> None:
        asked = setup_order()
        rig.choose(rig.gateway.begin_setup(asked), "good")
        first = rig.gateway.finish_setup(asked.reference, {})
        assert rig.gateway.finish_setup(asked.reference, {}) == first

    def test_the_same_set_up_twice_is_one(self, rig: GatewayRig) -> None:
        asked = setup_order()
        first, second = rig.gateway.begin_setup(asked), rig.gateway.begin_setup(asked)
        assert second == first

    def test_a_declined_set_up_stores_nothing(self, rig: GatewayRig) -> None:
        asked = setup_order()
        rig.choose(rig.gateway.begin_setup(asked), "hard")
        answer = rig.gateway.finish_setup(asked.reference, {})
        assert (answer.status, answer.method) == (_S.DECLINED, None)
        assert answer.decline is not None
        assert answer.reason

    def test_what_the_customer_writes_into_the_address_finishes_nothing(
        self, rig: GatewayRig
    ) -> None:
        asked = setup_order()
        rig.gateway.begin_setup(asked)
        forged = {"status": "succeeded", "redirect_status": "succeeded", "token": "demo_4242_x"}
        assert rig.gateway.finish_setup(asked.reference, forged).status is not _S.SUCCEEDED

    def test_a_set_up_nobody_began_is_unknown(self, rig: GatewayRig) -> None:
        assert rig.gateway.finish_setup("set_nobody", {}).status is _S.UNKNOWN

    # ------------------------------------------------------------------------------- charges

    def test_a_charge_takes_exactly_what_was_asked(self, rig: GatewayRig) -> None:
        for minor, currency in rig.amounts:
            asked = rig.order(rig.method("good"), minor, currency)
            answer = rig.gateway.charge(asked)
            assert (answer.status, answer.amount) == (_S.SUCCEEDED, Money(minor, currency))
            assert answer.gateway_reference
            assert answer.decline is None
            assert rig.executed(asked.reference) == 1

    def test_the_same_reference_again_is_the_same_charge(self, rig: GatewayRig) -> None:
        asked = rig.order(rig.method("good"))
        assert rig.gateway.charge(asked) == rig.gateway.charge(asked)
        assert rig.executed(asked.reference) == 1

    def test_the_same_reference_from_eight_threads_is_one_charge(self, rig: GatewayRig) -> None:
        asked, ready = rig.order(rig.method("good")), threading.Barrier(8)

        def charge(_: int) -> AnswerStatus:
            ready.wait()
            return rig.gateway.charge(asked).status

        with ThreadPoolExecutor(8) as pool:
            answers = set(pool.map(charge, range(8)))
        assert answers <= {_S.SUCCEEDED, _S.UNKNOWN}
        assert rig.executed(asked.reference) == 1

    def test_the_same_reference_for_another_amount_takes_nothing(self, rig: GatewayRig) -> None:
        asked = rig.order(rig.method("good"))
        rig.gateway.charge(asked)
        other = replace(asked, amount=Money(9900, rig.currency))
        assert rig.gateway.charge(other).status is _S.UNKNOWN
        assert rig.executed(asked.reference) == 1

    @pytest.mark.parametrize(("kind", "expected"), [("soft", "soft"), ("hard", "hard")])
    def test_a_decline_is_an_answer_with_kind_and_reason(
        self, rig: GatewayRig, kind: Kind, expected: str
    ) -> None:
        asked = rig.order(rig.method(kind))
        answer = rig.gateway.charge(asked)
        assert (answer.status, answer.decline) == (_S.DECLINED, DeclineKind(expected))
        assert answer.reason
        assert answer.amount is None
        assert rig.executed(asked.reference) == 0

    def test_a_decline_repeated_is_the_same_decline(self, rig: GatewayRig) -> None:
        asked = rig.order(rig.method("soft"))
        assert rig.gateway.charge(asked) == rig.gateway.charge(asked)

    def test_a_charge_that_needs_the_customer_takes_nothing_yet(self, rig: GatewayRig) -> None:
        asked = rig.order(rig.method("confirm"))
        answer = rig.gateway.charge(asked)
        assert (answer.status, answer.action_url) == (_S.ACTION_REQUIRED, None)
        assert rig.executed(asked.reference) == 0

    def test_a_confirmed_charge_succeeds_once(self, rig: GatewayRig) -> None:
        asked = rig.present(rig.method("confirm"))
        answer = rig.gateway.charge(asked)
        assert answer.status is _S.ACTION_REQUIRED
        assert answer.action_url
        rig.confirm(answer, True)
        rig.confirm(answer, True)
        assert _status(rig, asked) is _S.SUCCEEDED
        assert rig.executed(asked.reference) == 1

    def test_a_refused_confirmation_is_a_decline(self, rig: GatewayRig) -> None:
        asked = rig.present(rig.method("confirm"))
        rig.confirm(rig.gateway.charge(asked), False)
        assert _status(rig, asked) is _S.DECLINED
        assert rig.executed(asked.reference) == 0

    def test_a_method_nobody_stored_is_declined_for_ever(self, rig: GatewayRig) -> None:
        nobodys = replace(rig.method("good"), token="nobodys_token")  # noqa: S106
        answer = rig.gateway.charge(rig.order(nobodys))
        assert (answer.status, answer.decline) == (_S.DECLINED, DeclineKind.HARD)

    # ---------------------------------------------------------------- lost answers and look-up

    def test_a_lost_answer_is_unknown_and_look_up_finds_the_charge(self, rig: GatewayRig) -> None:
        asked = rig.order(rig.method("good"))
        rig.lose_next_answer(asked.token)
        assert rig.gateway.charge(asked).status is _S.UNKNOWN
        found = rig.gateway.lookup(asked.reference)
        assert found is not None
        assert (found.status, found.amount) == (_S.SUCCEEDED, asked.amount)
        assert rig.executed(asked.reference) == 1

    def test_a_lost_answer_asked_again_is_one_charge(self, rig: GatewayRig) -> None:
        asked = rig.order(rig.method("good"))
        rig.lose_next_answer(asked.token)
        rig.gateway.charge(asked)
        assert rig.gateway.charge(asked).status is _S.SUCCEEDED
        assert rig.executed(asked.reference) == 1

    def test_a_charge_that_never_arrived_is_unknown_then_not_there(self, rig: GatewayRig) -> None:
        asked = rig.order(rig.method("good"))
        rig.ignore_next_charge(asked.token)
        assert rig.gateway.charge(asked).status is _S.UNKNOWN
        assert rig.gateway.lookup(asked.reference) is None
        assert rig.gateway.charge(asked).status is _S.SUCCEEDED
        assert rig.executed(asked.reference) == 1

    def test_a_gateway_that_is_down_answers_unknown_to_everything(self, rig: GatewayRig) -> None:
        asked = rig.order(rig.method("good"))
        answer = rig.gateway.charge(asked)
        rig.set_down(True)
        fresh = replace(asked, reference=f"{asked.reference}_fresh")
        assert rig.gateway.charge(fresh).status is _S.UNKNOWN
        looked_up = rig.gateway.lookup(asked.reference)
        assert looked_up is not None, "a failed look-up is not 'nothing there'"
        assert looked_up.status is _S.UNKNOWN
        assert rig.gateway.cancel(asked.reference) is CancelAnswer.UNKNOWN
        assert rig.gateway.refund(refund_of(asked, answer, 100)).status is _S.UNKNOWN
        rig.set_down(False)
        assert _status(rig, asked) is _S.SUCCEEDED

    def test_look_up_of_nothing_is_none(self, rig: GatewayRig) -> None:
        assert rig.gateway.lookup("att_nobody") is None
        assert rig.gateway.lookup_refund("ref_nobody") is None

    # ------------------------------------------------------------------------------ cancelling

    def test_a_cancelled_charge_can_never_succeed(self, rig: GatewayRig) -> None:
        asked = rig.present(rig.method("confirm"))
        answer = rig.gateway.charge(asked)
        assert rig.gateway.cancel(asked.reference) is CancelAnswer.CANCELLED
        rig.confirm(answer, True)
        assert rig.gateway.cancel(asked.reference) is CancelAnswer.CANCELLED
        assert rig.executed(asked.reference) == 0

    def test_cancelling_too_late_says_that_money_was_taken(self, rig: GatewayRig) -> None:
        asked = rig.order(rig.method("good"))
        rig.gateway.charge(asked)
        assert rig.gateway.cancel(asked.reference) is CancelAnswer.SUCCEEDED
        assert _status(rig, asked) is _S.SUCCEEDED

    def test_cancelling_what_is_not_there_is_unknown(self, rig: GatewayRig) -> None:
        assert rig.gateway.cancel("att_nobody") is CancelAnswer.UNKNOWN

    # -------------------------------------------------------------------------------- refunds

    def test_refunds_never_exceed_the_charge(self, rig: GatewayRig) -> None:
        asked = rig.order(rig.method("good"), 1000)
        answer = rig.gateway.charge(asked)
        assert rig.gateway.refund(refund_of(asked, answer, 400)).status is _S.SUCCEEDED
        too_much = refund_of(asked, answer, 601)
        assert rig.gateway.refund(too_much).status is _S.DECLINED
        assert rig.gateway.refund(refund_of(asked, answer, 600)).status is _S.SUCCEEDED
        assert _record(rig, asked).refunded == Money(1000, rig.currency)

    def test_the_same_refund_twice_is_one(self, rig: GatewayRig) -> None:
        asked = rig.order(rig.method("good"), 1000)
        back = refund_of(asked, rig.gateway.charge(asked), 400)
        assert rig.gateway.refund(back) == rig.gateway.refund(back)
        assert rig.gateway.lookup_refund(back.reference) == rig.gateway.refund(back)
        assert _record(rig, asked).refunded == Money(400, rig.currency)

    def test_a_declined_charge_cannot_be_refunded(self, rig: GatewayRig) -> None:
        asked = rig.order(rig.method("soft"))
        answer = rig.gateway.charge(asked)
        assert rig.gateway.refund(refund_of(asked, answer, 100)).status is _S.DECLINED

    # ------------------------------------------------------------------------------- disputes

    def test_a_charge_nobody_disputes_has_no_dispute(self, rig: GatewayRig) -> None:
        asked = rig.order(rig.method("good"))
        answer = rig.gateway.charge(asked)
        assert list(rig.gateway.disputes(asked.reference, answer.gateway_reference)) == []

    @pytest.mark.parametrize("is_won", [True, False])
    def test_a_dispute_says_its_charge_its_sum_and_how_it_ended(
        self, rig: GatewayRig, is_won: bool
    ) -> None:
        asked = rig.order(rig.method("good"), 2000)
        answer = rig.gateway.charge(asked)
        rig.dispute(asked, answer)
        [opened] = rig.gateway.disputes(asked.reference, answer.gateway_reference)
        assert (opened.state, opened.amount) == (DisputeState.OPEN, asked.amount)
        assert asked.reference == opened.charge_reference or (
            answer.gateway_reference == opened.charge_gateway_reference
        )
        assert opened.gateway_reference
        rig.decide(asked, answer, is_won)
        [decided] = rig.gateway.disputes(asked.reference, answer.gateway_reference)
        assert decided.gateway_reference == opened.gateway_reference
        assert decided.state is (DisputeState.WON if is_won else DisputeState.LOST)

    # ---------------------------------------------------------- methods, lists, messages coming in

    def test_a_forgotten_method_cannot_be_charged(self, rig: GatewayRig) -> None:
        method = rig.method("good")
        assert rig.gateway.detach(method.token)
        assert rig.gateway.detach(method.token), "forgotten before is forgotten too"
        answer = rig.gateway.charge(rig.order(method))
        assert (answer.status, answer.decline) == (_S.DECLINED, DeclineKind.HARD)

    def test_the_list_has_what_took_money_and_nothing_else(self, rig: GatewayRig) -> None:
        since = datetime.now(UTC) - timedelta(minutes=5)
        paid, declined = rig.order(rig.method("good")), rig.order(rig.method("soft"))
        rig.gateway.charge(paid)
        rig.gateway.charge(declined)
        listed = {record.reference: record for record in rig.gateway.list_charges(since)}
        assert listed[paid.reference].amount == paid.amount
        assert listed[paid.reference].status is _S.SUCCEEDED
        assert declined.reference not in listed

    def test_the_list_begins_where_it_is_told(self, rig: GatewayRig) -> None:
        rig.gateway.charge(rig.order(rig.method("good")))
        later = datetime.now(UTC) + timedelta(hours=1)
        assert list(rig.gateway.list_charges(later)) == []

    def test_a_message_says_what_it_is_about(self, rig: GatewayRig) -> None:
        asked = rig.order(rig.method("good"))
        answer = rig.gateway.charge(asked)
        event = rig.gateway.parse_webhook(*rig.message(asked, answer))
        assert event.about is EventAbout.CHARGE
        assert event.id
        assert asked.reference == event.reference or (
            answer.gateway_reference == event.gateway_reference
        )

    def test_a_message_changed_on_its_way_is_refused(self, rig: GatewayRig) -> None:
        asked = rig.order(rig.method("good"))
        headers, raw = rig.message(asked, rig.gateway.charge(asked))
        with pytest.raises(WebhookError):
            rig.gateway.parse_webhook(headers, raw + b" ")

    @pytest.mark.parametrize(
        ("headers", "raw"),
        [({}, b"{}"), ({"demo-signature": "t=1,v1=00"}, b"{}"), ({"x": "y"}, b"\xff\x00 no json")],
    )
    def test_a_forged_message_is_refused(
        self, rig: GatewayRig, headers: dict[str, str], raw: bytes
    ) -> None:
        with pytest.raises(WebhookError):
            rig.gateway.parse_webhook(headers, raw)


def _stored(rig: GatewayRig) -> VaultedMethod:
    asked = setup_order()
    start = rig.gateway.begin_setup(asked)
    rig.choose(start, "good")
    answer = rig.gateway.finish_setup(asked.reference, {}, start.gateway_reference)
    assert answer.status is _S.SUCCEEDED
    assert answer.method is not None
    return answer.method


def _status(rig: GatewayRig, asked: ChargeOrder) -> AnswerStatus:
    answer = rig.gateway.lookup(asked.reference)
    assert answer is not None
    return answer.status


def _record(rig: GatewayRig, asked: ChargeOrder) -> ChargeRecord:
    since = datetime.now(UTC) - timedelta(hours=1)
    return {each.reference: each for each in rig.gateway.list_charges(since)}[asked.reference]
