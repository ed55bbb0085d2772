"""The egress guard: every documented way to reach a private address is tried."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors.contract import Rejected, Transient
from connectors.egress import GuardedTransport, check_url, is_public
from connectors.http import HttpClient, Unlimited, default_transport, pooled_transport
from tests.connectors.server import NOON, Scripted, answer, raw_answer, serving

PUBLIC = "93.184.216.34"
PUBLIC_V6 = "2606:2800:220:1:248:1893:25c8:1946"


def says(*addresses: str):
    """A resolver with one answer for every name."""
    return lambda host: list(addresses)


class Asked:
    """A resolver with a list of answers; the last one again and again. `names` are those it was asked for."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.names: list[str] = []

    def __call__(self, host: str) -> list[str]:
        self.names.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def client(transport) -> HttpClient:
    return HttpClient(transport=transport, budget=Unlimited(), now=lambda: NOON, read_timeout=5)


# --- addresses ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.0.9",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:1::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_an_address_that_is_not_public_is_refused(address):
    assert not is_public(ipaddress.ip_address(address))
    with pytest.raises(Rejected):
        check_url("https://vendor.test/", resolve=says(address))


@pytest.mark.parametrize("address", [PUBLIC, PUBLIC_V6, "8.8.8.8", "::ffff:8.8.8.8", "172.32.0.1", "100.128.0.1"])
def test_a_public_address_is_let_through(address):
    assert is_public(ipaddress.ip_address(address))
    check_url("https://vendor.test/", resolve=says(address))


@pytest.mark.parametrize("others", [["127.0.0.1", PUBLIC], [PUBLIC, "10.0.0.1"], [PUBLIC, PUBLIC_V6, "::1"]])
def test_one_private_address_among_public_ones_is_enough_to_refuse(others):
    with pytest.raises(Rejected):
        check_url("https://vendor.test/", resolve=says(*others))


def test_a_name_without_addresses_is_refused():
    with pytest.raises(Rejected):
        check_url("https://vendor.test/", resolve=says())


# --- URLs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://vendor.test/",
        "http://vendor.test:443/",
        "ftp://vendor.test/",
        "file:///etc/passwd",
        "//vendor.test/",
        "vendor.test",
        "https:///path",
        "https://",
        "https://vendor.test:8443/",
        "https://vendor.test:80/",
        "https://vendor.test:0/",
        "https://vendor.test:99999/",
        "https://user@vendor.test/",
        "https://user:pass@vendor.test/",
        "https://vendor.test\\@evil.test/",
        "https://vendor.test%2f@evil.test/",
        "https://vendor.test./",
        "https://vendor..test/",
        "https://.vendor.test/",
        "https://-vendor.test/",
        "https://ven dor.test/",
        "https://vendor.test%00.evil.test/",
        "https://%31%32%37.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://127.0.0.1./",
        "https://127.0.0.0x1/",
        "https://1２7.0.0.1/",
        "https://①②⑦.0.0.1/",
        "https://127。0。0。1/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[::127.0.0.1]/",
        "https://[fe80::1%25eth0]/",
        f"https://[{PUBLIC_V6}%25eth0]/",
        "https://[::1",
        f"https://{'a' * 64}.test/",
        f"https://{'a.' * 130}test/",
        "https://localhost\n.test/",
    ],
)
def test_a_url_that_is_not_plain_https_to_a_plain_public_host_is_refused(url):
    with pytest.raises(Rejected):
        check_url(url, resolve=says(PUBLIC))


@pytest.mark.parametrize(
    "url",
    [
        "https://vendor.test",
        "HTTPS://Vendor.TEST:443/a?b#c",
        "https://a_b.vendor.test/",
        "https://bücher.test/",
        f"https://{PUBLIC}/",
        f"https://[{PUBLIC_V6}]/",
    ],
)
def test_a_plain_public_url_is_accepted(url):
    check_url(url, resolve=says(PUBLIC))


def test_a_name_is_looked_up_in_its_ascii_form():
    resolve = Asked([PUBLIC])
    check_url("https://Bücher.test/", resolve=resolve)
    assert resolve.names == ["xn--bcher-kva.test"]


