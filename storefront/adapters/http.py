"""Calls to other services: always with a time-out, bounded, never following a redirect."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import requests
from requests.exceptions import ConnectTimeout, SSLError
from urllib3.exceptions import NewConnectionError

from storefront.hooks import HttpAnswer, HttpError

_CONNECT_SECONDS, _READ_SECONDS = 3.05, 20.0
#: No service that we ask answers with more; a longer answer is a fault of the other side.
MOST_BYTES = 1_000_000
_PIECE = 65_536


class ServiceHttp:
    """The client of one service. Every thread has connections of its own."""

    def __init__(self, address: str, read_seconds: float = _READ_SECONDS) -> None:
        """``address`` is scheme, host and perhaps a first part of the path, without a slash."""
        self._address = address.rstrip("/")
        self._read_seconds = read_seconds
        self._local = threading.local()
        self._lock = threading.Lock()
        self._sessions: list[requests.Session] = []

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        seconds: float | None = None,
    ) -> HttpAnswer:
        """Return the answer, whatever its status. Raises ``HttpError`` if no whole one came."""
        try:
            with self._session().request(
                method,
                f"{self._address}{path}",
                json=json,
                data=dict(form) if form is not None else None,
                params=dict(params) if params is not None else None,
                headers=dict(headers or {}),
                auth=auth,
                timeout=(_CONNECT_SECONDS, seconds or self._read_seconds),
                allow_redirects=False,
                stream=True,
            ) as answer:
                return HttpAnswer(
                    answer.status_code,
                    {name.lower(): value for name, value in answer.headers.items()},
                    _body(answer),
                )
        except requests.RequestException as error:
            bad = isinstance(error, SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error)
            # A request goes out only after the connection stands and its certificate was seen.
            unsent = bad or isinstance(error, ConnectTimeout) or _is_refused(error)
            raise HttpError(str(error), is_sent=not unsent, is_certificate=bad) from error

    def close(self) -> None:
        """Close the connections of every thread; a later request opens new ones."""
        with self._lock:
            sessions, self._sessions = self._sessions, []
            self._local = threading.local()
        for session in sessions:
            session.close()

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            # Proxies and .netrc of the environment are the operator's shell, not our settings.
            session.trust_env = False
            self._local.session = session
            with self._lock:
                self._sessions.append(session)
        return session


def _is_refused(error: requests.RequestException) -> bool:
    """True if no connection came about: nobody listens there, or its name is unknown."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, NewConnectionError)


def _body(answer: requests.Response) -> bytes:
    found = bytearray()
    for piece in answer.iter_content(_PIECE):
        found += piece
        if len(found) > MOST_BYTES:
            raise HttpError(f"an answer of more than {MOST_BYTES:,} bytes")
    length = answer.headers.get("Content-Length", "")
    encoded = answer.headers.get("Content-Encoding", "identity")
    if encoded == "identity" and length.isdigit() and len(found) < int(length):
        raise HttpError("the answer was cut off")
    return bytes(found)
