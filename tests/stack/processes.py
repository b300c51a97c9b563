"""What runs of a stack, by looking at every process of the machine."""

import time
from pathlib import Path


def of(var_dir: Path) -> list[str]:
    """The processes that have this directory in their command or environment."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                command = (entry / "cmdline").read_bytes()
                if str(var_dir).encode() in command + (entry / "environ").read_bytes():
                    found.append(f"{entry.name} {command.replace(bytes(1), b' ').decode(errors='replace')[:100]}")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def await_none(var_dir: Path, seconds: float) -> list[str]:
    """What is left after at most so long."""
    end = time.monotonic() + seconds
    while (left := of(var_dir)) and time.monotonic() < end:
        time.sleep(0.1)
    return left
