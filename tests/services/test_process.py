import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.services.process import (
    ROOT,
    ProcessFailed,
    ServiceProcess,
    free_port,
    scratch_directory,
    wait_until,
)

SLEEPER = "import time; print('up', flush=True); time.sleep(60)"
WITH_CHILD = (
    "import subprocess, sys, time;"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
    "print('child', child.pid, flush=True); time.sleep(60)"
)
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def python(code: str, **options: object) -> ServiceProcess:
    return ServiceProcess([sys.executable, "-c", code], **options)  # type: ignore[arg-type]


def is_gone(pid: int) -> bool:
    # Where nobody adopts orphans, a zombie is all that stays.
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_ready_by_a_line_and_stopped_on_leaving() -> None:
    with python(SLEEPER, ready="^up$") as process:
        assert process.running
        assert process.log == "up\n"
        pid = process.pid
    assert is_gone(pid)
    assert process.returncode == -signal.SIGTERM


def test_ready_by_http() -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/nothing-here"
    with ServiceProcess([sys.executable, "-m", "http.server", str(port), "-b", "127.0.0.1"], ready=url) as process:
        assert "404" in process.log


def test_a_process_that_ends_early_is_reported_with_its_output() -> None:
    with (
        pytest.raises(ProcessFailed, match=r"ended with 3[\s\S]*no such database"),
        python("print('no such database'); raise SystemExit(3)", ready="up"),
    ):
        pass


def test_a_process_that_never_gets_ready_is_stopped() -> None:
    process = python(SLEEPER, ready="never", timeout=0.5)
    with pytest.raises(ProcessFailed, match="in vain"):
        process.start()
    assert process.returncode == -signal.SIGKILL
    process.close()


def test_environment_is_added_to_and_taken_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TB_UNWANTED", "1")
    code = "import os; print(os.environ['TB_ADDED'], os.environ.get('TB_UNWANTED'), 'PATH' in os.environ)"
    with python(code, env={"TB_ADDED": "yes", "TB_UNWANTED": None}) as process:
        assert process.wait() == 0
        assert process.log == "yes None True\n"


def test_kill_takes_its_children_along_and_it_can_start_again() -> None:
    with python(WITH_CHILD, ready=r"child \d+") as process:
        first, child = process.pid, int(process.wait_for(r"child (\d+)")[1])
        process.kill()
        assert process.returncode == -signal.SIGKILL
        wait_until(lambda: is_gone(child), what="the end of the child")
        process.start()
        assert process.pid != first
        assert process.log.count("child") == 2


def test_wait_for_looks_at_the_current_run_only() -> None:
    with python(SLEEPER, ready="up") as process:
        process.kill()
        process.start()
        assert process.log == "up\nup\n"
        with pytest.raises(ProcessFailed):
            process.wait_for(r"up\nup", timeout=0.2)


def test_a_process_that_ignores_the_request_is_killed() -> None:
    with python(STUBBORN, ready="up") as process:
        assert process.stop(timeout=0.2) == -signal.SIGKILL


def test_pause_and_resume() -> None:
    ticking = "import time\nfor n in range(10_000): print('tick', n, flush=True); time.sleep(0.01)"
    with python(ticking, ready="tick 3") as process:
        process.pause()
        wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
        frozen = process.log
        time.sleep(0.1)
        assert process.log == frozen
        process.resume()
        process.wait_for("tick 50")


def test_scratch_directory_is_short_and_goes_away() -> None:
    with scratch_directory() as directory:
        (directory / "file").touch()
        assert len(str(directory / "s" / ".s.PGSQL.5432")) < 100
    assert not directory.exists()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_nothing_outlives_a_run_that_is_ended(end: signal.Signals) -> None:
    # A test run in the background of a script inherits SIGINT ignored; the run that is ended here must hear it.
    run = f"""
import signal, sys, time
from tests.services.process import ServiceProcess, scratch_directory
signal.signal(signal.SIGINT, signal.default_int_handler)
with scratch_directory() as directory:
    with ServiceProcess([sys.executable, "-c", {WITH_CHILD!r}], ready="child") as process:
        print(process.pid, process.wait_for(r"child (\\d+)")[1], directory, flush=True)
        time.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", run], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as runner:
        assert runner.stdout is not None
        pid, child, directory = runner.stdout.readline().split()
        os.kill(runner.pid, end)
        runner.wait(timeout=10)
    wait_until(lambda: is_gone(int(pid)) and is_gone(int(child)), what="the end of the processes")
    wait_until(lambda: not Path(directory).exists(), what="the end of the directory")
