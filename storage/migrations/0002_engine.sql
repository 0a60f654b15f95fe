-- Plans with stages, pace, windows, retries and approvals; rollbacks of one device and after the end; policies as documents.
-- depends: 0001_rollouts

-- migrate: apply

drop view device_rollout_status, device_target_state, effective_services;
drop function first_offer, is_proven, member_status, silent_until, exposure;

-- Settings are checked by domain/policies.py, plans are made by it: a field more needs no column.
alter table policies add settings jsonb;
update policies set settings = to_jsonb(policies) - array['id', 'created_at', 'updated_at', 'deleted_at', 'settings'];
alter table policies
    alter settings set not null,
    drop image_pattern, drop update_strategy, drop fleet, drop staged_batches, drop batch_delay_minutes, drop health_check_enabled,
    drop soak_minutes, drop pickup_minutes, drop deadline_minutes, drop auto_rollback_enabled, drop max_failure_rate, drop min_outcomes,
    drop enabled;

alter table releases add blocked_by text;

alter table devices
    add labels       jsonb not null default '{}',
    add aside        text check (aside in ('pinned', 'held', 'quarantined')), -- joins no rollout
    add aside_until  timestamptz, -- null: until somebody lets go of it
    add aside_at     timestamptz,
    add aside_by     text,
    add aside_reason text;

-- It joins no rollout at this time.
create function is_aside(d devices, at timestamptz) returns boolean language sql stable parallel safe as $$
    select d.aside is not null and coalesce(d.aside_until > at, true)
$$;

alter table rollouts
    add also         text[] not null default '{}', -- images of other repositories that move together with the first
    add repositories text[], -- of all its images
    add plan      jsonb,
    add soaks     interval[], -- of each stage; these and the next are what SQL reads of the plan
    add step      interval,
    add canaries  integer[] not null default '{}',
    add ends      integer[] not null default '{}', -- where the frontier stood when each stage before the open one was left
    add zones     jsonb not null default '[]',     -- the windows of the members' time zones, as the engine last moved them
    add paced_at  timestamptz,
    add promoted  integer not null default -1,
    add answered_at timestamptz, -- since when checks of the open batch as a whole are made
    add are_devices_checked boolean not null default false, -- from outside, each; again what SQL reads of the plan
    add approved_by text[] not null default '{}';
update rollouts set
    repositories = array[repository],
    soaks = array_fill(soak, array[cardinality(shares)]),
    -- Earlier batches are told from the moves; one that was skipped ended where the one before it did.
    ends = array(select coalesce((select max(frontier) from moves
                                   where rollout_id = rollouts.id and event = 'image.batch_started' and moves.stage <= number), 0)
                   from generate_series(0, rollouts.stage - 1) as number order by number),
    plan = jsonb_build_object(
        'stages', (select jsonb_agg(jsonb_build_object(
                       'share', share, 'delay', extract(epoch from delay), 'soak', extract(epoch from soak),
                       'limits', jsonb_build_object('rate', max_failure_rate, 'min_outcomes', min_outcomes)) order by nr)
                     from unnest(shares) with ordinality as stage (share, nr)),
        'limits', jsonb_build_object('rate', max_failure_rate, 'min_outcomes', min_outcomes),
        'pickup', extract(epoch from pickup), 'deadline', extract(epoch from deadline),
        'health_check_enabled', health_check_enabled, 'auto_rollback_enabled', auto_rollback_enabled, 'starts_by_itself', starts_by_itself);
alter table rollouts
    alter repositories set not null,
    alter plan set not null,
    alter soaks set not null,
    drop shares, drop delay, drop soak, drop pickup, drop max_failure_rate, drop min_outcomes, drop auto_rollback_enabled, drop starts_by_itself;
drop index rollouts_that_move;
create index rollouts_that_move on rollouts (id)
    where status in ('enrolling', 'pending', 'in_progress', 'rolling_back') or zones <> '[]' and frontier > 0;

alter table moves add changes jsonb; -- every field of the rollout that the move changed: folded from the first on they give the row

