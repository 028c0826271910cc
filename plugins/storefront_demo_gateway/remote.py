"""The bank in another process, reached over a socket. Anything unclear is ``AnswerLost``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from storefront_demo_gateway.records import ANSWERS, AnswerLost


class RemoteBank:
    """Has every method of ``Bank`` that ``ANSWERS`` lists, with the same meaning.

    One connection per call: a connection that is used again can die between two calls, and
    then nobody knows whether the second was executed.
    """

    def __init__(self, url: str, timeout: float = 30) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"not an http address: {url!r}")
        self._host, self._port, self._timeout = parts.hostname, parts.port or 80, timeout

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method not in ANSWERS:
            raise AttributeError(method)
        return partial(self._call, method)

    def _call(self, method: str, *arguments: Any) -> Any:
        connection = HTTPConnection(self._host, self._port, timeout=self._timeout)
        try:
            connection.request("POST", f"/{method}", json.dumps(arguments, default=_plain))
            response = connection.getresponse()
            body = json.loads(response.read())
        except (OSError, HTTPException, ValueError) as error:
            raise AnswerLost(f"{method}: {error}") from error
        finally:
            connection.close()
        return _answer(method, response.status, body)


def _plain(value: Any) -> Any:
    return asdict(value)


def _answer(method: str, status: int, body: Any) -> Any:
    if status == 409:
        raise ValueError(body)
    if status == 404:
        raise LookupError(body)
    if status != 200:
        raise AnswerLost(f"{method}: {status}")
    kind = ANSWERS[method]
    if kind is None or body is None:
        return body
    return [kind(**each) for each in body] if isinstance(body, list) else kind(**body)
