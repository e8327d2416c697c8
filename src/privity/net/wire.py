"""What goes over the wire: frame headers and typed control messages. The only serialiser of Privity.

A message is cut into *chunks* of at most ``CHUNK`` bytes; every chunk travels in one *frame*:

    offset  size  field
         0     2  magic    0x5056
         2     1  version  of this frame format
         3     1  kind     DATA, CONTROL, ABORT, BYE, PROGRESS or ALIVE
         4     4  step     the program's communication step; of ALIVE an age in milliseconds; 0 for all others
         8     2  shard    0 until there is scale-out
        10     2  lane     0 until there is scale-out
        12     8  counter  frames sent before on this connection and direction
        20     4  length   bytes of this chunk, without the tag
        24     8  total    bytes of the whole message

All integers are big-endian. The header is the associated data of the frame's AES-GCM tag, and its bytes 8 to 20 (fixed
field, then invocation counter) are the nonce: the deterministic construction of NIST SP 800-38D, section 8.2.1.

Lengths are compared with limits before anything is allocated. Control messages are tagged ``msgspec`` structs, decoded
strictly: any bytes give a valid message or a WireError.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Annotated, Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from ..errors import ShapeError, WireError

FRAME_VERSION: Final = 1
MAGIC: Final = 0x5056

HEADER: Final = struct.Struct("!HBBIHHQIQ")
HEADER_BYTES: Final = HEADER.size
TAG_BYTES: Final = 16
FRAME_OVERHEAD: Final = HEADER_BYTES + TAG_BYTES
"""Bytes that every frame adds to its chunk: header and authentication tag."""
NONCE_START: Final = 8
NONCE_END: Final = 20

CHUNK: Final = 640 * 1024
"""Largest chunk in bytes: big enough to hide the cost of a frame, small enough for a core's second-level cache."""
MAX_DATA: Final = 1 << 36
"""Largest DATA message in bytes (64 GiB)."""
MAX_CONTROL: Final = 1 << 20
"""Largest control, progress or abort message in bytes."""

DATA: Final = 1
CONTROL: Final = 2
ABORT: Final = 3
BYE: Final = 4
PROGRESS: Final = 5
ALIVE: Final = 6
"""A sign of life (``net.heart``): no content, and for no program."""

KIND_NAMES: Final = {DATA: "DATA", CONTROL: "CONTROL", ABORT: "ABORT", BYE: "BYE", PROGRESS: "PROGRESS", ALIVE: "ALIVE"}
_LIMITS: Final = {DATA: MAX_DATA, CONTROL: MAX_CONTROL, ABORT: MAX_CONTROL, BYE: 0, PROGRESS: MAX_CONTROL, ALIVE: 0}

DEFAULT_IDLE_S: Final = 60.0
"""Seconds a party waits for a peer that gives no sign of life."""


class Header(NamedTuple):
    """The fields of a frame header that differ from frame to frame."""

    kind: int
    step: int
    counter: int
    length: int
    total: int


