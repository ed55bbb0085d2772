"""The guard on every outgoing request: no address that a person can configure leads into our own network.

A URL must be https on port 443 with a plain host name; the name is resolved once per connection, all its
addresses must be public, and the socket goes to exactly those (a second look-up could answer differently:
DNS rebinding). Redirects are not followed by anyone, so there is nothing to re-check.

Operators allow exceptions for self-hosted vendors, each entry one of

    gitlab.corp.example         this host: http or https, any port, private addresses
    gitlab.corp.example:8443    the same on that port only (127.0.0.1:8080 works too)
    10.20.0.0/16 or 10.20.1.5   these addresses; written literally in a URL they also may use http and any port

Refusals say which rule failed and nothing about what lives at the address.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from connectors.contract import Rejected
from connectors.http import InvalidUrl, Transport, Url, WireRequest, WireResponse, pooled_transport

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str], Sequence[str]]
"""Host name -> all its addresses, best first. Raises OSError when there is none."""

BLOCKED: tuple[Network, ...] = tuple(
    ip_network(block)
    for block in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carriers' shared space; some clouds' metadata
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local; cloud metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays: carry traffic to embedded addresses
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "2001::/23",  # protocol assignments; Teredo embeds IPv4 addresses
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: embeds IPv4 addresses
        "3fff::/20",  # documentation
    )
)
"""Never public, whatever the running Python's own tables know (they grew with its versions)."""

PUBLIC_V6 = IPv6Network("2000::/3")
"""The only IPv6 space handed out for public use. Outside: loopback, fc00::/7, fe80::/10, ff00::/8, 64:ff9b::/96 …"""

ONLY_BY_ADDRESS: tuple[Network, ...] = tuple(
    ip_network(block) for block in ("0.0.0.0/32", "169.254.0.0/16", "224.0.0.0/4", "::/128", "fe80::/10", "ff00::/8")
)
"""An allowed *name* does not reach these: no vendor lives there, but cloud metadata does. An allowed network does."""

HTTPS_PORT = 443
HTTP_PORT = 80
LONGEST_NAME = 253
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBERISH = re.compile(r"[0-9]+|0x[0-9a-f]*")


