"""What a process has used: seconds, and the most memory that it held."""

import re
import resource
import sys
from collections.abc import Mapping
from pathlib import Path

REUSED = "reused_seconds"
"""Of work that was not done again, since an earlier run had stored what came of it: what it had taken."""
EDITING = "editing_seconds"
"""Of a stage that makes single edits and scores each: what making them took, a killed run's that it found, too."""
_STATUS = Path("/proc/self/status")
"""Where Linux tells a process what it uses; its peak there begins with the program, that of getrusage before it."""


def peak_memory_mib() -> dict[str, int]:
    """The most memory that this process has held so far, in MiB: of the host, and of its GPU where it uses one."""
    peak = {"peak_memory_mib": _peak_of_host()}
    torch = sys.modules.get("torch")  # whoever has not imported it holds nothing on a GPU
    if torch is not None and torch.cuda.is_available():
        peak["peak_gpu_memory_mib"] = torch.cuda.max_memory_allocated() // 2**20
    return peak


def in_words(name: str, usage: Mapping[str, float]) -> str:
    """A sentence on what `name` has used: its `seconds`, those of REUSED and EDITING, and of `peak_memory_mib`."""
    parts = [f"{usage['seconds']:.1f} seconds", f"at most {usage['peak_memory_mib']:,} MiB of memory"]
    if "peak_gpu_memory_mib" in usage:
        parts.append(f"{usage['peak_gpu_memory_mib']:,} MiB of GPU memory")
    if REUSED in usage:
        parts.insert(1, f"{usage[REUSED]:.1f} seconds of an earlier run's work that it found stored")
    if EDITING in usage:
        parts.insert(1, f"{usage[EDITING]:.1f} seconds to make the edits")
    return f"{name} took {', '.join(parts[:-1])} and {parts[-1]}"


def _peak_of_host() -> int:
    if _STATUS.is_file() and (line := re.search(r"^VmHWM:\s*(\d+) kB", _STATUS.read_text(), re.MULTILINE)):
        return int(line[1]) // 2**10
    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit // 2**20
