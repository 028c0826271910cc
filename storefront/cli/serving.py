"""Werkzeug's development server, speaking HTTP/1.1 with one ``Date`` an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class OneDate(WSGIRequestHandler):
    """Sends the first ``Date`` of an answer only.

    Python's handler writes one before it knows the application's headers, and Werkzeug adds one
    to every answer that a browser may keep; two are against RFC 9110, 5.3 and 6.6.1.
    """

    protocol_version = "HTTP/1.1"
    _is_dated = False

    def send_response(self, code: int, message: str | None = None) -> None:
        self._is_dated = False
        super().send_response(code, message)

    def send_header(self, keyword: str, value: str) -> None:
        if keyword.lower() == "date":
            if self._is_dated:
                return
            self._is_dated = True
        super().send_header(keyword, value)


def development_server(app: WSGIApplication, host: str, port: int) -> BaseWSGIServer:
    """Return a server of ``app`` with a thread per request, listening already; port 0: any."""
    return make_server(host, port, app, threaded=True, request_handler=OneDate)
