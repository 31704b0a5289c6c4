"""`python -m image_build`: takes the Dockerfile's steps in Debian folders, for machines without a container engine.

Then `make binary`'s folder is tried in one of them that has no Python.

Each FROM becomes a minimal Debian made by debootstrap, each RUN a chroot. The result is then used as a container
would: as the numeric user, with HEALTHCHECK. Needs root and Debian. What this is not: the layers, the real base image
(debootstrap's minbase has more in it than the slim one), and a network namespace of its own.
"""

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from servers import debian
from servers.errors import Unavailable
from servers.real_server import start_server

ROOT = Path(__file__).resolve().parent.parent
PATH_IN_BASE = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
STEP_SECONDS = 600.0
HEALTH_SECONDS = 20.0
BUILD_TOOLS = ("pip", "pip3", "gcc", "cc", "make", "git", "hatchling")
LENT_CERTIFICATES = "/tmp/lent-certificates.pem"
UNUSED = ("STOPSIGNAL", "CMD")
PYTHON_IN_IMAGE = "/opt/rds-iam-proxy/bin/python"
EMBEDDED_RDS = """
import asyncio, json
from rds_iam_proxy.commands.demo.rds import DB_USER, EmbeddedRDS

async def main():
    async with EmbeddedRDS() as rds:
        keys = {
            "AWS_ACCESS_KEY_ID": rds.keys.access_key,
            "AWS_SECRET_ACCESS_KEY": rds.keys.secret_key,
            "AWS_SESSION_TOKEN": rds.keys.session_token,
        }
        places = {"endpoint": str(rds.endpoint), "address": str(rds.address), "ca_file": str(rds.ca_file)}
        print(json.dumps({**places, "db_user": DB_USER, "keys": keys}), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of a Dockerfile; `text` is what follows its name, continuation lines joined."""

    name: str
    text: str


@dataclass(slots=True)
class Stage:
    """A stage as far as it is built."""

    folder: Path
    workdir: str = "/"
    user: str = "0:0"
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": PATH_IN_BASE})
    entrypoint: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)

    def inside(self, path: str) -> Path:
        return self.folder / str(Path(self.workdir, path)).lstrip("/")


