"""What creating a rollout by hand would do now; asking changes nothing."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain

from domain import estimates
from domain import policies as rules
from domain.actors import Permission
from domain.errors import BadInput, NotFound
from domain.estimates import Crowd, Pickup
from domain.ids import PolicyId
from domain.plans import Plan, sizes, zone_of
from domain.policies import Policy
from domain.previews import Forecast, Group, LeftOut, Opening, Preview, Proposal, Sample
from domain.windows import next_opening, zone_named
from resolvers.context import Context
from resolvers.images import already_under_way, mismatch, over, together_with, why_not_by_hand
from storage import policies, previews, rollouts
from storage.connection import Connection

MOST_SAMPLED = 100


async def preview(ctx: Context, policy_id: PolicyId, image: str, also: Sequence[str], sample: int) -> Preview:
    """Who would take part, who would not and why, what stands in the way, and how long it may take; the first `sample` of each reason."""
    ctx.actor.must(Permission.READ)
    if not 0 <= sample <= MOST_SAMPLED:
        raise BadInput(f"sample: 0 to {MOST_SAMPLED}")
    images = together_with(image, also)
    async with ctx.db.snapshot() as conn:
        policy = await policies.one(conn, policy_id)
        if policy is None or policy.deleted_at is not None:
            raise NotFound(f"there is no policy {policy_id}")
        scope = rules.scope_by_hand(policy, await policies.enabled(conn), images[0])
        active = await rollouts.active(conn, policy_id, [one.repository for one in images])
        proposal = Proposal(scope, tuple(images), policy.settings.plan(by_hand=True), tuple(active), await ctx.db.now(conn))
        return await _preview(conn, proposal, sample)


async def _preview(conn: Connection, proposal: Proposal, sample: int) -> Preview:
    refusal = await _refusal(conn, proposal)
    found = await previews.groups(conn, proposal, sample)
    crowd = await _crowd(conn, proposal, [group for group in found if group.why is None])
    reasons = [why for why in LeftOut if any(group.why is why for group in found)]
    return Preview(
        proposal=proposal,
        refusal=refusal,
        sizes=crowd.sizes,
        left_out=tuple([await _sample(conn, proposal, why, [group for group in found if group.why is why], sample) for why in reasons]),
        openings=_openings(proposal, crowd),
        forecast=await _forecast(conn, proposal, crowd, refusal),
    )


async def _refusal(conn: Connection, proposal: Proposal) -> str | None:
    """Why one of the images would be refused; None if none would be."""
    if why := over(proposal.scope.policy, proposal.at) or already_under_way(proposal.supersedes, proposal.images):
        return why
    for image in proposal.images:
        if why := mismatch(proposal.scope.policy, image) or await why_not_by_hand(conn, proposal.scope, image):
            return why
    return None


async def _crowd(conn: Connection, proposal: Proposal, chosen: Sequence[Group]) -> Crowd:
    plan, by_stage, zones = proposal.plan, Counter[int | None](), Counter[str]()
    for group in chosen:
        by_stage[group.stage] += group.devices
        if plan.schedule.windows:
            zones[zone_of(plan.schedule, group.label)] += group.devices
    cap = plan.pace.per_label
    lane = await previews.largest_lane(conn, proposal, cap.label) if cap and chosen else 0
    return Crowd(sizes(plan.stages, by_stage.total(), [by_stage[stage] for stage in range(len(plan.stages))]), zones, lane)


async def _sample(conn: Connection, proposal: Proposal, why: LeftOut, groups: Sequence[Group], sample: int) -> Sample:
    """How many are left out for a reason, and the first of them, whichever rollout they are in."""
    first = [await previews.described(conn, proposal.images, group.first, group.rollout_id) for group in groups]
    described = sorted(chain.from_iterable(first), key=lambda device: device.device_id)
    return Sample(why, sum(group.devices for group in groups), tuple(described[:sample]))


def _openings(proposal: Proposal, crowd: Crowd) -> tuple[Opening, ...]:
    schedule = proposal.plan.schedule
    begin = max(proposal.at, schedule.not_before or proposal.at)
    opens = {zone: next_opening(schedule.windows, zone_named(zone or schedule.zone), begin) for zone in crowd.zones}
    return tuple(Opening(zone, crowd.zones[zone], opens[zone]) for zone in sorted(opens, key=lambda zone: (str(opens[zone]), zone)))


async def _forecast(conn: Connection, proposal: Proposal, crowd: Crowd, refusal: str | None) -> Forecast:
    plan = proposal.plan
    (typical, slow), basis = await _pickups(conn, proposal.scope.policy, plan)
    if why := refusal or estimates.why_unknown(plan, crowd.sizes):
        return Forecast(None, None, why, basis)
    likely, late = (estimates.finish(plan, crowd, pickup, proposal.at) for pickup in (typical, slow))
    return Forecast(likely, late, estimates.doubt(plan, late), basis)


async def _pickups(conn: Connection, policy: Policy, plan: Plan) -> tuple[tuple[Pickup, Pickup], str]:
    """What a device takes, typically and at worst, and how that is known."""
    for of, whose in ((policy.id, "of this policy"), (None, "of all policies")):
        if found := await previews.measured(conn, of):
            typical, slow = (Pickup(*spans) for spans in zip(found.taking, found.starting, strict=True))
            return (typical, slow), f"what {found.devices} devices took in the last {found.rollouts} rollouts {whose}"
    longest = Pickup(plan.pickup, plan.pickup * 0)
    return (longest, longest), "nothing has been rolled out yet; every device is taken to need all the time the policy gives it to pick up"
