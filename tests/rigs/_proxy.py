"""A bad line between the shop and the bank: slow, cut, mute, reset, or heard twice.

It sits on a port of its own and takes one request per connection, as ``RemoteBank`` asks. What
it does with each is drawn from a seed, in the order in which the connections come.
"""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any
from urllib.parse import urlsplit

#: Seconds the shop waits for an answer on this line; set by who makes the shop.
PATIENCE = 0.4
#: Seconds of a delay that the shop sits out, and of one that it does not.
_SHORT, _LONG = (0.005, 0.05), (PATIENCE + 0.1, PATIENCE + 0.3)
#: Seconds until somebody on the line gives up.
_TIMEOUT = 30.0
_CHUNK = 65536
_LINGER_ZERO = struct.pack("ii", 1, 0)


class Fault(StrEnum):
    """What the line does with one request; all but the first two lose the answer or the call."""

    DELAYED = "answered late, in time"
    TWICE = "heard twice by the bank"
    TOO_LATE = "arrives after the shop gave up"
    REQUEST_CUT = "request cut after n bytes"
    ANSWER_CUT = "answer cut after n bytes"
    ANSWER_DROPPED = "answer dropped"
    RESET_BEFORE = "reset before the bank heard it"
    RESET_AFTER = "reset after the bank did it"


class BadLine(ThreadingTCPServer):
    """Listens on 127.0.0.1; ``share`` of the requests meet a fault, 0 lets all through."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, bank: str, seed: int, share: float) -> None:
        """``bank`` is the http address behind the line."""
        super().__init__(("127.0.0.1", 0), _Call)
        parts = urlsplit(bank)
        self.bank = (parts.hostname or "", parts.port or 80)
        self.share = share
        #: How often each fault happened, and ``None`` how often none did.
        self.met: Counter[Fault | None] = Counter()
        self._random, self._lock = random.Random(seed), threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def draw(self) -> tuple[Fault | None, float]:
        """Return what happens to the next request, and a number from 0 to 1 to measure it by."""
        with self._lock:
            fault = self._random.choice(list(Fault)) if self._random.random() < self.share else None
            self.met[fault] += 1
            return fault, self._random.random()

    def ask(self, request: bytes) -> bytes:
        """Hand ``request`` to the bank; returns its answer, empty where it gave none."""
        with socket.create_connection(self.bank, timeout=_TIMEOUT) as bank:
            bank.sendall(request)
            bank.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: bank.recv(_CHUNK), b""))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: who gave up is not there to hear the answer."""


class _Call(BaseRequestHandler):
    server: BadLine

    def handle(self) -> None:
        line, request = self.server, _read(self.request)
        fault, much = line.draw()
        if fault is Fault.RESET_BEFORE:
            return self._reset()
        if fault is Fault.REQUEST_CUT:
            line.ask(request[: int(len(request) * much)])
            return None
        if fault in (Fault.DELAYED, Fault.TOO_LATE):
            least, most = _SHORT if fault is Fault.DELAYED else _LONG
            time.sleep(least + (most - least) * much)
        answer = _twice(line, request) if fault is Fault.TWICE else line.ask(request)
        if fault is Fault.RESET_AFTER:
            return self._reset()
        if fault is Fault.ANSWER_CUT:
            answer = answer[: int(len(answer) * much)]
        if fault is not Fault.ANSWER_DROPPED:
            self.request.sendall(answer)
        return None

    def _reset(self) -> None:
        """End the connection with a reset instead of a goodbye."""
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self.request.close()


def _twice(line: BadLine, request: bytes) -> bytes:
    """Ask in the same moment over two connections; returns one of the answers."""
    with ThreadPoolExecutor(max_workers=2) as both:
        return list(both.map(line.ask, [request, request]))[1]


def _read(connection: socket.socket) -> bytes:
    """Return one whole request, or what there is of it."""
    connection.settimeout(_TIMEOUT)
    got = b""
    while not _is_whole(got):
        more = connection.recv(_CHUNK)
        if not more:
            break
        got += more
    return got


def _is_whole(request: bytes) -> bool:
    head, end, body = request.partition(b"\r\n\r\n")
    if not end:
        return False
    lengths = [
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    ]
    return len(body) >= sum(lengths)
