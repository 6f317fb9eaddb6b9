"""The example of a model that takes long to load."""

from __future__ import annotations

import threading
from array import array
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse

from docs.examples.conftest import Example, Serve


@pytest.mark.real_clock
async def test_the_model_is_loaded_once_in_a_thread(
    example: Example,
    serve: Serve,
    settings: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before the first request; and its file is closed with the lifespan."""
    weights_path = settings.WEIGHTS_PATH = tmp_path / "weights"
    weights_path.write_bytes(array("d", [1.0, 2.0, 3.0]))
    recipe = example("model")
    loaded_in: list[threading.Thread] = []

    class Watched(recipe.Model):
        def __init__(self, weights: Any) -> None:
            loaded_in.append(threading.current_thread())
            super().__init__(weights)

    monkeypatch.setattr(recipe, "Model", Watched)

    async def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(str(recipe.model.get().predict([10.0, 20.0, 30.0])))

    async with serve(view) as browser:
        [thread] = loaded_in
        assert thread is not threading.current_thread()
        assert [(await browser.get("/")).text for _ in range(3)] == ["140.0"] * 3
        weights = recipe.model.get().weights
    assert loaded_in == [thread]
    with pytest.raises(ValueError, match="released memoryview"):
        weights[0]
