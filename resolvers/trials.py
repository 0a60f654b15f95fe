"""Trying a policy: what would come of a push now, or of asking the registry; nothing is changed by it."""

from collections.abc import Sequence
from dataclasses import replace

from domain import policies as rules
from domain.actors import Permission
from domain.errors import NotFound
from domain.ids import PolicyId, PushId
from domain.images import Image, Pattern, split
from domain.policies import Policy
from domain.pushes import Push
from domain.registries import Unanswered
from domain.tags import Verdict, choose
from domain.trials import Trial
from resolvers import images, pushes, registries
from resolvers.context import Context
from storage import members, policies


async def trial(ctx: Context, policy_id: PolicyId, name: str) -> Trial:
    """What a policy would make of an image with a tag or digest, or, of a bare repository, of its tags. Its registry is asked."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        policy = await policies.one(conn, policy_id)
    if policy is None or policy.deleted_at is not None:
        raise NotFound(f"there is no policy {policy_id}")
    image, (_, tag, digest) = Image.parse(name), split(name)
    return await (_of_image(ctx, policy, image) if tag or digest else _of_repository(ctx, policy, image.repository))


async def _of_repository(ctx: Context, policy: Policy, repository: str) -> Trial:
    try:
        tags = await registries.ask(ctx, repository, lambda client, registry: client.tags(registry, repository))
    except Unanswered as why:
        return Trial(None, False, False, f"its tags are not known: {why}")
    async with ctx.db.reading() as conn:
        running = await members.base_images(conn, repository, policy.settings.fleet, ())
    chosen, verdicts = _choice(policy, repository, tags, {used.tag or "" for used in running})
    if chosen is None:
        return Trial(None, False, False, "none of its tags is taken", verdicts)
    return replace(await _of_image(ctx, policy, Image(repository, chosen, None)), tags=verdicts)


def _choice(policy: Policy, repository: str, tags: Sequence[str], running: set[str]) -> tuple[str | None, tuple[Verdict, ...]]:
    pattern = Pattern.parse(policy.settings.image_pattern)
    meant = [tag for tag in tags if pattern.matches(Image(repository, tag, None))]
    choice = choose(policy.settings.tags, meant, running)
    others = [Verdict(tag, f"{tag} does not match {pattern.text}") for tag in tags if tag not in set(meant)]
    return choice.tag, (*choice.verdicts, *others)


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
