"""Process replay: shows which generated kernels differ between two commits. `python tools/process_replay OLD NEW`.

OLD and NEW are commits, `.` for the working tree with what is not committed, or folders of captures. Each commit is unpacked
into a temporary folder and captured there (`capture.py`), then the captures are compared (`comparison.py`). Ends with 0
where all texts are equal, 1 where any differs, 2 where nothing could be compared.

Captures of commits are kept, by commit and version of this tool, in --keep or the user's cache folder, part by part; the
working tree is captured every time. Both sides should be captured on one machine: texts depend on its processor and on the
versions of libraries, and a difference of those is named. After a change of the libraries, delete the folder.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from capture import capture
from captures import DEVICES, SUITES, part_names, read_part, tool_digest
from comparison import compare, report

ROOT = Path(__file__).resolve().parents[2]


def captured(side: str, names: list[str], keep: Path, scratch: Path) -> Path:
    """The folder of a capture that has the parts, captured now as far as it is not there.

    Raises `ValueError` for what is neither a commit nor a folder of captures.
    """
    folder = Path(side)
    if side != "." and folder.is_dir() and any(folder.glob("*-*.json")):
        return folder
    if side == ".":
        folder, tree = scratch / "capture", ROOT
    else:
        commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{side}^{{commit}}")
        folder, tree = keep / f"{commit}-{tool_digest()}", scratch / commit
        names = [name for name in names if read_part(folder, name) is None]
        if names:
            archive = scratch / f"{commit}.tar"
            _git("archive", "--output", str(archive), commit)
            shutil.unpack_archive(archive, tree)
    if names:
        print(f"capturing {side} into {folder}", file=sys.stderr, flush=True)
        capture(folder, names, str(tree / "src"))
    return folder


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        told = done.stderr.strip() or "no such commit"
        raise ValueError(f"expected a commit, `.` or a folder of captures, got {arguments[-1]!r}: {told}")
    return done.stdout.strip()


def kept() -> Path:
    """Where captures are kept by default."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("spiraltorch")) / "process_replay"


def main() -> int:
    """The command line; see the module's text."""
    parser = argparse.ArgumentParser(prog="process_replay", description="Compares the kernel texts of two commits.")
    parser.add_argument("old", help="a commit, `.` for the working tree, or a folder of captures")
    parser.add_argument("new", help="the same")
    parser.add_argument("--suite", choices=SUITES, action="append", help="only this suite; may be given again")
    parser.add_argument("--only", choices=DEVICES, help="only this device")
    parser.add_argument(
        "--keep", type=Path, help="where captures of commits are kept (default: the user's cache folder)"
    )
    given = parser.parse_args()
    names = part_names(given.suite or SUITES, [given.only] if given.only else DEVICES)
    keep = (given.keep or kept()).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            sides = []
            for number, side in enumerate((given.old, given.new)):
                place = Path(scratch) / str(number)
                place.mkdir()
                sides.append(captured(side, names, keep, place))
        except ValueError as error:
            print(f"[process_replay] {error}", file=sys.stderr)
            return 2
        results = [compare(sides[0], sides[1], name) for name in names]
    for result in results:
        print("\n".join(report(result)))
    return 1 if any(result.differs for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
