"""Strangers at a listening port: what each of them may cost, and that no party is kept out by them."""

from __future__ import annotations

import errno
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from privity.errors import HandshakeError, PeerTimeout
from privity.net import door, tls
from privity.net.certificates import Identity, make_certificate
from privity.net.door import Caller, Door
from privity.net.handshake import (
    NotAuthenticated,
    TlsStream,
    WrongCertificate,
    agree,
    identify,
    knock,
    tls_context,
)
from privity.net.tls import Peer, connect, listen
from privity.net.wire import Hello

KNOCK = "0123456789abcdef0123456789abcdef"


def hello_of(party: str, **changes: Any) -> Hello:
    common: dict[str, Any] = {"version": "1", "program_hash": b"p", "job_hash": b"j", "consortium_hash": b"c"}
    return Hello(party=party, **(common | changes))


def client_hello(name: str = "stranger") -> bytes:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    outgoing = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


HELLO = client_hello()


class Site:
    """A door whose handshakes are the test's: each is put into ``asked`` and lasts until the test ends it."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.asked: queue.SimpleQueue[Caller] = queue.SimpleQueue()
        self._ends: dict[Caller, threading.Event] = {}
        self._stop = threading.Event()
        self.door = Door(listener, self._handshake, self._stop, [KNOCK.encode()])
        self._thread = threading.Thread(target=self.door.run, daemon=True)
        self._sockets: list[socket.socket] = [listener]

    def open(self) -> None:
        self._thread.start()

    def _handshake(self, caller: Caller) -> None:
        self._ends[caller] = threading.Event()
        self.asked.put(caller)
        assert self._ends[caller].wait(30)
        self.door.leave(caller)
        caller.sock.close()

    def end(self, caller: Caller) -> None:
        """The caller's handshake fails."""
        self._ends[caller].set()
        assert caller.thread is not None
        caller.thread.join(30)

    def call(self, *pieces: bytes) -> socket.socket:
        sock = socket.create_connection(self.listener.getsockname(), timeout=10)
        self._sockets.append(sock)
        for piece in pieces:
            sock.sendall(piece)
        return sock

    def close(self) -> None:
        self._stop.set()
        self._thread.join(30)
        for event in self._ends.values():
            event.set()
        for sock in self._sockets:
            sock.close()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(door, "CALLER_S", 60.0)
    monkeypatch.setattr(door, "PROTECTED_S", 60.0)
    made = Site(listen("127.0.0.1:0"))
    made.open()
    yield made
    made.close()


def sent_away(sock: socket.socket) -> bool:
    """Whether the connection ends; waits for that."""
    try:
        return sock.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def test_a_whole_client_hello_is_let_in_however_it_is_cut(site: Site) -> None:
    site.call(*(HELLO[at : at + 1] for at in range(len(HELLO))))
    assert bytes(site.asked.get(timeout=10).received) == HELLO


@pytest.mark.parametrize(
    "words",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"SSH-2.0-scanner\r\n",
        b"\x17\x03\x03\x00\x10" + bytes(16),
        b"\x16\x02\x00\x00\x10" + bytes(16),
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\xff\xff\x01",
        b"\x16\x03\x03\x00\x04\x02\x00\x00\x00",
        b"\x15\x03\x03\x00\x02\x02\x30",
    ],
    ids=["HTTP", "SSH", "application data", "SSL 2", "empty", "too long", "server hello", "alert"],
)
def test_what_is_no_client_hello_costs_no_handshake(site: Site, words: bytes) -> None:
    stranger = site.call(words)
    assert sent_away(stranger)
    site.call(HELLO)
    assert bytes(site.asked.get(timeout=10).received) == HELLO
    assert site.asked.empty()


@pytest.mark.parametrize("said", [b"", HELLO[:5], HELLO[:-1]], ids=["silent", "header", "all but a byte"])
def test_who_does_not_finish_its_client_hello_has_to_go(
    site: Site, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "CALLER_S", 0.01)
    assert sent_away(site.call(said))


def test_the_oldest_silent_caller_gives_way(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "WAITING", 3)
    silent = [site.call() for _ in range(4)]
    assert sent_away(silent[0])
    site.call(HELLO)
    assert bytes(site.asked.get(timeout=10).received) == HELLO
    assert sent_away(silent[1])


def test_strangers_have_few_handshakes_and_parties_their_own(site: Site) -> None:
    strangers = [site.call(HELLO) for _ in range(door.STRANGE_HANDSHAKES + 5)]
    taken = [site.asked.get(timeout=10) for _ in range(door.STRANGE_HANDSHAKES)]
    expected = client_hello(KNOCK)
    for _ in range(3):
        site.call(expected)
        assert bytes(site.asked.get(timeout=10).received) == expected  # and not the next stranger in line
    assert site.asked.empty()
    assert len(taken) < len(strangers)


