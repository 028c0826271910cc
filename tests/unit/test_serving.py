"""The development server: what it sends with an answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest
from flask import Flask, Response

from storefront.cli.serving import development_server


@pytest.fixture
def connection() -> Iterator[HTTPConnection]:
    app = Flask(__name__)

    @app.get("/dated")
    def dated() -> Response:
        return Response("kept", headers={"Date": "Mon, 01 Mar 2027 09:00:00 GMT"})

    @app.get("/plain")
    def plain() -> str:
        return "asked anew"

    server = development_server(app, "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield HTTPConnection("127.0.0.1", server.server_port, timeout=5)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("path", ["/dated", "/plain"])
def test_an_answer_carries_one_date(connection: HTTPConnection, path: str) -> None:
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.version == 11
    assert len(answer.headers.get_all("Date", [])) == 1
    answer.close()
