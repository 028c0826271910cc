"""An emulator behind a socket of its own, so that the real client talks to it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Response


class AnswerLost(Exception):
    """Raised by an emulator that breaks the connection instead of answering."""


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002
        """Say nothing: the test that fails says enough."""


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve a WSGI ``app`` from a thread per request; yield its address."""

    def breaking(environ: dict[str, Any], start_response: Any) -> Any:
        try:
            return app(environ, start_response)
        except AnswerLost:
            with contextlib.suppress(OSError):
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return Response(b"")(environ, start_response)

    server = make_server("127.0.0.1", 0, breaking, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
