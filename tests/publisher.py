"""A publisher of weights on a network that does not exist."""

import io
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.message import Message
from pathlib import Path

import pytest
import torch


class Answer(io.BytesIO):
    """What an opener returns."""

    def __init__(self, data: bytes, length: int | str | None = None):
        super().__init__(data)
        self.headers = Message()
        self.headers["Content-Length"] = str(len(data) if length is None else length)


class Publisher:
    """Answers downloads; without anything published the network is down."""

    def __init__(self, patch: pytest.MonkeyPatch):
        self.requests: list[str] = []
        self.answer: Callable[[], Answer] = self.down
        patch.setattr(urllib.request, "urlopen", self.open)

    def open(self, where: str, timeout: float) -> Answer:
        self.requests.append(where)
        assert timeout > 0
        return self.answer()

    def down(self) -> Answer:
        raise urllib.error.URLError("Name or service not known")

    def publish(self, tensors: Mapping[str, object]) -> bytes:
        stream = io.BytesIO()
        torch.save(tensors, stream)
        self.answer = lambda: Answer(stream.getvalue())
        return stream.getvalue()


class Attack:
    """Unpickled it creates a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def cached(cache: Path) -> list[str]:
    """Names of the files in the cache of weights."""
    return sorted(path.name for path in (cache / "svc").iterdir() if path.suffix != ".lock")
