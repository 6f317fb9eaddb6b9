"""A model that takes long to load: a plain generator function runs in a thread of its own.

The event loop stays free meanwhile, and no request is served before the model is there.
"""

import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path

from django.conf import settings

from django_asgi_lifespan import resource


class Model:
    def __init__(self, weights: Sequence[float]) -> None:
        self.weights = weights

    def predict(self, features: Sequence[float]) -> float:
        return sum(map(float.__mul__, self.weights, features))


@resource(startup_timeout=120)
def model() -> Iterator[Model]:
    with (
        Path(settings.WEIGHTS_PATH).open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        memoryview(mapped).cast("d") as weights,
    ):
        yield Model(weights)
