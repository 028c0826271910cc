"""Calls to other services: always with a time-out, never following a redirect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

_CONNECT_SECONDS, _READ_SECONDS = 3.05, 20.0


class HttpError(Exception):
    """No answer came. Whether the other side acted on the request is unknown."""


class HttpClient:
    """A session with our time-outs. One per thread: the connections in it are not shared."""

    def __init__(self, read_seconds: float = _READ_SECONDS) -> None:
        self._timeout = (_CONNECT_SECONDS, read_seconds)
        self._session = requests.Session()
        # Proxies and .netrc of the environment are the operator's shell, not the shop's settings.
        self._session.trust_env = False

    def request(
        self,
        method: str,
        url: str,
        *,
        json: Any = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Return the answer, whatever its status. Raises :class:`HttpError` if none came."""
        try:
            return self._session.request(
                method,
                url,
                json=json,
                data=data,
                headers=dict(headers or {}),
                timeout=self._timeout,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise HttpError(str(error)) from error