class _Allowed:
    """The operator's exceptions."""

    def __init__(self, entries: Sequence[str]) -> None:
        self._networks: list[Network] = []
        self._hosts: set[tuple[str, int | None]] = set()
        for entry in entries:
            self._add(entry.strip().lower())

    def _add(self, entry: str) -> None:
        try:
            self._networks.append(ip_network(entry))
            return
        except ValueError:
            pass
        name, colon, port = entry.partition(":")
        if not (_is_name(name) or _literal(name)) or (colon and not port.isdecimal()):
            raise ValueError(f"{entry!r} is neither a host, host:port, address nor network")
        self._hosts.add((name, int(port) if colon else None))

    def host(self, name: str, port: int) -> bool:
        return (name, None) in self._hosts or (name, port) in self._hosts

    def named(self, name: str) -> bool:
        """Whether the name is allowed on some port; which one was decided when the URL was checked."""
        return any(name == host for host, _ in self._hosts)

    def address(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


class GuardedTransport(Transport):
    """Sends requests only where the guard lets them go. Raises Rejected, or what the transport raises.

    `allow` is the operator's list, `resolve` looks names up, `inner` replaces the network (tests, a fake vendor
    in this process): then only the URL is checked. A wrong entry of `allow` raises ValueError.
    """

    def __init__(
        self, allow: Sequence[str] = (), *, resolve: Resolve | None = None, inner: Transport | None = None
    ) -> None:
        self._allowed = _Allowed(allow)
        self._resolve = resolve or _look_up
        self._inner = inner or pooled_transport(self._pin)

    def handle_request(self, request: WireRequest) -> WireResponse:
        """Check the URL and send; the connection is made to addresses that were checked."""
        _check(request.url, self._allowed)
        return self._inner.handle_request(request)

    def close(self) -> None:
        """Close the pooled connections."""
        self._inner.close()

    def _pin(self, host: str) -> Sequence[str]:
        return _addresses(host, self._allowed, self._resolve)


def check_url(url: str, allow: Sequence[str] = (), resolve: Resolve | None = None) -> None:
    """Refuse a URL before it is saved. Raises Rejected when no request to it would be let out.

    A name that can't be resolved and one that leads to a private address get the same words.
    """
    allowed = _Allowed(allow)
    try:
        parsed = Url(url)
    except InvalidUrl:
        raise Rejected("The address is not a valid URL.") from None
    host = _check(parsed, allowed)
    try:
        _addresses(host, allowed, resolve or _look_up)
    except OSError:
        raise _not_public(host) from None


def _check(url: Url, allowed: _Allowed) -> str:
    """The URL's host, when scheme, user part, host and port are acceptable. Raises Rejected."""
    host = url.raw_host.decode("ascii")  # lower case, IDNA already applied
    if url.userinfo:
        raise Rejected("The address must not hold a user name or password.")
    if url.scheme not in ("https", "http"):
        raise Rejected("The address must begin with https://.")
    literal = _literal(host)
    if literal is None and not _is_name(host):
        raise Rejected("The address's host must be a plain host name, without a trailing dot or a number in its place.")
    port = url.port if url.port is not None else (HTTPS_PORT if url.scheme == "https" else HTTP_PORT)
    if allowed.host(host, port) or (literal is not None and allowed.address(literal)):
        return host
    if url.scheme != "https":
        raise Rejected(f"{host} must be reached by https; the operator can allow plain http for this host.")
    if port != HTTPS_PORT:
        raise Rejected(f"{host} must be reached on port {HTTPS_PORT}; the operator can allow another port.")
    return host


def _addresses(host: str, allowed: _Allowed, resolve: Resolve) -> list[str]:
    """The host's addresses, when all of them may be connected to. Raises Rejected, OSError."""
    literal = _literal(host)
    found = [str(literal)] if literal is not None else resolve(host)
    addresses = [_unpacked(ip_address(text)) for text in found]
    named = allowed.named(host)
    if not addresses or not all(_may_connect(address, allowed, named) for address in addresses):
        raise _not_public(host)
    return [str(address) for address in addresses]


def _may_connect(address: Address, allowed: _Allowed, named: bool) -> bool:
    if is_public(address) or allowed.address(address):
        return True
    return named and not any(address in network for network in ONLY_BY_ADDRESS)


def is_public(address: Address) -> bool:
    """Whether the address belongs to the public internet and to nothing that translates into a private one."""
    address = _unpacked(address)
    if isinstance(address, IPv6Address) and address not in PUBLIC_V6:
        return False
    return address.is_global and not any(address in network for network in BLOCKED)


def _unpacked(address: Address) -> Address:
    """The IPv4 address inside `::ffff:a.b.c.d`."""
    return getattr(address, "ipv4_mapped", None) or address


def _literal(host: str) -> Address | None:
    """The address a host part writes literally in its normal form; None for names and for tricks."""
    try:
        return None if "%" in host else _unpacked(ip_address(host))
    except ValueError:
        return None


def _is_name(host: str) -> bool:
    """A host name in lower-case ASCII; a last label that resolvers would read as a number is an address in disguise."""
    labels = host.split(".")
    if len(host) > LONGEST_NAME or _NUMBERISH.fullmatch(labels[-1]):
        return False
    return all(_LABEL.fullmatch(label) for label in labels)


def _look_up(host: str) -> list[str]:
    """The system's answer, each address once, in the system's order of preference."""
    answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    # A scope id ("fe80::1%eth0") names an interface of this machine; the address is judged without it.
    return list(dict.fromkeys(str(answer[4][0]).partition("%")[0] for answer in answers))


def _not_public(host: str) -> Rejected:
    return Rejected(f"{host} is not a public address as seen from here; the operator can allow hosts and networks.")