alter table members drop constraint members_outcome_check;
alter table members
    add check (outcome in ('running', 'failed', 'unhealthy', 'refused', 'timed_out')),
    -- Where several images move together, a device has a row for each: the first, 0, is what counts, the others follow it in everything.
    add part         smallint not null default 0,
    add image        text,        -- what another row than the first brings
    add zone         text,        -- whose window it waits for; null in a rollout without windows
    add lane         text,        -- its value of the label of which only so many may be on their way at once
    add progress_at  timestamptz, -- last sign of progress since it took the image
    add withdrawn_at timestamptz, -- the image was taken back from it alone
    add retry_at     timestamptz, -- when it is offered the image again; null: never
    add retries      integer not null default 0,
    add checked      text check (checked in ('passed', 'failed', 'inconclusive')), -- from outside, since it runs the image
    add checked_at   timestamptz,
    add deferred_at  timestamptz, -- silent when its turn came, where only so many may be on their way; offered it again once it is seen
    add offered_at   timestamptz; -- when it was offered the image apart from its rank: tried again, or awake; null: with its rank
alter table members drop constraint members_pkey, add primary key (rollout_id, rank, part);
drop index one_place_per_rollout;
create unique index one_place_per_rollout on members (device_id, rollout_id, part);
drop index members_to_fold;
create index members_to_fold on members (rollout_id) where live;
create index members_to_retry on members (retry_at) where retry_at is not null and live;
create index members_to_wake on members (rollout_id) where deferred_at is not null and live;

-- What checks from outside have shown of a batch, or of one of its devices.
create table measurements (
    id         bigint generated always as identity primary key,
    rollout_id bigint not null references rollouts on delete cascade,
    stage      integer not null,
    device_id  bigint references devices on delete cascade,
    name       text not null, -- the check's
    at         timestamptz not null,
    result     text not null check (result in ('success', 'failure', 'inconclusive', 'error')),
    detail     text not null
);
create index measurements_of_batch on measurements (rollout_id, stage, device_id, name, id);

-- Who is measuring for a rollout now: two processes at once would count everything twice.
create table measuring (
    rollout_id bigint primary key references rollouts on delete cascade,
    until      timestamptz not null
);

-- A rank whose time zone was let in so far, and whose window is open.
create function is_let_in(rank integer, zone text, zones jsonb) returns boolean language sql immutable parallel safe as $$
    select exists (select from jsonb_to_recordset(zones) as z (name text, is_open boolean, frontier integer)
                    where z.name = is_let_in.zone and z.is_open and is_let_in.rank < z.frontier)
$$;

-- The device is shown the image: its turn has come and its window is open, or it took it in time and keeps it.
create function is_offered(m members, r rollouts) returns boolean language sql stable parallel safe as $$
    select m.rank < r.frontier and m.skipped_at is null and m.withdrawn_at is null and m.deferred_at is null
       and (m.zone is null or m.taken_at is not null or is_let_in(m.rank, m.zone, r.zones))
$$;

-- It was offered the image and had it taken back: alone, or with everybody.
create function is_taken_back(m members, r rollouts) returns boolean language sql stable parallel safe as $$
    select m.skipped_at is null and (m.withdrawn_at is not null or m.rank >= r.frontier and m.rank < r.reached)
$$;

-- It had the image taken back, if only until its next try: from then on it shows its base, not what it came from.
create function is_back_at_base(m members, r rollouts) returns boolean language sql stable parallel safe as $$
    select is_taken_back(m, r) or m.retries > 0
$$;

-- How often the device's target version rose for this rollout: offered, and taken back, and that again for each retry.
create function rises(m members, r rollouts) returns integer language sql stable parallel safe as $$
    select case
        when m.skipped_at is not null then 0
        when is_offered(m, r) then 2 * m.retries + 1
        when is_taken_back(m, r) then 2 * m.retries + 2
        else 2 * m.retries
    end
$$;

