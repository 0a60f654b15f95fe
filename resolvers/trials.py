"""Trying a policy: what would come of a push now, or of asking the registry; nothing is changed by it."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from domain import policies as rules
from domain.actors import Permission
from domain.errors import NotFound, about
from domain.ids import PolicyId, PushId
from domain.images import Image, Pattern, split
from domain.policies import Policy
from domain.pushes import Push
from domain.registries import Unanswered
from domain.tags import Verdict
from domain.trials import Trial
from resolvers import choosing, images, pushes, registries
from resolvers.choosing import Choice
from resolvers.context import Context
from storage import policies


async def trial(ctx: Context, policy_id: PolicyId, name: str) -> Trial:
    """What a policy would make of an image with a tag or digest, or, of a bare repository, of its tags. Its registry is asked."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        policy = await policies.one(conn, policy_id)
    if policy is None or policy.deleted_at is not None:
        raise NotFound(f"there is no policy {policy_id}")
    with about("image"):
        image, (_, tag, digest) = Image.parse(name), split(name)
    return await (_of_image(ctx, policy, image) if tag or digest else _of_repository(ctx, policy, image.repository))


async def _of_repository(ctx: Context, policy: Policy, repository: str) -> Trial:
    if not (pattern := Pattern.parse(policy.settings.image_pattern)).is_about(repository):
        return Trial(None, False, False, f"the policy's pattern {pattern.text} means no image of {Image.parse(repository).name}")
    try:
        tags = await registries.ask(ctx, repository, lambda client, registry: client.tags(registry, repository))
    except Unanswered as why:
        return Trial(None, False, False, f"its tags are not known: {why}")
    async with ctx.db.reading() as conn:
        found = await choosing.choices(conn, policy, repository, tags)
    verdicts = (*chain.from_iterable(choice.verdicts for choice in found), *_not_meant(policy, tags, found))
    chosen = next((choice.tag for choice in found if choice.tag is not None), None)
    if chosen is None:
        return Trial(None, False, False, "none of its tags is taken", verdicts)
    return replace(await _of_image(ctx, policy, Image(repository, chosen, None)), tags=verdicts)


def _not_meant(policy: Policy, tags: Sequence[str], found: Sequence[Choice]) -> list[Verdict]:
    meant = set(chain.from_iterable(choice.meant for choice in found))
    return [Verdict(tag, f"{tag} does not match {policy.settings.image_pattern}") for tag in tags if tag not in meant]


async def _of_image(ctx: Context, policy: Policy, image: Image) -> Trial:
    if why := images.mismatch(policy, image):
        return Trial(image, False, False, why)
    push = await _imagined(ctx, image)
    found = await pushes.find_out(ctx, push, [policy.settings])
    async with ctx.db.snapshot() as conn:
        scope, now = rules.scope_by_hand(policy, await policies.enabled(conn), image), await ctx.db.now(conn)
        held, _ = await pushes.hold(conn, scope, push, found, now)
    by_tag = "" if found.image.digest else f", by its tag: {found.digest.why}"
    if held is None:
        return Trial(found.image, True, False, f"it would start a rollout{by_tag}")
    return Trial(found.image, False, held.until is not None, held.why)


async def _imagined(ctx: Context, image: Image) -> Push:
    """A push of this image that nobody made."""
    async with ctx.db.reading() as conn:
        now = await ctx.db.now(conn)
    return Push(PushId(0), None, "trial", image, None, now, now, 1, now, 0, None)