def test_a_handshake_that_has_had_its_time_gives_way(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "PROTECTED_S", 0.0)
    monkeypatch.setattr(site.door._strange, "_places", 2)
    first, second = site.call(HELLO), site.call(HELLO)
    callers = [site.asked.get(timeout=10) for _ in range(2)]
    site.call(HELLO)
    assert sent_away(first)
    site.end(next(caller for caller in callers if caller.leaving))
    site.asked.get(timeout=10)
    second.settimeout(0.0)
    with pytest.raises(BlockingIOError):
        second.recv(1)


def test_who_is_known_does_not_give_way_and_takes_no_place(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "PROTECTED_S", 0.0)
    monkeypatch.setattr(site.door._strange, "_places", 1)
    party = site.call(HELLO)
    site.door.known(site.asked.get(timeout=10))
    second = site.call(HELLO)
    stranger = site.asked.get(timeout=10)
    site.call(HELLO)
    assert sent_away(second)
    site.end(stranger)
    site.asked.get(timeout=10)
    party.settimeout(0.0)
    with pytest.raises(BlockingIOError):
        party.recv(1)


def test_a_flood_of_failing_handshakes_gets_no_more_places(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site.door._strange, "_places", 1)
    site.call(HELLO)
    site.end(site.asked.get(timeout=10))
    site.call(HELLO)
    expected = client_hello(KNOCK)
    site.call(expected)
    assert bytes(site.asked.get(timeout=10).received) == expected
    assert site.asked.empty()


def test_no_descriptors_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system refuses is taken from the oldest stranger."""
    monkeypatch.setattr(door, "CALLER_S", 60.0)
    refusals: queue.SimpleQueue[int] = queue.SimpleQueue()

    class Starved(socket.socket):
        def accept(self) -> Any:
            if not refusals.empty():
                raise OSError(refusals.get(), "too many open files")
            return super().accept()

    site = Site(Starved(fileno=listen("127.0.0.1:0").detach()))
    site.open()
    try:
        site.call(HELLO)
        site.asked.get(timeout=10)
        first = site.call()
        second = site.call(HELLO)
        site.asked.get(timeout=10)
        refusals.put(errno.EMFILE)
        site.call(HELLO)
        assert sent_away(first)
        site.asked.get(timeout=10)
        second.settimeout(0.0)
        with pytest.raises(BlockingIOError):
            second.recv(1)
    finally:
        site.close()


def test_the_knock_names_one_meeting(identities: dict[str, Identity]) -> None:
    a, b = identities["bank_a"].certificate, identities["compute_0"].certificate
    hello = hello_of("bank_a")
    others = [
        knock(b, a, hello),
        knock(a, identities["compute_1"].certificate, hello),
        knock(a, b, hello_of("bank_a", job_hash=b"other")),
        knock(a, b, hello_of("bank_a", consortium_hash=b"other")),
    ]
    assert knock(a, b, hello) == knock(a, b, hello_of("compute_0"))
    assert len({knock(a, b, hello), *others}) == 5


# ----------------------------------------------------------- whole meetings


class Meeting:
    """compute_0 waits for bank_a; strangers come first, then bank_a does."""

    def __init__(self, identities: dict[str, Identity]) -> None:
        self._identities = identities
        self.listener = listen("127.0.0.1:0")
        self.endpoint = "{}:{}".format(*self.listener.getsockname())
        self.found: dict[str, Any] = {}
        self._serving = threading.Thread(target=self._one, args=("compute_0", [], ["bank_a"], 20.0))

    def wait_for_bank(self, seconds: float = 20.0) -> None:
        self._serving = threading.Thread(target=self._one, args=("compute_0", [], ["bank_a"], seconds))
        self._serving.start()

    def _one(self, me: str, dial: list[str], accept: list[str], seconds: float) -> None:
        certificate = {name: self._identities[name].certificate for name in (*dial, *accept)}
        peers = [Peer(name, certificate[name], self.endpoint) for name in dial]
        callers = [Peer(name, certificate[name]) for name in accept]
        try:
            self.found[me] = connect(
                self._identities[me], peers, callers, None if dial else self.listener, hello_of(me), deadline_s=seconds
            )
        except Exception as error:
            self.found[me] = error

    def bank_comes(self) -> None:
        self._one("bank_a", ["compute_0"], [], 20.0)
        self.join()

    def join(self) -> None:
        self._serving.join(30)

    def close(self) -> None:
        self.listener.close()
        for channel in self.found.values():
            if not isinstance(channel, Exception):
                for connection in channel._connections.values():
                    connection.close()


@pytest.fixture
def meeting(identities: dict[str, Identity], monkeypatch: pytest.MonkeyPatch) -> Iterator[Meeting]:
    monkeypatch.setattr(tls, "REFUSAL_GRACE_S", 0.0)  # whoever shortens the wait ends it
    made = Meeting(identities)
    yield made
    made.close()


def stranger_says(*words: bytes) -> Callable[[Any], None]:
    def attack(address: Any) -> None:
        with socket.create_connection(address, timeout=10) as sock, suppress(OSError):
            for each in words:
                sock.sendall(each)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass

    return attack


def probe(address: Any) -> None:
    """A scanner without a certificate, which reads until it is sent away."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with suppress(OSError), socket.create_connection(address, timeout=10) as sock, context.wrap_socket(sock) as shown:
        while shown.recv(65536):
            pass


