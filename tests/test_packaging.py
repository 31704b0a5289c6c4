"""The wheel as users get it: built, installed into an empty environment, run. And the files around it."""

import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import rds_iam_proxy
from image_build import parse

ROOT = Path(__file__).resolve().parent.parent
BUILD_SECONDS = 60
INSTALL_SECONDS = 300


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(ROOT)],
        seconds=BUILD_SECONDS,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment that has nothing but the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    _run([*pip, "--constraint", str(ROOT / "constraints.txt"), str(wheel)], seconds=INSTALL_SECONDS)
    return python.parent


def _run(command: list[str], *, seconds: float) -> str:
    result = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False, cwd="/")
    assert result.returncode == 0, (result.stdout + result.stderr)[-3000:]
    return result.stdout


def test_wheel_holds_both_packages_and_their_data(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "rds_iam_proxy/py.typed",
        "mysql_wire/py.typed",
        "rds_iam_proxy/__main__.py",
        "mysql_wire/packet.py",
    } <= names
    pem = {name for name in names if name.endswith(".pem")}
    assert pem == {"rds_iam_proxy/aws/roots/rds-global-bundle.pem", "rds_iam_proxy/aws/roots/amazon-trust-roots.pem"}
    assert not {name for name in names if "__pycache__" in name or name.endswith(".pyc")}


def test_wheel_puts_nothing_else_at_the_top(wheel: Path) -> None:
    """A top-level `proxy` would overwrite that of the package proxy.py, and be overwritten by it."""
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    version = rds_iam_proxy.__version__
    assert tops == {"rds_iam_proxy", "mysql_wire", "pg_wire", f"rds_iam_proxy-{version}.dist-info"}


def test_wheel_carries_its_licence_and_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        info = f"rds_iam_proxy-{rds_iam_proxy.__version__}.dist-info"
        metadata = archive.read(f"{info}/METADATA").decode()
        licence = archive.read(f"{info}/licenses/LICENSE").decode()
    assert "\nLicense-Expression: Apache-2.0\n" in metadata
    assert "\nRequires-Python: >=3.11\n" in metadata
    assert "Apache License" in licence


@pytest.mark.timeout(INSTALL_SECONDS + BUILD_SECONDS)
def test_installed_wheel_runs_in_an_empty_environment(installed: Path) -> None:
    said = _run([str(installed / "rds-iam-proxy"), "--version"], seconds=20)
    assert said == f"rds-iam-proxy {rds_iam_proxy.__version__}\n"
    assert "ENDPOINT" in _run([str(installed / "rds-iam-proxy"), "serve", "--help"], seconds=20)


@pytest.mark.timeout(INSTALL_SECONDS + BUILD_SECONDS)
def test_installed_wheel_proves_itself_with_the_demo(installed: Path) -> None:
    command = [str(installed / "rds-iam-proxy"), "demo", "--listen", "127.0.0.1:0", "--once"]
    assert "demo_user@%" in _run(command, seconds=60)


def test_constraints_pin_every_version_and_name_no_address() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line)] == []


def test_constraints_cover_every_direct_dependency() -> None:
    pinned = {_normal(line.partition("==")[0]) for line in (ROOT / "constraints.txt").read_text().splitlines()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    direct = [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["dev"],
    ]
    assert {_normal(re.split(r"[\[<>=; ]", name)[0]) for name in direct} - pinned == set()


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_image_ends_as_a_numeric_user_with_a_health_check() -> None:
    instructions = parse((ROOT / "Dockerfile").read_text())
    starts = [number for number, one in enumerate(instructions) if one.name == "FROM"]
    final = {one.name: one.text for one in instructions[starts[-1] :]}
    assert len(starts) == 2
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", final["USER"])
    assert final["ENTRYPOINT"] == '["rds-iam-proxy"]'
    assert "HEALTHCHECK" in final
    assert "pip" not in final["RUN"]
