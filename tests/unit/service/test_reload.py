"""A reload whose files are bad, strange, slow or change meanwhile."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from rds_iam_proxy.config import Config
from rds_iam_proxy.errors.tree import ConfigError
from rds_iam_proxy.files import file_stamp
from rds_iam_proxy.service.lifecycle import Lifecycle
from rds_iam_proxy.service.reload import FileWatch, Reloader
from rds_iam_proxy.service.service import LastReload, Service
from rds_iam_proxy.service.systemd import Notifier
from rds_iam_proxy.service.wiring import Wiring

SECONDS = 20.0


class FakeService:
    def __init__(self, config: Config) -> None:
        self.config = config
        self.reloads: asyncio.Queue[LastReload] = asyncio.Queue()
        self.status = "status"

    @property
    def last_reload(self) -> None:
        return None

    @last_reload.setter
    def last_reload(self, last: LastReload) -> None:
        self.reloads.put_nowait(last)

    def prepare(self, config: Config) -> Wiring:
        return Wiring()

    def reload(self, config: Config, wiring: Wiring) -> None:
        self.config = config


class Told(Notifier):
    """What systemd heard."""

    def _send(self, *lines: str) -> None:
        TOLD.append(lines[0])


TOLD: list[str] = []


class Bench:
    """A Reloader and what it reloads. `load` may be replaced."""

    def __init__(self, *, watch: bool = False, read_seconds: float = SECONDS, first: Config | None = None) -> None:
        TOLD.clear()
        self.load: Callable[[], Config] = make_config
        self.service = FakeService(first or make_config())
        lifecycle = Lifecycle(lambda: self.load(), watch, notifier=Told("somewhere"))
        service = cast(Service, self.service)
        self.reloader = Reloader(service, lifecycle, read_seconds=read_seconds, wall=lambda: 1.8e9)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.reloader.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def reload(self) -> LastReload:
        self.service.reloads = asyncio.Queue()
        self.reloader.reload()
        async with asyncio.timeout(SECONDS):
            return await self.service.reloads.get()


def make_config(**values: Any) -> Config:
    return Config(targets={}, listeners=(), accounts=(), **values)


def raising(exc: BaseException) -> Callable[[], Config]:
    def load() -> Config:
        raise exc

    return load


@pytest.mark.parametrize(
    ("exc", "fault"),
    [
        (ConfigError(["one", "two"]), "one"),
        (ValueError("Unable to load PEM file"), "unexpected error: ValueError: Unable to load PEM file"),
        (RecursionError("maximum recursion depth exceeded"), "unexpected error: RecursionError: maximum"),
        (MemoryError(), "unexpected error: MemoryError"),
    ],
)
async def test_whatever_a_reload_raises_is_logged_and_the_next_one_works(
    exc: Exception, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench()
    before = bench.service.config
    async with bench.running():
        bench.load = raising(exc)
        last = await bench.reload()
        assert last.faults[0].startswith(fault)
        assert last.at == 1.8e9
        assert bench.service.config is before
        assert TOLD == ["RELOADING=1", "READY=1"]
        assert set(caplog.messages) == {"not reloaded, all stays as it was"}

        bench.load = make_config
        assert (await bench.reload()).faults == ()
        assert bench.service.config is not before
        assert TOLD == ["RELOADING=1", "READY=1"] * 2


async def test_files_that_do_not_answer_are_given_up_and_the_next_reload_works() -> None:
    bench = Bench(read_seconds=0.02)
    gate = threading.Event()

    def hang() -> Config:
        gate.wait()
        return make_config()

    before = bench.service.config
    async with bench.running():
        bench.load = hang
        (fault,) = (await bench.reload()).faults
        assert "could not be read within 0.02 s" in fault
        gate.set()
        await asyncio.sleep(0.02)
        assert bench.service.config is before, "what comes too late is not put in force"
        bench.load = make_config
        bench.reloader._read_seconds = SECONDS
        assert (await bench.reload()).faults == ()


async def test_watch_loses_no_change_that_is_made_while_the_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("one")

    def load() -> Config:
        stamp, read = file_stamp(path), path.read_text()
        if read == "two":
            path.write_text("three")  # saved once more, while the other files are read
        return make_config(files={path: stamp}, warnings=(read,))

    bench = Bench(watch=True, first=load())
    bench.load = load
    async with bench.running(), asyncio.timeout(SECONDS):
        path.write_text("two")
        while bench.service.config.warnings != ("three",):
            bench.reloader.look_at_files()
            await asyncio.sleep(0.01)


async def test_change_before_the_watch_began_is_seen(tmp_path: Path) -> None:
    """As while the proxy starts."""
    path = tmp_path / "password"
    path.write_text("one")
    config = make_config(files={path: file_stamp(path)})
    path.write_text("other")
    bench = Bench(watch=True, first=config)
    async with bench.running(), asyncio.timeout(SECONDS):
        while bench.service.reloads.empty():
            bench.reloader.look_at_files()
            await asyncio.sleep(0.01)


def test_file_has_changed_once_it_is_at_rest(tmp_path: Path) -> None:
    path, missing = tmp_path / "file", tmp_path / "missing"

    def has_changed() -> bool:
        return watch.has_changed({name: file_stamp(name) for name in watch.names})

    path.write_text("a")
    watch = FileWatch({path: file_stamp(path), missing: None})
    assert [has_changed(), has_changed()] == [False, False]
    path.write_text("ab")
    assert not has_changed(), "it may still be written"
    path.write_text("abc")
    assert [has_changed(), has_changed(), has_changed()] == [False, True, False]
    missing.write_text("")
    assert [has_changed(), has_changed()] == [False, True]
