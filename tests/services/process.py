"""Real subprocesses, started, watched, killed and always reaped."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypedDict

ROOT = Path(__file__).resolve().parents[2]
POLL = 0.02  # seconds between two looks at something that is about to happen
LOG_TAIL = 4_000  # characters of log shown when something went wrong


class ProcessFailed(Exception):
    """The process did not become ready, or did not say what was waited for."""


def free_port() -> int:
    """A TCP port of this machine nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(holds: Callable[[], object], *, timeout: float = 10, what: str = "the condition") -> None:
    deadline = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come true within {timeout:g} s")
        time.sleep(POLL)


def end_with_parent() -> None:
    """Make this process end soon after its parent has, whatever it is busy with.

    A test worker whose controller was killed would otherwise go on until its test ends, with its servers.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


class RunAs(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


class _Reaper:
    """Our end of `reaper.py`, which runs once per test process and finishes what we cannot."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner = 0
        self._child: subprocess.Popen[bytes] | None = None

    def tell(self, **message: object) -> None:
        with self._lock:
            child = self._running()
            assert child.stdin is not None
            child.stdin.write(json.dumps(message).encode() + b"\n")
            child.stdin.flush()

    def _running(self) -> subprocess.Popen[bytes]:
        # A forked child of the test process needs one of its own: the parent's list is not its to change.
        if self._child is None or self._owner != os.getpid():
            self._owner = os.getpid()
            self._child = subprocess.Popen(
                [sys.executable, "-I", "-S", str(Path(__file__).with_name("reaper.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C is for the test run, not for its cleaner
            )
            atexit.register(self._finish, self._child)
        return self._child

    @staticmethod
    def _finish(child: subprocess.Popen[bytes]) -> None:
        assert child.stdin is not None
        child.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired, ChildProcessError):
            child.wait(timeout=10)


_reaper = _Reaper()


@contextlib.contextmanager
def scratch_directory(prefix: str = "tb-") -> Iterator[Path]:
    """A directory that is gone afterwards, whatever happens.

    It lies in /tmp because a Unix socket's whole path must fit in about 100 bytes, which the long paths
    pytest and macOS make do not.
    """
    path = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    _reaper.tell(made=str(path))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        _reaper.tell(removed=str(path))


class ServiceProcess:
    """One real process, in a process group of its own, with its output in `log`.

        with ServiceProcess([sys.executable, "-m", "cli.main", "serve"], env={...}, ready=url) as web:
            ...
            web.kill()     # SIGKILL to it and its children, as a machine that loses power
            web.start()    # and up again

    `ready` says when it may be used: a URL that answers with anything below 500, a pattern in its output,
    or a callable; without one it counts as ready once started. `env` is added to this process's
    environment (a value of None removes that name). Leaving the block stops it, SIGKILL being the last
    word, and no process of its group stays behind.
    """

    def __init__(
        self,
        args: Sequence[str | os.PathLike[str]],
        *,
        env: Mapping[str, str | None] | None = None,
        ready: str | Callable[[], object] | None = None,
        timeout: float = 30,
        cwd: Path = ROOT,
        name: str | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.args = [os.fspath(arg) for arg in args]
        self.name = name or Path(self.args[0]).name
        self.timeout = timeout
        self._env = _environment(env or {})
        self._ready = ready
        self._cwd = cwd
        self._user = user
        self._stop_signal = stop_signal
        self._process: subprocess.Popen[bytes] | None = None
        self._seen_until = 0  # where in the log the current run begins
        self._reaped = True  # there is nobody to reap
        self._scratch = contextlib.ExitStack()
        self._log: Path | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:  # pytest shows this with the failed test
            print(f"--- the end of what {self.name} wrote ---\n{self.log[-LOG_TAIL:]}", file=sys.stderr)
        self.close()

    def start(self) -> None:
        """Start it (again) and wait until it is ready."""
        assert not self.running, f"{self.name} runs already"
        if self._log is None:
            self._log = self._scratch.enter_context(scratch_directory(f"tb-{self.name}-")) / "log"
            self._log.touch()
        self._seen_until = self._log.stat().st_size
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self.args,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._cwd,
                env=self._env,
                start_new_session=True,
                **run_as(self._user),
            )
        self._reaped = False
        _reaper.tell(started=self.pid, stop=int(self._stop_signal))
        try:
            self._wait_ready()
        except BaseException:
            self.kill()
            raise

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        """None while it runs; minus the signal's number if a signal ended it."""
        return None if self._process is None else self._process.poll()

    @property
    def log(self) -> str:
        """Everything it has written, of all its runs."""
        return self._log.read_text(errors="replace") if self._log else ""

    def wait_for(self, pattern: str, *, timeout: float | None = None) -> re.Match[str]:
        """Wait until its current run has written something that matches."""
        match: re.Match[str] | None = None

        def written() -> bool:
            nonlocal match
            match = re.search(pattern, self._written_now(), re.MULTILINE)
            return match is not None

        self._wait(written, f"{pattern!r} in its output", timeout)
        assert match is not None
        return match

    def wait(self, *, timeout: float | None = None) -> int:
        """Wait for it to end by itself; its return code."""
        assert self._process is not None
        try:
            code = self._process.wait(self.timeout if timeout is None else timeout)
        except subprocess.TimeoutExpired:
            raise self._failure("did not end in time") from None
        self._reap()
        return code

    def send_signal(self, signum: signal.Signals) -> None:
        """To the process itself; its children are not told."""
        if self.running:
            os.kill(self.pid, signum)

    def pause(self) -> None:
        """Freeze it with its children, as a machine that swaps or a virtual one that is moved."""
        self._signal_group(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_group(signal.SIGCONT)

    def stop(self, *, timeout: float = 10) -> int | None:
        """Ask it to end; SIGKILL if it does not. Its return code."""
        if self._process is None:
            return None
        if self.running:
            self.resume()
            self.send_signal(self._stop_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
        self._reap()
        return self._process.returncode

    def kill(self) -> None:
        """SIGKILL, to it and its children at once."""
        self._reap()

    def close(self) -> None:
        """Stop it and forget its log."""
        try:
            self.stop()
        finally:
            self._reap()
            self._scratch.close()
            self._log = None

    # -- inside

    def _written_now(self) -> str:
        assert self._log is not None, f"{self.name} was not started"
        with self._log.open("rb") as log:
            log.seek(self._seen_until)
            return log.read().decode(errors="replace")

    def _wait_ready(self) -> None:
        match self._ready:
            case None:
                pass
            case str(url) if url.startswith(("http://", "https://")):
                self._wait(lambda: _answers(url), f"an answer from {url}")
            case str(pattern):
                self.wait_for(pattern)
            case holds:
                self._wait(holds, "readiness")

    def _wait(self, holds: Callable[[], object], what: str, timeout: float | None = None) -> None:
        timeout = self.timeout if timeout is None else timeout
        deadline = time.monotonic() + timeout
        # Looked at before each check: what it wrote just before it ended still counts.
        while True:
            alive = self.running
            if holds():
                return
            if not alive:
                raise self._failure(f"ended with {self.returncode} while waiting for {what}")
            if time.monotonic() > deadline:
                raise self._failure(f"was waited for {timeout:g} s, in vain: {what}")
            time.sleep(POLL)

    def _failure(self, text: str) -> ProcessFailed:
        return ProcessFailed(f"{self.name} {text}; the end of its output:\n{self.log[-LOG_TAIL:]}")

    def _signal_group(self, signum: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signum)

    def _reap(self) -> None:
        # Once only: afterwards the number may belong to somebody else.
        if self._process is None or self._reaped:
            return
        self._signal_group(signal.SIGKILL)
        self._process.wait()
        self._reaped = True
        _reaper.tell(ended=self.pid)


def _environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    env = os.environ | {"PYTHONUNBUFFERED": "1"}
    for name, value in changes.items():
        if value is None:
            env.pop(name, None)
        else:
            env[name] = value
    return env


def run_as(user: str | None) -> RunAs:
    """The arguments that make `subprocess` start a process as that user; none for our own."""
    if user is None:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _answers(url: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=2):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return error.code < 500
    except (OSError, ValueError):
        return False
