"""Web processes and workers of a rig, forked, each until it is told to end."""

import logging
import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType

from flask import Flask
from werkzeug.serving import make_server

from storefront.jobs.work import (
    CLOSE_CYCLES,
    DUNNING,
    ERASURES,
    GATEWAY_EVENTS,
    LOOK_UPS,
    REFUNDS,
    RENEWALS,
    run_job,
)
from storefront.runtime import Runtime
from tests.rigs._children import Children, orphaned

#: Seconds between two looks of a worker; shorter keeps the machine busy with asking.
_TICK = 0.03


def _serve(app: Flask, writer: int, errors: Path) -> None:
    """What a web process does until it is told to end."""
    logging.basicConfig(filename=errors, level=logging.ERROR, force=True)
    # It writes a line per request otherwise.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    os.write(writer, f"{server.server_port}\n".encode())
    os.close(writer)
    thread.start()
    _until_told()
    server.shutdown()


def work(app: Flask, errors: Path) -> None:
    """What a worker does until it is told to end."""
    logging.basicConfig(filename=errors, level=logging.ERROR, force=True)
    jobs = (GATEWAY_EVENTS, LOOK_UPS, RENEWALS, DUNNING, REFUNDS, CLOSE_CYCLES, ERASURES)
    with app.app_context():
        rt: Runtime = app.extensions["storefront"]

        def once() -> None:
            for job in jobs:
                run_job(rt, job)

        _until_told(once)


def _until_told(once: Callable[[], None] | None = None) -> None:
    stopping, parent = threading.Event(), os.getppid()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    while not stopping.wait(_TICK) and not orphaned(parent):
        if once is not None:
            once()


def start_web(children: Children, app: Flask, errors: Path) -> int:
    reader, writer = os.pipe()
    children.fork(partial(_serve, app, writer, errors))
    os.close(writer)
    with os.fdopen(reader) as pipe:
        return int(pipe.readline())
