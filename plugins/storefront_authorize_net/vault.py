"""Storing cards: one customer profile per set-up, filled on Authorize.net's own page."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from itsdangerous import BadData, URLSafeSerializer

from storefront.hooks import AnswerStatus, SetupAnswer, SetupOrder, VaultedMethod, decline_kind
from storefront_authorize_net.api import Api, Refused, Silent
from storefront_authorize_net.codes import (
    DECLINE_MEANINGS,
    DUPLICATE_RECORD,
    NO_RECORD,
    reason_of,
)
from storefront_authorize_net.references import short

_S = AnswerStatus
_CHECKED = "checked"
#: How long the address of our page leads to the card form at least, and what its end is rounded
#: up to: a set-up that is begun twice at once has one address.
PAGE_VALID, PAGE_STEP = timedelta(hours=1), timedelta(minutes=15)
_DIRECT = re.compile(r'^"?(\d)"?[^\d"]"?\d*"?[^\d"]"?(\d+)')


class Vault:
    """Customer profiles (CIM). Our reference of the set-up is the profile's customer id.

    So a set-up is found again by its reference alone, and a second ``begin`` finds the first.
    """

    def __init__(self, api: Api, secret: str, now: Callable[[], datetime]) -> None:
        self._api, self._now = api, now
        self._keys = URLSafeSerializer(secret, salt="authorize-net-setup")

    def open(self, order: SetupOrder) -> tuple[str, str]:
        """Return profile id and page key of a set-up. Raises ``Silent`` or ``Refused``."""
        profile = self._profile_of(order.reference)
        number = str(profile["customerProfileId"]) if profile else self._create(order)
        step = int(PAGE_STEP.total_seconds())
        until = -int(-(self._now() + PAGE_VALID).timestamp() // step) * step
        return number, str(self._keys.dumps([number, order.return_url, order.cancel_url, until]))

    def read_key(self, key: str) -> tuple[str, str, str] | None:
        """Return profile id, way back and way out that a page key holds.

        None if it is forged, or past its end.
        """
        try:
            number, back, out, until = self._keys.loads(key)
            is_over = self._now().timestamp() >= until
        except (BadData, TypeError, ValueError):
            return None
        return None if is_over else (str(number), str(back), str(out))

    def page_token(self, profile: str, return_url: str, way_back: str) -> str:
        """Return the token with which a browser opens the hosted form, good for 15 minutes.

        ``way_back`` is what the link back to the shop reads. Raises ``Silent`` or ``Refused``.
        """
        settings = {
            "hostedProfileReturnUrl": return_url,
            "hostedProfileReturnUrlText": way_back,
            "hostedProfilePageBorderVisible": "true",
            # Only the form is checked there; the bank is asked once, when we come back.
            "hostedProfileValidationMode": "testMode",
            "hostedProfileCardCodeRequired": "true",
            "hostedProfileManageOptions": "showPayment",
            "hostedProfilePaymentOptions": "showCreditCard",
        }
        named = [{"settingName": name, "settingValue": value} for name, value in settings.items()]
        answer = self._api.call(
            "getHostedProfilePageRequest",
            customerProfileId=profile,
            hostedProfileSettings={"setting": named},
        )
        return str(answer["token"])

    def finish(self, reference: str) -> SetupAnswer:
        """Say what became of a set-up. Raises ``Silent``."""
        profile = self._profile_of(reference)
        if profile is None:
            return SetupAnswer(_S.UNKNOWN, reason="no_such_setup")
        stored = profile.get("paymentProfiles") or []
        if not stored:
            return SetupAnswer(_S.ACTION_REQUIRED)
        card = max(stored, key=lambda each: int(each["customerPaymentProfileId"]))
        number = str(profile["customerProfileId"])
        if not str(profile.get("description", "")).endswith(_CHECKED):
            refusal = self._validate(number, str(card["customerPaymentProfileId"]))
            if refusal is not None:
                return refusal
            self._mark_checked(number, reference, profile)
        return SetupAnswer(_S.SUCCEEDED, method=_method(number, card))

    def read(self, token: str) -> VaultedMethod | None:
        """Return a stored card as it is now; None if it is gone. Raises ``Silent``."""
        ids = split_token(token)
        if ids is None:
            return None
        try:
            answer = self._api.call(
                "getCustomerPaymentProfileRequest",
                customerProfileId=ids[0],
                customerPaymentProfileId=ids[1],
                unmaskExpirationDate=True,
                includeIssuerInfo=True,
            )
        except Refused as error:
            if error.code == NO_RECORD:
                return None
            raise Silent(error.code) from error
        return _method(ids[0], answer["paymentProfile"])

    def forget(self, token: str) -> bool:
        """Delete a card. Its customer profile stays: the list of its charges hangs on it."""
        ids = split_token(token)
        if ids is None:
            return True
        try:
            self._delete(*ids)
        except Refused as error:
            return error.code == NO_RECORD
        except Silent:
            return False
        return True

    def _profile_of(self, reference: str) -> dict[str, Any] | None:
        try:
            answer = self._api.call(
                "getCustomerProfileRequest",
                merchantCustomerId=short(reference),
                unmaskExpirationDate=True,
                includeIssuerInfo=True,
            )
        except Refused as error:
            if error.code == NO_RECORD:
                return None
            raise Silent(error.code) from error
        found: dict[str, Any] = answer["profile"]
        return found

    def _create(self, order: SetupOrder) -> str:
        try:
            answer = self._api.call(
                "createCustomerProfileRequest",
                profile={
                    "merchantCustomerId": short(order.reference),
                    "description": order.reference,
                    "email": order.email[:255],
                },
            )
        except Refused as error:
            # Two visits at once: the other one has just made it, and the text names it.
            known = re.search(r"ID (\d+)", error.text)
            if error.code != DUPLICATE_RECORD or known is None:
                raise
            return known[1]
        return str(answer["customerProfileId"])

    def _validate(self, profile: str, card: str) -> SetupAnswer | None:
        """Ask the bank with an authorisation over nothing; return the refusal, if it is one."""
        try:
            self._api.call(
                "validateCustomerPaymentProfileRequest",
                customerProfileId=profile,
                customerPaymentProfileId=card,
                validationMode="liveMode",
            )
        except Refused as error:
            direct = _DIRECT.match(str(error.answer.get("directResponse", "")))
            if direct is None or direct[1] not in {"2", "3"}:
                raise Silent(error.code) from error
            self._delete(profile, card)
            kind = decline_kind(DECLINE_MEANINGS, "", direct[2])
            return SetupAnswer(_S.DECLINED, decline=kind, reason=reason_of(direct[2]))
        return None

    def _mark_checked(self, number: str, reference: str, profile: Mapping[str, Any]) -> None:
        """Note at the gateway that the bank was asked, so that a second visit asks no more."""
        try:
            self._api.call(
                "updateCustomerProfileRequest",
                profile={
                    "merchantCustomerId": short(reference),
                    "description": f"{reference} {_CHECKED}",
                    "email": str(profile.get("email", "")),
                    "customerProfileId": number,
                },
            )
        except Refused as error:
            raise Silent(error.code) from error

    def _delete(self, profile: str, card: str) -> None:
        self._api.call(
            "deleteCustomerPaymentProfileRequest",
            customerProfileId=profile,
            customerPaymentProfileId=card,
        )


def split_token(token: str) -> tuple[str, str] | None:
    """Return customer profile and payment profile of a token.

    >>> split_token("900/901"), split_token("nobodys_token")
    (('900', '901'), None)
    """
    profile, _, card = token.partition("/")
    return (profile, card) if profile.isdigit() and card.isdigit() else None


def _method(profile: str, stored: Mapping[str, Any]) -> VaultedMethod:
    card = (stored.get("payment") or {}).get("creditCard") or {}
    year, _, month = str(card.get("expirationDate", "")).partition("-")
    last4 = str(card.get("cardNumber", ""))[-4:]
    brand = str(card.get("cardType", "")).lower()
    return VaultedMethod(
        token=f"{profile}/{stored['customerPaymentProfileId']}",
        brand=brand,
        last4=last4,
        exp_month=int(month) if month.isdigit() else None,
        exp_year=int(year) if year.isdigit() else None,
        fingerprint=_fingerprint(brand, str(card.get("issuerNumber", "")), last4, f"{year}{month}"),
        gateway_customer=profile,
    )


def _fingerprint(*known: str) -> str:
    """The gateway gives no fingerprint: first six, last four and expiry stand for the card."""
    return "anet_" + hashlib.sha256("/".join(known).encode()).hexdigest()[:24]