def test_a_private_name_and_an_unknown_one_are_refused_in_the_same_words():
    def unknown(host):
        raise OSError("not found")

    texts = []
    for resolve in (unknown, says("10.1.2.3")):
        with pytest.raises(Rejected) as raised:
            check_url("https://inside.test/", resolve=resolve)
        texts.append(raised.value.text)
    assert texts[0] == texts[1]
    assert "10.1.2.3" not in texts[1]


# --- the operator's list ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("allow", "url", "addresses"),
    [
        (["gitlab.corp"], "http://gitlab.corp/", ["10.0.0.5"]),
        (["GitLab.corp"], "https://gitlab.corp:8443/", ["10.0.0.5"]),
        (["gitlab.corp:8443"], "http://gitlab.corp:8443/", ["10.0.0.5"]),
        (["10.0.0.0/8"], "https://gitlab.corp/", ["10.0.0.5"]),
        (["10.0.0.5"], "https://gitlab.corp/", ["10.0.0.5", PUBLIC]),
        (["10.0.0.0/8"], "https://gitlab.corp/", ["::ffff:10.0.0.5"]),
        (["127.0.0.0/8"], "http://127.0.0.1:8080/", []),
        (["127.0.0.1:8080"], "http://127.0.0.1:8080/", []),
        (["::1"], "http://[::1]:8080/", []),
        (["169.254.169.254"], "http://169.254.169.254/", []),
    ],
)
def test_the_operator_can_allow_hosts_and_networks(allow, url, addresses):
    check_url(url, allow, resolve=says(*addresses))


@pytest.mark.parametrize(
    ("allow", "url", "addresses"),
    [
        (["gitlab.corp"], "http://other.corp/", ["10.0.0.5"]),
        (["gitlab.corp"], "https://evil.gitlab.corp/", ["10.0.0.5"]),
        (["gitlab.corp:8443"], "http://gitlab.corp/", ["10.0.0.5"]),
        (["gitlab.corp"], "https://gitlab.corp/", ["169.254.169.254"]),
        (["gitlab.corp"], "https://gitlab.corp/", ["fe80::1"]),
        (["gitlab.corp"], "https://gitlab.corp/", ["0.0.0.0"]),
        (["10.0.0.0/8"], "http://gitlab.corp/", ["10.0.0.5"]),
        (["10.0.0.0/8"], "https://gitlab.corp/", ["10.0.0.5", "192.168.0.1"]),
        (["10.0.0.0/8"], "https://[::ffff:192.168.0.1]/", []),
        (["127.0.0.1:8080"], "http://127.0.0.1:8081/", []),
    ],
)
def test_an_exception_goes_no_further_than_it_says(allow, url, addresses):
    with pytest.raises(Rejected):
        check_url(url, allow, resolve=says(*addresses))


@pytest.mark.parametrize("entry", ["", "10.0.0.1/8", "a b", "host:port", "https://gitlab.corp", "*.corp", "host/24"])
def test_a_mistyped_exception_is_an_error_when_it_is_configured(entry):
    with pytest.raises(ValueError, match="neither"):
        GuardedTransport([entry])


# --- connections --------------------------------------------------------------------------------------


def test_the_connection_goes_to_the_address_that_was_checked_under_the_hosts_name():
    with serving(raw_answer()) as server, GuardedTransport(["vendor.test"], resolve=says("127.0.0.1")) as transport:
        client(transport).request("GET", f"http://vendor.test:{server.port}/x")
    assert server.seen[0].headers["host"] == f"vendor.test:{server.port}"


def test_a_name_that_changes_its_address_after_the_check_is_caught():
    resolve = Asked([PUBLIC], ["127.0.0.1"])
    check_url("https://rebinding.test/", resolve=resolve)
    with GuardedTransport(resolve=resolve) as transport, pytest.raises(Rejected):
        client(transport).request("GET", "https://rebinding.test/")
    assert len(resolve.names) == 2


