"""An S3 server on loopback that misbehaves on demand: answers 500, or not in time."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

KEYS = {  # of nobody: the server takes any
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass
class Store:
    """errors, stalls: shares of requests that get a 500, or no answer for `stall` seconds. denied:
    nobody may do anything.
    """

    url: str = ""
    errors: float = 0.0
    stalls: float = 0.0
    stall: float = 20.0
    served: int = 0
    refused: int = 0
    denied: bool = False
    random: random.Random = field(default_factory=lambda: random.Random(0))

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to find the server, and it alone."""
        return {**KEYS, "AWS_ENDPOINT_URL": self.url}


@contextmanager
def serving(seed: int = 0) -> Iterator[Store]:
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    store = Store(random=random.Random(seed))
    application = DomainDispatcherApplication(create_backend_app)

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        store.served += 1
        if store.denied:
            body = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
            size = ("Content-Length", str(len(body)))
            start("403 Forbidden", [("Content-Type", "application/xml"), size])
            return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]
        chance = store.random.random()
        if chance < store.errors:
            store.refused += 1
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start("500 Internal Server Error", [("Content-Type", "text/plain")])
            return [b"no"]
        if chance < store.errors + store.stalls:
            store.refused += 1
            time.sleep(store.stall)
        return application(environ, start)

    class Silent(WSGIRequestHandler):
        def log_request(self, *_: object) -> None: ...

    server = make_server("127.0.0.1", 0, answer, threaded=True, request_handler=Silent)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    store.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield store
    finally:
        server.shutdown()
        thread.join(5)
