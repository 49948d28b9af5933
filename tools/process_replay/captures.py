"""A capture: the kernel texts of one source tree, in a folder.

    PART.json           one for each part of the work: what it rendered, and what failed
    texts/ab/DIGEST.txt every distinct text once, named by its SHA-256

A part is a suite on a device, such as `bench-cpu`. It lists, for each label (a test, a row, a program), the digests of the
texts rendered under that label: sorted and with repetitions, because threads may render in any order. Old captures stay
readable as long as these two kinds of files stay as they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

SUITES = ("conformance", "bench", "programs")
DEVICES = ("cpu", "wgpu")
SOURCES = ("capture.py", "captures.py", "recorder.py", "workloads.py")  # what decides the contents of a capture


@dataclass
class Part:
    """What one suite rendered on one device.

    `environment` is what texts depend on beside the source tree; `problems` are labels whose work failed, with the reason.
    """

    environment: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    texts: dict[str, list[str]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Texts under all labels, repetitions included."""
        return sum(map(len, self.texts.values()))


def part_names(suites: Iterable[str], devices: Iterable[str]) -> list[str]:
    """The parts of suites on devices."""
    return [f"{suite}-{device}" for suite in suites for device in devices]


def read_part(folder: Path, name: str) -> Part | None:
    """A part of a capture; None where it was not captured."""
    path = folder / f"{name}.json"
    return Part(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def write_part(folder: Path, name: str, part: Part) -> None:
    """Writes a part whose texts are there already."""
    text = json.dumps(asdict(part), indent=1, sort_keys=True)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def read_text(folder: Path, digest: str) -> str:
    """The text with a digest."""
    return _path(folder, digest).read_text(encoding="utf-8")


def write_text(folder: Path, text: str) -> str:
    """Keeps a text; gives its digest."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    path = _path(folder, digest)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return digest


def _path(folder: Path, digest: str) -> Path:
    return folder / "texts" / digest[:2] / f"{digest}.txt"


def tool_digest() -> str:
    """A digest of the sources that decide the contents of a capture."""
    here = Path(__file__).parent
    return hashlib.sha256(b"".join((here / name).read_bytes() for name in SOURCES)).hexdigest()[:8]
