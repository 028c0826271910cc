"""Run the bank as a process of its own, with a database of its own.

    python -m storefront_demo_gateway.server --port 4243 --db bank.db

It listens on 127.0.0.1 only and knows no password: it holds play money. A test asks it over
the same socket what was really executed (``/executed_count``, ``/double_charges``).
"""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import asdict, is_dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from storefront_demo_gateway.bank import Bank
from storefront_demo_gateway.records import ANSWERS, AnswerLost

log = logging.getLogger(__name__)
_LONGEST = 100_000


class BankServer(ThreadingHTTPServer):
    """``port`` 0 takes a free one; ``address`` says which."""

    daemon_threads = True
    #: Many workers knock at once; the default of 5 would refuse some.
    request_queue_size = 128

    def __init__(self, bank: Bank, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.bank = bank

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: BankServer

    def do_POST(self) -> None:
        method = self.path.strip("/")
        length = int(self.headers.get("Content-Length") or 0)
        if method not in ANSWERS or length > _LONGEST:
            return self._send(400, "no such question")
        try:
            answer = getattr(self.server.bank, method)(*json.loads(self.rfile.read(length)))
        except AnswerLost:
            # The lost answer is a connection that ends without a word.
            self.close_connection = True
            return None
        except LookupError as error:
            return self._send(404, str(error))
        except ValueError as error:
            return self._send(409, str(error))
        except Exception:
            log.exception("the bank broke in %s", method)
            return self._send(500, "broken")
        return self._send(200, _plain(answer))

    def do_GET(self) -> None:
        self._send(200, "demo bank")

    def _send(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        log.debug(format, *args)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def main() -> None:
    """Serve until stopped; the first line printed is the address."""
    parser = argparse.ArgumentParser(description="The demo bank as a process of its own.")
    parser.add_argument("--port", type=int, default=4243, help="0 takes a free one")
    parser.add_argument("--db", default=":memory:", help="file of the bank's own database")
    options = parser.parse_args()
    server = BankServer(Bank(options.db), options.port)
    print(server.address, flush=True)  # noqa: T201 - the starter reads it
    server.serve_forever()


if __name__ == "__main__":
    main()
