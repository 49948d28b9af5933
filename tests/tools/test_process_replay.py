"""The process replay's comparing part, on capture folders made here and through its command line."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).resolve().parents[2] / "tools" / "process_replay"
ADD, MUL = "; cpu kernel map\n%v1 = add i64 %v0, 1\n", "; cpu kernel map\n%v1 = mul i64 %v0, 2\n"


def made(folder: Path, texts: dict[str, list[str]], problems: dict[str, str] | None = None) -> Path:
    """A capture of one part."""
    listed: dict[str, list[str]] = {}
    for label, parts in texts.items():
        for text in parts:
            digest = hashlib.sha256(text.encode()).hexdigest()
            path = folder / "texts" / digest[:2] / f"{digest}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            listed.setdefault(label, []).append(digest)
    part = {"environment": {}, "seconds": 1.0, "texts": listed, "problems": problems or {}}
    (folder / "bench-cpu.json").write_text(json.dumps(part))
    return folder


def replay(old: Path, new: Path) -> tuple[int, str]:
    """The exit status, and what is printed."""
    command = [sys.executable, str(TOOL), str(old), str(new), "--suite", "bench", "--only", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.stderr
    return done.returncode, done.stdout


def test_equal_captures_end_with_0_whatever_the_order(tmp_path: Path) -> None:
    old = made(tmp_path / "old", {"row": [ADD, MUL], "other": [ADD]}, {"bad": "no memory"})
    new = made(tmp_path / "new", {"other": [ADD], "row": [MUL, ADD]}, {"bad": "no memory"})
    status, text = replay(old, new)
    assert status == 0
    assert "bench-cpu: 2 labels with 3 texts are equal, 0 labels differ" in text
    assert "failed on both sides: bad: no memory" in text


def test_one_change_in_two_labels_is_one_group_with_an_example(tmp_path: Path) -> None:
    """Numbers in the names of values do not make another group."""
    later = ADD.replace("%v1", "%v7").replace("%v0", "%v6")
    old = made(tmp_path / "old", {"first": [ADD], "second": [later, MUL], "third": [MUL]})
    changed = [text.replace("add i64", "sub i64") for text in (ADD, later)]
    new = made(tmp_path / "new", {"first": changed[:1], "second": [changed[1], MUL], "third": [MUL]})
    status, text = replay(old, new)
    assert status == 1
    assert "1 labels with 1 texts are equal, 2 labels differ" in text
    assert text.count("2 x cpu kernel map, changed") == 1
    assert "in first, second" in text
    assert "-%v1 = add i64 %v0, 1" in text and "+%v1 = sub i64 %v0, 1" in text


def test_kernels_of_one_label_are_paired_by_likeness(tmp_path: Path) -> None:
    longs = ["; cpu kernel map\n" + "".join(f"{c}{n}\n" for n in range(9)) for c in "abcd"]
    old, new = made(tmp_path / "old", {"row": longs}), made(tmp_path / "new", {"row": [t + "more\n" for t in longs]})
    status, text = replay(old, new)
    assert status == 1
    assert "4 x cpu kernel map, changed" in text and "+more" in text


def test_a_kernel_of_one_side_and_a_new_failure_are_differences(tmp_path: Path) -> None:
    old, new = made(tmp_path / "old", {"row": [ADD, MUL]}), made(tmp_path / "new", {"row": [ADD]}, {"row": "KeyError"})
    status, text = replay(old, new)
    assert status == 1
    assert "1 x cpu kernel map, on the old side only" in text and "failed on the new side only: row: KeyError" in text


def test_a_text_under_another_label_has_moved(tmp_path: Path) -> None:
    old = made(tmp_path / "old", {"first": [ADD], "second": [MUL]})
    new = made(tmp_path / "new", {"first": [ADD, MUL], "second": [MUL]})
    status, text = replay(old, new)
    assert status == 1
    assert "texts under this label on the new side only; the other side has them under other labels" in text
    assert "add i64" not in text


def test_a_part_that_was_not_captured_is_a_difference(tmp_path: Path) -> None:
    old, new = made(tmp_path / "old", {"row": [ADD]}), made(tmp_path / "new", {"row": [ADD]})
    (new / "bench-cpu.json").rename(new / "bench-wgpu.json")
    status, text = replay(old, new)
    assert status == 1
    assert "not captured on the new side" in text
