"""The Stripe gateway over its stand-in, for tests."""

from collections.abc import Iterator
from contextlib import contextmanager

from storefront.adapters.http import ServiceHttp
from storefront.hooks import ChargeAnswer, ChargeOrder, SetupOrder, SetupStart, VaultedMethod
from storefront.testing.gateway import GatewayRig
from storefront.testing.gateway_orders import Kind, setup_order
from storefront_stripe.api import StripeApi
from storefront_stripe.gateway import StripeGateway
from storefront_stripe.setups import SetupChoices
from tests.emulators.stripe import ACCOUNT, SECRET_KEY, WEBHOOK_SECRET, StripeEmulator, running

#: Which of Stripe's test cards plays what; ``soft`` and ``hard`` fail after they were stored.
CARDS: dict[Kind, str] = {
    "good": "pm_card_visa",
    "soft": "pm_card_visa",
    "hard": "pm_card_visa",
    "confirm": "pm_card_authenticationRequired",
}
_SAYS: dict[Kind, str] = {"soft": "insufficient_funds", "hard": "lost_card"}
_REFUSED: dict[Kind, str] = {
    "soft": "pm_card_chargeDeclinedInsufficientFunds",
    "hard": "pm_card_visa_chargeDeclinedLostCard",
}


@contextmanager
def gateway_over(
    emulator: StripeEmulator, choices: SetupChoices | None = None, **over: object
) -> Iterator[StripeGateway]:
    """Give the gateway of the stand-in's account; its connections are closed in the end."""
    http = ServiceHttp(emulator.address, read_seconds=5)
    values = {
        "account": ACCOUNT,
        "is_live": False,
        "webhook_secrets": (WEBHOOK_SECRET,),
        "page": lambda kind, name: f"http://shop.test/x/stripe/{kind}/{name}",
        "now": emulator.now,
        "choices": choices or SetupChoices(),
        **over,
    }
    yield StripeGateway(StripeApi(SECRET_KEY, emulator.address, http), **values)  # type: ignore[arg-type]
    http.close()


def stored(gateway: StripeGateway, emulator: StripeEmulator, card: str) -> VaultedMethod:
    """Return a method that a customer stored with one of Stripe's test cards."""
    asked: SetupOrder = setup_order()
    start = gateway.begin_setup(asked)
    type_card(emulator, start, card)
    answer = gateway.finish_setup(asked.reference, {}, start.gateway_reference)
    assert answer.method is not None, answer
    return answer.method


def type_card(emulator: StripeEmulator, start: SetupStart, card: str) -> None:
    """Play the customer at Stripe's fields or on its page, and at their bank if it asks."""
    own = start.gateway_reference
    if own.startswith("cs_"):
        emulator.books.complete_session(own, card)
        return
    if emulator.books.confirm_setup(own, card)["status"] == "requires_action":
        emulator.books.authenticate(own)


class StripeRig(GatewayRig):
    """The Stripe gateway with its stand-in behind it."""

    #: Stripe takes three decimals only where the last is zero.
    amounts = ((2340, "EUR"), (1200, "JPY"), (12340, "KWD"))

    def __init__(self, gateway: StripeGateway, emulator: StripeEmulator) -> None:
        self.gateway: StripeGateway = gateway
        self.emulator = emulator

    def method(self, kind: Kind) -> VaultedMethod:
        found = stored(self.gateway, self.emulator, CARDS[kind])
        if kind in _SAYS:
            self.emulator.books.bank[found.token] = {"decline_code": _SAYS[kind]}
        return found

    def choose(self, start: SetupStart, kind: Kind) -> None:
        type_card(self.emulator, start, _REFUSED.get(kind, CARDS[kind]))

    def confirm(self, answer: ChargeAnswer, is_confirmed: bool) -> None:
        self.emulator.books.authenticate(answer.gateway_reference, is_confirmed)

    def lose_next_answer(self, token: str) -> None:
        self.emulator.faults[token] = ["lost"]

    def ignore_next_charge(self, token: str) -> None:
        self.emulator.faults[token] = ["ignored"]

    def set_down(self, is_down: bool) -> None:
        self.emulator.is_down = is_down

    def executed(self, reference: str) -> int:
        return self.emulator.executed(reference)

    def dispute(self, asked: ChargeOrder, answer: ChargeAnswer) -> None:
        self.emulator.books.dispute(answer.gateway_reference)

    def decide(self, asked: ChargeOrder, answer: ChargeAnswer, is_won: bool) -> None:
        self.emulator.books.decide(answer.gateway_reference, is_won)

    def message(self, asked: ChargeOrder, answer: ChargeAnswer) -> tuple[dict[str, str], bytes]:
        found = self.emulator.books.get("payment_intent", answer.gateway_reference)
        return self.emulator.message("payment_intent.succeeded", found)


@contextmanager
def rig(choices: SetupChoices | None = None) -> Iterator[StripeRig]:
    with running() as emulator, gateway_over(emulator, choices) as gateway:
        yield StripeRig(gateway, emulator)


class Side:
    """The other side of the gateway in tests of the whole shop: customers, banks, the network."""

    key = SECRET_KEY

    def __init__(self, emulator: StripeEmulator) -> None:
        self.emulator, self.address = emulator, emulator.address
        self._delivered = 0

    def type_card(self, own: str, card: str) -> str:
        """Type a card into Stripe's fields or page; returns the state of the set-up then."""
        books = self.emulator.books
        if own.startswith("cs_"):
            return str(books.complete_session(own, card)["status"])
        return str(books.confirm_setup(own, card)["status"])

    def authenticate(self, own: str) -> None:
        self.emulator.books.authenticate(own)

    def taken(self) -> list[int]:
        """Return what was taken, charge by charge."""
        charges = self.emulator.books.all("charge")
        return [each["amount"] for each in charges if each["status"] == "succeeded"]

    def twice_paid(self) -> list[str]:
        return self.emulator.twice_paid()

    def lose_answers(self, fault: str) -> None:
        """Plan a fault for the next charge of whatever card."""
        for method in self.emulator.books.all("payment_method"):
            self.emulator.faults[method["id"]] = [fault]

    def prune(self) -> None:
        self.emulator.prune()

    def messages(self) -> list[tuple[dict[str, str], bytes]]:
        """Return what Stripe has to say since it was asked last, signed now."""
        events = self.emulator.books.events[self._delivered :]
        self._delivered += len(events)
        return [self.emulator.message(kind, found) for kind, found in events]
