-- Devices and their targets, policies, rollouts, events.
-- depends:

-- migrate: apply

create table policies (
    id                    bigint generated always as identity primary key,
    image_pattern         text not null,
    update_strategy       text not null check (update_strategy in ('auto', 'staged', 'manual')),
    fleet                 text,
    staged_batches        integer not null check (staged_batches between 1 and 100),
    batch_delay_minutes   double precision not null check (batch_delay_minutes >= 0),
    health_check_enabled  boolean not null,
    soak_minutes          double precision not null check (soak_minutes >= 0),
    pickup_minutes        double precision not null check (pickup_minutes >= 0),
    deadline_minutes      double precision not null check (deadline_minutes > 0),
    auto_rollback_enabled boolean not null,
    max_failure_rate      double precision not null check (max_failure_rate between 0 and 1),
    min_outcomes          integer not null check (min_outcomes >= 1),
    enabled               boolean not null,
    created_at            timestamptz not null,
    updated_at            timestamptz not null,
    deleted_at            timestamptz -- a deleted policy keeps its row, for the history of its rollouts
);

-- What was pushed, once for each policy that governs it: the key that lets no release start twice.
create table releases (
    id             bigint generated always as identity primary key,
    policy_id      bigint not null references policies,
    repository     text not null,
    identity       text not null, -- the digest when known, else the tag
    first_seen_at  timestamptz not null,
    blocked_at     timestamptz,
    blocked_reason text,
    unique (policy_id, repository, identity)
);

create table devices (
    id             bigint generated always as identity primary key,
    uuid           uuid not null unique,
    name           text not null,
    type           text not null,
    fleet          text,
    key_hash       bytea not null, -- SHA-256: the key has 256 bits of its own, so there is nothing to stretch
    sends_version  boolean not null default false, -- has ever reported one: then a report without is an old one, replayed
    created_at     timestamptz not null,
    last_seen_at   timestamptz
);
create index devices_by_fleet on devices (fleet, id);

-- What each device was told to run, but for rollouts: the images stand in services, so that one statement can change them.
create table targets (
    device_id  bigint primary key references devices on delete cascade,
    apps       jsonb not null,
    config     jsonb not null,
    version    bigint not null,
    updated_at timestamptz not null
);

create table services (
    device_id  bigint not null references devices on delete cascade,
    app        text not null,
    service    text not null,
    repository text not null,
    image      text not null,
    primary key (device_id, app, service)
);
create index services_by_image on services (repository, image, device_id);

create table current_states (
    device_id   bigint primary key references devices on delete cascade,
    apps        jsonb not null,
    version     bigint,
    info        jsonb not null,
    reported_at timestamptz not null
);

create table rollouts (
    id                    bigint generated always as identity primary key,
    policy_id             bigint not null references policies,
    release_id            bigint not null references releases,
    repository            text not null,
    image                 text not null,
    fleet                 text,
    except_fleets         text[] not null,
    -- The plan, as the policy had it when the rollout was created.
    shares                integer[] not null,
    delay                 interval not null,
    soak                  interval not null,
    pickup                interval not null,
    deadline              interval not null,
    max_failure_rate      double precision not null,
    min_outcomes          integer not null,
    health_check_enabled  boolean not null,
    auto_rollback_enabled boolean not null,
    starts_by_itself      boolean not null,
    by_hand               boolean not null, -- an operator named the image, so older versions are meant
    -- The one row that moves.
    status                text not null check (status in ('enrolling', 'pending', 'in_progress', 'paused', 'rolling_back',
                                                          'completed', 'rolled_back', 'cancelled', 'superseded')),
    stages                integer[] not null,
    stage                 integer not null,
    size                  integer not null,
    frontier              integer not null check (frontier between 0 and reached),
    reached               integer not null check (reached between 0 and size),
    revision              integer not null,
    frontier_at           timestamptz,
    settled_at            timestamptz,
    failures_accepted_at  timestamptz,
    reason                text,
    created_at            timestamptz not null,
    moved_at              timestamptz not null,
    started_at            timestamptz,
    finished_at           timestamptz
);
create unique index one_active_rollout on rollouts (policy_id, repository)
    where status in ('enrolling', 'pending', 'in_progress', 'paused');
create index rollouts_of_release on rollouts (release_id, id);
create index rollouts_that_move on rollouts (id)
    where status in ('enrolling', 'pending', 'in_progress', 'rolling_back');

-- Every move, and what it made of the rollout. The primary key is the last fence against moving twice.
create table moves (
    rollout_id bigint not null references rollouts on delete cascade,
    revision   integer not null,
    at         timestamptz not null,
    event      text not null,
    actor      text not null,
    reason     text,
    status     text not null,
    stage      integer not null,
    frontier   integer not null,
    primary key (rollout_id, revision)
);

