"""Stripe's SDK over our own HTTP client: own time-outs, no retries of its own, no telemetry."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

import stripe

from storefront.domain.gateways import TOO_FAST
from storefront.hooks import Http, HttpError

#: The SDK has no other switch for it. With it on it would also write an id of this machine
#: into the home folder of whoever runs the shop.
stripe.enable_telemetry = False
#: Objects of one page of a list; Stripe's most.
PAGE = 100
#: What the SDK tells about this machine with every call and nobody needs.
_KEPT_BACK = frozenset({"x-stripe-client-user-agent", "x-stripe-client-telemetry"})

Params = Mapping[str, Any]


class NoAnswer(stripe.APIConnectionError):
    """No whole answer came; ``reason`` is the stable code of *unknown*."""

    def __init__(self, error: HttpError) -> None:
        super().__init__(str(error))
        self.reason = "timeout"
        if error.is_certificate:
            self.reason = "wrong_certificate"
        elif not error.is_sent:
            self.reason = "not_sent"


class _Client(stripe.HTTPClient):
    """What the SDK calls "HTTP client", over the one the shop gives to plugins."""

    name = "storefront"

    def __init__(self, http: Http, address: str) -> None:
        super().__init__()
        self._http, self._address = http, address

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        kept = {k: v for k, v in (headers or {}).items() if k.lower() not in _KEPT_BACK}
        form = dict(parse_qsl(post_data, keep_blank_values=True)) if post_data else None
        path = url.removeprefix(self._address)
        try:
            answer = self._http.request(method.upper(), path, form=form, headers=kept)
        except HttpError as error:
            raise NoAnswer(error) from error
        return answer.body.decode("utf-8", "replace"), answer.status, answer.headers

    def close(self) -> None:
        """Nothing of its own is open."""


class StripeApi:
    """The calls we make, with plain dictionaries as answers.

    Every call raises ``stripe.StripeError``; ``why_unknown`` says what that means.
    """

    def __init__(self, key: str, address: str, http: Http) -> None:
        address = address.rstrip("/")
        client = stripe.StripeClient(
            key,
            base_addresses={"api": address},
            # The engine decides whether and when anything is asked again.
            max_network_retries=0,
            http_client=_Client(http, address),
        )
        # Plain dictionaries go in; the SDK's types know only its own.
        self.v1: Any = client.v1

    def pages(
        self, fetch: Callable[[Any], Any], params: Params, most: int
    ) -> Iterator[dict[str, Any]]:
        """Yield the objects of a list, newest first, from at most ``most`` pages.

        One page is in memory at a time.
        """
        after: dict[str, Any] = {}
        for _ in range(most):
            found = fetch({**params, "limit": PAGE, **after}).to_dict()
            rows = found.get("data") or []
            yield from rows
            if not found.get("has_more") or not rows:
                return
            after = {"starting_after": rows[-1]["id"]}


def key(reference: str) -> dict[str, Any]:
    """Return the options of a call that may be repeated: its idempotency key.

    The same reference with other parameters is refused by Stripe, which is what is wanted
    where money moves.
    """
    return {"idempotency_key": reference}


def loose_key(reference: str, what: str, params: Params) -> dict[str, Any]:
    """Return a key for these parameters only, for what a customer may change and ask again."""
    text = json.dumps(params, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return {"idempotency_key": f"{reference}:{what}:{digest}"}


def why_unknown(error: stripe.StripeError) -> str:
    """Return the stable code of an answer that says nothing about what became of a call."""
    if isinstance(error, NoAnswer):
        return error.reason
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        return "unauthorized"
    if error.http_status == 409:
        return "key_in_use"
    if isinstance(error, stripe.IdempotencyError):
        return "key_reused"
    if isinstance(error, stripe.RateLimitError):
        return TOO_FAST
    if isinstance(error, stripe.InvalidRequestError):
        return "refused"
    return "no_sense"


def pause_of(error: stripe.StripeError) -> float | None:
    """Return the seconds that Stripe asks to wait for, None if it names none."""
    named = str((error.headers or {}).get("retry-after", ""))
    return float(named) if named.isascii() and named.isdigit() else None


def error_of(error: stripe.StripeError) -> dict[str, Any]:
    """Return what Stripe wrote of its error, empty if it wrote nothing."""
    body = error.json_body
    found = body.get("error") if isinstance(body, dict) else None
    return found if isinstance(found, dict) else {}


def is_missing(error: stripe.StripeError) -> bool:
    """True if Stripe says that there is no such object."""
    return isinstance(error, stripe.InvalidRequestError) and error.code == "resource_missing"
