"""Who may join a session: pinned identities, one program, one deadline."""

from __future__ import annotations

import socket
import struct
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from privity.errors import ConfigError, HandshakeError, PeerAborted, PeerTimeout
from privity.net import tls
from privity.net.certificates import Identity, make_certificate
from privity.net.handshake import differences
from privity.net.tls import Peer, adopt_listener, connect, listen, parse_endpoint
from privity.net.wire import Hello

DUO = ("compute_0", "compute_1")


def hello(me: str, **changes: Any) -> Hello:
    base: dict[str, Any] = {
        "party": me,
        "version": "1",
        "program_hash": b"p",
        "job_hash": b"j",
        "consortium_hash": b"c",
    }
    return Hello(**(base | changes))


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "REFUSAL_GRACE_S", 0.2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"program_hash": b"q"}, "the program differs"),
        ({"job_hash": b"q"}, "the job differs"),
        ({"consortium_hash": b"q"}, "the consortium file differs"),
        ({"version": "2"}, "Privity version 1 here and 2 there"),
        ({"parameters": {"bits": "20"}}, "parameter bits is unset here and 20 there"),
        ({"party": "bank_b"}, "calls itself 'bank_b' but holds the certificate of 'compute_1'"),
    ],
)
def test_another_session_is_named_at_both_ends(mesh: Any, changes: dict[str, Any], message: str) -> None:
    mesh.meet(DUO, hellos={"compute_0": hello("compute_0"), "compute_1": hello("compute_1", **changes)})
    assert set(mesh.errors) == set(DUO)
    assert all(isinstance(error, HandshakeError) for error in mesh.errors.values())
    assert message in str(mesh.errors["compute_0"])


def test_differences_of_equals_are_none_and_builds_do_not_count() -> None:
    assert differences(hello("a", build="avx512"), hello("b", build="pure"), "b") == ""


def test_stranger_with_the_right_name(mesh: Any, folder: Path) -> None:
    fake = make_certificate("compute_1", folder)
    mesh.meet(DUO, shows={"compute_1": fake}, deadline_s=5.0)
    assert isinstance(mesh.errors["compute_0"], HandshakeError)
    assert "compute_1 did not connect; meanwhile" in str(mesh.errors["compute_0"])
    assert "not in the consortium file" in str(mesh.errors["compute_0"])
    assert isinstance(mesh.errors["compute_1"], HandshakeError)
    assert "refused this party's certificate" in str(mesh.errors["compute_1"])


def test_swapped_identities(mesh: Any, identities: dict[str, Identity]) -> None:
    """The party at compute_0's endpoint holds a member's certificate, but not the one expected there."""
    mesh.meet(DUO, ["bank_a"], shows={"compute_0": identities["compute_1"]}, absent=["compute_1"], deadline_s=5.0)
    assert isinstance(mesh.errors["bank_a"], HandshakeError)
    assert "'compute_1' was shown where compute_0 was expected" in str(mesh.errors["bank_a"])


def test_expired_certificate_is_named_before_dialling(mesh: Any, folder: Path) -> None:
    old = make_certificate("compute_1", folder, start=datetime.now(UTC) - timedelta(days=9), days=2)
    mesh.meet(DUO, shows={"compute_1": old}, pins={"compute_1": old})
    for error in mesh.errors.values():
        assert isinstance(error, HandshakeError)
        assert "the certificate of compute_1 expired on" in str(error)
    assert set(mesh.errors) == set(DUO)


