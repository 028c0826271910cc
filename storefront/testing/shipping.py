"""What every shipping provider must do, as a test suite for its plugin.

Write a rig that plays the merchant and the carrier behind your provider, and inherit::

    class TestMine(ShippingContract):
        @pytest.fixture
        def rig(self):
            return MyRig(...)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from storefront.hooks import (
    ParcelLine,
    ParcelOrder,
    ParcelState,
    ShippingProvider,
    Taking,
    WebhookError,
)

#: A box as the shop hands it over.
ORDER = ParcelOrder(
    reference="box_7f3k",
    name="Ada Lovelace",
    company="",
    street="Lindenweg 4",
    extra="2. OG",
    postcode="07743",
    city="Jena",
    region="",
    country="DE",
    phone="+49 3641 1234",
    email="ada@example.org",
    grams=850,
    lines=(ParcelLine("TEA-1", 2),),
    placed_at=datetime(2027, 3, 1, 9, tzinfo=UTC),
)


class ShippingRig(ABC):
    """Plays what is behind a provider."""

    provider: ShippingProvider
    #: A tracking number, and the carrier's name, as its account may follow.
    number, carrier = "1Z0001", "UPS"

    @abstractmethod
    def held(self, reference: str) -> int:
        """Return how many things stand under our reference there: 0 or 1."""

    @abstractmethod
    def label(self, reference: str, number: str) -> None:
        """Buy the label of a box there, so that it has ``number``."""

    @abstractmethod
    def move(self, number: str, state: ParcelState | None) -> None:
        """Let the carrier say where a parcel is; None: that its label was printed."""

    @abstractmethod
    def message(self, number: str) -> tuple[dict[str, str], dict[str, str], bytes]:
        """Return headers, query and body of a message about a parcel, sent now."""

    @abstractmethod
    def forged(self, number: str) -> tuple[dict[str, str], dict[str, str], bytes]:
        """Return the same from somebody who does not know the secret."""

    @abstractmethod
    def lose_next_answer(self) -> None:
        """Let the next call be done, and its answer be lost."""

    @abstractmethod
    def ignore_next_call(self) -> None:
        """Let the next call be lost before it is done."""

    @abstractmethod
    def set_down(self, is_down: bool) -> None:
        """Break every connection, or stop doing so."""

    @abstractmethod
    def spoil(self, order: ParcelOrder) -> ParcelOrder:
        """Return the order with something that the provider refuses."""


class ShippingContract:
    """The cases. A provider that takes no boxes, or sends no messages, skips those."""

    @pytest.fixture
    def rig(self) -> ShippingRig:
        raise NotImplementedError

    @pytest.fixture
    def taker(self, rig: ShippingRig) -> ShippingRig:
        if not rig.provider.capabilities.takes_boxes:
            pytest.skip("it takes no boxes")
        return rig

    def test_it_has_a_name_that_can_stand_in_an_address(self, rig: ShippingRig) -> None:
        name = rig.provider.name

        assert isinstance(rig.provider, ShippingProvider)
        assert 0 < len(name) <= 24
        assert name == name.lower()
        assert rig.provider.title

    def test_a_box_is_taken_and_found_by_our_reference(self, taker: ShippingRig) -> None:
        assert taker.provider.find(ORDER) is None

        answer = taker.provider.take(ORDER)

        assert answer.status is Taking.TAKEN
        assert 0 < len(answer.provider_reference) <= 80
        again = taker.provider.find(replace(ORDER, asked_at=datetime.now(UTC)))
        assert again is not None
        assert (again.status, again.provider_reference) == (
            Taking.TAKEN,
            answer.provider_reference,
        )
        assert taker.held(ORDER.reference) == 1

    @pytest.mark.parametrize("is_done", [True, False])
    def test_a_lost_answer_is_unknown_and_found_out_by_looking(
        self, taker: ShippingRig, is_done: bool
    ) -> None:
        if is_done:
            taker.lose_next_answer()
        else:
            taker.ignore_next_call()
        asked = replace(ORDER, asked_at=datetime.now(UTC))

        answer = taker.provider.take(ORDER)

        assert answer.status is Taking.UNKNOWN
        assert answer.reason
        assert (taker.provider.find(asked) is not None) is is_done
        assert taker.held(ORDER.reference) == int(is_done)

    def test_a_provider_that_is_down_is_unknown_and_never_no(self, rig: ShippingRig) -> None:
        rig.set_down(True)
        numbered = replace(ORDER, number=rig.number, carrier=rig.carrier)

        if rig.provider.capabilities.takes_boxes:
            assert rig.provider.take(ORDER).status is Taking.UNKNOWN
            found = rig.provider.find(replace(ORDER, asked_at=datetime.now(UTC)))
            assert found is not None
            assert found.status is Taking.UNKNOWN
        if rig.provider.capabilities.follows_numbers:
            assert rig.provider.follow(numbered).status is Taking.UNKNOWN
        assert rig.provider.ask(ORDER.reference, "nothing", rig.number) is None

    def test_a_refusal_says_why(self, taker: ShippingRig) -> None:
        answer = taker.provider.take(taker.spoil(ORDER))

        assert answer.status is Taking.REFUSED
        assert answer.reason
        assert answer.text
        assert taker.held(ORDER.reference) == 0

    def test_where_a_box_is_can_be_asked_once_its_label_is_bought(self, taker: ShippingRig) -> None:
        if not taker.provider.capabilities.answers:
            pytest.skip("it cannot be asked")
        taken = taker.provider.take(ORDER).provider_reference
        news = taker.provider.ask(ORDER.reference, taken, "")
        assert news is None or news.state is None

        taker.label(ORDER.reference, taker.number)
        news = taker.provider.ask(ORDER.reference, taken, "")
        assert news is None or news.state is None
        taker.move(taker.number, ParcelState.DELIVERED)
        news = taker.provider.ask(ORDER.reference, taken, "")

        assert news is not None
        assert (news.state, news.number) == (ParcelState.DELIVERED, taker.number)
        assert news.occurred_at is not None
        assert news.occurred_at.tzinfo is not None

    def test_a_parcel_that_left_is_followed(self, rig: ShippingRig) -> None:
        if not rig.provider.capabilities.follows_numbers:
            pytest.skip("it follows no numbers")
        numbered = replace(ORDER, number=rig.number, carrier=rig.carrier)

        first = rig.provider.follow(numbered)
        again = rig.provider.follow(numbered)

        assert first.status is again.status is Taking.TAKEN
        rig.move(rig.number, ParcelState.RETURNED)
        news = rig.provider.ask(ORDER.reference, first.provider_reference, rig.number)
        assert news is not None
        assert news.state is ParcelState.RETURNED

    def test_a_message_says_where_a_parcel_is(self, rig: ShippingRig) -> None:
        self._needs_messages(rig)
        rig.provider.follow(replace(ORDER, number=rig.number, carrier=rig.carrier))
        for state in (None, ParcelState.SHIPPED, ParcelState.DELIVERED, ParcelState.RETURNED):
            rig.move(rig.number, state)
            headers, params, raw = rig.message(rig.number)

            message = rig.provider.parse_message(headers, params, raw)

            assert message.news.state is state
            assert message.news.number == rig.number
            assert message.id == rig.provider.parse_message(headers, params, raw).id

    def test_what_nobody_with_the_secret_sent_is_refused(self, rig: ShippingRig) -> None:
        self._needs_messages(rig)
        rig.provider.follow(replace(ORDER, number=rig.number, carrier=rig.carrier))
        headers, params, raw = rig.message(rig.number)

        for bad in (rig.forged(rig.number), ({}, {}, raw), ({}, {"token": ""}, raw)):
            with pytest.raises(WebhookError):
                rig.provider.parse_message(*bad)
        assert rig.provider.parse_message(headers, params, raw).id

    def _needs_messages(self, rig: ShippingRig) -> None:
        if not rig.provider.capabilities.sends_messages:
            pytest.skip("it sends no messages")
