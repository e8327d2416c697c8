"""How often each key of an owner took part in a comparison, as salted fingerprints: never the keys.

What a run tells is about people, so people are counted and not files. A file with a few rows more or fewer, in another
order or with other capital letters, is about the same people; keys that were never compared start at nought.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import numpy as np

from ..errors import UsageError
from ..ring import kernels
from ..ring.prg import digest, new_seed
from ..types import Bytes1D, Ring

LARGEST: Final = 1 << 30
"""Bytes of a file of counts that is read: some hundred million keys."""

_PART: Final = "\x1f"  # between the columns of one key
_OTHER: Final = re.compile(r"[^\w\n\x1f]|_")
_DROPPED: Final = bytes(c for c in range(128) if not chr(c).isalnum() and chr(c) not in "\n\x1f")
_ZEROS: Final = re.compile(rb"^0+(?=[^\n\x1f])", re.MULTILINE)
_LATER_ZEROS: Final = re.compile(rb"\x1f0+(?=[^\n\x1f])")
_MOST: Final = 0xFFFF


class KeySet:
    """The keys of one file. Shows how many there are and never one of them.

    ``columns``: the cells of each column of the key, as they stand in the file. For counting they are brought to one
    spelling that no job chooses: letters and digits only, in one case, without leading zeros (``0049-A`` is ``49a``).
    Keys that differ in nothing else count as one, and so do all that have neither letter nor digit.
    """

    def __init__(self, columns: Sequence[Sequence[str]]) -> None:
        if not columns or len({len(cells) for cells in columns}) != 1:
            raise UsageError(f"keys have columns of one length, came {[len(cells) for cells in columns]}")
        self._columns = columns
        self._found: tuple[bytes, Ring] | None = None

    def __len__(self) -> int:
        return len(self._columns[0])

    def __repr__(self) -> str:
        return f"<KeySet: {len(self)} keys>"

    def fingerprints(self, salt: bytes) -> Ring:
        """64 bits of SHA-256 of salt (32 bytes) and key, ascending, each once."""
        if self._found is None or self._found[0] != salt:
            data, offsets = _one_spelling(self._columns)
            words = kernels.digest_items(data, offsets, np.frombuffer(salt, np.uint8))[:, 0]
            ordered = np.sort(words)
            self._found = salt, ordered[np.append(True, ordered[1:] != ordered[:-1])[: ordered.size]]
        return self._found[1]

    def digest(self, salt: bytes) -> str:
        """SHA-256 (hex) of the salt and the set: equal for equal sets, and of no use to whoever lacks the salt."""
        return hashlib.sha256(salt + self.fingerprints(salt).astype("<u8").tobytes()).hexdigest()


def _one_spelling(columns: Sequence[Sequence[str]]) -> tuple[Bytes1D, Ring]:
    """All keys one behind the other, and where each begins. Works on the whole text at once: files are long."""
    cells = columns[0] if len(columns) == 1 else list(map(_PART.join, zip(*columns, strict=True)))
    text = "\n".join(cells)
    if text.count("\n") != max(0, len(cells) - 1):  # a cell of several lines
        text = "\n".join(cell.replace("\n", " ") for cell in cells)
    if text.isascii():
        spelt = text.lower().encode().translate(None, _DROPPED)
    else:
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
        spelt = _OTHER.sub("", folded).encode("utf-8", "surrogatepass")
    spelt = _LATER_ZEROS.sub(b"\x1f", _ZEROS.sub(b"", spelt))
    ends = np.flatnonzero(np.frombuffer(spelt + b"\n", np.uint8) == ord("\n")) - np.arange(max(1, len(cells)))
    offsets = np.concatenate([[0], ends]).astype(np.uint64)[: len(cells) + 1]
    return np.frombuffer(spelt.replace(b"\n", b""), np.uint8), offsets


class KeyCounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="privity key counts 1"):
    """What the file holds. ``runs``: those that were counted; ``older``: those before it, which count for every key.

    keys: ascending fingerprints, 8 bytes each. counts: 2 bytes each. check: SHA-256 of the rest, for damage.
    """

    salt: bytes
    runs: int
    older: int
    keys: bytes
    counts: bytes
    check: bytes = b""

    @classmethod
    def begun(cls, older: int) -> KeyCounts:
        """No runs but ``older`` ones."""
        return cls(new_seed() + new_seed(), older, older, b"", b"")

    @classmethod
    def read(cls, data: bytes) -> KeyCounts:
        """Raises ValueError unless this is exactly what ``written`` gave."""
        file = _DECODER.decode(data)
        words, counts = np.frombuffer(file.keys, "<u8"), np.frombuffer(file.counts, "<u2")
        sound = len(file.salt) == 32 and words.size == counts.size and file.runs >= file.older >= 0
        if not sound or (words[1:] <= words[:-1]).any() or file._checked() != file:
            raise ValueError("its checksum differs")
        return file

    def written(self) -> bytes:
        return _ENCODER.encode(self._checked())

    def _checked(self) -> KeyCounts:
        parts = (self.salt, str(self.runs).encode(), str(self.older).encode(), self.keys, self.counts)
        return msgspec.structs.replace(self, check=digest(*parts))

    def of(self, keys: KeySet) -> int:
        """The most runs in which any one of these keys took part."""
        if not self.keys:
            return self.older
        mine, words = keys.fingerprints(self.salt), np.frombuffer(self.keys, "<u8")
        at = np.minimum(np.searchsorted(words, mine), words.size - 1)
        found = np.frombuffer(self.counts, "<u2")[at[words[at] == mine]]
        return self.older + int(found.max(initial=0))

    def more(self, keys: KeySet) -> KeyCounts:
        """After one more run, with these keys."""
        mine, words = keys.fingerprints(self.salt), np.frombuffer(self.keys, "<u8")
        at = np.searchsorted(words, mine)
        known = at < words.size
        known[known] = words[at[known]] == mine[known]
        counts = np.frombuffer(self.counts, "<u2").astype(np.int64)
        counts[at[known]] += 1
        merged = np.insert(words, at[~known], mine[~known]).astype("<u8").tobytes()
        counted = np.insert(np.minimum(counts, _MOST), at[~known], 1).astype("<u2").tobytes()
        return KeyCounts(self.salt, self.runs + 1, self.older, merged, counted)


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(KeyCounts, strict=True)


def chain(entries: Iterable[Sequence[str | int | None]]) -> str:
    """SHA-256 (hex) of entries in their order: an entry that was changed, removed or moved gives another one."""
    links = hashlib.sha256(b"privity comparisons 1")
    for entry in entries:
        links.update(digest(*(repr(part).encode() for part in entry)))
    return links.hexdigest()
