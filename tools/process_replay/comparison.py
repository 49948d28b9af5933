"""Compares two captures part by part, and groups what differs.

Under each label, texts are compared as a multiset. A text that the other side rendered under another label of the same part
has only moved. The rest is paired, the most alike first, and labels whose pairs have the same difference make one group: the
same lines taken away and added, however often, where numbers in the names of values do not count.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from captures import Part, read_part, read_text

LINES = 40  # of one example
LABELS = 8  # named in a group
_NUMBERED = re.compile(r"(%[A-Za-z_.]*|\b(?:v|head|exit|then|else|end|entry)(?=\d))\d+")


@dataclass
class Group:
    """Labels with the same difference; `example` is the unified diff of one of them, `kernels` counts pairs."""

    title: str
    example: list[str]
    labels: list[str] = field(default_factory=list)
    kernels: int = 0


@dataclass
class Comparison:
    """What came of one part: labels with equal texts, their number of texts, groups, and lines about the rest."""

    name: str
    equal: int = 0
    texts: int = 0
    groups: dict[object, Group] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def differs(self) -> bool:
        """Whether anything is not as before."""
        return bool(self.groups or self.problems)


def compare(old: Path, new: Path, name: str) -> Comparison:
    """Compares one part of two captures. A part that one of them lacks is a problem."""
    result = Comparison(name)
    before, after = read_part(old, name), read_part(new, name)
    if before is None or after is None:
        sides = [side for side, part in (("old", before), ("new", after)) if part is None]
        result.problems.append(f"not captured on the {' and the '.join(sides)} side")
        return result
    for key in sorted({*before.environment, *after.environment}):
        one, other = before.environment.get(key), after.environment.get(key)
        if one != other:
            result.notes.append(f"captured with different {key}: {one} and {other}")
    _compare_problems(result, before, after)
    everywhere = {d for ds in before.texts.values() for d in ds}, {d for ds in after.texts.values() for d in ds}
    for label in sorted({*before.texts, *after.texts}):
        a, b = Counter(before.texts.get(label, ())), Counter(after.texts.get(label, ()))
        if a == b:
            result.equal += 1
            result.texts += a.total()
            continue
        gone, come = sorted((a - b).elements()), sorted((b - a).elements())
        _note_moved(result, label, "old", [d for d in gone if d in everywhere[1]])
        _note_moved(result, label, "new", [d for d in come if d in everywhere[0]])
        olds = [read_text(old, d) for d in gone if d not in everywhere[1]]
        news = [read_text(new, d) for d in come if d not in everywhere[0]]
        for pair in _pairs(olds, news):
            _add(result, label, *_difference(*pair))
    return result


def _compare_problems(result: Comparison, before: Part, after: Part) -> None:
    """A problem that both sides have is a note: its label was not compared as a whole."""
    for label in sorted({*before.problems, *after.problems}):
        a, b = before.problems.get(label), after.problems.get(label)
        if a is not None and b is not None:
            result.notes.append(f"failed on both sides: {label}: {b}")
        else:
            result.problems.append(f"failed on the {'old' if b is None else 'new'} side only: {label}: {b or a}")


def _note_moved(result: Comparison, label: str, side: str, digests: list[str]) -> None:
    if digests:
        title = f"texts under this label on the {side} side only; the other side has them under other labels"
        group = result.groups.setdefault((side, "moved"), Group(title, []))
        group.labels.append(label)
        group.kernels += len(digests)


def _pairs(olds: list[str], news: list[str]) -> Iterator[tuple[str | None, str | None]]:
    """Pairs of texts, the most alike first; None where one side has no more."""
    lines = [[_numberless(text) for text in side] for side in (olds, news)]
    alike = [(_likeness(one, other), -n, -m) for n, one in enumerate(lines[0]) for m, other in enumerate(lines[1])]
    left, right = dict(enumerate(olds)), dict(enumerate(news))
    for _, n, m in sorted(alike, reverse=True):
        if -n in left and -m in right:
            yield left.pop(-n), right.pop(-m)
    yield from ((one, None) for one in left.values())
    yield from ((None, other) for other in right.values())


def _numberless(text: str) -> Counter[str]:
    return Counter(_NUMBERED.sub(r"\1#", line) for line in text.splitlines())


def _likeness(one: Counter[str], other: Counter[str]) -> float:
    """The part of lines that both have, of the longer one."""
    return (one & other).total() / max(one.total(), other.total(), 1)


def _difference(one: str | None, other: str | None) -> tuple[str, object, list[str]]:
    """A title, what decides the group, and an example."""
    if one is None or other is None:
        text, side = (other or "", "new") if one is None else (one, "old")
        head = text.partition("\n")[0].removeprefix("; ")
        return f"{head}, on the {side} side only", (side, head), text.splitlines()
    lines = list(difflib.unified_diff(one.splitlines(), other.splitlines(), "old", "new", lineterm=""))
    changed = tuple(dict.fromkeys(_NUMBERED.sub(r"\1#", line) for line in lines[2:] if line[0] in "+-"))
    return f"{one.partition(chr(10))[0].removeprefix('; ')}, changed", changed, lines


def _add(result: Comparison, label: str, title: str, key: object, example: list[str]) -> None:
    group = result.groups.setdefault(key, Group(title, example))
    group.kernels += 1
    if label not in group.labels:
        group.labels.append(label)


def report(result: Comparison) -> Iterable[str]:
    """The lines that tell of a comparison, greatest groups first."""
    unequal = len({label for group in result.groups.values() for label in group.labels})
    yield f"{result.name}: {result.equal} labels with {result.texts} texts are equal, {unequal} labels differ"
    yield from (f"  note: {note}" for note in result.notes)
    yield from (f"  problem: {problem}" for problem in result.problems)
    for group in sorted(result.groups.values(), key=lambda g: -g.kernels):
        yield f"  {group.kernels} x {group.title}"
        more = f" and {len(group.labels) - LABELS} more" if len(group.labels) > LABELS else ""
        yield f"    in {', '.join(group.labels[:LABELS])}{more}"
        yield from (f"      {line}" for line in group.example[:LINES])
        if len(group.example) > LINES:
            yield f"      ({len(group.example) - LINES} more lines)"
