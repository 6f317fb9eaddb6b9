"""The settings: defaults, and the errors of wrong ones."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_asgi_lifespan.conf import lifespan_settings


def read() -> dict[str, Any]:
    """The settings as they are now, by name."""
    settings = lifespan_settings()
    return {name: getattr(settings, name) for name in settings.__slots__}


def test_every_setting_is_optional(settings: Any) -> None:
    """Without any, the shutdown is limited to 20 s and the startup not at all."""
    defaults = {
        "startup_timeout": None,
        "startup_warning": 5.0,
        "shutdown_timeout": 20.0,
        "autodiscover": True,
        "mirror_state": True,
        "names": {},
        "adapters": (),
        "probes": None,
        "probes_verbose": False,
        "drain_delay": 0.0,
        "request_threads": None,
    }
    assert read() == defaults
    settings.ASGI_LIFESPAN = {}
    assert read() == defaults
    settings.ASGI_LIFESPAN = {"PROBES": None}
    assert read() == defaults


def test_every_setting_is_read(settings: Any) -> None:
    """Each at the time of the call."""
    settings.ASGI_LIFESPAN = {
        "STARTUP_TIMEOUT": 5,
        "STARTUP_WARNING": None,
        "SHUTDOWN_TIMEOUT": None,
        "AUTODISCOVER": False,
        "MIRROR_STATE": False,
        "NAMES": {"vendor.lifespan.client": "vendor_client"},
        "ADAPTERS": ["one", "two"],
        "PROBES": "/ops/",
        "PROBES_VERBOSE": True,
        "DRAIN_DELAY": 5,
        "REQUEST_THREADS": 16,
    }
    assert read() == {
        "startup_timeout": 5.0,
        "startup_warning": None,
        "shutdown_timeout": None,
        "autodiscover": False,
        "mirror_state": False,
        "names": {"vendor.lifespan.client": "vendor_client"},
        "adapters": ("one", "two"),
        "probes": "/ops/",
        "probes_verbose": True,
        "drain_delay": 5.0,
        "request_threads": 16,
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "ASGI_LIFESPAN is []; it must be a dictionary"),
        ({"SHUTDOWN_TIMOUT": 1}, "no key 'SHUTDOWN_TIMOUT'. Did you mean 'SHUTDOWN_TIMEOUT'? The"),
        ({"x": 1}, "no key 'x'. The keys are STARTUP_TIMEOUT, "),
        ({7: 1}, "no key 7. The keys are"),
        ({"STARTUP_TIMEOUT": "5"}, "['STARTUP_TIMEOUT'] is '5'; it must be a positive number"),
        ({"STARTUP_TIMEOUT": True}, "['STARTUP_TIMEOUT'] is True; it must be a positive number"),
        ({"STARTUP_WARNING": 0}, "['STARTUP_WARNING'] is 0; it must be a positive number"),
        ({"SHUTDOWN_TIMEOUT": 0}, "['SHUTDOWN_TIMEOUT'] is 0; it must be a positive number"),
        ({"SHUTDOWN_TIMEOUT": float("nan")}, "is nan; it must be a positive number"),
        ({"MIRROR_STATE": None}, "['MIRROR_STATE'] is None; it must be True or False"),
        ({"AUTODISCOVER": 1}, "['AUTODISCOVER'] is 1; it must be True, False or a list of the la"),
        ({"AUTODISCOVER": "shop"}, "is 'shop'; it must be True, False or a list of the labels"),
        ({"AUTODISCOVER": [1]}, "is [1]; it must be True, False or a list of the labels of Django"),
        (
            {"NAMES": ["a"]},
            "['NAMES'] is ['a']; it must be a dictionary such as {'vendor.lifespan.",
        ),
        ({"NAMES": {1: "a"}}, "['NAMES'] is {1: 'a'}; it must be a dictionary such as"),
        ({"NAMES": {"a.b": "x y"}}, "['NAMES'] is {'a.b': 'x y'}; it must be a dictionary such as"),
        ({"NAMES": {"a.b": 1}}, "['NAMES'] is {'a.b': 1}; it must be a dictionary such as"),
        (
            {"PROBES": "ops/"},
            "['PROBES'] is 'ops/'; it must be a path that begins and ends with a sl",
        ),
        (
            {"PROBES": "/ops"},
            "['PROBES'] is '/ops'; it must be a path that begins and ends with a sl",
        ),
        (
            {"PROBES": True},
            "['PROBES'] is True; it must be a path that begins and ends with a slash",
        ),
        ({"PROBES_VERBOSE": 1}, "['PROBES_VERBOSE'] is 1; it must be True or False"),
        ({"DRAIN_DELAY": -1}, "['DRAIN_DELAY'] is -1; it must be a number of seconds, or 0 for no"),
        ({"DRAIN_DELAY": "5"}, "['DRAIN_DELAY'] is '5'; it must be a number of seconds, or 0"),
        ({"DRAIN_DELAY": True}, "['DRAIN_DELAY'] is True; it must be a number of seconds, or 0"),
        ({"DRAIN_DELAY": None}, "['DRAIN_DELAY'] is None; it must be a number of seconds, or 0"),
        ({"DRAIN_DELAY": float("nan")}, "is nan; it must be a number of seconds, or 0"),
        ({"DRAIN_DELAY": float("inf")}, "is inf; it must be a number of seconds, or 0"),
        ({"ADAPTERS": "one"}, "['ADAPTERS'] is 'one'; it must be a list of dotted module names"),
        ({"REQUEST_THREADS": 0}, "['REQUEST_THREADS'] is 0; it must be a positive number of threa"),
        ({"REQUEST_THREADS": True}, "is True; it must be a positive number of threads, or None"),
        ({"REQUEST_THREADS": "16"}, "is '16'; it must be a positive number of threads, or None"),
        ({"ADAPTERS": [1]}, "['ADAPTERS'] is [1]; it must be a list of dotted module names"),
    ],
)
def test_a_wrong_setting_is_named_with_the_remedy(
    settings: Any, given: object, message: str
) -> None:
    """For each of them."""
    settings.ASGI_LIFESPAN = given
    with pytest.raises(ImproperlyConfigured) as error:
        lifespan_settings()
    assert message in str(error.value)


def test_adapters_can_be_forbidden(settings: Any) -> None:
    """None is not an empty list: that one only names no further adapters."""
    settings.ASGI_LIFESPAN = {"ADAPTERS": None}
    assert lifespan_settings().adapters is None
    settings.ASGI_LIFESPAN = {"ADAPTERS": []}
    assert lifespan_settings().adapters == ()


def test_request_threads_can_be_switched_off(settings: Any) -> None:
    """None is the default, said aloud."""
    settings.ASGI_LIFESPAN = {"REQUEST_THREADS": None}
    assert lifespan_settings().request_threads is None