def parse(text: str) -> list[Instruction]:
    """The instructions of a Dockerfile. Knows what ours uses: no heredocs, no ARG."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", "", lines)
    split = (line.split(maxsplit=1) for line in joined.splitlines() if line.strip())
    return [Instruction(name, rest) for name, rest in split]


class ImageBuild:
    """Builds all stages below `folder`; the last one is the image."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bases: dict[str, Path] = {}
        self._stages: dict[str, Stage] = {}

    def run(self, instructions: list[Instruction]) -> Stage:
        stage: Stage | None = None
        for instruction in instructions:
            _say(f"{instruction.name} {instruction.text[:110]}")
            if instruction.name == "FROM":
                stage = self._from(instruction.text)
            elif stage is None:
                raise ValueError("the Dockerfile does not begin with FROM")
            else:
                self._take(stage, instruction)
        if stage is None:
            raise ValueError("the Dockerfile is empty")
        return stage

    def _from(self, text: str) -> Stage:
        image, _, name = text.partition(" AS ")
        suite = re.fullmatch(r"debian:(\w+)-slim", image)
        if suite is None:
            raise ValueError(f"FROM {image}: only debian:SUITE-slim can be made here")
        folder = self._folder / f"stage-{len(self._stages)}"
        _call("cp", "-a", "--reflink=auto", str(self._base(suite[1])), str(folder))
        stage = Stage(folder)
        self._stages[name or folder.name] = stage
        return stage

    def plain(self, suite: str) -> Stage:
        """A minimal Debian, with nothing put into it."""
        return Stage(self._base(suite))

    def _base(self, suite: str) -> Path:
        if suite not in self._bases:
            folder = self._folder / suite
            log = self._folder / "debootstrap.log"
            mirror = debian.find_debian().mirror
            debian.run(["debootstrap", "--variant=minbase", suite, str(folder), mirror], log=log, timeout=STEP_SECONDS)
            (folder / "usr/sbin/policy-rc.d").write_text(debian.REFUSE_SERVICES)
            (folder / "usr/sbin/policy-rc.d").chmod(0o755)
            _lend_network(folder)
            self._bases[suite] = folder
        return self._bases[suite]

    def _take(self, stage: Stage, instruction: Instruction) -> None:
        text = instruction.text
        match instruction.name:
            case "RUN":
                run_in(stage, ["/bin/sh", "-c", text], seconds=STEP_SECONDS, more=_lent_variables())
            case "COPY":
                self._copy(stage, shlex.split(text))
            case "WORKDIR":
                stage.workdir = text
                stage.inside(".").mkdir(parents=True, exist_ok=True)
            case "ENV":
                name, _, value = text.partition("=")
                stage.environment[name] = value
            case "USER":
                stage.user = text
            case "HEALTHCHECK":
                stage.healthcheck = json.loads(text.partition("CMD ")[2])
            case "ENTRYPOINT":
                stage.entrypoint = json.loads(text)
            case name if name not in UNUSED:
                raise ValueError(f"{name}: not known here")

    def _copy(self, stage: Stage, words: list[str]) -> None:
        source = ROOT
        if words[0].startswith("--from="):
            source = self._stages[words.pop(0).removeprefix("--from=")].folder
        *names, target = words
        for name in names:
            found = source / name.lstrip("/")
            where = stage.inside(target)
            if found.is_dir():
                shutil.copytree(found, where, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(found, where / found.name if target.endswith("/") else where)


def run_in(stage: Stage, command: list[str], *, seconds: float, more: dict[str, str] | None = None) -> str:
    """What the command, run in the stage as its user, writes to stdout; raises Unavailable when it fails."""
    try:
        result = subprocess.run(
            _entered(stage, command, more or {}),
            capture_output=True,
            text=True,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"not done within {seconds:.0f} s: {command}") from None
    if result.returncode:
        raise Unavailable(f"status {result.returncode}: {command}\n{(result.stdout + result.stderr)[-3000:]}")
    return result.stdout


def _entered(stage: Stage, command: list[str], more: dict[str, str]) -> list[str]:
    variables = [f"{name}={value}" for name, value in {**stage.environment, **more}.items()]
    inner = f"cd {shlex.quote(stage.workdir)} && exec {shlex.join(['env', '-i', *variables, *command])}"
    return ["chroot", f"--userspec={stage.user}", "--groups=", str(stage.folder), "/bin/sh", "-c", inner]


def _lent_variables() -> dict[str, str]:
    """What this machine needs to reach its package index, for RUN only: as `docker build --build-arg` lends it."""
    names = [name for name in os.environ if name.lower() in debian.PROXY_VARIABLES]
    lent = {name: os.environ[name] for name in names} | {"DEBIAN_FRONTEND": "noninteractive"}
    return lent | {"PIP_CERT": LENT_CERTIFICATES} if "PIP_CERT" in os.environ else lent


def _lend_network(folder: Path) -> None:
    shutil.copy2("/etc/resolv.conf", folder / "etc/resolv.conf")
    if certificates := os.environ.get("PIP_CERT"):
        shutil.copy2(certificates, folder / LENT_CERTIFICATES.lstrip("/"))


def check(image: Stage) -> None:
    """Uses the image; raises Unavailable when something is not as the Dockerfile promises."""
    _say(f"user {run_in(image, ['id', '-u'], seconds=10).strip()}")
    if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", image.user):
        raise Unavailable(f"USER {image.user}: not a number, or root")
    _say(run_in(image, [*image.entrypoint, "--version"], seconds=10).strip())
    _say(run_in(image, [*image.entrypoint, "demo", "--once"], seconds=60).strip().splitlines()[-1])
    places = [Path(place) for place in image.environment["PATH"].split(":")]
    found = [
        str(p / tool) for p in places for tool in BUILD_TOOLS if (image.folder / str(p / tool).lstrip("/")).exists()
    ]
    if found:
        raise Unavailable(f"build tools in the final image: {', '.join(found)}")
    _say("no build tools: none of " + ", ".join(BUILD_TOOLS))
    _check_health(image)


def check_binary(base: Stage, archive: Path) -> None:
    """Uses the folder of `make binary` where there is no Python; raises Unavailable when it needs one."""
    if found := [*(base.folder / "usr/bin").glob("python*")]:
        raise Unavailable(f"there is a Python: {found[0]}")
    _call("tar", "-xzf", str(archive), "-C", str(base.folder / "opt"))
    program = "/opt/rds-iam-proxy/rds-iam-proxy"
    started = time.monotonic()
    said = run_in(base, [program, "--version"], seconds=20).strip()
    _say(f"binary: {said}, {time.monotonic() - started:.2f} s; {archive.stat().st_size / 1e6:.0f} MB packed")
    _say("binary: " + run_in(base, [program, "demo", "--once"], seconds=60).strip().splitlines()[-1])
    server = start_server("mysql-9.7")
    try:
        shutil.copy2(server.ca_file, base.folder / "opt/ca.pem")
        arguments = [server.endpoint, "--dial", f"{server.host}:{server.port}", "--db-user", "user_batch"]
        arguments += ["--ca-file", "/opt/ca.pem"]
        checked = run_in(base, [program, "check", *arguments], seconds=60, more=server.key.environment())
    finally:
        server.stop()
    _say("binary: check at MySQL 9.7: " + checked.strip().splitlines()[-1])


def _check_health(image: Stage) -> None:
    """`serve` as a container runs it: the admin address is that of the image's variable, here with another port."""
    more = {"RDS_IAM_PROXY_ADMIN": f"127.0.0.1:{_free_port()}", "CLIENT_PASSWORD": "a password of this check"}
    with _started(image, [PYTHON_IN_IMAGE, "-c", EMBEDDED_RDS], {}) as rds:
        rds_is = json.loads((rds.stdout or io.BytesIO()).readline())
        serve = [*image.entrypoint, "serve", rds_is["endpoint"], "--dial", rds_is["address"], "--db-user"]
        serve += [rds_is["db_user"], "--ca-file", rds_is["ca_file"], "--password-env", "CLIENT_PASSWORD"]
        serve += ["--listen", "127.0.0.1:0"]
        with _started(image, serve, {**more, **rds_is["keys"]}) as proxy:
            _wait_until_healthy(image, more)
            _say("HEALTHCHECK: healthy when the target answers")
            proxy.send_signal(signal.SIGTERM)
            if code := proxy.wait(30):
                raise Unavailable(f"the entry point ended with {code} after SIGTERM")
    with contextlib.suppress(Unavailable):
        run_in(image, image.healthcheck, seconds=10, more=more)
        raise ValueError("HEALTHCHECK says healthy where nothing listens")
    _say("HEALTHCHECK: unhealthy when nothing listens")


@contextlib.contextmanager
def _started(image: Stage, command: list[str], more: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        _entered(image, command, more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _wait_until_healthy(image: Stage, more: dict[str, str]) -> None:
    deadline = time.monotonic() + HEALTH_SECONDS
    while True:
        try:
            run_in(image, image.healthcheck, seconds=10, more=more)
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _call(*command: str) -> None:
    subprocess.run(command, check=True, timeout=STEP_SECONDS, stdin=subprocess.DEVNULL)


def _say(text: str) -> None:
    sys.stdout.write(f"image: {text}\n")
    sys.stdout.flush()


@contextlib.contextmanager
def _work_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="rds-iam-image-"))
    folder.chmod(0o755)  # the image's user walks through it
    try:
        yield folder
    finally:
        debian.remove_folder(folder)


def main() -> int:
    """0 when every step worked; 1 otherwise, with the reason."""
    if os.geteuid() != 0:
        _say("needs root, for debootstrap and chroot")
        return 1
    started = time.monotonic()
    try:
        with _work_folder() as folder:
            build = ImageBuild(folder)
            check(build.run(parse((ROOT / "Dockerfile").read_text())))
            check_binary(build.plain("trixie"), next((ROOT / "dist").glob("rds-iam-proxy-*.tar.gz")))
    except Unavailable as exc:
        _say(f"failed: {exc}")
        return 1
    _say(f"all steps done, {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
