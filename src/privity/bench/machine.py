"""What a figure was measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def describe_machine() -> str:
    """Processor, cores that this process may use, memory."""
    model, memory = platform.processor() or platform.machine(), ""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
        memory = f", {int(Path('/proc/meminfo').read_text('utf-8').split()[1]) // 2**20} GiB"
    except (OSError, ValueError, IndexError):
        memory = ""  # not Linux: the processor's name must do
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    return f"{model}, {cores} {'core' if cores == 1 else 'cores'}{memory}"
