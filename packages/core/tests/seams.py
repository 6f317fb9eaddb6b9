"""The private parts of asgiref that the core relies on: places, and texts there."""

SEAMS = [
    # Where synchronous code runs
    ("asgiref/sync.py SyncToAsync", "thread_sensitive_context: "),
    ("asgiref/sync.py SyncToAsync", "context_to_thread_executor: "),
    (
        "asgiref/sync.py SyncToAsync.__call__",
        "executor = self.context_to_thread_executor[thread_sensitive_context]",
    ),
    # The thread that waits in async_to_sync(), which comes first
    ("asgiref/sync.py AsyncToSync", "loop_thread_executors: "),
    ("asgiref/sync.py SyncToAsync.__call__", "AsyncToSync.executors"),
    ("asgiref/sync.py SyncToAsync.__call__", "executor = AsyncToSync.loop_thread_executors[loop]"),
    # A request has the outermost context, which our handler enters around Django's
    ("asgiref/sync.py ThreadSensitiveContext.__aenter__", "except LookupError:"),
    ("django/core/handlers/asgi.py ASGIHandler.__call__", "async with ThreadSensitiveContext():"),
]
