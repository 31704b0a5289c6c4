from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from rds_iam_proxy.net.make_certificate import make_ca, make_server_certificate
from rds_iam_proxy.net.peer_certificate import describe, presented


def _der(*names: str) -> bytes:
    pem = make_server_certificate(names, issuer=make_ca("A firewall\x1b[2J")).certificate_pem
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def test_names_issuer_and_dates_are_told() -> None:
    shown = describe(_der("orders.example.com", "10.1.2.3"))
    assert shown is not None
    assert shown.names == ("orders.example.com", "10.1.2.3")
    assert shown.first_name == "orders.example.com and 1 more"
    assert shown.issuer.startswith("CN=A firewall")
    assert "\x1b" not in shown.issuer
    assert str(shown).startswith("certificate for orders.example.com, 10.1.2.3, issued by CN=A firewall")
    assert f"from {shown.valid_from:%Y-%m-%d} to 20" in shown.dates


def test_what_cannot_be_read_is_left_out() -> None:
    assert describe(b"no certificate") is None
    assert presented(None) is None