def doubter(address: Any) -> None:
    """A scanner that does not like this party's certificate and says so in an alert: it has shown none of its own."""
    with suppress(OSError), socket.create_connection(address, timeout=10) as sock:
        with pytest.raises(ssl.SSLCertVerificationError):
            ssl.create_default_context().wrap_socket(sock, server_hostname="localhost")
        stranger_reads(sock)


def stranger_reads(sock: socket.socket) -> None:
    with suppress(OSError):
        while sock.recv(65536):
            pass


def old_tls(address: Any) -> None:
    """A scanner that speaks TLS 1.2."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with suppress(OSError), socket.create_connection(address, timeout=10) as sock:
        context.wrap_socket(sock)


STRANGERS = {
    "garbage": stranger_says(b"GET / HTTP/1.0\r\n\r\n"),
    "8 bytes like TLS": stranger_says(b"\x16\x03\x01\x00\x03abc"),
    "21 bytes like TLS": stranger_says(b"\x16\x03\x01\x00\x10\x01\x00\x00\x0c\x03\x03" + bytes(10)),
    "half a handshake": stranger_says(HELLO),
    "hello and garbage": stranger_says(HELLO, b"\x17\x03\x03\x00\x20" + bytes(32)),
    "hello and an alert": stranger_says(HELLO, b"\x15\x03\x03\x00\x02\x02\x30"),
    "probe": probe,
    "doubter": doubter,
    "TLS 1.2": old_tls,
}


@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS)
def test_no_stranger_without_a_certificate_shortens_the_wait(meeting: Meeting, stranger: Callable[[Any], None]) -> None:
    meeting.wait_for_bank()
    for _ in range(2):
        stranger(meeting.listener.getsockname())
    meeting.bank_comes()
    assert not [each for each in meeting.found.values() if isinstance(each, Exception)], meeting.found


def test_what_strangers_did_is_told_when_nobody_else_comes(identities: dict[str, Identity]) -> None:
    me, bank = identities["compute_0"], identities["bank_a"].certificate
    here, there = socket.socketpair()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    def shows_nothing() -> None:
        with suppress(OSError):
            stranger_reads(context.wrap_socket(there))

    thread = threading.Thread(target=shows_nothing)
    thread.start()
    server, deadline = tls_context(me, [bank], server_side=True), time.monotonic() + 30
    stream = TlsStream(here, server, server_side=True, where="the caller from x", deadline=deadline)
    with pytest.raises(NotAuthenticated, match="the caller from x showed no certificate; every party") as caught:
        identify(stream, [("bank_a", bank)], "the caller from x")
    here.close()
    thread.join(30)
    with listen("127.0.0.1:0") as listener:
        waiting = tls._Meeting(me, [], [Peer("bank_a", bank)], listener, hello_of("compute_0"), 20.0, 20.0, None)
        waiting._events.put(caught.value)
        before = waiting._deadline
        assert waiting._next_event({}, ["bank_a"]) is None
        assert waiting._deadline == before
        told = waiting._nobody_came(["bank_a"])
    assert isinstance(told, PeerTimeout)
    assert "bank_a did not connect" in str(told)
    assert "meanwhile the caller from x showed no certificate" in str(told)


def test_a_wrong_certificate_that_was_shown_shortens_the_wait(meeting: Meeting, tmp_path: Path) -> None:
    fake = make_certificate("bank_a", tmp_path)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(fake.certificate_path, fake.key_path)
    meeting.wait_for_bank(25.0)
    with suppress(OSError), socket.create_connection(meeting.listener.getsockname(), timeout=10) as sock:
        stranger_reads(context.wrap_socket(sock))
    meeting.join()
    assert isinstance(meeting.found["compute_0"], HandshakeError)
    assert "a certificate that is not in the consortium file" in str(meeting.found["compute_0"])


def test_a_member_is_no_other_member_at_the_door(meeting: Meeting) -> None:
    """compute_1 is pinned by many, but here bank_a alone is awaited."""
    meeting.wait_for_bank()
    meeting._one("compute_1", ["compute_0"], [], 20.0)
    meeting.join()
    assert isinstance(meeting.found["compute_0"], HandshakeError)
    assert "a certificate that is not in the consortium file" in str(meeting.found["compute_0"])
    assert isinstance(meeting.found["compute_1"], HandshakeError)


def test_a_party_that_is_there_is_not_awaited_again(identities: dict[str, Identity]) -> None:
    """Whoever shows bank_a's certificate when bank_a has come is told so, and does not take its place."""
    me, bank = identities["compute_0"], identities["bank_a"]
    here, there = socket.socketpair()
    context = tls_context(bank, [me.certificate], server_side=False)
    told: list[Any] = []

    def again() -> None:
        stream = TlsStream(there, context, server_side=False, where="compute_0", deadline=time.monotonic() + 30)
        name, certificate = identify(stream, [("compute_0", me.certificate)], "compute_0")
        try:
            agree(stream, bank, name, certificate, hello_of("bank_a"))
        except HandshakeError as error:
            told.append(str(error))

    thread = threading.Thread(target=again)
    thread.start()
    server = tls_context(me, [bank.certificate], server_side=True)
    stream = TlsStream(here, server, server_side=True, where="the caller", deadline=time.monotonic() + 30)
    with pytest.raises(WrongCertificate, match="the certificate of 'bank_a' was shown where nobody was expected"):
        identify(stream, [], "the caller")
    thread.join(30)
    for sock in (here, there):
        sock.close()
    assert len(told) == 1
    assert "compute_0 refused the session" in told[0]