-- It has not taken the image although it had the time for that: until its window closed, or the time that the plan is patient. Whose
-- turn came before `patience` is told by rank, in each time zone where there are windows.
create function is_silent(m members, r rollouts, patience timestamptz, below integer, zones text[], below_in_zone integer[]) returns boolean
language sql stable parallel safe as $$
    select m.taken_at is null and m.withdrawn_at is null and m.skipped_at is null
       and (m.deferred_at is not null
            or m.rank < coalesce(below_in_zone[array_position(zones, m.zone)], below)
               and (m.offered_at is null or m.offered_at <= patience or not is_offered(m, r)))
$$;

-- Which batch a member belongs to, from 0.
create function batch_of(m members, r rollouts) returns integer language sql stable parallel safe as $$
    select width_bucket(m.rank, r.ends)
$$;

-- How long a member that took the image may go on saying nothing conclusive: from then, or from when it last stopped making
-- sense; and with a step timer no longer than that from its last sign of progress. least() passes over nulls.
create function silent_until(m members, r rollouts) returns timestamptz language sql stable parallel safe as $$
    select least(coalesce(m.outcome_at, m.taken_at) + r.deadline, greatest(m.progress_at, m.outcome_at, m.taken_at) + r.step)
$$;

-- It has run the image, healthy, for the soak time of its batch.
create function is_soaked(m members, r rollouts, at timestamptz) returns boolean language sql stable parallel safe as $$
    select coalesce(m.outcome = 'running' and m.outcome_at + r.soaks[batch_of(m, r) + 1] <= at, false)
$$;

-- Nothing is to be measured of it from outside, or everything was well, or an operator went on although nobody could tell.
create function is_checked(m members, r rollouts) returns boolean language sql stable parallel safe as $$
    select not r.are_devices_checked or coalesce(m.checked = 'passed' or m.checked_at <= r.failures_accepted_at, false)
$$;

-- Until when the clocks of a rollout's devices run. Where it completed they run on: nobody was still expected, and who wakes later
-- is judged like the others.
create function clock_of(r rollouts, at timestamptz) returns timestamptz language sql stable parallel safe as $$
    select case when r.status = 'completed' then at else least(at, r.finished_at) end
$$;

-- Where a device is in a rollout, at a time: the only place this is derived.
create function member_status(m members, r rollouts, at timestamptz) returns text language sql stable parallel safe as $$
    select case
        when m.skipped_at is not null then 'skipped'
        when m.rank >= r.reached then 'pending'
        when m.retry_at is not null and m.rank < r.frontier and r.finished_at is null then 'retrying'
        when is_taken_back(m, r) and (m.taken_at is null or m.returned_at is not null) then 'rolled_back'
        when is_taken_back(m, r) then 'rolling_back'
        when m.outcome <> 'running' then m.outcome
        when r.health_check_enabled and is_soaked(m, r, clock_of(r, at)) and is_checked(m, r) then 'healthy'
        when m.outcome = 'running' then 'updated'
        when m.taken_at is null and is_offered(m, r) then 'scheduled'
        when m.taken_at is null then 'deferred'
        when silent_until(m, r) <= clock_of(r, at) then 'timed_out'
        else 'updating'
    end
$$;

-- It may be down at any moment: offered the image and not proven, to be offered it again, or going back, for as long as that may take.
create function is_on_its_way(m members, r rollouts, at timestamptz) returns boolean language sql stable parallel safe as $$
    select case member_status(m, r, at)
        when 'rolling_back' then coalesce(m.withdrawn_at, r.frontier_at) + r.deadline > at
        when 'updated' then r.health_check_enabled
        else member_status(m, r, at) in ('scheduled', 'updating', 'retrying')
    end
$$;

-- The image has proved itself on this device: the rollout completed, or the device itself ran it for the soak time,
-- which is nothing where health checks are off.
create function is_proven(m members, r rollouts, at timestamptz) returns boolean language sql stable parallel safe as $$
    select is_offered(m, r) and (r.status = 'completed' or is_soaked(m, r, at) and is_checked(m, r))
$$;

-- The move that let a member in.
create function first_offer(m members) returns setof moves language sql stable parallel safe rows 1 as $$
    select * from moves
     where moves.rollout_id = m.rollout_id and moves.frontier > m.rank
     order by moves.revision limit 1
