"""Which devices are meant, by the labels on them, as Kubernetes reads it: site=berlin, tier in (edge, lab), !frozen."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self, TypeVar

from domain.errors import BadInput
from domain.labels import LONGEST_NAME, LONGEST_VALUE

Read = TypeVar("Read")
LONGEST, MOST_TERMS, MOST_VALUES = 2000, 32, 100


class Is(StrEnum):
    """What a term asks of a label."""

    IN = "in"
    NOT_IN = "notin"
    """Also where there is no such label."""
    THERE = "there"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Term:
    """What is asked of one label."""

    label: str
    test: Is
    values: tuple[str, ...] = ()
    """In their order, each once; none where it is only asked whether the label is there."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        match self.test:
            case Is.IN:
                return labels.get(self.label) in self.values
            case Is.NOT_IN:
                return labels.get(self.label) not in self.values
            case Is.THERE:
                return self.label in labels
            case Is.MISSING:
                return self.label not in labels

    def __str__(self) -> str:
        label, values = _written(self.label), [_written(value) for value in self.values]
        match self.test:
            case Is.IN | Is.NOT_IN if len(values) > 1:
                return f"{label} {self.test} ({', '.join(values)})"
            case Is.IN | Is.NOT_IN:
                return f"{label}{'=' if self.test is Is.IN else '!='}{values[0]}"
            case Is.THERE:
                return label
            case Is.MISSING:
                return f"!{label}"

    @property
    def path(self) -> str:
        """The same as an SQL/JSON path over the labels."""
        label = f"$.{json.dumps(self.label)}"
        is_one_of = " || ".join(f"{label} == {json.dumps(value)}" for value in self.values)
        match self.test:
            case Is.IN:
                return f"({is_one_of})"
            case Is.NOT_IN:
                return f"!({is_one_of})"
            case Is.THERE:
                return f"exists({label})"
            case Is.MISSING:
                return f"!exists({label})"


@dataclass(frozen=True, slots=True)
class Selector:
    """Terms that all have to hold. The SQL function `selects` says the same of a whole fleet; a test compares them."""

    terms: tuple[Term, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what somebody wrote; raises BadInput naming where, and what was expected there."""
        if not text.strip():
            raise BadInput("a selector says something, such as site=berlin; leave it out where all devices are meant")
        if len(text) > LONGEST:
            raise BadInput(f"a selector has at most {LONGEST} characters, this one has {len(text)}")
        selector = cls(_Reader(text).terms())
        if len(str(selector)) > LONGEST:  # it is kept in that form, and read again
            raise BadInput(f"a selector has at most {LONGEST} characters, spaces after commas included")
        return selector

    @classmethod
    def from_document(cls, document: Mapping[str, Any] | None) -> Self | None:
        """The selector in a document, or None in the place of one."""
        return None if document is None else cls.parse(document["text"])

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(term.matches(labels) for term in self.terms)

    def __str__(self) -> str:
        return ", ".join(map(str, self.terms))


def document(selector: Selector | None) -> dict[str, str] | None:
    """As the database keeps it: for people, and as a path that finds devices by the index on their labels."""
    return None if selector is None else {"text": str(selector), "path": " && ".join(term.path for term in selector.terms)}


_WORD = r"[\w./:@+-]+"
_QUOTED = r"""(?P<quote>["'])(?P<quoted>(?:\\.|(?!(?P=quote))[^\\])*)(?P=quote)"""
_TOKEN = re.compile(rf"(?P<sign>==|!=|[=!(),])|{_QUOTED}|(?P<word>{_WORD})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Token:
    at: int
    """Where it begins, from 1."""
    is_word: bool
    is_quoted: bool
    text: str
    """Empty at the end, and of an empty word."""


def _written(text: str) -> str:
    """A word as it may stand in a selector."""
    return text if re.fullmatch(_WORD, text) else '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while rest := text[at:].lstrip():
        at = len(text) - len(rest)
        found = _TOKEN.match(text, at)
        if found is None:
            what = "a quote that is never closed" if rest[0] in "\"'" else f"“{rest[0]}” has to stand in quotes"
            raise BadInput(f"selector, character {at + 1}: {what}")
        yield _token(at + 1, found)
        at = found.end()
    yield _Token(len(text) + 1, is_word=False, is_quoted=False, text="")


def _token(at: int, found: re.Match[str]) -> _Token:
    if found["quote"]:
        return _Token(at, is_word=True, is_quoted=True, text=re.sub(r"\\(.)", r"\1", found["quoted"], flags=re.DOTALL))
    return _Token(at, is_word=found["sign"] is None, is_quoted=False, text=(found["word"] or found["sign"]).replace("==", "="))


class _Reader:
    """Takes the tokens of a selector one after the other."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._next = next(self._tokens)

    def terms(self) -> tuple[Term, ...]:
        terms = self._list(self._term, MOST_TERMS, "terms")
        if not self._is_at_end:
            raise self._expected("a comma or the end")
        # PostgreSQL takes seconds to look for 32 times 100 values in a large fleet.
        if sum(len(term.values) for term in terms) > MOST_VALUES:
            raise BadInput(f"selector: at most {MOST_VALUES} values in all terms together")
        return terms

    def _term(self) -> Term:
        if self._took("!"):
            return Term(self._label(), Is.MISSING)
        label = self._label()
        if self._took("="):
            return Term(label, Is.IN, (self._value(),))
        if self._took("!="):
            return Term(label, Is.NOT_IN, (self._value(),))
        return Term(label, Is.THERE) if self._is_at_end or self._is(",") else Term(label, self._test(), self._values())

    def _test(self) -> Is:
        negated = self._took("not")
        if self._took("in"):
            return Is.NOT_IN if negated else Is.IN
        if not negated and self._took("notin"):
            return Is.NOT_IN
        raise self._expected("“in”" if negated else "=, !=, in, notin or a comma")

    def _values(self) -> tuple[str, ...]:
        if not self._took("("):
            raise self._expected("“(”")
        values = self._list(self._value, MOST_VALUES, "values in all terms together")
        if not self._took(")"):
            raise self._expected("a comma or “)”")
        return tuple(sorted(set(values)))

    def _list(self, read: Callable[[], Read], most: int, what: str) -> tuple[Read, ...]:
        found = [read()]
        while self._took(","):
            found.append(read())
        if len(found) > most:
            raise BadInput(f"selector: at most {most} {what}")
        return tuple(found)

    def _label(self) -> str:
        return self._word("the name of a label", 1, LONGEST_NAME)

    def _value(self) -> str:
        return self._word("a value", 0, LONGEST_VALUE)

    def _word(self, what: str, least: int, most: int) -> str:
        word = self._next
        if not word.is_word:
            raise self._expected(what)
        if not least <= len(word.text) <= most:
            raise BadInput(f"selector, character {word.at}: {what} has {least} to {most} characters")
        self._next = next(self._tokens)
        return word.text

    def _took(self, text: str) -> bool:
        """Step over this if it comes next."""
        if not self._is(text):
            return False
        self._next = next(self._tokens)
        return True

    def _is(self, text: str) -> bool:
        return self._next.text == text and not self._next.is_quoted

    @property
    def _is_at_end(self) -> bool:
        return not self._next.is_word and not self._next.text

    def _expected(self, what: str) -> BadInput:
        found = "the end" if self._is_at_end else f"“{self._next.text[:80]}”"
        return BadInput(f"selector, character {self._next.at}: expected {what}, found {found}")
