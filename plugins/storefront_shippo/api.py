"""Calls of Shippo's REST API: a token in the header, JSON both ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from storefront.hooks import Http, HttpAnswer, HttpError, TakeAnswer, Taking

_VERSION = "2018-02-08"
_NOT_FOUND = 404
#: Orders of one page, so that a page stays well below a megabyte, and pages read at most.
PAGE, PAGES = 50, 40


class Silent(Exception):
    """It is not known what became of a call; ``answer`` says so."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.answer = TakeAnswer(Taking.UNKNOWN, reason=reason, retry_after=retry_after)


class Refused(Exception):
    """Shippo did not do it, and says why."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.status = status
        self.answer = TakeAnswer(Taking.REFUSED, reason="refused", text=text)


class Api:
    """One account."""

    def __init__(self, http: Http, token: str) -> None:
        self._http = http
        self._headers = {
            "Authorization": f"ShippoToken {token}",
            "SHIPPO-API-VERSION": _VERSION,
        }

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Raises ``Silent`` or ``Refused``."""
        return self._call("POST", path, json=dict(body))

    def find(self, path: str) -> dict[str, Any] | None:
        """Return an object; None if there is none. Raises as ``post``."""
        try:
            return self._call("GET", path)
        except Refused as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def orders(self, since: str) -> Iterator[dict[str, Any]]:
        """Yield orders made since then. Raises ``Silent``: a list that is cut is not the list."""
        for page in range(1, PAGES + 1):
            params = {"page": str(page), "results": str(PAGE), "start_date": since}
            try:
                found = self._call("GET", "/orders/", params=params)
            except Refused as error:
                raise Silent("refused") from error
            yield from found.get("results") or []
            if not found.get("next"):
                return
        raise Silent("too_many_orders")

    def _call(self, method: str, path: str, **parts: Any) -> dict[str, Any]:
        try:
            answer = self._http.request(method, path, headers=self._headers, **parts)
            _check(answer)
            body = answer.json()
        except HttpError as error:
            if error.is_certificate:
                raise Silent("wrong_certificate") from error
            raise Silent("timeout" if error.is_sent else "not_sent") from error
        if answer.status >= 300:
            raise Refused(answer.status, _told(body))
        if not isinstance(body, dict):
            raise Silent("unreadable")
        return body


def _check(answer: HttpAnswer) -> None:
    if answer.status in {401, 403}:
        raise Silent("unauthorized")
    if answer.status == 429:
        after = answer.headers.get("retry-after", "")
        raise Silent("rate_limited", float(after) if after.isdigit() else None)
    if answer.status in {408, 409} or answer.status >= 500:
        raise Silent(f"http_{answer.status}")


def _told(body: Any) -> str:
    """Return the words of an error: texts by field, one below the other or in lists."""
    if isinstance(body, Mapping):
        return "; ".join(f"{name}: {_told(value)}" for name, value in body.items())
    if isinstance(body, list):
        return ", ".join(_told(each) for each in body)
    return str(body)
