"""The private parts of hypercorn that this package relies on: places, and texts there."""

SEAMS = [
    # The command and the parent
    ("hypercorn/__main__.py main", "return run(config)"),
    ("hypercorn/run.py:66 run", "shutdown_event.set()"),
    ("hypercorn/run.py:74 run", "signal.signal(signal.SIGINT, signal.SIG_IGN)"),
    ("hypercorn/run.py run", 'get_context("spawn")'),
    ("hypercorn/run.py run", "worker_func(config, sockets)"),
    ("hypercorn/run.py run", "wait(process.sentinel for process in processes)"),
    ("hypercorn/run.py:98 run", "exitcode = _join_exited(processes)"),
    ("hypercorn/run.py:104 run", "process.terminate()"),
    ("hypercorn/run.py:106 run", "_join_exited(processes) if exitcode != 0 else exitcode"),
    ("hypercorn/run.py:108 run", "for sock in sockets.secure_sockets:"),
    # The workers
    ("hypercorn/asyncio/run.py asyncio_worker", "partial(worker_serve, app, config"),
    ("hypercorn/asyncio/run.py uvloop_worker", "partial(worker_serve, app, config"),
    ("hypercorn/asyncio/run.py _run", "runner.run(main(shutdown_trigger=shutdown_trigger))"),
    ("hypercorn/asyncio/run.py worker_serve", "async def worker_serve("),
    ("hypercorn/asyncio/run.py worker_serve", "shutdown_trigger = signal_event.wait"),
    ("hypercorn/asyncio/run.py worker_serve", "lifespan = Lifespan(app, config, loop,"),
    ("hypercorn/asyncio/run.py worker_serve", "lifespan_task = loop.create_task("),
    ("hypercorn/asyncio/run.py worker_serve", "context = WorkerContext(max_requests)"),
    (
        "hypercorn/asyncio/run.py worker_serve",
        "async def _server_callback(reader: asyncio.StreamReader, writer: ",
    ),
    ("hypercorn/asyncio/run.py worker_serve", "server_tasks.add(task)"),
    ("hypercorn/asyncio/run.py worker_serve", "async with TaskGroup() as task_group:"),
    (
        "hypercorn/asyncio/run.py worker_serve",
        "task_group.create_task(raise_shutdown(shutdown_trigger))",
    ),
    (
        "hypercorn/asyncio/run.py worker_serve",
        "task_group.create_task(raise_shutdown(context.terminate.wait))",
    ),
    ("hypercorn/asyncio/run.py worker_serve", "await context.terminated.set()"),
    ("hypercorn/asyncio/run.py:169 worker_serve", "asyncio.gather(*server_tasks)"),
    ("hypercorn/asyncio/run.py worker_serve", "config.graceful_timeout"),
    ("hypercorn/utils.py raise_shutdown", "async def raise_shutdown(shutdown_event: "),
    ("asyncio/selector_events.py BaseSelectorEventLoop", "async def _accept_connection2("),
    # Its side of the lifespan protocol
    ("hypercorn/asyncio/lifespan.py Lifespan.__init__", "self.config = config"),
    ("hypercorn/asyncio/lifespan.py Lifespan.wait_for_startup", "self.startup.wait()"),
    (
        "hypercorn/asyncio/lifespan.py Lifespan.wait_for_startup",
        'raise LifespanTimeoutError("startup")',
    ),
    (
        "hypercorn/asyncio/lifespan.py Lifespan.wait_for_shutdown",
        'raise LifespanTimeoutError("shutdown")',
    ),
    ("hypercorn/asyncio/lifespan.py Lifespan.asgi_receive", "await self.app_queue.get()"),
    ("hypercorn/asyncio/lifespan.py Lifespan.asgi_send", "self.startup.set()"),
    (
        "hypercorn/asyncio/lifespan.py Lifespan.asgi_send",
        'raise LifespanFailureError("startup"',
    ),
    (
        "hypercorn/asyncio/lifespan.py Lifespan.asgi_send",
        'raise LifespanFailureError("shutdown"',
    ),
]
