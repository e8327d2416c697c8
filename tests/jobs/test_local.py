"""A party process ends with its parent, and leaves nothing half written even if its main thread does not get to it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DEAF = """
import signal, sys, time
from pathlib import Path
from privity.jobs.local import end_with_parent

signal.signal(signal.SIGTERM, signal.SIG_IGN)  # an interrupt that the main thread never sees
file = Path(sys.argv[1])
file.write_text("half")
end_with_parent(file.unlink)
print("ready", flush=True)
time.sleep(600)
"""


def test_a_party_that_is_deaf_to_its_end_still_cleans_up(tmp_path: Path) -> None:
    file = tmp_path / "view.bin"
    party = subprocess.Popen([sys.executable, "-c", DEAF, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert party.stdin is not None and party.stdout is not None
    with party.stdout as out:
        assert out.readline() == b"ready\n" and file.exists()
        party.stdin.close()  # as when the parent is gone
        assert party.wait(120) == 1
    assert not file.exists()
