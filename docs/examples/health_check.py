"""The checks of resources on the page of django-health-check 4."""

import inspect
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from health_check.base import HealthCheck
from health_check.exceptions import ServiceUnavailable

from django_asgi_lifespan import Resource


@dataclass(repr=False)
class ResourceCheck(HealthCheck):
    resource: Resource[Any]

    def __repr__(self) -> str:
        return self.resource.name

    async def run(self) -> None:
        check = self.resource.check
        if check is None:
            raise TypeError(f"{self.resource} has no check")
        call = check if inspect.iscoroutinefunction(check) else sync_to_async(check)
        result = await call(self.resource.get())
        if inspect.isawaitable(result):
            result = await result
        if result is False:
            raise ServiceUnavailable("the check returned False")
