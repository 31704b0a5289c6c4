"""The manifests of packaging/kubernetes: valid for the API, and true of the proxy that they start."""

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from image_build import parse
from rds_iam_proxy.cli.app import app
from rds_iam_proxy.config import Config
from rds_iam_proxy.config.load import from_file

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "packaging" / "kubernetes"
MANIFESTS = sorted(FOLDER.glob("*.yaml"))
FIRST_WITH_SIDECARS = "1.29"
MOUNT = "/etc/rds-iam-proxy"

Resource = Mapping[str, Any]


def resources(path: Path) -> list[Resource]:
    return list(yaml.safe_load_all(path.read_text()))


def pods() -> Iterator[tuple[str, Resource]]:
    for path in MANIFESTS:
        for one in resources(path):
            if "template" in one.get("spec", {}):
                yield path.name, one["spec"]["template"]["spec"]


PODS = [pytest.param(spec, id=name) for name, spec in pods()]


def proxy_of(pod: Resource) -> Resource:
    (proxy,) = (one for one in (*pod.get("initContainers", ()), *pod["containers"]) if one["name"] == "rds-iam-proxy")
    return proxy  # type: ignore[no-any-return]


def of_kind(kind: str) -> Resource:
    (found,) = (one for path in MANIFESTS for one in resources(path) if one["kind"] == kind)
    return found


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
@pytest.mark.parametrize("version", [FIRST_WITH_SIDECARS, kubernetes_validate.latest_version()])
def test_each_resource_is_valid_and_has_no_unknown_key(path: Path, version: str) -> None:
    found = resources(path)
    assert found
    for one in found:
        kubernetes_validate.validate(one, version, strict=True)


def test_validation_can_fail() -> None:
    (deployment,) = resources(FOLDER / "deployment.yaml")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**deployment, "sepc": {}}, FIRST_WITH_SIDECARS, strict=True)


@pytest.fixture
def configuration(tmp_path: Path) -> Config:
    """As the kubelet lays the files out: links to a folder that it swaps whole when something changes."""
    version = tmp_path / "..2026_11_26"
    (version / "passwords").mkdir(parents=True)
    (tmp_path / "..data").symlink_to(version.name)
    text = of_kind("ConfigMap")["data"]["proxy.toml"].replace(MOUNT, str(tmp_path))
    (version / "proxy.toml").write_text(text)
    for name, value in of_kind("Secret")["stringData"].items():
        file = version / "passwords" / name
        file.touch(mode=0o440)
        file.write_text(value)
        os.chmod(file, 0o440)
    for name in ("proxy.toml", "passwords"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    return from_file(tmp_path / "proxy.toml", {})


def test_configuration_is_accepted_with_the_files_that_are_mounted(configuration: Config) -> None:
    assert configuration.warnings == ()
    (account,) = configuration.accounts
    assert account.targets is None
    assert {path.name for path in configuration.files} >= {"proxy.toml", "app"}, "--watch sees a new password"


@pytest.mark.parametrize("pod", PODS)
def test_probes_ask_where_the_proxy_serves_health(pod: Resource, configuration: Config) -> None:
    proxy = proxy_of(pod)
    ports = {port["name"]: port["containerPort"] for port in proxy["ports"]}
    admin = configuration.admin
    assert admin is not None
    assert admin.health_bind is not None
    assert admin.metrics_bind is not None
    assert ports == {"proxy-health": admin.health_bind.port, "proxy-metrics": admin.metrics_bind.port}
    assert not admin.health_bind.is_loopback
    probes = {name: probe["httpGet"] for name, probe in proxy.items() if name.endswith("Probe")}
    assert {name: probe["path"] for name, probe in probes.items()}.items() <= {
        "startupProbe": "/startup",
        "readinessProbe": "/readiness",
        "livenessProbe": "/liveness",
    }.items()
    assert {probe["port"] for probe in probes.values()} == {"proxy-health"}


@pytest.mark.parametrize("pod", PODS)
def test_flags_exist_and_secrets_can_be_read_by_the_image_s_user(pod: Resource) -> None:
    command, *flags = proxy_of(pod)["args"]
    known = {flag for parameter in app.commands[command].params for flag in parameter.opts}
    assert {flag.partition("=")[0] for flag in flags} <= known
    assert f"--config={MOUNT}/proxy.toml" in flags
    assert "--watch" in flags
    user, _, group = next(one.text for one in parse((ROOT / "Dockerfile").read_text()) if one.name == "USER").partition(
        ":"
    )
    context = pod["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (int(user), int(group), int(group))
    (volume,) = (one["projected"] for one in pod["volumes"] if one["name"] == "rds-iam-proxy")
    assert volume["defaultMode"] == 0o440
    mounts = {mount["name"] for mount in proxy_of(pod)["volumeMounts"]}
    assert mounts == {one["name"] for one in pod["volumes"]}


def test_a_native_sidecar_is_one_and_the_other_job_ends_by_itself() -> None:
    by_name = dict(pods())
    for name in ("deployment.yaml", "job.yaml"):
        assert by_name[name]["initContainers"][0]["restartPolicy"] == "Always"
    old = by_name["job-without-native-sidecars.yaml"]
    assert "initContainers" not in old
    assert any(re.fullmatch(r"--quit-after-idle=\d+", flag) for flag in proxy_of(old)["args"])


def test_document_names_every_file() -> None:
    text = (ROOT / "docs" / "kubernetes.md").read_text()
    assert {path.name for path in MANIFESTS} == set(re.findall(r"\(\.\./packaging/kubernetes/([\w.-]+\.yaml)\)", text))
    applied = re.findall(r"^    kubectl apply (.+)$", text, re.MULTILINE)
    files = [word for line in applied for word in shlex.split(line) if word.endswith(".yaml")]
    assert files
    assert [file for file in files if not (ROOT / file).exists()] == []