def test_a_party_that_was_sent_away_comes_again(meeting: Meeting, monkeypatch: pytest.MonkeyPatch) -> None:
    """As from a door that has no place: at once, during TLS, and just when it has shown its certificate."""
    accept = tls._Meeting._accept_one
    turned: list[Caller] = []

    def accept_one(self: Any, caller: Caller) -> None:
        turned.append(caller)
        if len(turned) == 1:
            caller.sock.close()
        elif len(turned) == 2:
            caller.sock.shutdown(socket.SHUT_RDWR)
            accept(self, caller)
        elif len(turned) == 3:
            monkeypatch.setattr(self._door, "known", lambda _: caller.sock.shutdown(socket.SHUT_RDWR))
            accept(self, caller)
            monkeypatch.undo()
        else:
            accept(self, caller)

    with monkeypatch.context() as patch:
        patch.setattr(tls._Meeting, "_accept_one", accept_one)
        meeting.wait_for_bank()
        meeting.bank_comes()
    assert len(turned) == 4
    assert not [each for each in meeting.found.values() if isinstance(each, Exception)], meeting.found


def test_sixteen_parties_of_one_address_start_while_strangers_hold_sockets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "WAITING", 32)
    names = [f"party_{number:02}" for number in range(16)]
    known = {name: make_certificate(name, tmp_path) for name in names}
    listener = listen("127.0.0.1:0")
    address = listener.getsockname()
    endpoint = "{}:{}".format(*address)
    held: list[socket.socket] = []
    found: dict[str, Any] = {}

    def stranger(number: int) -> None:
        sock = socket.create_connection(address, timeout=10)
        sock.sendall((b"", HELLO[:20], HELLO, b"\x16")[number % 4])
        held.append(sock)

    def one(me: str) -> None:
        dial = [] if me == names[0] else [Peer(names[0], known[names[0]].certificate, endpoint)]
        accept = [] if dial else [Peer(name, known[name].certificate) for name in names[1:]]
        try:
            found[me] = connect(known[me], dial, accept, None if dial else listener, hello_of(me), deadline_s=60)
        except Exception as error:
            found[me] = error

    for number in range(48):  # they fill the place before anybody else is there
        stranger(number)
    threads = [threading.Thread(target=one, args=(name,)) for name in names]
    for number, thread in enumerate(threads):
        thread.start()
        for each in range(4):
            stranger(number + each)
    for thread in threads:
        thread.join(90)
    failed = [each for each in found.values() if isinstance(each, Exception)]
    for channel in found.values():
        if not isinstance(channel, Exception):
            for connection in channel._connections.values():
                connection.close()
    for sock in (*held, listener):
        sock.close()
    assert not failed
    assert len(found) == 16
