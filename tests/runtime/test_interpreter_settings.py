"""Settings of the interpreter are changed while any block needs them, and restored when the last is left."""

from __future__ import annotations

import sys
import threading

import pytest

from spiraltorch.runtime.interpreter import RECURSION_LIMIT, SWITCH_INTERVAL, deep_recursion, short_switch_interval


def test_blocks_nest() -> None:
    before = sys.getrecursionlimit()
    with deep_recursion():
        with deep_recursion():
            assert sys.getrecursionlimit() == max(before, RECURSION_LIMIT)
        assert sys.getrecursionlimit() == max(before, RECURSION_LIMIT)
    assert sys.getrecursionlimit() == before


def test_an_error_restores_the_setting() -> None:
    before = sys.getswitchinterval()
    with pytest.raises(ValueError), short_switch_interval():
        assert sys.getswitchinterval() <= SWITCH_INTERVAL * 1.001
        raise ValueError
    assert sys.getswitchinterval() == before


def test_blocks_of_several_threads_overlap() -> None:
    """The thread that entered first leaves first: the other one keeps the limit that it needs."""
    before = sys.getrecursionlimit()
    entered, left = threading.Event(), threading.Event()

    def first() -> None:
        with deep_recursion():
            entered.wait()
        left.set()

    thread = threading.Thread(target=first)
    thread.start()
    while sys.getrecursionlimit() == before:
        pass
    with deep_recursion():
        entered.set()
        left.wait()
        assert sys.getrecursionlimit() == max(before, RECURSION_LIMIT)
    thread.join()
    assert sys.getrecursionlimit() == before