def test_expired_certificate_is_refused_by_tls_too(mesh: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = make_certificate("compute_1", folder, start=datetime.now(UTC) - timedelta(days=9), days=2)
    monkeypatch.setattr(type(old.certificate), "check_validity", lambda *_: None)
    mesh.meet(DUO, shows={"compute_1": old}, pins={"compute_1": old}, deadline_s=5.0)
    assert "has expired" in str(mesh.errors["compute_0"])
    assert "refused this party's certificate: it has expired" in str(mesh.errors["compute_1"])


def test_certificate_of_tomorrow(mesh: Any, folder: Path) -> None:
    early = make_certificate("compute_1", folder, start=datetime.now(UTC) + timedelta(days=1))
    mesh.meet(DUO, shows={"compute_1": early}, pins={"compute_1": early})
    assert "valid only from" in str(mesh.errors["compute_0"])


def test_party_that_never_starts(mesh: Any) -> None:
    mesh.meet(("compute_0", "compute_1", "compute_2"), ["bank_a"], absent=["compute_1"], deadline_s=3.0)
    for me in ("compute_0", "compute_2", "bank_a"):
        assert isinstance(mesh.errors[me], PeerTimeout | PeerAborted)  # whoever is first tells the others
        assert "compute_1" in str(mesh.errors[me])
        assert "within 3 s" in str(mesh.errors[me])


def test_who_waits_for_a_party_says_where(mesh: Any) -> None:
    mesh.meet(("compute_0", "compute_1"), [], absent=["compute_1"], deadline_s=0.5)
    assert isinstance(mesh.errors["compute_0"], PeerTimeout)
    assert "compute_1 did not connect to 127.0.0.1:" in str(mesh.errors["compute_0"])
    assert "within 0.5 s" in str(mesh.errors["compute_0"])


def test_nobody_listens(identities: dict[str, Identity]) -> None:
    with listen("127.0.0.1:0") as held:
        endpoint = "{}:{}".format(*held.getsockname())
    peer = Peer("compute_0", identities["compute_0"].certificate, endpoint)
    with pytest.raises(PeerTimeout, match=rf"compute_0 could not be reached at {endpoint} .* \(Connection refu"):
        connect(identities["bank_a"], [peer], [], None, hello("bank_a"), deadline_s=0.2)


def test_strangers_do_not_disturb(identities: dict[str, Identity]) -> None:
    """Port scanners, web browsers and half-open connections meet a session that goes on."""
    listener = listen("127.0.0.1:0")
    address = listener.getsockname()
    first, second = (identities[name] for name in DUO)
    channels: dict[str, Any] = {}

    def serve() -> None:
        peers = [Peer("compute_1", second.certificate)]
        channels["compute_0"] = connect(first, [], peers, listener, hello("compute_0"), deadline_s=10)

    server = threading.Thread(target=serve)
    server.start()
    strangers = [socket.create_connection(address) for _ in range(3)]
    strangers[0].sendall(b"GET / HTTP/1.1\r\n\r\n")
    strangers[1].sendall(b"\x16\x03\x01\x00\x20" + bytes(32))
    reset = socket.create_connection(address)
    reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    reset.close()
    peer = Peer("compute_0", first.certificate, "{}:{}".format(*address))
    channels["compute_1"] = connect(second, [peer], [], None, hello("compute_1"), deadline_s=10)
    server.join(timeout=10)
    closing = threading.Thread(target=channels["compute_0"].close)
    closing.start()
    channels["compute_1"].close()
    closing.join(timeout=10)
    for sock in (*strangers, listener):
        sock.close()


def test_port_in_use() -> None:
    with listen("127.0.0.1:0") as held:
        endpoint = "{}:{}".format(*held.getsockname())
        with pytest.raises(ConfigError, match=f"cannot listen at {endpoint}: .*in use; stop the program"):
            listen(endpoint)


def test_inherited_listener() -> None:
    with listen("127.0.0.1:0") as held, socket.socket(fileno=adopt_listener(held.fileno()).detach()) as again:
        assert again.getsockname() == held.getsockname()
        again.detach()
    with socket.socket() as plain, pytest.raises(ConfigError, match="does not listen"):
        adopt_listener(plain.fileno())
    with pytest.raises(ConfigError, match="is not a socket"):
        adopt_listener(10**6)


@pytest.mark.parametrize("endpoint", ["", "host", ":1", "host:", "host:x", "host:65536", "host:-1", "host:١"])
def test_bad_endpoints(endpoint: str) -> None:
    with pytest.raises(ConfigError, match="expected host:port"):
        parse_endpoint(endpoint)


def test_good_endpoints() -> None:
    assert parse_endpoint("bank.example:7000") == ("bank.example", 7000)
    assert parse_endpoint("[::1]:0") == ("::1", 0)
