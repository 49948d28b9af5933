"""The caches on disk: what is not certain to be this user's entry of this key is a miss, and no failure stops a computation."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path

import pytest

from spiraltorch.errors import ArgumentError
from spiraltorch.runtime import cache, files, tunings

CODE = """
import spiraltorch as st
x = st.arange(12).reshape(3, 4).to(st.float32)
print((x @ st.ones(4, 5) + 1).sum().item(), st.telemetry.counters()["kernels_compiled"])
"""
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX's files and users")
as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="changes users, as root only")


def child(code: str, **environment: str | None) -> subprocess.CompletedProcess[str]:
    """Runs a program in a process with other variables; None unsets one."""
    package = str(Path(files.__file__).resolve().parents[2])
    merged = {**os.environ, "PYTHONPATH": package, **environment}
    kept = {name: value for name, value in merged.items() if value is not None}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, env=kept, timeout=120
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPIRALTORCH_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(files._Process, "warned", True)
    monkeypatch.setattr(files._Process, "written", {})
    cache.write("a", {"n": 1}, b"of a")
    assert cache.read("a") == ({"n": 1}, b"of a")
    return tmp_path / "cache"


def test_an_entry_is_bound_to_its_key(folder: Path) -> None:
    (folder / "b.bin").write_bytes((folder / "a.bin").read_bytes())
    assert cache.read("b") is None and cache.read("a") is not None


@posix
@pytest.mark.parametrize(
    "kind", ["fifo", "device", "link", "directory", "sparse", "group", "others", "open folder", "folder for a group"]
)
def test_what_may_be_foreign_is_a_miss_at_once(folder: Path, kind: str) -> None:
    entry, content = folder / "a.bin", (folder / "a.bin").read_bytes()
    if kind in ("fifo", "device", "link", "directory"):
        entry.unlink()
    if kind == "fifo":
        os.mkfifo(entry)
    elif kind == "device":
        entry.symlink_to("/dev/zero")
    elif kind == "link":
        (folder / "elsewhere").write_bytes(content)
        entry.symlink_to(folder / "elsewhere")
    elif kind == "directory":
        entry.mkdir()
    elif kind == "sparse":
        os.truncate(entry, 100 << 30)
    elif kind == "group":
        entry.chmod(0o620)
    elif kind == "others":
        entry.chmod(0o602)
    else:
        folder.chmod(0o777 if kind == "open folder" else 0o770)
    began = time.monotonic()
    assert cache.read("a") is None
    assert time.monotonic() - began < 1
    cache.write("a", {"n": 1}, b"of a")
    assert (cache.read("a") is None) == (kind in ("directory", "open folder", "folder for a group"))


@as_root
def test_a_file_or_folder_of_another_user_is_a_miss(folder: Path) -> None:
    os.chown(folder / "a.bin", 12345, 12345)
    assert cache.read("a") is None
    os.chown(folder / "a.bin", 0, 0)
    assert cache.read("a") is not None
    os.chown(folder, 12345, 12345)
    assert cache.read("a") is None


@pytest.mark.parametrize("content", ["garbage", "half", "header", "zeros", "of another kernel", "without functions"])
def test_wrong_content_under_a_right_checksum_is_compiled_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.setenv("SPIRALTORCH_CACHE_DIR", str(tmp_path / "cache"))
    first = child(CODE)
    assert first.stdout.split()[0] == "345.0", first.stderr
    keys = sorted(path.stem for path in (tmp_path / "cache").glob("*.bin"))
    codes = [cache.read(key) for key in keys]
    assert len(keys) >= 3
    for n, key in enumerate(keys):
        facts, code = codes[n] or ({}, b"")
        other = (codes[n - 1] or ({}, b""))[1]
        bad = {
            "garbage": bytes(range(256)) * 2, "half": code[: len(code) // 2], "header": code[:80], "zeros": bytes(900),
            "of another kernel": other, "without functions": code,
        }  # fmt: skip
        cache.write(key, {} if content == "without functions" else facts, bad[content])
    for compiled in (int(first.stdout.split()[1]), 0):  # compiled anew, and written
        again = child(CODE)
        assert again.stdout.split() == ["345.0", str(compiled)], (again.returncode, again.stderr)


@posix
@pytest.mark.parametrize("home", [None, "", "relative", "/proc/none"])
def test_without_a_home_it_works_with_one_warning(home: str | None, tmp_path: Path) -> None:
    code = f"""
    import os, pwd
    def unknown(uid): raise KeyError(uid)
    os.chdir({str(tmp_path)!r})
    pwd.getpwuid = unknown
    """
    run = child(textwrap.dedent(code) + CODE, SPIRALTORCH_CACHE_DIR=None, XDG_CACHE_HOME=None, HOME=home)
    assert run.stdout.split() == ["345.0", run.stdout.split()[1]], run.stderr
    assert run.stderr.count("RuntimeWarning") == 1 and "[cache] expected a folder" in run.stderr, run.stderr
    assert not any(tmp_path.iterdir())


@as_root
def test_a_user_whom_the_system_does_not_know(tmp_path: Path) -> None:
    setup = """
    import os, spiraltorch as st
    (st.ones(3) + 1).numpy()  # imports what another user may not be allowed to read
    os.environ.pop("HOME", None)
    os.environ.pop("SPIRALTORCH_CACHE_DIR", None)
    os.setgid(54321), os.setuid(54321)
    """
    run = child(textwrap.dedent(setup) + CODE, SPIRALTORCH_CACHE_DIR=str(tmp_path), XDG_CACHE_HOME=None)
    assert run.stdout.split()[:1] == ["345.0"], run.stderr
    assert run.stderr.count("RuntimeWarning") == 1


@posix
def test_a_folder_that_is_read_only_or_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/none")):
        run = child(CODE, SPIRALTORCH_CACHE_DIR=str(place))
        assert run.stdout.split()[0] == "345.0", run.stderr
        assert run.stderr.count("RuntimeWarning") == 1


def test_the_least_recently_used_files_are_removed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIRALTORCH_CACHE_LIMIT", "100K")
    for n in range(40):
        cache.write(f"k{n}", {}, bytes(10_000))
        os.utime(folder / f"k{n}.bin", (1000 + n, 1000 + n))
        if n:
            cache.read("k0")  # used all the time
    kept = {path.stem for path in folder.glob("*.bin")}
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 100 << 10
    assert {"k0", "k39"} <= kept and "k1" not in kept and len(kept) >= 5


def test_temporary_files_of_dead_processes_are_removed(folder: Path) -> None:
    old, new = folder / ".x.1.tmp", folder / ".y.1.tmp"
    old.touch(), new.touch()
    os.utime(old, (1000, 1000))
    files._Process.written.clear()
    cache.write("b", {}, b"")
    assert not old.exists() and new.exists()


def test_the_limit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text, value in (("", files.DEFAULT_LIMIT), ("0", 0), ("123", 123), ("5K", 5120), ("2G", 2 << 30)):
        monkeypatch.setenv("SPIRALTORCH_CACHE_LIMIT", text)
        assert files.limit() == value
    monkeypatch.setenv("SPIRALTORCH_CACHE_LIMIT", "0")
    assert cache.read("a") is None
    for text in ("²", "-1", "1e9", "2GB", "None", "9" * 30):
        monkeypatch.setenv("SPIRALTORCH_CACHE_LIMIT", text)
        with pytest.raises(ArgumentError, match="SPIRALTORCH_CACHE_LIMIT"):
            files.limit()


@posix
def test_a_tuning_of_another_user_is_a_miss(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunings, "_ENTRIES", {})
    entry = tunings.Entry("k", "dot", "cpu:0", "1", {}, 1.0, 0.5)
    tunings.write(entry)
    tunings._ENTRIES.clear()
    assert tunings.read("k") == entry
    tunings._ENTRIES.clear()
    (folder / "tuning" / "k.json").chmod(0o666)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tunings.read("k") is None


def test_without_a_file_descriptor(tmp_path: Path) -> None:
    code = """
    import os, resource, spiraltorch as st
    (st.ones(3) + 1).numpy()
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    """
    pytest.importorskip("resource")
    run = child(textwrap.dedent(code) + CODE, SPIRALTORCH_CACHE_DIR=str(tmp_path))
    assert run.stdout.startswith("345.0") or "CompileError" in run.stderr.splitlines()[-1], run.stderr
