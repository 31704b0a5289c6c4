"""Whoever reads the log stops reading, as after Ctrl-S or in `less`; or nobody ever read it."""

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

from kit.admin import account_text, running_rds, target_text
from kit.running_proxy import (
    PASSWORD,
    START_SECONDS,
    STOP_SECONDS,
    USER,
    RunningProxy,
    clean_environment,
    serve_command,
)
from rds_iam_proxy.commands.demo.rds import EmbeddedRDS
from servers.settings import AccessKey

SMALL_PIPE = 4096
LINES = 40_000
"""More than the pipe and the queue hold: about 300 bytes each."""


@pytest.fixture(scope="module")
def rds() -> Iterator[EmbeddedRDS]:
    with running_rds() as started:
        yield started


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def config_for(rds: EmbeddedRDS, folder: Path, port: int) -> Path:
    text = target_text("shop", rds).replace("127.0.0.1:0", f"127.0.0.1:{port}") + account_text(USER)
    path = folder / "proxy.toml"
    path.write_text(text + '[log]\nformat = "json"\nlevel = "info"\n')
    return path


def environment_for(rds: EmbeddedRDS, folder: Path) -> dict[str, str]:
    keys = rds.keys
    return clean_environment(folder, AccessKey(keys.access_key, keys.secret_key, keys.session_token))


def wait_until_it_listens(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError("it does not listen")


def fill(port: int, lines: int) -> None:
    """Refused logins, each with a line of its own in the log until it is full."""

    def refuse(worker: int) -> None:
        for number in range(lines // 4):
            with contextlib.suppress(pymysql.err.OperationalError):
                pymysql.connect(host="127.0.0.1", port=port, user=f"u{worker}_{number}", password="x")

    threads = [threading.Thread(target=refuse, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_sessions_logins_and_sigterm_do_not_wait_for_the_reader(rds: EmbeddedRDS, tmp_path: Path) -> None:
    port = free_port()
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, SMALL_PIPE)
    command = [*serve_command(), "--config", str(config_for(rds, tmp_path, port))]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=writing, env=environment_for(rds, tmp_path)
    )
    os.close(writing)
    proxy = RunningProxy(process, tmp_path / "none", "127.0.0.1", port)
    try:
        wait_until_it_listens(process, port)
        with contextlib.closing(proxy.connect(read_timeout=10)) as connection:
            fill(port, 60)  # about 15 kB: nothing more fits into the pipe
            connection.ping(reconnect=False)
            proxy.connect(read_timeout=10).close()
        assert proxy.stop() == 0
    finally:
        process.kill()
        process.wait()
        os.close(reading)


def test_reader_that_comes_back_hears_how_much_it_missed(tmp_path: Path) -> None:
    program = (
        "import logging, sys\n"
        "from rds_iam_proxy.logs import dropped_lines, event, flush, setup\n"
        "setup('json')\n"
        f"for number in range({LINES}):\n"
        "    event(logging.getLogger('rds_iam_proxy.test'), logging.INFO, 'line', number=number, why='x' * 200)\n"
        "sys.stdout.write('all are logged\\n')\n"
        "sys.stdout.flush()\n"
        "flush(60)\n"
        "event(logging.getLogger('rds_iam_proxy.test'), logging.INFO, 'last', dropped=dropped_lines())\n"
    )
    environment = clean_environment(tmp_path, None)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"all are logged\n"
        lines = [json.loads(line) for line in process.stderr]
    numbers = [line["number"] for line in lines if line["event"] == "line"]
    missed = [line["lines"] for line in lines if line["event"] == "log lines dropped"]
    assert numbers == list(range(len(numbers)))
    assert missed == [LINES - len(numbers)]
    assert missed[0] > 0
    assert lines[-1] == lines[-1] | {"event": "last", "dropped": missed[0]}


def test_process_whose_reader_never_comes_back_ends_soon_and_quietly(tmp_path: Path) -> None:
    program = (
        "import logging\n"
        "from rds_iam_proxy.logs import event, setup\n"
        "setup('json')\n"
        "for number in range(2000):\n"
        "    event(logging.getLogger('rds_iam_proxy.test'), logging.INFO, 'line', number=number)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stderr=subprocess.PIPE, env=clean_environment(tmp_path, None)
    )
    with process:
        assert process.stderr is not None
        assert process.wait(STOP_SECONDS) == 0


def test_it_starts_with_all_standard_descriptors_closed(rds: EmbeddedRDS, tmp_path: Path) -> None:
    """As some init scripts start daemons. No socket gets their numbers: the log would be written to a client."""
    port = free_port()
    command = [*serve_command(), "--config", str(config_for(rds, tmp_path, port))]
    shell = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command]
    process = subprocess.Popen(shell, env=environment_for(rds, tmp_path))
    proxy = RunningProxy(process, tmp_path / "none", "127.0.0.1", port)
    try:
        wait_until_it_listens(process, port)
        assert {os.readlink(f"/proc/{process.pid}/fd/{number}") for number in range(3)} == {os.devnull}
        with contextlib.closing(proxy.connect(password=PASSWORD)) as connection:
            connection.ping(reconnect=False)
        assert proxy.stop() == 0
    finally:
        process.kill()
        process.wait()
