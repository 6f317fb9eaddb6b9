from typing import Any


def post_worker_init(worker: Any) -> None:
    from bakery import worker as lifespan

    lifespan.begin()


def worker_exit(server: Any, worker: Any) -> None:
    from bakery import worker as lifespan

    lifespan.end()
