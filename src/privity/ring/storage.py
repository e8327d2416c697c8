"""Arrays too large for memory, in files of no name: gone with the process that made them, whatever ends it.

What is read again and again but seldom all at once (the bins of many rows) may lie there: the system keeps in memory
what fits and reads the rest. Files are this party's alone, and hold no more than its memory would.
"""

from __future__ import annotations

import mmap
import tempfile

import numpy as np

from ..errors import OutputError
from ..types import Ring


def on_disk(x: Ring) -> Ring:
    """A copy of x, not to be written to, in a nameless file of the folder for temporary files (TMPDIR).

    Raises OutputError if there is no room. Stand-ins for shapes (arrays of other types) stay as they are.
    """
    if x.dtype != np.uint64 or x.size == 0:
        return x
    try:
        with tempfile.TemporaryFile(prefix="privity-") as file:
            file.write(np.ascontiguousarray(x).data)
            file.flush()
            mapped = mmap.mmap(file.fileno(), x.nbytes, access=mmap.ACCESS_READ)
    except OSError as error:
        raise OutputError(
            f"no room for {x.nbytes:,} bytes in {tempfile.gettempdir()} ({error.strerror}); free some, or name another "
            "folder in TMPDIR"
        ) from None
    return np.frombuffer(mapped, np.uint64).reshape(x.shape)