def test_a_connection_looks_the_name_up_only_once():
    resolve = Asked(["127.0.0.1"], ["10.0.0.1"])
    with serving(raw_answer()) as server:
        with GuardedTransport(["vendor.test"], resolve=resolve) as transport:
            client(transport).request("GET", f"http://vendor.test:{server.port}/")
    assert resolve.names == ["vendor.test"]


def test_two_names_at_one_address_do_not_share_a_connection():
    with serving(raw_answer()) as server:
        with GuardedTransport(["a.test", "b.test"], resolve=says("127.0.0.1")) as transport:
            for host in ("a.test", "b.test", "a.test"):
                client(transport).request("GET", f"http://{host}:{server.port}/")
    assert [seen.connection for seen in server.seen] == [1, 2, 1]


def test_the_next_address_is_tried_when_one_can_not_be_connected_to():
    with serving(raw_answer()) as server:
        with GuardedTransport(["vendor.test"], resolve=says("127.0.0.2", "127.0.0.1")) as transport:
            client(transport).request("POST", f"http://vendor.test:{server.port}/")
    assert len(server.seen) == 1


def test_a_name_that_can_not_be_resolved_just_now_is_tried_later():
    def unknown(host):
        raise OSError("Temporary failure in name resolution")

    with GuardedTransport(resolve=unknown) as transport, pytest.raises(Transient) as raised:
        client(transport).request("POST", "https://vendor.test/")
    assert raised.value.maybe_done is False


def test_a_refused_request_never_reaches_the_network():
    inner = Scripted(answer())
    with pytest.raises(Rejected):
        client(GuardedTransport(inner=inner)).request("GET", "https://user@vendor.test/")
    assert inner.requests == []


def test_a_redirect_into_the_private_network_is_not_followed():
    with serving(raw_answer(302, headers={"Location": "http://169.254.169.254/latest/"})) as server:
        with GuardedTransport(["127.0.0.1"]) as transport, pytest.raises(Rejected) as raised:
            client(transport).request("GET", server.url)
    assert "169.254" not in raised.value.text
    assert len(server.seen) == 1


def test_the_default_transport_is_guarded():
    with default_transport() as transport, pytest.raises(Rejected):
        client(transport).request("GET", "https://127.0.0.1/")
    with serving(raw_answer()) as server, default_transport(["127.0.0.1"]) as transport:
        assert client(transport).request("GET", server.url).status == 200


@pytest.mark.usefixtures("network")
def test_the_systems_resolver_is_used_by_default():
    with serving(raw_answer()) as server, GuardedTransport(["localhost"]) as transport:
        assert client(transport).request("GET", f"http://localhost:{server.port}/").status == 200


# --- TLS ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """The path of a self-signed certificate for vendor.test, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vendor.test")])
    now = datetime.now(NOON.tzinfo)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("vendor.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "vendor.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return path


def tls_server(certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_tls_is_spoken_and_verified_under_the_hosts_name(certificate):
    trust = ssl.create_default_context(cafile=str(certificate))
    with serving(raw_answer(), tls_server(certificate)) as server:
        with pooled_transport(says("127.0.0.1"), trust) as transport:
            client(transport).request("GET", f"https://vendor.test:{server.port}/")
    assert server.seen[0].sni == "vendor.test"


def test_a_certificate_for_another_name_is_refused_before_anything_is_sent(certificate):
    trust = ssl.create_default_context(cafile=str(certificate))
    with serving(raw_answer(), tls_server(certificate)) as server:
        with pooled_transport(says("127.0.0.1"), trust) as transport, pytest.raises(Transient) as raised:
            client(transport).request("POST", f"https://other.test:{server.port}/")
    assert raised.value.maybe_done is False
    assert server.seen == []


def test_an_unknown_issuer_is_refused(certificate):
    with serving(raw_answer(), tls_server(certificate)) as server:
        with GuardedTransport(["vendor.test"], resolve=says("127.0.0.1")) as transport:
            with pytest.raises(Transient, match="certificate"):
                client(transport).request("GET", f"https://vendor.test:{server.port}/")
    assert server.seen == []
