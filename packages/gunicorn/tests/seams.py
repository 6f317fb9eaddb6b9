"""The private parts of gunicorn, uvicorn and uvicorn-worker that this package relies on.

Each is a place, and a text there.
"""

SEAMS = [
    # The arbiter
    ("gunicorn/arbiter.py:225 Arbiter.init_signals", "def init_signals(self):"),
    ("gunicorn/arbiter.py:237 Arbiter.signal", "def signal(self, sig, frame):"),
    ("gunicorn/arbiter.py Arbiter.signal", "self.SIG_QUEUE.put_nowait(sig)"),
    ("gunicorn/arbiter.py:442 Arbiter.stop", "def stop(self, graceful=True):"),
    ("gunicorn/arbiter.py:449 Arbiter.stop", "unlink = ("),
    ("gunicorn/arbiter.py:694 Arbiter.manage_workers", "def manage_workers(self):"),
    ("gunicorn/arbiter.py:482 Arbiter.stop", "limit = time.time() + 2.0"),
    ("gunicorn/arbiter.py:530 Arbiter.reload", "def reload(self):"),
    ("gunicorn/arbiter.py:603 Arbiter.murder_workers", "def murder_workers(self):"),
    ("gunicorn/arbiter.py:612 Arbiter.murder_workers", "worker.tmp.last_update() <= self.timeout"),
    ("gunicorn/arbiter.py:624 Arbiter.reap_workers", "def reap_workers(self):"),
    (
        "gunicorn/arbiter.py:683 Arbiter.reap_workers",
        "raise HaltServer(reason, self.WORKER_BOOT_ERROR)",
    ),
    ("gunicorn/workers/workertmp.py:46 WorkerTmp.last_update", "def last_update(self):"),
    # gunicorn's own ASGI worker
    ("gunicorn/workers/gasgi.py:83", "except SyntaxError as e:"),
    ("gunicorn/workers/gasgi.py ASGIWorker.run", "self._serve()"),
    ("gunicorn/workers/gasgi.py:161 ASGIWorker._serve", "async def _serve(self):"),
    ("gunicorn/workers/gasgi.py ASGIWorker._serve", "asgi_lifespan"),
    ("gunicorn/workers/gasgi.py ASGIWorker._serve", "self.state"),
    ("gunicorn/workers/gasgi.py ASGIWorker._serve", "self.alive"),
    (
        "gunicorn/workers/gasgi.py ASGIWorker._serve",
        "except asyncio.CancelledError:\n            pass",
    ),
    ("gunicorn/workers/gasgi.py ASGIWorker._serve", "await self._shutdown()"),
    ("gunicorn/workers/gasgi.py:228 ASGIWorker._shutdown", "async def _shutdown(self):"),
    (
        "gunicorn/workers/gasgi.py:247 ASGIWorker._shutdown",
        "if self.nr_conns > 0 and not self._quick_shutdown:",
    ),
    ("gunicorn/workers/gasgi.py:294", "asyncio.wait_for(gather, timeout=1.0)"),
    # Its requests
    (
        "gunicorn/asgi/protocol.py:1900 ASGIProtocol._handle_http_request",
        "await self.app(scope, body_receiver.receive, send)",
    ),
    ("gunicorn/asgi/protocol.py:2714 ASGIProtocol._handle_http2_request", "await self.app("),
    ("gunicorn/asgi/protocol.py ASGIProtocol", "self.transport = transport"),
    ("gunicorn/asgi/websocket.py WebSocketProtocol", "self.transport = transport"),
    (
        "gunicorn/asgi/protocol.py ASGIProtocol._handle_connection",
        "await self._request_ready.wait()",
    ),
    ("gunicorn/asgi/protocol.py ASGIProtocol", "async def _handle_http2_connection("),
    ("gunicorn/asgi/websocket.py:173 WebSocketProtocol.run", "await self.app("),
    # uvicorn's worker
    ("uvicorn_worker/_workers.py:67 UvicornWorker", "config_kwargs: dict = {"),
    ("uvicorn_worker/_workers.py UvicornWorker._serve", "Server(config=self.config)"),
    ("uvicorn_worker/_workers.py:107 UvicornWorker", "def _install_sigquit_handler("),
    ("uvicorn_worker/_workers.py UvicornWorker.run", "self._serve()"),
    ("uvicorn/server.py Server.serve", "self.capture_signals()"),
    ("uvicorn/server.py Server._serve", "config.lifespan_class(config)"),
    ("uvicorn/server.py Server._serve", "self.startup("),
    ("uvicorn/server.py Server._serve", "self.main_loop("),
    ("uvicorn/server.py Server._serve", "self.shutdown("),
    ("uvicorn/server.py Server.shutdown", "self.server_state.tasks"),
    ("uvicorn/lifespan/on.py LifespanOn.main", "self.startup_event.set()"),
    ("uvicorn/config.py Config.load", "self.loaded_app = self.loaded_app()"),
    ("uvicorn/lifespan/off.py LifespanOff.__init__", "self.state: dict[str, Any] = {}"),
]
