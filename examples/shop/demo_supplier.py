"""The shop's supplier, somebody else's HTTP service: served by the demo, on 127.0.0.1."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

CATALOGUE = {"coffee": 720, "tea": 450}
STOCK = {"coffee": 3, "tea": 17}
ANSWERS: dict[str, object] = {
    "/catalogue": CATALOGUE,
    **{f"/stock/{article}": {article: number} for article, number in STOCK.items()},
}


class Supplier(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections open, as the clients of real services do

    def do_GET(self) -> None:
        body = json.dumps(ANSWERS.get(self.path, {})).encode()
        self.send_response(200 if self.path in ANSWERS else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is named there
        """Say nothing: the demo shows the requests that the shop answers."""


@contextmanager
def serve_supplier() -> Generator[str]:
    """Yield the URL of a supplier that runs in a thread of this process."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Supplier) as server:
        Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
