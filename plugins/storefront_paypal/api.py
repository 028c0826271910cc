"""Calls of the REST API: a token that is fetched once for all threads, errors as two kinds."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from storefront.hooks import Http, HttpAnswer, HttpError

#: A token is renewed this long before it ends.
_EARLY = timedelta(seconds=60)


class Silent(Exception):
    """It is not known what became of a call. ``args[0]`` is the reason code for *unknown*."""


class Forbidden(Silent):
    """The app may not do this, though its key is right: a permission is missing."""


class Refused(Exception):
    """PayPal answered that it did not do it: status and the first issue, or the error's name."""

    def __init__(self, status: int, issue: str) -> None:
        super().__init__(status, issue)
        self.status, self.issue = status, issue


class Api:
    """One REST app of a PayPal business account. Safe from any thread."""

    def __init__(self, http: Http, client: str, secret: str, now: Callable[[], datetime]) -> None:
        self._http, self._auth, self._now = http, (client, secret), now
        self._lock = threading.Lock()
        self._token, self._ends = "", now()

    def get(self, path: str, **params: str) -> dict[str, Any] | None:
        """Return what is at ``path``; None if nothing is. Raises ``Silent``."""
        try:
            return self._call("GET", path, params=params)
        except Refused as error:
            if error.status == 404:
                return None
            raise Silent(error.issue.lower()) from error

    def post(self, path: str, body: Mapping[str, Any], key: str = "") -> dict[str, Any]:
        """Return the answer to a POST under the request id ``key``.

        Raises ``Silent`` or ``Refused``.
        """
        headers = {"Prefer": "return=representation"}
        if key:
            headers["PayPal-Request-Id"] = key
        return self._call("POST", path, body=body, headers=headers)

    def patch(self, path: str, changes: list[dict[str, Any]]) -> None:
        """Change parts. Raises ``Silent`` or ``Refused``."""
        self._call("PATCH", path, body=changes)

    def delete(self, path: str) -> None:
        """Delete. Raises ``Silent`` or ``Refused``."""
        self._call("DELETE", path)

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        token = self._valid_token()
        for is_last in (False, True):
            answer = self._ask(
                method,
                path,
                json=body,
                params=params,
                headers={**(headers or {}), "Authorization": f"Bearer {token}"},
            )
            if answer.status != 401 or is_last:
                break
            # Ended early at PayPal's: nothing was done, so the same call goes out once more.
            token = self._valid_token(refused=token)
        return _read(answer)

    def _ask(self, method: str, path: str, **parts: Any) -> HttpAnswer:
        try:
            return self._http.request(method, path, **parts)
        except HttpError as error:
            if error.is_certificate:
                raise Silent("wrong_certificate") from error
            raise Silent("timeout" if error.is_sent else "not_sent") from error

    def _valid_token(self, refused: str = "") -> str:
        """Return a token that is not ``refused``; one thread fetches it, the others wait."""
        with self._lock:
            if self._token and self._token != refused and self._now() < self._ends:
                return self._token
            answer = self._ask(
                "POST",
                "/v1/oauth2/token",
                form={"grant_type": "client_credentials"},
                auth=self._auth,
            )
            found = _read(answer)
            self._token = str(found["access_token"])
            lasts = timedelta(seconds=int(found.get("expires_in", 0)))
            self._ends = self._now() + lasts - _EARLY
            return self._token


def _read(answer: HttpAnswer) -> dict[str, Any]:
    """Return the body of a success. Raises ``Refused`` for a refusal, otherwise ``Silent``."""
    if answer.status == 403:
        raise Forbidden("unauthorized")
    if answer.status == 401:
        raise Silent("unauthorized")
    if answer.status == 429:
        raise Silent("rate_limited")
    if answer.status >= 500 or answer.status in {408, 409}:
        raise Silent("in_progress" if answer.status == 409 else "server_error")
    try:
        found = json.loads(answer.body) if answer.body else {}
    except ValueError as error:
        raise Silent("unreadable") from error
    if not isinstance(found, dict):
        raise Silent("unreadable")
    if answer.status >= 400:
        issues = [str(each.get("issue", "")) for each in found.get("details") or []]
        raise Refused(answer.status, issues[0] if issues else str(found.get("name", "")))
    return found
