from __future__ import annotations

import pytest
import torch

from dl_nets.learning.devices import resolve_device
from rl_core.errors import RequestError


def test_auto_takes_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for available, kind in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda available=available: available)
        assert resolve_device("auto").type == kind
        assert resolve_device("cpu").type == "cpu"


def test_cuda_without_a_gpu_is_refused_with_what_torch_was_built_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(RequestError, match=r"device is 'cuda', but torch .* is built for the CPU alone") as caught:
        resolve_device("cuda")
    assert "cpu, or auto" in caught.value.hint
    monkeypatch.setattr(torch.version, "cuda", "13.2")
    with pytest.raises(RequestError, match=r"is built for CUDA 13\.2, but finds no GPU"):
        resolve_device("cuda")


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(RequestError, match="device is 'tpu'; it must be auto, cpu or cuda"):
        resolve_device("tpu")
