"""Storing a card: a SetupIntent on our page with Stripe's fields, or Stripe's hosted page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import stripe

from storefront.hooks import AnswerStatus, DeclineKind, SetupAnswer, SetupOrder, SetupStart
from storefront_stripe.answers import SETUP, Fields, reference_of, setup_answer
from storefront_stripe.api import StripeApi, is_missing, loose_key, why_unknown

_S = AnswerStatus
#: Where the customer goes on, kept at Stripe beside the set-up: our page's address stays short.
RETURN, CANCEL, AMOUNT, TEXT, HOSTED = (
    "storefront_return",
    "storefront_cancel",
    "storefront_amount",
    "storefront_text",
    "storefront_hosted",
)
#: A set-up whose answer was lost is looked for among those of a day, in so many pages.
_LOOK_BACK, _PAGES = timedelta(hours=25), 10
_LONGEST = 500
#: The languages the shop speaks; Stripe's page knows them all.
_LOCALES = frozenset({"en", "de", "fr"})


@dataclass(frozen=True, slots=True)
class SetupChoices:
    """What the merchant chose for storing a method."""

    #: ``element`` (Stripe's fields on our page) or ``checkout`` (Stripe's page).
    page: str = "element"
    #: Kinds of method by Stripe's names; empty leaves the choice to Stripe's dashboard.
    methods: tuple[str, ...] = ("card",)
    #: ``automatic``, ``any`` or ``challenge``: how eagerly 3-D Secure is asked for.
    three_d_secure: str = "automatic"


class Setups:
    """The part of the gateway that stores methods."""

    def __init__(
        self,
        api: StripeApi,
        choices: SetupChoices,
        page: Callable[[str, str], str],
        now: Callable[[], datetime],
    ) -> None:
        """``page(kind, id)`` is the address of our page for an object of Stripe's."""
        self._v1, self._api = api.v1, api
        self._choices, self._page, self._now = choices, page, now

    def begin(self, order: SetupOrder) -> SetupStart:
        """Raises ``stripe.StripeError`` if Stripe does not answer; the same order is one set-up."""
        customer = order.gateway_customer or self._customer(order)
        try:
            return self._open(order, customer)
        except stripe.InvalidRequestError as error:
            # The customer we knew is gone at Stripe: deleted there, or of a copied account.
            if not (order.gateway_customer and is_missing(error)):
                raise
        return self._open(order, self._customer(order))

    def _open(self, order: SetupOrder, customer: str) -> SetupStart:
        notes = _notes(order)
        if self._choices.page == "checkout":
            session = self._session(order.reference, customer, notes, order.locale)
            return SetupStart(self._page("hosted", session["id"]), gateway_reference=session["id"])
        params = {"customer": customer, "usage": "off_session", "metadata": notes} | self._kinds()
        if self._choices.three_d_secure != "automatic":
            wish = {"request_three_d_secure": self._choices.three_d_secure}
            params["payment_method_options"] = {"card": wish}
        # Somebody may go back, change e-mail or language, and come again with one reference.
        repeated = loose_key(order.reference, "setup", params)
        intent = self._v1.setup_intents.create(params, repeated)
        return SetupStart(self._page("pay", intent.id), gateway_reference=intent.id)

    def _customer(self, order: SetupOrder) -> str:
        known = {"email": order.email, "name": order.name}
        params: dict[str, Any] = {name: value for name, value in known.items() if value}
        if order.customer:
            params["metadata"] = {"storefront_customer": order.customer}
        repeated = loose_key(order.reference, "customer", params)
        return str(self._v1.customers.create(params, repeated).id)

    def _kinds(self) -> dict[str, Any]:
        methods = list(self._choices.methods)
        return {"allowed_payment_method_types": methods} if methods else {}

    def _session(
        self, reference: str, customer: str, notes: Mapping[str, str], locale: str
    ) -> Fields:
        params = {
            "mode": "setup",
            "customer": customer,
            "client_reference_id": reference,
            "success_url": notes[RETURN],
            "cancel_url": notes.get(CANCEL, notes[RETURN]),
            "locale": locale if locale in _LOCALES else "auto",
            "metadata": {SETUP: reference},
            "setup_intent_data": {"metadata": {SETUP: reference}},
            **(self._kinds() or {"currency": notes.get(AMOUNT, "").partition(" ")[2] or "eur"}),
        }
        repeated = loose_key(reference, "hosted", params)
        return self._v1.checkout.sessions.create(params, repeated).to_dict()

    def host(self, intent: Fields) -> Fields:
        """Return Stripe's own page for a set-up begun on ours, for those without JavaScript.

        Raises ``stripe.StripeError``.
        """
        notes = intent["metadata"]
        reference = notes[SETUP]
        session = self._session(reference, intent["customer"], notes, "auto")
        # So that whoever asks for the set-up finds the page where the card was really typed.
        self._v1.setup_intents.update(intent["id"], {"metadata": {HOSTED: session["id"]}})
        return session

    # ----------------------------------------------------------------------------- the answer

    def finish(self, reference: str, gateway_reference: str) -> SetupAnswer:
        """Say what became of a set-up, as Stripe has it now."""
        try:
            found = self._find(reference, gateway_reference)
            if found is None or reference_of(found, SETUP) != reference:
                return SetupAnswer(_S.UNKNOWN, reason="no_such_setup")
            if found["object"] == "checkout.session":
                return self._of_session(found)
            answer = setup_answer(found)
            hosted = reference_of(found, HOSTED)
            if hosted and answer.status is not _S.SUCCEEDED:
                return self._of_session(self.session(hosted))
        except stripe.StripeError as error:
            return SetupAnswer(_S.UNKNOWN, reason=why_unknown(error))
        return answer

    def _of_session(self, session: Fields) -> SetupAnswer:
        own = session.get("setup_intent")
        if own:
            answer = setup_answer(self.intent(str(own)))
            if answer.status is not _S.ACTION_REQUIRED:
                return answer
        if session.get("status") == "expired":
            return SetupAnswer(_S.DECLINED, decline=DeclineKind.ASK, reason="left")
        return SetupAnswer(_S.ACTION_REQUIRED)

    def intent(self, gateway_reference: str) -> Fields:
        """Return a SetupIntent with its method. Raises ``stripe.StripeError``."""
        params = {"expand": ["payment_method"]}
        return self._v1.setup_intents.retrieve(gateway_reference, params).to_dict()

    def session(self, gateway_reference: str) -> Fields:
        """Return a Checkout Session. Raises ``stripe.StripeError``."""
        return self._v1.checkout.sessions.retrieve(gateway_reference).to_dict()

    def _find(self, reference: str, gateway_reference: str) -> Fields | None:
        try:
            if gateway_reference.startswith("cs_"):
                return self.session(gateway_reference)
            if gateway_reference:
                return self.intent(gateway_reference)
        except stripe.InvalidRequestError as error:
            if is_missing(error):
                return None
            raise
        return self._look_for(reference)

    def _look_for(self, reference: str) -> Fields | None:
        """Find a set-up whose name at Stripe we never learned: nobody has seen its page either."""
        since = {"created": {"gte": int((self._now() - _LOOK_BACK).timestamp())}}
        for found in self._api.pages(self._v1.setup_intents.list, since, _PAGES):
            if reference_of(found, SETUP) == reference:
                return self.intent(found["id"])
        for found in self._api.pages(self._v1.checkout.sessions.list, since, _PAGES):
            if found.get("client_reference_id") == reference:
                return found
        return None


def _notes(order: SetupOrder) -> dict[str, str]:
    """Return what our page has to know, as metadata of the set-up.

    Raises ``ValueError`` for an address longer than Stripe keeps.
    """
    if max(len(order.return_url), len(order.cancel_url)) > _LONGEST:
        raise ValueError("the way back is longer than Stripe keeps")
    due = order.amount if order.amount is not None and order.amount.minor > 0 else None
    notes = {
        SETUP: order.reference,
        RETURN: order.return_url,
        CANCEL: order.cancel_url,
        AMOUNT: f"{due.minor} {due.currency}" if due else "",
        TEXT: order.description[:_LONGEST],
    }
    return {name: value for name, value in notes.items() if value}
