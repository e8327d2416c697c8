"""Many pseudo-random functions at once: in each place the receiver learns the value at one input of its own.

Adversary  semi-honest sender or receiver.
Assumes    the base transfers of base_ot.py; AES-128 as a pseudo-random function; SHA-256 Hamming correlation robust.
Reveals    to the sender nothing, to the receiver one value in each place; values at other inputs look uniform to it.
Error      none.
Paper      Kolesnikov, Kumaresan, Rosulek, Trieu, Efficient Batched Oblivious PRF with Applications to Private Set
           Intersection (CCS 2016, ePrint 2016/799), figure 2.

The receiver has two streams for each of 448 columns, the sender one of the two, by its secret bits s. The receiver
sends the sum of both streams and of the column of code words C(y) of its inputs y; after that row i of the sender is
q_i = t_i ^ (C(y_i) & s), where t_i is the receiver's. So H(i, t_i) = H(i, q_i ^ (C(y_i) & s)) is the receiver's value,
and the sender's value at any x is H(i, q_i ^ (C(x) & s)). For x unlike y_i the receiver would have to guess those bits
of s in which C(x) and C(y_i) differ.

The code is pseudo-random: C(x) is AES of x under four public keys, cut to 448 bits. Two code words differ in fewer than
128 bits with probability 2^-66.5, so over 3 x 2^24 comparisons of one run with less than 2^-40 (``tests/psi`` sums it).
The keys of the code must not be known when inputs are chosen: they come from both parties' nonces.

One message of 56 bytes for each place, in chunks, after the base transfers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from ..ring import kernels
from ..ring.prg import Stream
from ..types import Channel, Ring

WIDTH: Final = 448
"""Bits of a code word, and number of base transfers."""
_WORDS: Final = WIDTH // 64
CHUNK: Final = 1 << 16
"""Places that travel in one message, so that both parties work at the same time."""

ROW_BYTES: Final = WIDTH // 8


def encipher(key: bytes, blocks: Ring) -> Ring:
    """AES-128 of each row of two words under one key: a pseudo-random function of 128 bits. (n, 2) -> (n, 2)."""
    out = np.empty(blocks.nbytes + 15, np.uint8)
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # each row by itself: a function, not a message
    encryptor.update_into(np.ascontiguousarray(blocks).data.cast("B"), out.data)
    return out[: blocks.nbytes].view(np.uint64).reshape(blocks.shape)


def code_words(inputs: Ring, salt: bytes) -> Ring:
    """The pseudo-random code: (n, 2) -> (n, 7). ``salt`` is public, from both parties' nonces."""
    out = np.empty((len(inputs), _WORDS), np.uint64)
    if len(inputs):
        for at in range(0, _WORDS, 2):
            key = hashlib.sha256(salt + b"code %d" % at).digest()[:16]
            out[:, at : at + 2] = encipher(key, inputs)[:, : _WORDS - at]
    return out


@dataclass(frozen=True, slots=True, repr=False)
class Key:
    """What the sender holds after ``send``: the functions of all places. Secret."""

    rows: Ring
    mask: Ring
    salt: bytes

    def evaluate(self, inputs: Ring, places: Ring) -> Ring:
        """The values at n inputs, each in h places: (n, 2) words and (n, h) places -> (n, h, 2)."""
        return kernels.digest_rows(self.rows, places, code_words(inputs, self.salt), self.mask)


def receive(
    channel: Channel, to: str, step: int, inputs: Ring, salt: bytes, seeds: Sequence[tuple[bytes, bytes]]
) -> Ring:
    """The values at ``inputs`` (m, 2), one in each of m places (a multiple of 64): -> (m, 2).

    ``seeds``: both keys of each base transfer. Sends m/``CHUNK`` messages from ``step`` on, 56 bytes for each place.
    """
    ones, others = ([Stream(pair[side]) for pair in seeds] for side in range(2))
    rows = np.empty((len(inputs), _WORDS), np.uint64)
    for index, low, high in _chunks(len(inputs)):
        count, width = high - low, (high - low) // 64
        words, sent = code_words(inputs[low:high], salt), np.empty((WIDTH, width), np.uint64)
        for at in range(_WORDS):
            columns = slice(64 * at, 64 * at + 64)
            kernels.to_planes(np.ascontiguousarray(words[:, at]), 64, out=sent[columns])
            mine = _drawn(ones[columns], width)
            sent[columns] ^= mine
            sent[columns] ^= _drawn(others[columns], width)
            rows[low:high, at] = kernels.from_planes(mine, count)
        channel.send(to, step + index, sent)
    places = np.arange(len(inputs), dtype=np.uint64).reshape(-1, 1)
    nothing = np.zeros(_WORDS, np.uint64)  # the receiver's rows are hashed as they are
    return kernels.digest_rows(rows, places, rows, nothing).reshape(-1, 2)


def send(
    channel: Channel, source: str, step: int, size: int, salt: bytes, choices: npt.NDArray[np.bool_],
    seeds: Sequence[bytes],
) -> Key:
    """The functions of ``size`` places. ``choices`` are the secret bits s, ``seeds`` the keys that they chose."""
    streams = [Stream(seed) for seed in seeds]
    keep = (np.uint64(0) - choices.astype(np.uint64)).reshape(-1, 1)  # all ones where the bit is set
    rows = np.empty((size, _WORDS), np.uint64)
    for index, low, high in _chunks(size):
        count, width = high - low, (high - low) // 64
        columns = np.empty((WIDTH, width), np.uint64)
        channel.receive(source, step + index, columns)
        columns &= keep
        columns ^= _drawn(streams, width)
        for at in range(_WORDS):
            rows[low:high, at] = kernels.from_planes(columns[64 * at : 64 * at + 64], count)
    mask = np.packbits(choices, bitorder="little").view(np.uint64)
    return Key(rows, mask, salt)


def messages(size: int) -> int:
    """Messages in which the columns of ``size`` places travel."""
    return -(-size // CHUNK)


def _chunks(size: int) -> Iterator[tuple[int, int, int]]:
    """(number, first place, place after the last) of each message."""
    return ((i, i * CHUNK, min(size, (i + 1) * CHUNK)) for i in range(messages(size)))


def _drawn(streams: Sequence[Stream], width: int) -> Ring:
    out = np.empty((len(streams), width), np.uint64)
    for row, stream in zip(out, streams, strict=True):
        row[:] = stream.words(width)
    return out
