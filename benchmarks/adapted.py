"""The same two applications with a lifespan, in which the adapters find their server."""

from benchmarks import alone
from django_asgi_lifespan.asgi import LifespanApplication, get_asgi_application

__all__ = ("bare", "project")

bare = LifespanApplication(alone.bare)
project = get_asgi_application()
