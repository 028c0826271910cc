"""Calls of the REST API: key id and secret as basic authentication, errors as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from storefront.hooks import Http, HttpAnswer, HttpError

#: Entries of one page of a list, the most the API gives.
PAGE = 100


class Silent(Exception):
    """It is not known what became of a call. ``args[0]`` is the reason code for *unknown*."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Refused(Exception):
    """The API answered that it did not do it, with its code, reason and words."""

    def __init__(self, status: int, error: Mapping[str, Any]) -> None:
        super().__init__(status, error.get("code"), error.get("reason"), error.get("description"))
        self.status = status
        self.reason = str(error.get("reason") or "")
        self.text = str(error.get("description") or "")


class Api:
    """One account. Amounts are in paise, times in Unix seconds."""

    def __init__(self, http: Http, key_id: str, secret: str) -> None:
        self._http, self._auth = http, (key_id, secret)

    def get(self, path: str, **params: str) -> dict[str, Any]:
        """Raises ``Silent`` or ``Refused``."""
        return self._call("GET", path, params=params)

    def find(self, path: str) -> dict[str, Any] | None:
        """Return an object by its path; None if there is none. Raises ``Silent``."""
        try:
            return self.get(path)
        except Refused:
            return None

    def post(self, path: str, body: Mapping[str, Any], key: str = "") -> dict[str, Any]:
        """``key`` makes a refund idempotent; nothing else can be. Raises as ``get``."""
        headers = {"X-Refund-Idempotency": key} if key else {}
        return self._call("POST", path, json=dict(body), headers=headers)

    def note(self, path: str, notes: Mapping[str, str]) -> dict[str, Any]:
        """Replace the notes of an order or a payment. Raises as ``get``."""
        return self._call("PATCH", path, json={"notes": dict(notes)})

    def delete(self, path: str) -> None:
        """Raises as ``get``."""
        self._call("DELETE", path)

    def pages(self, path: str, **params: str) -> Iterator[dict[str, Any]]:
        """Yield all entries of a list. Raises ``Silent``: no list is not an empty list."""
        skip = 0
        while True:
            try:
                found = self.get(path, count=str(PAGE), skip=str(skip), **params)
            except Refused as error:
                raise Silent(error.reason or "refused") from error
            items = found.get("items") or []
            yield from items
            if len(items) < PAGE:
                return
            skip += PAGE

    def _call(self, method: str, path: str, **parts: Any) -> dict[str, Any]:
        try:
            answer = self._http.request(method, f"/v1{path}", auth=self._auth, **parts)
        except HttpError as error:
            if error.is_certificate:
                raise Silent("wrong_certificate") from error
            raise Silent("timeout" if error.is_sent else "not_sent") from error
        return _read(answer)


def _read(answer: HttpAnswer) -> dict[str, Any]:
    _check(answer)
    if answer.status == 204:
        return {}
    try:
        found = answer.json()
    except HttpError as error:
        raise Silent("unreadable") from error
    # A token that was deleted answers with an empty list.
    if found == []:
        return {}
    if not isinstance(found, dict):
        raise Silent("unreadable")
    if answer.status >= 300:
        told = found.get("error")
        raise Refused(answer.status, told if isinstance(told, dict) else {})
    return found


def _check(answer: HttpAnswer) -> None:
    if answer.status in {401, 403}:
        raise Silent("unauthorized")
    if answer.status == 429:
        raise Silent("rate_limited", _seconds(answer.headers.get("retry-after", "")))
    if answer.status == 409 or answer.status >= 500:
        raise Silent(f"http_{answer.status}")


def _seconds(text: str) -> float | None:
    return float(text) if text.isdigit() else None


def named(path: str, *names: str) -> str:
    """Return ``path`` with each ``{}`` filled; a name that came from outside stays one part."""
    return path.format(*(quote(name, safe="") for name in names))
