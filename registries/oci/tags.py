"""Which tags a repository has."""

import re

from pydantic import ValidationError
from yarl import URL

from domain.registries import Registry, Unanswered
from registries.oci.asking import Asking, expect
from registries.oci.contents import url_of
from registries.oci.links import next_page
from registries.oci.manifests import Tags
from registries.oci.tokens import Topic
from registries.oci.wire import Answer, target

MOST_TAGS = 100_000
MOST_PAGES = 1_000
PAGE = 1_000
"""Tags that a page is asked for; registries may give fewer."""
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


async def tags(asking: Asking, registry: Registry, path: str) -> list[str]:
    """All tags, page by page, each once; what cannot be a tag is left out."""
    found: dict[str, None] = {}
    url = url_of(registry, path, "tags/list").with_query(n=PAGE)
    for _ in range(MOST_PAGES):
        page = expect(registry, await asking.ask(registry, Topic(path, "tags"), "GET", url, "application/json"), path)
        found |= dict.fromkeys(filter(_TAG.fullmatch, _listed(registry, page)))
        if len(found) > MOST_TAGS:
            raise Unanswered(f"{registry.host} has more than {MOST_TAGS:,} tags of {path}, which is more than we read")
        following = _next(registry, url, page)
        if following is None:
            return list(found)
        url = following
    raise Unanswered(f"{registry.host} lists the tags of {path} on more than {MOST_PAGES:,} pages, which is more than we read")


def _next(registry: Registry, here: URL, page: Answer) -> URL | None:
    """The next page, on the same host and port: a registry behind a proxy may not know under which it is asked."""
    said = next_page(page.headers.get("link", ""))
    if said is None:
        return None
    there = target(registry, here, said)
    if there.host != here.host:
        raise Unanswered(f"{registry.host} sends us to another host for the next tags, and we do not follow")
    return here.join(there.relative())


def _listed(registry: Registry, page: Answer) -> list[str]:
    try:
        return Tags.model_validate_json(page.body).tags or []
    except ValidationError:
        raise Unanswered(f"{registry.host} does not answer with a list of tags") from None
