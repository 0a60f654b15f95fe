"""Where the next page is: the grammar of Link (RFC 8288, 3)."""

import re

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_VALUE = rf'(?:{_WORD}|"(?:[^"\\]|\\.)*")'
_PARAMETER = re.compile(rf"[ \t]*;[ \t]*({_WORD})(?:[ \t]*=[ \t]*({_VALUE}))?")
_PARAMETERS = rf"(?:[ \t]*;[ \t]*{_WORD}(?:[ \t]*=[ \t]*{_VALUE})?)*+"
_LINK = re.compile(rf"[ \t,]*<([^<>]*)>({_PARAMETERS})[ \t]*(?=,|$)")


def next_page(header: str) -> str | None:
    """The target of the first link whose relation is “next”, relative or absolute as it was written."""
    position = 0
    while found := _LINK.match(header, position):
        if "next" in _relations(found[2]):
            return found[1]
        position = found.end()
    return None


def _relations(parameters: str) -> list[str]:
    """What the first rel says; one inside another parameter's quotes is none."""
    said = (found[2] or "" for found in _PARAMETER.finditer(parameters) if found[1].lower() == "rel")
    return next(said, "").strip('"').lower().split()
