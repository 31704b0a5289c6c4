import datetime
import hashlib
import ssl
from pathlib import Path

import pytest

from rds_iam_proxy.aws.trust import RENEW_SECONDS, SESSION_LIFE_SECONDS, Trust
from rds_iam_proxy.errors.tree import ConfigError
from rds_iam_proxy.net.make_certificate import Certificate, make_ca, make_server_certificate

HOST = "test-rds-1.cweacjg5pv9n.ap-northeast-2.rds.amazonaws.com"
PROXY = "p.proxy-abc123.us-east-2.rds.amazonaws.com"
CA = make_ca("Test CA")


class Clock:
    def __init__(self) -> None:
        self.now = 5000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    path.write_bytes("# a comment with ümlauts\n".encode() + CA.certificate_pem)
    return path


def server_context(certificate: Certificate, folder: Path) -> ssl.SSLContext:
    path = folder / "server.pem"
    path.write_bytes(certificate.certificate_pem + certificate.private_key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # a TLS 1.2 session is complete with the handshake
    return context


def handshake(trust: Trust, server: ssl.SSLContext) -> ssl.SSLObject:
    """A TLS handshake in memory; returns the client's side."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    us = trust.context.wrap_bio(to_client, to_server, server_hostname=trust.host, session=trust.session)
    them = server.wrap_bio(to_server, to_client, server_side=True)
    done = [False, False]
    while not all(done):
        for index, side in enumerate((us, them)):
            try:
                side.do_handshake()
                done[index] = True
            except ssl.SSLWantReadError:
                continue
    return us


def test_context_verifies_certificate_and_host_name() -> None:
    context = Trust(HOST, None).context
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert not context.hostname_checks_common_name
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_flags == ssl.VERIFY_X509_TRUSTED_FIRST
    assert context.keylog_filename is None


def test_expired_roots_are_dropped_and_the_others_are_there() -> None:
    trust = Trust(HOST, None)
    now = datetime.datetime.now(datetime.UTC).timestamp()
    subjects = [dict(pair[0] for pair in ca["subject"])["commonName"] for ca in trust.context.get_ca_certs()]  # type: ignore[misc]
    assert "Amazon RDS ap-northeast-2 Root CA RSA2048 G1" in subjects
    assert "Amazon Root CA 1" in subjects
    assert not [name for name in subjects if "2019" in str(name)]
    assert trust.roots_expire > now
    for ca in trust.context.get_ca_certs():
        assert ssl.cert_time_to_seconds(str(ca["notAfter"])) > now


def test_proxy_endpoints_trust_the_amazon_roots_only() -> None:
    subjects = [str(ca["subject"]) for ca in Trust(PROXY, None).context.get_ca_certs()]
    assert len(subjects) == 5
    assert not [subject for subject in subjects if "Amazon RDS" in subject]


def test_roots_that_end_soon_are_a_warning_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(make_ca("Long lived").certificate_pem + make_ca("Short lived", days=100).certificate_pem)
    trust = Trust(HOST, path)
    now = trust.roots_expire - 100 * 86400
    assert trust.expiry_warning(now) is None
    assert trust.expiry_warning(now + 10 * 86400) is None
    warning = trust.expiry_warning(now + 11 * 86400)
    assert warning is not None
    assert "'Short lived' of ca_file ends in 89 days" in warning
    assert "download the bundle" in warning
    bundled = Trust(HOST, None)
    assert bundled.expiry_warning(now) is None, "those of this version last"
    assert "install a newer version" in str(bundled.expiry_warning(bundled.roots_expire - 86400))


def test_trust_for_another_host_shares_no_session_and_reads_no_file(ca_file: Path, tmp_path: Path) -> None:
    trust = Trust(HOST, ca_file)
    server = server_context(make_server_certificate((HOST,), issuer=CA), tmp_path)
    trust.remember(handshake(trust, server).session, reused=False)
    ca_file.unlink()
    other = trust.for_host("other.example.com")
    assert other.session is None
    assert trust.session is not None
    assert other.context is not trust.context
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(other, server)
    assert len(Trust(HOST, None).for_host(PROXY).context.get_ca_certs()) == 5


def test_every_trust_has_a_context_of_its_own() -> None:
    assert Trust(HOST, None).context is not Trust(HOST, None).context


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("i.abc123.us-gov-west-1.rds.amazonaws.com", "truststore.pki.us-gov-west-1.rds.amazonaws.com"),
        ("i.abc123.rds.cn-north-1.amazonaws.com.cn", "rds-truststore.s3.cn-north-1.amazonaws.com.cn"),
        ("i.abc123.rds.us-iso-east-1.c2s.ic.gov", "documentation"),
    ],
)
def test_partitions_without_bundled_roots_need_a_ca_file(host: str, url: str, ca_file: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        Trust(host, None)
    assert url in str(caught.value)
    assert "ca_file" in str(caught.value)
    assert len(Trust(host, ca_file).context.get_ca_certs()) == 1


def test_ca_file_replaces_the_bundled_roots(ca_file: Path, tmp_path: Path) -> None:
    trust = Trust(HOST, ca_file)
    assert len(trust.context.get_ca_certs()) == 1
    server = server_context(make_server_certificate((HOST,), issuer=CA), tmp_path)
    assert handshake(trust, server).version() == "TLSv1.2"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        (b"", "not a file of certificates"),
        (b"hello", "not a file of certificates"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "not a file of certificates"),
        (make_server_certificate(("db",)).certificate_pem, "none of its certificates is a CA"),
        (make_ca("Expired", days=0).certificate_pem, "none of its certificates is a CA"),
        (b"#" * (4 * 1024 * 1024 + 1), "larger than"),
    ],
)
def test_unusable_ca_file_is_a_configuration_error(content: bytes | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        Trust(HOST, path)
    assert str(path) in str(caught.value)
    assert says in str(caught.value)


def test_ca_file_that_is_a_folder_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="directory"):
        Trust(HOST, tmp_path)


@pytest.mark.parametrize(
    ("certificate", "says"),
    [
        (make_server_certificate((HOST,), issuer=make_ca("Test CA")), "signature|issuer"),
        (make_server_certificate((HOST,)), "self.signed"),
        (make_server_certificate(("other.example.com",), issuer=CA), "Hostname mismatch"),
        (make_server_certificate((HOST,), issuer=CA, days=0), "expired"),
    ],
    ids=["other CA of the same name", "self-signed", "other name", "expired"],
)
def test_certificates_that_do_not_fit_are_refused(
    certificate: Certificate, says: str, ca_file: Path, tmp_path: Path
) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=says):
        handshake(Trust(HOST, ca_file), server_context(certificate, tmp_path))


def test_bundled_roots_do_not_trust_a_stranger(tmp_path: Path) -> None:
    server = server_context(make_server_certificate((HOST,), issuer=CA), tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(Trust(HOST, None), server)


def test_a_remembered_session_is_resumed_until_the_hour_is_over(ca_file: Path, tmp_path: Path) -> None:
    clock = Clock()
    trust = Trust(HOST, ca_file, now=clock)
    server = server_context(make_server_certificate((HOST,), issuer=CA), tmp_path)
    assert trust.session is None
    first = handshake(trust, server)
    assert not first.session_reused
    trust.remember(first.session, reused=False)

    clock.now += SESSION_LIFE_SECONDS - 1
    second = handshake(trust, server)
    assert second.session_reused
    trust.remember(second.session, reused=True)
    assert trust.session is not None

    clock.now += 1  # the second one's session is as old as the first one's certificate
    assert trust.session is None
    trust.remember(second.session, reused=True)
    assert trust.session is None
    assert not handshake(trust, server).session_reused


def test_a_session_is_taken_off_a_resumed_login_only_before_servers_forget_the_one_that_is_kept(
    ca_file: Path, tmp_path: Path
) -> None:
    clock = Clock()
    trust = Trust(HOST, ca_file, now=clock)
    server = server_context(make_server_certificate((HOST,), issuer=CA), tmp_path)
    assert trust.wants_session(reused=False)
    trust.remember(handshake(trust, server).session, reused=False)

    assert trust.wants_session(reused=False)
    assert not trust.wants_session(reused=True)
    clock.now += RENEW_SECONDS
    assert trust.wants_session(reused=True)
    trust.remember(handshake(trust, server).session, reused=True)
    assert not trust.wants_session(reused=True)


def test_a_server_of_nist_curves_takes_the_first_client_hello(ca_file: Path, tmp_path: Path) -> None:
    server = server_context(make_server_certificate((HOST,), issuer=CA), tmp_path)
    server.maximum_version = ssl.TLSVersion.TLSv1_3
    server.set_ecdh_curve("prime256v1")
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    us = Trust(HOST, ca_file).context.wrap_bio(to_client, to_server, server_hostname=HOST)
    them = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (us, them):
        with pytest.raises(ssl.SSLWantReadError):
            side.do_handshake()
    hello_retry_request = hashlib.sha256(b"HelloRetryRequest").digest()  # RFC 8446, 4.1.3: its random
    assert hello_retry_request not in to_client.read()


def test_a_session_can_be_forgotten_and_none_changes_nothing(ca_file: Path, tmp_path: Path) -> None:
    trust = Trust(HOST, ca_file)
    server = server_context(make_server_certificate((HOST,), issuer=CA), tmp_path)
    trust.remember(handshake(trust, server).session, reused=False)
    kept = trust.session
    trust.remember(None, reused=False)
    assert trust.session is kept
    trust.forget()
    assert trust.session is None
