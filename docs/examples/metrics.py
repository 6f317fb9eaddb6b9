"""The state of resources as a metric of Prometheus, for the page Observability."""

from collections.abc import Iterator

from prometheus_client.core import REGISTRY, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from django_asgi_lifespan import ResourceUnavailableError, lifespan_status


class ResourceCollector(Collector):
    def collect(self) -> Iterator[Metric]:
        gauge = GaugeMetricFamily(
            "lifespan_resource_open", "1 if the resource of this worker is open", labels=["name"]
        )
        try:
            resources = lifespan_status()["resources"]
        except ResourceUnavailableError:  # no lifespan runs, or not any more
            resources = []
        for each in resources:
            gauge.add_metric([each["name"]], each["state"] == "open")
        yield gauge


REGISTRY.register(ResourceCollector())
