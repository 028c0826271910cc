"""Calls of the JSON API: one address, answers with a byte order mark, always status 200."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from storefront.hooks import Http, HttpError
from storefront_authorize_net.codes import TOO_BUSY, UNAUTHORIZED

_PATH = "/xml/v1/request.api"
#: Entries of one page of a list. The API allows 1,000; half of it stays below a megabyte.
PAGE = 500
#: The longest stretch of days one question for batches may span.
MOST_DAYS = 31


class Silent(Exception):
    """It is not known what became of a call. ``args[0]`` is the reason code for *unknown*."""


class Refused(Exception):
    """The API answered that it did not do it."""

    def __init__(self, code: str, text: str, answer: Mapping[str, Any]) -> None:
        super().__init__(code, text)
        self.code, self.text, self.answer = code, text, answer


class Api:
    """One account. Keys of a request stand in the order of the schema: the API insists."""

    def __init__(self, http: Http, login: str, key: str) -> None:
        self._http = http
        self._auth = {"name": login, "transactionKey": key}

    def call(self, name: str, **parts: Any) -> dict[str, Any]:
        """Return the answer to ``name``. Raises ``Silent`` or ``Refused``."""
        request = {name: {"merchantAuthentication": self._auth, **parts}}
        answer = _read(self._http, request)
        messages = answer.get("messages") or {}
        if messages.get("resultCode") == "Ok":
            return answer
        first = (messages.get("message") or [{}])[0]
        code = str(first.get("code", ""))
        if code in UNAUTHORIZED:
            raise Silent("unauthorized")
        if code == TOO_BUSY:
            raise Silent("rate_limited")
        if not code:
            raise Silent("unreadable")
        raise Refused(code, str(first.get("text", "")), answer)

    def details(self, transaction: str) -> dict[str, Any] | None:
        """Return a transaction by its id; None if there is none. Raises ``Silent``."""
        if not transaction.isdigit():
            return None
        try:
            answer = self.call("getTransactionDetailsRequest", transId=transaction)
        except Refused as error:
            if error.code == "E00040":
                return None
            raise Silent(error.code) from error
        found: dict[str, Any] = answer["transaction"]
        return found

    def of_customer(self, profile: str) -> Iterator[dict[str, Any]]:
        """Yield every transaction of a customer profile, newest first."""
        return self._pages("getTransactionListForCustomerRequest", customerProfileId=profile)

    def unsettled(self) -> Iterator[dict[str, Any]]:
        """Yield what the daily settlement has not taken up yet, newest first."""
        return self._pages("getUnsettledTransactionListRequest")

    def settled(self, since: datetime, until: datetime) -> Iterator[dict[str, Any]]:
        """Yield what was settled between two times, the newest batches first."""
        end = until
        while end > since:
            start = max(since, end - timedelta(days=MOST_DAYS))
            answer = self._list(
                "getSettledBatchListRequest",
                firstSettlementDate=_stamp(start),
                lastSettlementDate=_stamp(end),
            )
            for batch in reversed(answer.get("batchList") or []):
                yield from self._pages("getTransactionListRequest", batchId=str(batch["batchId"]))
            end = start

    def _pages(self, name: str, **parts: Any) -> Iterator[dict[str, Any]]:
        number = 1
        while True:
            answer = self._list(
                name,
                **parts,
                sorting={"orderBy": "submitTimeUTC", "orderDescending": True},
                paging={"limit": PAGE, "offset": number},
            )
            page: Sequence[dict[str, Any]] = answer.get("transactions") or []
            yield from page
            if len(page) < PAGE:
                return
            number += 1

    def _list(self, name: str, **parts: Any) -> dict[str, Any]:
        """As ``call``, for questions: a refusal says nothing about what there is."""
        try:
            return self.call(name, **parts)
        except Refused as error:
            if error.code == "E00040":
                return {}
            raise Silent(error.code) from error


def _read(http: Http, request: Mapping[str, Any]) -> dict[str, Any]:
    try:
        answer = http.request("POST", _PATH, json=request)
    except HttpError as error:
        if error.is_certificate:
            raise Silent("wrong_certificate") from error
        raise Silent("timeout" if error.is_sent else "not_sent") from error
    if answer.status in {401, 403}:
        raise Silent("unauthorized")
    if answer.status == 429:
        raise Silent("rate_limited")
    try:
        # Every answer begins with a byte order mark. Amounts come as bare numbers: no floats.
        found = json.loads(answer.body.decode("utf-8-sig"), parse_float=Decimal)
    except ValueError as error:
        raise Silent("unreadable") from error
    if not isinstance(found, dict):
        raise Silent("unreadable")
    return found


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def time_of(text: str) -> datetime:
    """Return a UTC time of the API (``2027-03-02T09:00:00Z``, up to seven decimals)."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
