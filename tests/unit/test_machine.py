from pathlib import Path

from rds_iam_proxy.machine import in_container, on_ec2


def test_container_is_told_by_a_file_or_a_variable(tmp_path: Path) -> None:
    mark = tmp_path / ".dockerenv"
    assert not in_container({}, [str(mark)])
    assert in_container({"container": "podman"}, [str(mark)])
    assert in_container({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, [str(mark)])
    mark.touch()
    assert in_container({}, [str(mark)])


def test_instance_is_told_by_its_vendor(tmp_path: Path) -> None:
    vendor = tmp_path / "sys_vendor"
    assert not on_ec2(vendor)
    vendor.write_text("QEMU\n")
    assert not on_ec2(vendor)
    vendor.write_text("Amazon EC2\n")
    assert on_ec2(vendor)
