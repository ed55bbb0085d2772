"""What a reading of the history asks the vendor for, in order: for those who replay it."""

from __future__ import annotations

from benchmarks import child
from benchmarks.code.job import Job
from benchmarks.code.read import pages_of
from connectors.http import Transport, WireRequest, WireResponse
from core import logs


class Recorder(Transport):
    """Notes what passes."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.urls: list[str] = []

    def handle_request(self, request: WireRequest) -> WireResponse:
        """Pass it on."""
        self.urls.append(str(request.url))
        return self._inner.handle_request(request)


def asked(job: Job) -> list[str]:
    """Read the history once."""
    recorder = Recorder(job.runtime().transport)
    for _ in pages_of(job, recorder):
        pass
    return recorder.urls


if __name__ == "__main__":
    logs.set_up(as_json=True)
    child.answer(asked(Job(**child.given())))