$$;

-- What each service should run, rollouts included. domain/targets.py says the same; a test compares the two.
create view effective_services as
select s.device_id, s.app, s.service, s.repository, s.image as base_image, r.id as rollout_id,
       case
           when is_offered(m, r) then coalesce(m.image, r.image)
           when is_back_at_base(m, r) then s.image
           else coalesce(m.from_image, s.image)
       end as image
  from services s
  left join members m on m.device_id = s.device_id and m.repository = s.repository and m.live
  left join rollouts r on r.id = m.rollout_id;

-- Each device that runs an image of this repository, and why a rollout of an image to a fleet leaves it out; null: it takes part.
-- The only place this is said: members are enrolled by it, and previews counted. `superseded` are rollouts that are about to end.
create function choice(repository text, image text, newer text[], fleet text, except_fleets text[], superseded bigint[], at timestamptz)
returns table (device_id bigint, device_fleet text, why_not text, rollout_id bigint) language sql stable parallel safe as $$
    select d.id, d.fleet,
           case
               when d.fleet = any (choice.except_fleets) then 'own_policy'
               when d.fleet is distinct from coalesce(choice.fleet, d.fleet) then 'other_fleet'
               when bool_and(e.image = choice.image) then 'same_image'
               when bool_or(e.image = any (choice.newer)) then 'newer_version'
               when is_aside(d, choice.at) then d.aside
               when count(r.id) > 0 then 'other_rollout'
           end,
           max(r.id)
      from effective_services e
      join devices d on d.id = e.device_id
      left join rollouts r on r.id = e.rollout_id and r.status in ('enrolling', 'pending', 'in_progress', 'paused')
                              and r.id <> all (choice.superseded)
     where e.repository = choice.repository
     group by d.id
$$;

-- The same for images that move together: a device takes part if it needs one of them, and none of those it runs is a reason to
-- leave it out.
create function choice_together(repositories text[], images text[], newer text[], fleet text, except_fleets text[], superseded bigint[],
                                at timestamptz)
returns table (device_id bigint, device_fleet text, why_not text, rollout_id bigint) language sql stable parallel safe as $$
    select c.device_id, c.device_fleet,
           coalesce(min(c.why_not) filter (where c.why_not <> 'same_image'), case when count(*) = count(c.why_not) then 'same_image' end),
           max(c.rollout_id)
      from unnest(choice_together.repositories, choice_together.images) as brought (repository, image),
           choice(brought.repository, brought.image, choice_together.newer, choice_together.fleet, choice_together.except_fleets,
                  choice_together.superseded, choice_together.at) as c
     group by c.device_id, c.device_fleet
$$;

create view device_target_state as
select d.uuid as device_uuid, t.device_id, t.apps, t.config,
       t.version + coalesce((select sum(rises(m, r)) from members m join rollouts r on r.id = m.rollout_id
                              where m.device_id = t.device_id and m.live and m.part = 0), 0)::bigint as version,
       coalesce((select jsonb_agg(jsonb_build_array(e.app, e.service, e.image)) from effective_services e
                  where e.device_id = t.device_id), '[]') as images,
       exists (select from members m join rollouts r on r.id = m.rollout_id
                where m.device_id = t.device_id and m.live and m.taken_at is null and is_offered(m, r)) as has_untaken_offer
  from targets t
  join devices d on d.id = t.device_id;

create view device_rollout_status as
select m.rollout_id, d.uuid as device_uuid, m.device_id, m.rank,
       case when m.rank < r.reached then batch_of(m, r) + 1 end as batch_number,
       member_status(m, r, now()) as status,
       offered.at as scheduled_at,
       m.taken_at, m.outcome_at, m.returned_at, m.reason
  from members m
  join rollouts r on r.id = m.rollout_id
  join devices d on d.id = m.device_id
  left join lateral first_offer(m) as offered on true
 where m.part = 0;

-- migrate: rollback

do $$ begin raise exception 'plans do not fit into the columns they were in: restore a backup from before'; end $$;
