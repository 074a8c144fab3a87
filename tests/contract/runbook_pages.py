"""The pages of monitoring/runbooks as data, and the numbers of rules in their texts."""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.checks.promql import Binary, Expression, Number, Range, Selector, Subquery, constant, parts, seconds, walk
from tools.checks.rules import Rule
from tools.checks.vocabulary import Series

FOLDER = Path(__file__).parents[2] / "monitoring" / "runbooks"
INDEX = FOLDER / "README.md"
SECTIONS = ("Meaning", "Impact", "Diagnosis", "Action", "Escalation", "False alarms and tuning")

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_RECORDED_WINDOW = re.compile(r"(?:rate|increase)(\d+[smhd])")
_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"))
_OBVIOUS = (0, 1)


@dataclass(frozen=True)
class Page:
    """A page of Markdown.

    Attributes:
        path: Its file.
        text: The complete text.
        title: Its title.
        says: The text between the title and the first section.
        sections: Texts by heading of the second level, in order.
    """

    path: Path
    text: str
    title: str
    says: str
    sections: dict[str, str]

    def queries(self) -> list[str]:
        """The PromQL blocks."""
        return self._blocks("promql")

    def commands(self) -> list[str]:
        """The lines of shell blocks, with continued lines joined."""
        joined = "\n".join(self._blocks("sh")).replace("\\\n", " ")
        return [line.strip() for line in joined.splitlines() if line.strip()]

    def code_spans(self) -> list[str]:
        """The code spans outside of blocks."""
        return re.findall(r"`([^`]+)`", self.prose())

    def prose(self) -> str:
        """The text without code blocks."""
        return _FENCE.sub("", self.text)

    def links(self) -> list[str]:
        """The targets of all links."""
        return re.findall(r"\[[^\]]*\]\(([^)]+)\)", self.prose())

    def anchors(self) -> set[str]:
        """The anchors of its headings."""
        headings = re.findall(r"^#+ (.+)$", self.prose(), re.MULTILINE)
        return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}

    def _blocks(self, language: str) -> list[str]:
        return [
            "".join(line.removeprefix(indentation) for line in body.splitlines(keepends=True)).strip()
            for indentation, found, body in _FENCE.findall(self.text)
            if found == language
        ]


def read_page(path: Path) -> Page:
    """Read a page."""
    text = path.read_text(encoding="utf-8")
    # Lines like headings within code blocks are not headings.
    lines = _FENCE.sub(lambda block: re.sub("^#", "\\#", block[0], flags=re.MULTILINE), text).splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("## ")] + [len(lines)]
    return Page(
        path=path,
        text=text,
        title=lines[0].removeprefix("# "),
        says="\n".join(lines[1 : starts[0]]).strip(),
        sections={
            lines[start].removeprefix("## "): "\n".join(lines[start + 1 : end]).strip()
            for start, end in itertools.pairwise(starts)
        },
    )


def runbooks() -> list[Page]:
    """All alert pages."""
    return [read_page(path) for path in sorted(FOLDER.glob("*.md")) if path != INDEX]


def unsaid_durations(text: str, rule: Rule) -> list[str]:
    """The rule's `for` and ranges that are missing in the text."""
    wait = (
        [tuple(f"{word} {way}" for word in ("for", "For") for way in _spoken_durations(rule.wait))] if rule.wait else []
    )
    windows = {length for length in _windows(rule.expression()) if length}
    return _unsaid(text, [*wait, *map(_spoken_durations, windows)])


def unsaid_keeping(text: str, rule: Rule) -> list[str]:
    """The rule's `keep_firing_for`, if it is missing in the text."""
    return _unsaid(text, [_spoken_durations(rule.keep_firing)] if rule.keep_firing else [])


def unsaid_numbers(text: str, rule: Rule) -> list[str]:
    """The numbers of the rule's expression that are missing in the text, without 0 and 1."""
    numbers = {number for number in _numbers(rule.expression()) if number not in _OBVIOUS}
    return _unsaid(text, map(_spoken_numbers, numbers))


def numbers_to_change(rule: Rule, recordings: Mapping[str, Series]) -> set[str]:
    """The numbers and durations in the rule and its recording rules, as written there."""
    expressions = [rule.expression()]
    for expression in expressions:
        read = (part.name for part in walk(expression) if isinstance(part, Selector))
        expressions += [recorded for name in read if name in recordings for _, recorded in recordings[name].recordings]
    found = {_spoken_durations(length)[1] for length in (rule.wait, rule.keep_firing)}
    for part in (part for expression in expressions for part in walk(expression)):
        if isinstance(part, Number):
            found.add(f"{part.value:g}")
        if isinstance(part, Range | Subquery):
            found.add(_spoken_durations(part.seconds)[1])
        if isinstance(part, Selector):
            found |= {_spoken_durations(abs(part.offset))[1], *(m.value for m in part.matchers if m.name == "le")}
    return found


def _unsaid(text: str, wanted: Iterator[tuple[str, ...]] | list[tuple[str, ...]]) -> list[str]:
    plain = " ".join(text.split())
    return [" or ".join(ways) for ways in wanted if not any(_stands_in(way, plain) for way in ways)]


def _stands_in(way: str, text: str) -> bool:
    # "3 minutes" is not the number 3, but "2 s" is the number 2: PromQL compares in seconds.
    duration = r"| (?:minute|hour|day)" if re.fullmatch(r"[\d.]+", way) else ""
    return re.search(rf"(?<![\w.]){re.escape(way)}(?![\w%]|\.\d{duration})", text) is not None


def _spoken_durations(length: float) -> tuple[str, ...]:
    for size, unit in _UNITS:
        if length % size == 0:
            count = int(length // size)
            one = (f"an {unit}" if unit == "hour" else f"a {unit}",) if count == 1 else ()
            return (f"{count} {unit}" if count == 1 else f"{count} {unit}s", f"{count}{unit[0]}", *one)
    return (f"{length:g} s", f"{length:g}s")


def _spoken_numbers(number: float) -> tuple[str, ...]:
    days = (f"{number / 86400:g} days",) if number >= 86400 and number % 86400 == 0 else ()
    ratio = (f"{number * 100:g} %",) if number < 1 else ()
    part = ("a third",) if number == 1 / 3 else ()
    return (f"{number:g}", *ratio, *days, *part)


def _windows(expression: Expression) -> Iterator[float]:
    for part in walk(expression):
        if isinstance(part, Range | Subquery):
            yield part.seconds
        if isinstance(part, Selector):
            yield from (abs(length) for length in (part.offset,))
            yield from (seconds(window) for window in _RECORDED_WINDOW.findall(part.name))


def _numbers(expression: Expression) -> Iterator[float]:
    """The numbers; constant subexpressions count as their result."""
    value = constant(expression)
    if value is not None:
        yield value
        return
    # A part of `a - b` may be constant.
    inner = (expression.left, expression.right) if isinstance(expression, Binary) else parts(expression)
    for part in inner:
        yield from _numbers(part)
