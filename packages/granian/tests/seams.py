"""The private parts of granian that this package relies on: places, and texts there."""

SEAMS = [
    # The parent
    ("granian/server/common.py AbstractServer.__init__", "self.interrupt_signal = False"),
    (
        "granian/server/common.py AbstractServer.__init__",
        "self.workers_kill_timeout = workers_kill_timeout",
    ),
    (
        "granian/server/common.py AbstractServer.startup",
        "set_main_signals(self.signal_handler_interrupt",
    ),
    (
        "granian/server/common.py:338 AbstractServer.signal_handler_interrupt",
        "def signal_handler_interrupt(",
    ),
    (
        "granian/server/common.py AbstractServer.signal_handler_interrupt",
        "self.interrupt_signal = True",
    ),
    ("granian/server/common.py:59 AbstractWorker._watcher", "self.inner.join()"),
    ("granian/server/common.py:388 AbstractServer._stop_workers", "wrk.join(timeout)"),
    ("granian/server/common.py:392", "if wrk.is_alive():"),
    ("granian/server/common.py:60", "if not self.interrupt_by_parent:"),
    ("granian/server/common.py:544", "self.main_loop_interrupt.wait()"),
    ("granian/server/common.py:533 AbstractServer._reload", "self.main_loop_interrupt.clear()"),
    (
        "granian/server/common.py AbstractServer",
        "def _respawn_workers(self, workers, spawn_target, target_loader, delay: float = 0):",
    ),
    ("granian/server/common.py:553", "if any(cycle - self.respawned_wrks.get(idx, 0) <= 5.5"),
    ("granian/server/common.py:549", "if not self.respawn_failed_workers:"),
    ("granian/cli.py", "'--workers-kill-timeout',"),
    ("granian/cli.py", "'--reload/--no-reload',"),
    ("granian/cli.py entrypoint", "cli(auto_envvar_prefix='GRANIAN')"),
    ("granian/_signals.py set_main_signals", "signal.signal(sig, interrupt_handler)"),
    # The worker
    ("granian/server/mp.py:98", "multiprocessing.get_context(self._spawn_method).Process("),
    ("granian/server/mp.py WorkerProcess._spawn", "name='granian-worker'"),
    (
        "granian/server/mp.py:53 WorkerProcess.__init__",
        "if self._spawn_method not in {'fork', 'spawn'}:",
    ),
    ("granian/server/mp.py:181 MPServer", "def _spawn_asgi_lifespan_worker("),
    (
        "granian/server/mp.py MPServer._spawn_asgi_lifespan_worker",
        "lifespan_handler = LifespanProtocol(callback)",
    ),
    (
        "granian/server/mp.py MPServer._spawn_asgi_lifespan_worker",
        "shutdown_event = set_loop_signals(loop)",
    ),
    ("granian/server/common.py AbstractServer.serve", "def serve("),
    ("granian/server/common.py AbstractServer.startup", "self.pid = os.getpid()"),
    (
        "granian/server/mp.py MPServer._spawn_asgi_lifespan_worker",
        "run_until_complete(lifespan_handler.startup())",
    ),
    (
        "granian/server/mp.py MPServer._spawn_asgi_lifespan_worker",
        "serve(scheduler, loop, shutdown_event)",
    ),
    ("granian/_signals.py:22", "def set_loop_signals("),
    ("granian/_signals.py set_loop_signals", "signal_event = WorkerSignal()"),
    (
        "granian/_signals.py set_loop_signals",
        "loop.add_signal_handler(sigval, signal_handler, sigval, None)",
    ),
    # Its side of the lifespan protocol, and requests
    ("granian/asgi.py LifespanProtocol.__init__", "self.event_startup = asyncio.Event()"),
    ("granian/asgi.py LifespanProtocol.__init__", "self.failure_startup = False"),
    ("granian/asgi.py LifespanProtocol.__init__", "self.failure_shutdown = False"),
    ("granian/asgi.py LifespanProtocol.startup", "loop.create_task(self.handle())"),
    ("granian/_futures.py:13 _future_watcher_wrapper", "async def future_watcher("),
    ("granian/_futures.py:24", "class _CBSchedulerTask("),
]
