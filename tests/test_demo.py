"""`rds-iam-proxy demo` as a process: proof, Ctrl-C, and what it prints."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

WITHOUT_UVLOOP = "import sys; sys.modules['uvloop'] = None"
SLOW_TO_LOAD = """
import sys, time
class Slow:
    def find_spec(self, name, *_):
        if name == "boto3":
            time.sleep(6)
sys.meta_path.insert(0, Slow())
"""
MAIN = "import sys; from rds_iam_proxy.cli.app import run; sys.exit(run(sys.argv[1:]))"


def start(tmp_path: Path, *arguments: str, before: str = "pass") -> subprocess.Popen[str]:
    roots = os.pathsep.join(path for path in sys.path if path)
    return subprocess.Popen(
        [sys.executable, "-c", f"{before}\n{MAIN}", "demo", "--listen", "127.0.0.1:0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Neither credentials nor a cache of the user's own.
        env={"PATH": os.environ["PATH"], "PYTHONPATH": roots, "HOME": str(tmp_path), "PYTHONUTF8": "1"},
    )


@pytest.mark.parametrize("before", ["pass", WITHOUT_UVLOOP, SLOW_TO_LOAD])
def test_once_proves_the_login_and_ends(tmp_path: Path, before: str) -> None:
    with start(tmp_path, "--once", before=before) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "CURRENT_USER()   demo_user@%" in out
    assert "refused: 0" in out


@pytest.mark.parametrize("before", ["pass", WITHOUT_UVLOOP])
def test_it_runs_until_ctrl_c_and_says_how_to_connect(tmp_path: Path, before: str) -> None:
    with start(tmp_path, before=before) as process:
        assert process.stdout is not None
        shown = ""
        while "Ctrl-C" not in shown:
            line = process.stdout.readline()
            assert line, shown
            shown += line
        page = re.search(r"http://(127\.0\.0\.1:\d+)/", shown)
        assert page is not None
        with closing(http.client.HTTPConnection(page[1], timeout=30)) as connection:
            connection.request("GET", "/status")
            status = json.load(connection.getresponse())
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert "warning" not in err, "a clean first minute"
    (ended,) = [line for line in map(json.loads, err.splitlines()) if line["event"] == "session ended"]
    assert (ended["program"], ended["closed_by"]) == ("demo's own", "client"), "nobody else is there to be waited for"
    assert (status["state"], [one["program"] for one in status["sessions"]]) == ("ready", ["demo's own"])
    (refused,) = status["errors"]
    assert refused["reason"] == "wrong password"
    assert refused["remedy"]
    password = re.search(r"Password +([A-Za-z0-9]{24}) ", shown)
    assert password is not None
    assert password[1] not in err
    assert not re.search("X-Amz-(Signature|Security)", shown + err)


def test_an_address_that_is_taken_is_exit_code_2(tmp_path: Path) -> None:
    with start(tmp_path) as first:
        assert first.stdout is not None
        shown = ""
        while "Ctrl-C" not in shown:
            shown += first.stdout.readline()
        taken = re.search(r"The proxy listens on (\S+)\. ", shown)
        assert taken is not None
        with start(tmp_path, "--listen", taken[1]) as second:
            _, err = second.communicate(timeout=30)
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=30)
    assert second.returncode == 2
    assert taken[1] in err


def test_only_the_demo_loads_mysql_mimic() -> None:
    code = (
        "import sys, rds_iam_proxy.cli.app, rds_iam_proxy.commands.serve, rds_iam_proxy.commands.demo;"
        " sys.exit('mysql_mimic' in sys.modules or 'sqlglot' in sys.modules)"
    )
    roots = os.pathsep.join(path for path in sys.path if path)
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": roots}, check=False).returncode == 0
