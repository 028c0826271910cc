"""The Stripe gateway keeps the contract, with Stripe's fields and with its hosted page."""

from collections.abc import Iterator

import pytest

from storefront.testing.gateway import GatewayContract
from storefront_stripe.setups import SetupChoices
from tests.support.stripe import StripeRig, rig


class TestWithFieldsOnOurPage(GatewayContract):
    @pytest.fixture
    def rig(self) -> Iterator[StripeRig]:
        with rig(SetupChoices("element")) as made:
            yield made


class TestWithTheHostedPage(GatewayContract):
    @pytest.fixture
    def rig(self) -> Iterator[StripeRig]:
        with rig(SetupChoices("checkout")) as made:
            yield made
