"""Calls of EasyPost's REST API: the key as user name of basic authentication, JSON both ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from storefront.hooks import Http, HttpAnswer, HttpError, TakeAnswer, Taking

_NOT_FOUND = 404


class Silent(Exception):
    """It is not known what became of a call; ``answer`` says so."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.answer = TakeAnswer(Taking.UNKNOWN, reason=reason, retry_after=retry_after)


class Refused(Exception):
    """EasyPost did not do it, and says why."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(status, code, text)
        self.status = status
        self.answer = TakeAnswer(Taking.REFUSED, reason=code, text=text)


class Api:
    """One account."""

    def __init__(self, http: Http, key: str) -> None:
        self._http, self._key = http, key

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Raises ``Silent`` or ``Refused``."""
        return self._call("POST", path, json=dict(body))

    def find(self, path: str, name: str) -> dict[str, Any] | None:
        """Return an object by its id or reference; None if there is none. Raises as ``post``."""
        try:
            return self._call("GET", f"{path}/{quote(name, safe='')}")
        except Refused as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def _call(self, method: str, path: str, **parts: Any) -> dict[str, Any]:
        try:
            answer = self._http.request(method, f"/v2{path}", auth=(self._key, ""), **parts)
            _check(answer)
            body = answer.json()
        except HttpError as error:
            if error.is_certificate:
                raise Silent("wrong_certificate") from error
            raise Silent("timeout" if error.is_sent else "not_sent") from error
        if not isinstance(body, dict):
            raise Silent("unreadable")
        if answer.status >= 300:
            raise Refused(answer.status, *_told(body))
        return body


def _check(answer: HttpAnswer) -> None:
    if answer.status in {401, 403}:
        raise Silent("unauthorized")
    if answer.status == 429:
        after = answer.headers.get("retry-after", "")
        raise Silent("rate_limited", float(after) if after.isdigit() else None)
    if answer.status in {408, 409} or answer.status >= 500:
        raise Silent(f"http_{answer.status}")


def _told(body: Mapping[str, Any]) -> tuple[str, str]:
    """Return code and words of an error: ``{"error": {"code", "message", "errors"}}``."""
    error = body.get("error")
    if not isinstance(error, Mapping):
        return "refused", ""
    fields = [
        f"{each.get('field')}: {each.get('message')}"
        for each in error.get("errors") or ()
        if isinstance(each, Mapping)
    ]
    text = str(error.get("message") or "")
    return str(error.get("code") or "refused")[:60], "; ".join(filter(None, [text, *fields]))
