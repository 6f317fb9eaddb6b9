"""The private parts of hypercorn that this package relies on: places, and texts there."""

SEAMS = [
    # The command and the parent
    ("hypercorn/__main__.py main", "return run(config)"),
    ("hypercorn/run.py run", 'get_context("spawn")'),
    ("hypercorn/run.py:98 run", "exitcode = _join_exited(processes)"),
    ("hypercorn/run.py:104 run", "process.terminate()"),
    ("hypercorn/run.py:106 run", "_join_exited(processes) if exitcode != 0 else exitcode"),
    ("hypercorn/run.py:108 run", "for sock in sockets.secure_sockets:"),
    # The workers
    ("hypercorn/asyncio/run.py asyncio_worker", "load_application(config.application_path"),
    ("hypercorn/asyncio/run.py uvloop_worker", "load_application(config.application_path"),
    ("hypercorn/asyncio/run.py:54 worker_serve", "async def worker_serve("),
    ("hypercorn/asyncio/run.py:65 worker_serve", "if shutdown_trigger is None:"),
    ("hypercorn/asyncio/run.py worker_serve", "async with TaskGroup() as task_group:"),
    (
        "hypercorn/asyncio/run.py worker_serve",
        "task_group.create_task(raise_shutdown(shutdown_trigger))",
    ),
    (
        "hypercorn/asyncio/run.py worker_serve",
        "task_group.create_task(raise_shutdown(context.terminate.wait))",
    ),
    (
        "hypercorn/asyncio/run.py:105 worker_serve",
        "async def _server_callback(reader: asyncio.StreamReader, writer: ",
    ),
    ("hypercorn/asyncio/run.py:166 worker_serve", "await server.wait_closed()"),
    ("hypercorn/asyncio/run.py worker_serve", "config.graceful_timeout"),
    ("hypercorn/utils.py:38", "class LifespanFailureError(Exception):"),
    ("hypercorn/utils.py:152", "async def raise_shutdown("),
    # Its side of the lifespan protocol
    ("hypercorn/asyncio/lifespan.py:21", "class Lifespan:"),
    ("hypercorn/asyncio/lifespan.py Lifespan.__init__", "self.config = config"),
    ("hypercorn/asyncio/lifespan.py Lifespan.handle_lifespan", "self.asgi_receive,"),
    ("hypercorn/asyncio/lifespan.py:108 Lifespan", "async def asgi_receive("),
    ("hypercorn/asyncio/lifespan.py Lifespan.asgi_send", "startup.complete"),
    ("hypercorn/asyncio/lifespan.py Lifespan.asgi_send", "self.startup.set()"),
    (
        "hypercorn/asyncio/lifespan.py Lifespan.asgi_send",
        'raise LifespanFailureError("startup"',
    ),
    ("hypercorn/asyncio/lifespan.py Lifespan.asgi_send", "self.shutdown.set()"),
    (
        "hypercorn/asyncio/lifespan.py Lifespan.asgi_send",
        'raise LifespanFailureError("shutdown"',
    ),
    ("hypercorn/app_wrappers.py ASGIWrapper.__call__", "await self.app(scope, receive, send)"),
]
