"""Headers and control messages: any bytes give a valid message or a WireError."""

from __future__ import annotations

import contextlib

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privity.errors import ShapeError, WireError
from privity.net import wire

MESSAGES: list[wire.Message] = [
    wire.Declare(inputs=(wire.InputDeclaration(name="x", shape=(3, 0), bound=1.5, scale=16),)),
    wire.AllInputs(inputs={"bank_a": (wire.InputDeclaration(name="y", shape=()),)}),
    wire.Digest(value=b"\x00" * 32),
    wire.Statement(data=b"{}"),
    wire.ProgressNote(stage=5, step=1, total=2, rounds=3, bytes_sent=4),
    wire.Abort(reason="DataError"),
    wire.Bye(),
    wire.Refusal(why="no"),
    wire.Encapsulation(ciphertext=bytes(1088)),
    wire.Confirmation(value=bytes(32)),
    wire.Greeting(
        hello=wire.Hello(
            party="a", version="1", program_hash=b"p", job_hash=b"j", consortium_hash=b"c", parameters={"bits": "64"}
        ),
        x25519=bytes(32),
        ml_kem=bytes(1184),
        nonce=bytes(32),
    ),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
def test_round_trip(message: wire.Message) -> None:
    assert wire.decode(wire.encode(message), "bank_a") == message


@given(st.binary(max_size=300))
def test_decoder_survives_any_bytes(data: bytes) -> None:
    try:
        assert isinstance(wire.decode(data, "bank_a"), wire.Message)
    except WireError as error:
        assert "bank_a" in str(error)


@given(st.sampled_from(MESSAGES), st.data())
def test_decoder_survives_mutations(message: wire.Message, data: st.DataObject) -> None:
    encoded = bytearray(wire.encode(message))
    for _ in range(data.draw(st.integers(1, 4))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(encoded)))
    with contextlib.suppress(WireError):
        assert isinstance(wire.decode(encoded[:cut], "bank_a"), wire.Message)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=12,
    )
)
def test_decoder_refuses_other_msgpack(value: object) -> None:
    with pytest.raises(WireError):
        wire.decode(msgspec.msgpack.encode(value), "bank_a")


def test_decoder_refuses_deep_and_big() -> None:
    with pytest.raises(WireError):
        wire.decode(b"\x91" * 100_000, "bank_a")
    with pytest.raises(WireError, match="at most 1048576"):
        wire.decode(bytes(wire.MAX_CONTROL + 1), "bank_a")
    with pytest.raises(WireError, match="declare fewer inputs"):
        wire.encode(wire.AllInputs(inputs={f"b{i}": MESSAGES[0].inputs * 4000 for i in range(20)}))  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="expected a control message"):
        wire.encode({"type": "Bye"})


@given(st.integers(1, 6), st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 64) - 1))
def test_header_round_trip(kind: int, step: int, counter: int) -> None:
    packed = wire.pack_header(kind, step, counter, 0, 0)
    assert len(packed) == wire.HEADER_BYTES == 32
    assert wire.read_header(packed, 0, "bank_a", counter) == wire.Header(kind, step, counter, 0, 0)
    assert packed[wire.NONCE_START : wire.NONCE_END] == bytes(4) + counter.to_bytes(8, "big")


@given(st.binary(max_size=40), st.integers(0, 3))
def test_header_parser_survives_any_bytes(data: bytes, counter: int) -> None:
    try:
        header = wire.read_header(data, 0, "bank_a", counter)
    except WireError as error:
        assert "bank_a" in str(error)
    else:
        assert header.length <= wire.CHUNK and header.length <= header.total <= wire.MAX_DATA


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((wire.MAGIC + 1, 1, 1, 0, 0, 0, 0, 0, 0), "expected magic"),
        ((wire.MAGIC, 9, 1, 0, 0, 0, 0, 0, 0), "version 9"),
        ((wire.MAGIC, 1, 7, 0, 0, 0, 0, 0, 0), "kind 7"),
        ((wire.MAGIC, 1, 1, 0, 1, 0, 0, 0, 0), "shard 1"),
        ((wire.MAGIC, 1, 1, 0, 0, 2, 0, 0, 0), "lane 2"),
        ((wire.MAGIC, 1, 1, 0, 0, 0, 5, 0, 0), "expected frame number 0, came 5"),
        ((wire.MAGIC, 1, 1, 0, 0, 0, 0, wire.CHUNK + 1, wire.CHUNK + 1), "at most"),
        ((wire.MAGIC, 1, 1, 0, 0, 0, 0, 1, wire.MAX_DATA + 1), "at most"),
        ((wire.MAGIC, 1, 1, 0, 0, 0, 0, 2, 1), "chunk of 2 bytes in a message of 1"),
        ((wire.MAGIC, 1, 2, 0, 0, 0, 0, 1, wire.MAX_CONTROL + 1), "CONTROL frame"),
        ((wire.MAGIC, 1, 4, 0, 0, 0, 0, 1, 1), "BYE frame"),
        ((wire.MAGIC, 1, 6, 9, 0, 0, 0, 1, 1), "ALIVE frame"),
    ],
)
def test_header_limits(fields: tuple[int, ...], message: str) -> None:
    with pytest.raises(WireError, match=message):
        wire.read_header(wire.HEADER.pack(*fields), 0, "bank_a", 0)


def test_wire_bytes_counts_every_frame() -> None:
    assert wire.wire_bytes(0) == 48
    assert wire.wire_bytes(wire.CHUNK) == wire.CHUNK + 48
    assert wire.wire_bytes(wire.CHUNK + 1) == wire.CHUNK + 1 + 96


def test_printable_disarms_a_terminal() -> None:
    assert wire.printable("\x1b[2Jé\n") == "\\x1b[2Jé\\n"
    assert len(wire.printable("a" * 9999)) == 503
    assert wire.printable("\ud800") == "\\ud800"


def test_targets_must_be_plain_memory() -> None:
    with pytest.raises(ShapeError):
        wire.target_of(np.zeros((4, 4))[:, ::2])
    frozen = np.zeros(3)
    frozen.flags.writeable = False
    with pytest.raises(ShapeError):
        wire.target_of(frozen)