def frames_for(length: int) -> int:
    """Number of frames in which a message of ``length`` bytes travels (an empty message needs one)."""
    return max(1, -(-length // CHUNK))


def wire_bytes(length: int) -> int:
    """Bytes on the wire for a message of ``length`` bytes, headers and tags included."""
    return length + FRAME_OVERHEAD * frames_for(length)


def pack_header(kind: int, step: int, counter: int, length: int, total: int) -> bytes:
    """The 32 header bytes of one frame."""
    return HEADER.pack(MAGIC, FRAME_VERSION, kind, step, 0, 0, counter, length, total)


def read_header(buffer: Any, offset: int, peer: str, expected_counter: int) -> Header:
    """Parse and check the header at ``offset`` of ``buffer``; nothing is allocated on its word.

    Raises WireError when it is no Privity frame, of another version, out of order, oversized or inconsistent.
    The result is only trustworthy once the frame's tag has verified.
    """
    try:
        magic, version, kind, step, shard, lane, counter, length, total = HEADER.unpack_from(buffer, offset)
    except struct.error:
        raise WireError(f"frame from {peer}: expected a header of {HEADER_BYTES} bytes, fewer came") from None
    if magic != MAGIC or version != FRAME_VERSION:
        raise WireError(
            f"frame from {peer}: expected magic 0x{MAGIC:04x} version {FRAME_VERSION}, came 0x{magic:04x} version "
            f"{version}; what sends there is no Privity {FRAME_VERSION} party, or the bytes were changed on the way"
        )
    if counter != expected_counter:
        raise WireError(
            f"frame from {peer}: expected frame number {expected_counter}, came {counter}; "
            "a frame was lost, repeated or reordered on the way, start a new session"
        )
    limit = _LIMITS.get(kind)
    if limit is None or shard or lane:
        raise WireError(
            f"frame from {peer}: kind {kind}, shard {shard}, lane {lane} is not known here; run one version"
        )
    if length > CHUNK or total > limit or length > total:
        raise WireError(
            f"{KIND_NAMES[kind]} frame from {peer}: chunk of {length} bytes in a message of {total}; "
            f"at most {CHUNK} and {limit} are accepted"
        )
    return Header(kind, step, counter, length, total)


Name = Annotated[str, msgspec.Meta(max_length=256)]
Text = Annotated[str, msgspec.Meta(max_length=4096)]
Hash = Annotated[bytes, msgspec.Meta(max_length=64)]
Natural = Annotated[int, msgspec.Meta(ge=0, le=(1 << 62))]
Shape = Annotated[tuple[Natural, ...], msgspec.Meta(max_length=32)]


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """Base of all control messages. Each is tagged with its class name."""


class Hello(Message, frozen=True):
    """What a party says about itself in the handshake; all but ``party`` and ``build`` must agree between two."""

    party: Name
    version: Name
    program_hash: Hash
    job_hash: Hash
    consortium_hash: Hash
    parameters: Annotated[dict[Name, Text], msgspec.Meta(max_length=64)] = {}
    """Public session parameters that all parties must share (protocol, fractional bits ...)."""
    build: Name = ""
    """Kernels in use; told for the report, never compared (all builds give the same bits)."""


class Greeting(Message, frozen=True):
    """First handshake message inside TLS: a Hello, a fresh public key of X25519 and of ML-KEM-768, a fresh nonce."""

    hello: Hello
    x25519: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    ml_kem: Annotated[bytes, msgspec.Meta(min_length=1184, max_length=1184)]
    nonce: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class Encapsulation(Message, frozen=True):
    """Second handshake message, if the peer's greeting is accepted: a secret for its ML-KEM-768 key."""

    ciphertext: Annotated[bytes, msgspec.Meta(min_length=1088, max_length=1088)]


class Confirmation(Message, frozen=True):
    """Third handshake message: a value that only the right keys give."""

    value: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class Refusal(Message, frozen=True):
    """In place of any handshake message: why the sender ends the handshake."""

    why: Text


class InputDeclaration(Message, frozen=True):
    """One array that an owner will contribute: its public name, shape, bound (|x| <= bound) and fractional bits."""

    name: Name
    shape: Shape
    bound: float | None = None
    scale: Annotated[int, msgspec.Meta(ge=0, le=62)] = 0
    boolean: bool = False


GroupSize = Annotated[int, msgspec.Meta(ge=0, le=1 << 31)]
Declarations = Annotated[tuple[InputDeclaration, ...], msgspec.Meta(max_length=4096)]


class Declare(Message, frozen=True):
    """An owner's list of inputs, in the order in which it will send them, and the smallest group it lets be opened."""

    inputs: Declarations
    minimum_group: GroupSize = 0


class AllInputs(Message, frozen=True):
    """All owners' lists and the largest of their smallest groups, so that every party plans with the same."""

    inputs: Annotated[dict[Name, Declarations], msgspec.Meta(max_length=1024)]
    minimum_group: GroupSize = 0


class Digest(Message, frozen=True):
    """A hash that two parties compare."""

    value: Hash


class Statement(Message, frozen=True):
    """Public bytes that all compute parties must state alike."""

    data: Annotated[bytes, msgspec.Meta(max_length=1 << 19)]


class LineHash(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of the program, and a hash of the public numbers that met secrets there."""

    line: Name
    value: Hash


class LineHashes(Message, frozen=True):
    """The same for all lines since the last comparison: sent once hashes of all of them turned out to differ."""

    lines: Annotated[tuple[LineHash, ...], msgspec.Meta(max_length=4097)]


class IntersectionOffer(Message, frozen=True):
    """What an owner brings to a set intersection: how many items, who is to learn it ("both" or a name), a nonce."""

    size: Natural
    to: Name
    method: Name
    nonce: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class IntersectionCount(Message, frozen=True):
    """How many common items are named in the message that follows."""

    count: Natural


Step = Annotated[int, msgspec.Meta(ge=0, le=1 << 31)]


class ProgressNote(Message, frozen=True):
    """How far a compute party's program has come. No text: that could carry what was opened to the sender alone.

    stage: how often the program said where it is, which whoever runs the same program can put into words. step, total:
    of the stage, as the program said; ``total`` 0 where it has no steps.
    """

    stage: Step
    step: Step
    total: Step
    rounds: Natural
    bytes_sent: Natural


ProgressCallback = Callable[[str, ProgressNote], None]
"""Called with the sender's name and its note, in the thread that waits for that sender."""


class Abort(Message, frozen=True):
    """Why a party stops: a ``public_reason``, never a secret."""

    reason: Text


class Bye(Message, frozen=True):
    """Goodbye: nothing follows."""


ControlMessage = (
    Hello | Greeting | Encapsulation | Confirmation | Refusal | Declare | AllInputs | Digest | Statement | LineHashes
    | IntersectionOffer | IntersectionCount | ProgressNote | Abort | Bye
)


# Built once, under the import lock: msgspec 0.22 can crash when two threads are the first to build a decoder for one
# struct. Both objects are immutable and may be used by any thread.
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final[msgspec.msgpack.Decoder[Any]] = msgspec.msgpack.Decoder(ControlMessage, strict=True)


def encode(message: Any) -> bytes:
    """Bytes of one message. Raises WireError if larger than ``MAX_CONTROL``, TypeError for other types."""
    if not isinstance(message, Message):
        raise TypeError(f"expected a control message of privity.net.wire, came {type(message).__name__}")
    data = _ENCODER.encode(message)
    if len(data) > MAX_CONTROL:
        raise WireError(
            f"{type(message).__name__} takes {len(data)} bytes, at most {MAX_CONTROL} are allowed; declare fewer inputs"
        )
    return data


def decode(data: bytes | bytearray | memoryview, peer: str) -> Any:
    """The message in ``data``. Raises WireError naming ``peer`` for anything but exactly one valid message."""
    if len(data) > MAX_CONTROL:
        raise WireError(f"control message from {peer}: {len(data)} bytes, at most {MAX_CONTROL} are accepted")
    try:
        return _DECODER.decode(data)
    except (ValueError, OverflowError, RecursionError) as error:
        raise WireError(f"control message from {peer} is malformed: {printable(str(error))}") from None


def kind_of(message: Message) -> int:
    """The frame kind in which a control message travels."""
    if isinstance(message, ProgressNote):
        return PROGRESS
    if isinstance(message, Abort):
        return ABORT
    return CONTROL


def printable(text: str, limit: int = 500) -> str:
    """A peer's text made safe for a terminal and a log line: control characters escaped, cut after ``limit``."""
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: limit + 1])
    return safe if len(safe) <= limit else safe[:limit] + "..."


def bytes_of(data: npt.NDArray[Any] | bytes | memoryview) -> memoryview:
    """A flat byte view of what is to be sent; copies only what is not C-contiguous."""
    if isinstance(data, np.ndarray):
        data = (data if data.flags.c_contiguous else np.ascontiguousarray(data)).data
    view = memoryview(data)
    return view.cast("B") if view.nbytes else _EMPTY


def target_of(into: npt.NDArray[Any]) -> memoryview:
    """A flat writable byte view of ``into``. Raises ShapeError unless it is C-contiguous and writable."""
    view = into.data
    if not view.c_contiguous or view.readonly:
        raise ShapeError(
            "receive() fills a C-contiguous writable array, this one is strided or read-only: pass np.empty()"
        )
    return view.cast("B") if view.nbytes else memoryview(bytearray())


_EMPTY: Final = memoryview(b"")