create table members (
    rollout_id bigint not null references rollouts on delete cascade,
    rank       integer not null,
    device_id  bigint not null references devices on delete cascade,
    repository text not null,
    live       boolean not null default true, -- decides what the device shows; false once folded into its target
    from_image text,        -- what it showed when enrolled, if that was another rollout's image not yet proven on it
    taken_at   timestamptz, -- first poll since it was offered the image
    outcome    text check (outcome in ('running', 'failed')),
    outcome_at timestamptz, -- since when
    reason     text,
    returned_at timestamptz, -- reported its previous image after the rollout took its own back
    skipped_at timestamptz, -- an operator gave the device another image
    primary key (rollout_id, rank)
);
create unique index one_live_rollout_per_image on members (device_id, repository) where live;
create unique index one_place_per_rollout on members (device_id, rollout_id);
create index members_to_fold on members (rollout_id, rank) where live;

create table events (
    xid         xid8 not null default pg_current_xact_id(),
    seq         bigint generated always as identity,
    at          timestamptz not null,
    type        text not null,
    rollout_id  bigint,
    revision    integer,
    device_uuid uuid,
    data        jsonb not null,
    primary key (xid, seq)
);
create index events_of_rollout on events (rollout_id, xid, seq);

create table tokens (
    id         bigint generated always as identity primary key,
    name       text not null,
    hash       bytea not null unique,
    created_at timestamptz not null default now()
);

create table provisioning_keys (
    id         bigint generated always as identity primary key,
    hash       bytea not null unique,
    fleet      text,
    created_at timestamptz not null
);

-- How often the device's target version rose for this rollout: not reached, offered, offered and taken back.
create function exposure(m members, r rollouts) returns integer language sql stable as $$
    select case
        when m.skipped_at is not null then 0
        when m.rank < r.frontier then 1
        when m.rank < r.reached then 2
        else 0
    end
$$;

-- How long a member that took the image may go on saying nothing conclusive: from then, or from when it last stopped making sense.
create function silent_until(m members, r rollouts) returns timestamptz language sql stable as $$
    select coalesce(m.outcome_at, m.taken_at) + r.deadline
$$;

-- Where a device is in a rollout, at a time: the only place this is derived.
create function member_status(m members, r rollouts, at timestamptz) returns text language sql stable as $$
    select case
        when m.skipped_at is not null then 'skipped'
        when m.rank >= r.reached then 'pending'
        when m.rank >= r.frontier and (m.taken_at is null or m.returned_at is not null) then 'rolled_back'
        when m.rank >= r.frontier then 'rolling_back'
        when m.outcome = 'failed' then 'failed'
        when m.outcome = 'running' and r.health_check_enabled and m.outcome_at + r.soak <= least(at, r.finished_at) then 'healthy'
        when m.outcome = 'running' then 'updated'
        when m.taken_at is null then 'scheduled'
        when silent_until(m, r) <= least(at, r.finished_at) then 'timed_out'
        else 'updating'
    end
$$;

-- The image has proved itself on this device: the rollout completed, or the device itself ran it for the soak time,
-- which is nothing where health checks are off.
create function is_proven(m members, r rollouts, at timestamptz) returns boolean language sql stable as $$
    select exposure(m, r) = 1 and (r.status = 'completed' or coalesce(m.outcome = 'running' and m.outcome_at + r.soak <= at, false))
$$;

-- The move that offered a member the image.
create function first_offer(m members) returns setof moves language sql stable rows 1 as $$
    select * from moves
     where moves.rollout_id = m.rollout_id and moves.event = 'image.batch_started' and moves.frontier > m.rank
     order by moves.revision limit 1
$$;

-- What each service should run, rollouts included. domain/targets.py says the same; a test compares the two.
create view effective_services as
select s.device_id, s.app, s.service, s.repository, s.image as base_image, r.id as rollout_id,
       case
           when m.rank < r.frontier then r.image
           when m.rank < r.reached then s.image
           else coalesce(m.from_image, s.image)
       end as image
  from services s
  left join members m on m.device_id = s.device_id and m.repository = s.repository and m.live
  left join rollouts r on r.id = m.rollout_id;

create view device_target_state as
select d.uuid as device_uuid, t.device_id, t.apps, t.config,
       t.version + coalesce((select sum(exposure(m, r)) from members m join rollouts r on r.id = m.rollout_id
                              where m.device_id = t.device_id and m.live), 0)::bigint as version,
       coalesce((select jsonb_agg(jsonb_build_array(e.app, e.service, e.image)) from effective_services e
                  where e.device_id = t.device_id), '[]') as images,
       exists (select from members m join rollouts r on r.id = m.rollout_id
                where m.device_id = t.device_id and m.live and m.taken_at is null and m.rank < r.frontier) as has_untaken_offer
  from targets t
  join devices d on d.id = t.device_id;

create view device_rollout_status as
select m.rollout_id, d.uuid as device_uuid, m.device_id, m.rank,
       offered.stage + 1 as batch_number,
       member_status(m, r, now()) as status,
       offered.at as scheduled_at,
       m.taken_at, m.outcome_at, m.returned_at, m.reason
  from members m
  join rollouts r on r.id = m.rollout_id
  join devices d on d.id = m.device_id
  left join lateral first_offer(m) as offered on true;

-- migrate: rollback

drop view device_rollout_status, device_target_state, effective_services;
drop function first_offer, is_proven, member_status, silent_until, exposure;
drop table provisioning_keys, tokens, events, members, moves, rollouts, current_states, services, targets, devices, releases, policies;
