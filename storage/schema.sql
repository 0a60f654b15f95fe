CREATE TABLE public.members (
    rollout_id bigint NOT NULL,
    rank integer NOT NULL,
    device_id bigint NOT NULL,
    repository text NOT NULL,
    live boolean DEFAULT true NOT NULL,
    from_image text,
    taken_at timestamp with time zone,
    outcome text,
    outcome_at timestamp with time zone,
    reason text,
    returned_at timestamp with time zone,
    skipped_at timestamp with time zone,
    part smallint DEFAULT 0 NOT NULL,
    image text,
    zone text,
    lane text,
    progress_at timestamp with time zone,
    withdrawn_at timestamp with time zone,
    retry_at timestamp with time zone,
    retries integer DEFAULT 0 NOT NULL,
    checked text,
    checked_at timestamp with time zone,
    deferred_at timestamp with time zone,
    offered_at timestamp with time zone,
    CONSTRAINT members_checked_check CHECK ((checked = ANY (ARRAY['passed'::text, 'failed'::text, 'inconclusive'::text]))),
    CONSTRAINT members_outcome_check CHECK ((outcome = ANY (ARRAY['running'::text, 'failed'::text, 'unhealthy'::text, 'refused'::text, 'timed_out'::text])))
);

CREATE TABLE public.rollouts (
    id bigint NOT NULL,
    policy_id bigint NOT NULL,
    release_id bigint NOT NULL,
    repository text NOT NULL,
    image text NOT NULL,
    fleet text,
    except_fleets text[] NOT NULL,
    deadline interval NOT NULL,
    health_check_enabled boolean NOT NULL,
    by_hand boolean NOT NULL,
    status text NOT NULL,
    stages integer[] NOT NULL,
    stage integer NOT NULL,
    size integer NOT NULL,
    frontier integer NOT NULL,
    reached integer NOT NULL,
    revision integer NOT NULL,
    frontier_at timestamp with time zone,
    settled_at timestamp with time zone,
    failures_accepted_at timestamp with time zone,
    reason text,
    created_at timestamp with time zone NOT NULL,
    moved_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    also text[] DEFAULT '{}'::text[] NOT NULL,
    repositories text[] NOT NULL,
    plan jsonb NOT NULL,
    soaks interval[] NOT NULL,
    step interval,
    canaries integer[] DEFAULT '{}'::integer[] NOT NULL,
    ends integer[] DEFAULT '{}'::integer[] NOT NULL,
    zones jsonb DEFAULT '[]'::jsonb NOT NULL,
    paced_at timestamp with time zone,
    promoted integer DEFAULT '-1'::integer NOT NULL,
    answered_at timestamp with time zone,
    are_devices_checked boolean DEFAULT false NOT NULL,
    approved_by text[] DEFAULT '{}'::text[] NOT NULL,
    selector jsonb,
    CONSTRAINT rollouts_check CHECK (((frontier >= 0) AND (frontier <= reached))),
    CONSTRAINT rollouts_check1 CHECK (((reached >= 0) AND (reached <= size))),
    CONSTRAINT rollouts_status_check CHECK ((status = ANY (ARRAY['enrolling'::text, 'pending'::text, 'in_progress'::text, 'paused'::text, 'rolling_back'::text, 'completed'::text, 'rolled_back'::text, 'cancelled'::text, 'superseded'::text])))
);

CREATE FUNCTION public.batch_of(m public.members, r public.rollouts) RETURNS integer
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    select width_bucket(m.rank, r.ends)
$$;

CREATE FUNCTION public.choice(repository text, image text, newer text[], fleet text, except_fleets text[], selector jsonb, superseded bigint[], at timestamp with time zone) RETURNS TABLE(device_id bigint, device_fleet text, why_not text, rollout_id bigint)
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    select d.id, d.fleet,
           case
               when d.fleet = any (choice.except_fleets) then 'own_policy'
               when d.fleet is distinct from coalesce(choice.fleet, d.fleet) then 'other_fleet'
               when not selects(choice.selector, d.labels) then 'other_labels'
               when bool_and(e.image = choice.image) then 'same_image'
               when bool_or(e.image = any (choice.newer)) then 'newer_version'
               when d.revoked_at is not null then 'revoked'
               when d.is_waiting then 'waiting'
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

CREATE FUNCTION public.choice_together(repositories text[], images text[], newer text[], fleet text, except_fleets text[], selector jsonb, superseded bigint[], at timestamp with time zone) RETURNS TABLE(device_id bigint, device_fleet text, why_not text, rollout_id bigint)
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    select c.device_id, c.device_fleet,
           coalesce(min(c.why_not) filter (where c.why_not <> 'same_image'), case when count(*) = count(c.why_not) then 'same_image' end),
           max(c.rollout_id)
      from unnest(choice_together.repositories, choice_together.images) as brought (repository, image),
           choice(brought.repository, brought.image, choice_together.newer, choice_together.fleet, choice_together.except_fleets,
                  choice_together.selector, choice_together.superseded, choice_together.at) as c
     group by c.device_id, c.device_fleet
$$;

CREATE FUNCTION public.clock_of(r public.rollouts, at timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    select case when r.status = 'completed' then at else least(at, r.finished_at) end
$$;

CREATE TABLE public.moves (
    rollout_id bigint NOT NULL,
    revision integer NOT NULL,
    at timestamp with time zone NOT NULL,
    event text NOT NULL,
    actor text NOT NULL,
    reason text,
    status text NOT NULL,
    stage integer NOT NULL,
    frontier integer NOT NULL,
    changes jsonb
);

CREATE FUNCTION public.first_offer(m public.members) RETURNS SETOF public.moves
    LANGUAGE sql STABLE ROWS 1 PARALLEL SAFE
    AS $$
    select * from moves
     where moves.rollout_id = m.rollout_id and moves.frontier > m.rank
     order by moves.revision limit 1
$$;

CREATE TABLE public.devices (
    id bigint NOT NULL,
    uuid uuid NOT NULL,
    name text NOT NULL,
    type text NOT NULL,
    fleet text,
    key_hash bytea,
    sends_version boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone NOT NULL,
    last_seen_at timestamp with time zone,
    labels jsonb DEFAULT '{}'::jsonb NOT NULL,
    aside text,
    aside_until timestamp with time zone,
    aside_at timestamp with time zone,
    aside_by text,
    aside_reason text,
    old_key_hash bytea,
    old_key_until timestamp with time zone,
    public_key bytea,
    challenge bytea,
    is_waiting boolean DEFAULT false NOT NULL,
    revoked_at timestamp with time zone,
    provisioning_key_id bigint,
    is_offline boolean DEFAULT false NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT devices_aside_check CHECK ((aside = ANY (ARRAY['pinned'::text, 'held'::text, 'quarantined'::text])))
)
WITH (fillfactor='80');

CREATE FUNCTION public.is_aside(d public.devices, at timestamp with time zone) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    select d.aside is not null and coalesce(d.aside_until > at, true)
$$;

CREATE FUNCTION public.is_back_at_base(m public.members, r public.rollouts) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    select is_taken_back(m, r) or m.retries > 0
$$;

CREATE FUNCTION public.is_checked(m public.members, r public.rollouts) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    select not r.are_devices_checked or coalesce(m.checked = 'passed' or m.checked_at <= r.failures_accepted_at, false)
$$;

CREATE FUNCTION public.is_let_in(rank integer, zone text, zones jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    select exists (select from jsonb_to_recordset(zones) as z (name text, is_open boolean, frontier integer)
                    where z.name = is_let_in.zone and z.is_open and is_let_in.rank < z.frontier)
$$;

CREATE FUNCTION public.is_offered(m public.members, r public.rollouts) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    select m.rank < r.frontier and m.skipped_at is null and m.withdrawn_at is null and m.deferred_at is null
       and (m.zone is null or m.taken_at is not null or is_let_in(m.rank, m.zone, r.zones))
$$;

CREATE FUNCTION public.is_proven(m public.members, r public.rollouts, at timestamp with time zone) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    select is_offered(m, r) and (r.status = 'completed' or is_soaked(m, r, at) and is_checked(m, r))
$$;

CREATE FUNCTION public.is_silent(m public.members, r public.rollouts, patience timestamp with time zone, below integer, zones text[], below_in_zone integer[]) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    select m.taken_at is null and m.withdrawn_at is null and m.skipped_at is null
       and (m.deferred_at is not null
            or m.rank < coalesce(below_in_zone[array_position(zones, m.zone)], below)
               and (m.offered_at is null or m.offered_at <= patience or not is_offered(m, r)))
$$;

CREATE FUNCTION public.is_soaked(m public.members, r public.rollouts, at timestamp with time zone) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    select coalesce(m.outcome = 'running' and m.outcome_at + r.soaks[batch_of(m, r) + 1] <= at, false)
$$;

CREATE FUNCTION public.is_stuck(m public.members, r public.rollouts, at timestamp with time zone) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    select case member_status(m, r, at)
        when 'rolling_back' then coalesce(m.withdrawn_at, r.frontier_at) + r.deadline <= at
        else member_status(m, r, at) in ('failed', 'unhealthy', 'timed_out')
    end
$$;

CREATE FUNCTION public.is_taken_back(m public.members, r public.rollouts) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    select m.skipped_at is null and (m.withdrawn_at is not null or m.rank >= r.frontier and m.rank < r.reached)
$$;

CREATE FUNCTION public.may_be_down(m public.members, r public.rollouts, at timestamp with time zone) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    select is_stuck(m, r, at) or case member_status(m, r, at)
        when 'updated' then r.health_check_enabled
        else member_status(m, r, at) in ('scheduled', 'updating', 'retrying', 'rolling_back')
    end
$$;

CREATE FUNCTION public.member_status(m public.members, r public.rollouts, at timestamp with time zone) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
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

CREATE FUNCTION public.note_device() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    insert into changes (device) values (coalesce(new.uuid, old.uuid));
    return null;
end $$;

CREATE FUNCTION public.note_device_of() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    insert into changes (device) select uuid from devices where id = new.device_id;
    return null;
end $$;

CREATE FUNCTION public.note_rollout() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    insert into changes (rollout_id, is_enrolled) values (new.id, old.status = 'enrolling' and new.status <> 'enrolling');
    return null;
end $$;

CREATE FUNCTION public.raise_version() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    new.version := old.version + 1;
    return new;
end $$;

CREATE FUNCTION public.rises(m public.members, r public.rollouts) RETURNS integer
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    select case
        when m.skipped_at is not null then 0
        when is_offered(m, r) then 2 * m.retries + 1
        when is_taken_back(m, r) then 2 * m.retries + 2
        else 2 * m.retries
    end
$$;

CREATE FUNCTION public.selects(selector jsonb, labels jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    select labels @@ (selector ->> 'path')::jsonpath
$$;

CREATE FUNCTION public.silent_until(m public.members, r public.rollouts) RETURNS timestamp with time zone
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    select least(coalesce(m.outcome_at, m.taken_at) + r.deadline, greatest(m.progress_at, m.outcome_at, m.taken_at) + r.step)
$$;

CREATE TABLE public.audit (
    id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    actor text NOT NULL,
    token_id bigint,
    action text NOT NULL,
    subject_type text NOT NULL,
    subject_key text NOT NULL,
    details jsonb NOT NULL,
    request_id text
);

ALTER TABLE public.audit ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.changes (
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    device uuid,
    rollout_id bigint,
    is_enrolled boolean DEFAULT false NOT NULL
);

CREATE TABLE public.current_states (
    device_id bigint NOT NULL,
    apps jsonb NOT NULL,
    version bigint,
    info jsonb NOT NULL,
    reported_at timestamp with time zone NOT NULL
);

CREATE TABLE public.decisions (
    id bigint NOT NULL,
    push_id bigint NOT NULL,
    policy_id bigint,
    round integer NOT NULL,
    image text NOT NULL,
    rollout_id bigint,
    started boolean NOT NULL,
    decision text NOT NULL,
    at timestamp with time zone NOT NULL
);

ALTER TABLE public.decisions ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.decisions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.deliveries (
    id bigint NOT NULL,
    endpoint_id bigint,
    sender text NOT NULL,
    key text NOT NULL,
    headers jsonb NOT NULL,
    body bytea NOT NULL,
    received_at timestamp with time zone NOT NULL,
    last_at timestamp with time zone NOT NULL,
    times integer DEFAULT 1 NOT NULL
);

ALTER TABLE public.deliveries ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.deliveries_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE VIEW public.device_rollout_status AS
 SELECT m.rollout_id,
    d.uuid AS device_uuid,
    m.device_id,
    m.rank,
        CASE
            WHEN (m.rank < r.reached) THEN (public.batch_of(m.*, r.*) + 1)
            ELSE NULL::integer
        END AS batch_number,
    public.member_status(m.*, r.*, now()) AS status,
    offered.at AS scheduled_at,
    m.taken_at,
    m.outcome_at,
    m.returned_at,
    m.reason
   FROM (((public.members m
     JOIN public.rollouts r ON ((r.id = m.rollout_id)))
     JOIN public.devices d ON ((d.id = m.device_id)))
     LEFT JOIN LATERAL public.first_offer(m.*) offered(rollout_id, revision, at, event, actor, reason, status, stage, frontier, changes) ON (true))
  WHERE (m.part = 0);

CREATE TABLE public.services (
    device_id bigint NOT NULL,
    app text NOT NULL,
    service text NOT NULL,
    repository text NOT NULL,
    image text NOT NULL
);

CREATE VIEW public.effective_services AS
 SELECT s.device_id,
    s.app,
    s.service,
    s.repository,
    s.image AS base_image,
    r.id AS rollout_id,
        CASE
            WHEN public.is_offered(m.*, r.*) THEN COALESCE(m.image, r.image)
            WHEN public.is_back_at_base(m.*, r.*) THEN s.image
            ELSE COALESCE(m.from_image, s.image)
        END AS image
   FROM ((public.services s
     LEFT JOIN public.members m ON (((m.device_id = s.device_id) AND (m.repository = s.repository) AND m.live)))
     LEFT JOIN public.rollouts r ON ((r.id = m.rollout_id)));

CREATE TABLE public.targets (
    device_id bigint NOT NULL,
    apps jsonb NOT NULL,
    config jsonb NOT NULL,
    version bigint NOT NULL,
    updated_at timestamp with time zone NOT NULL
);

CREATE VIEW public.device_target_state AS
 SELECT d.uuid AS device_uuid,
    t.device_id,
    t.apps,
    t.config,
    (t.version + COALESCE(( SELECT sum(public.rises(m.*, r.*)) AS sum
           FROM (public.members m
             JOIN public.rollouts r ON ((r.id = m.rollout_id)))
          WHERE ((m.device_id = t.device_id) AND m.live AND (m.part = 0))), (0)::bigint)) AS version,
    COALESCE(( SELECT jsonb_agg(jsonb_build_array(e.app, e.service, e.image)) AS jsonb_agg
           FROM public.effective_services e
          WHERE (e.device_id = t.device_id)), '[]'::jsonb) AS images,
    (EXISTS ( SELECT
           FROM (public.members m
             JOIN public.rollouts r ON ((r.id = m.rollout_id)))
          WHERE ((m.device_id = t.device_id) AND m.live AND (m.taken_at IS NULL) AND public.is_offered(m.*, r.*)))) AS has_untaken_offer
   FROM (public.targets t
     JOIN public.devices d ON ((d.id = t.device_id)));

ALTER TABLE public.devices ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.devices_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.events (
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    seq bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    type text NOT NULL,
    rollout_id bigint,
    revision integer,
    device_uuid uuid,
    data jsonb NOT NULL,
    delivery_id bigint,
    entry_id bigint
);

ALTER TABLE public.events ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.events_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.forgotten_events (
    xid xid8 NOT NULL,
    seq bigint NOT NULL,
    part bigint NOT NULL,
    is_one boolean DEFAULT true NOT NULL,
    CONSTRAINT forgotten_events_is_one_check CHECK (is_one)
);

CREATE TABLE public.idempotency_keys (
    caller text NOT NULL,
    key text NOT NULL,
    action text NOT NULL,
    fingerprint bytea NOT NULL,
    subject text,
    at timestamp with time zone NOT NULL
);

CREATE TABLE public.known_images (
    id bigint NOT NULL,
    repository text NOT NULL,
    image text,
    status text NOT NULL,
    requested_at timestamp with time zone NOT NULL,
    decided_at timestamp with time zone,
    decided_by text,
    remark text,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT known_images_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'approved'::text, 'rejected'::text, 'deprecated'::text])))
);

ALTER TABLE public.known_images ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.known_images_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.measurements (
    id bigint NOT NULL,
    rollout_id bigint NOT NULL,
    stage integer NOT NULL,
    device_id bigint,
    name text NOT NULL,
    at timestamp with time zone NOT NULL,
    result text NOT NULL,
    detail text NOT NULL,
    CONSTRAINT measurements_result_check CHECK ((result = ANY (ARRAY['success'::text, 'failure'::text, 'inconclusive'::text, 'error'::text])))
);

ALTER TABLE public.measurements ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.measurements_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.measuring (
    rollout_id bigint NOT NULL,
    until timestamp with time zone NOT NULL
);

CREATE TABLE public.policies (
    id bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    deleted_at timestamp with time zone,
    settings jsonb NOT NULL,
    version integer DEFAULT 1 NOT NULL
);

ALTER TABLE public.policies ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.policies_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.polled_repositories (
    repository text NOT NULL,
    due_at timestamp with time zone NOT NULL,
    leased_until timestamp with time zone,
    failures integer DEFAULT 0 NOT NULL,
    problem text,
    asked_at timestamp with time zone,
    seen jsonb DEFAULT '{}'::jsonb NOT NULL
);

CREATE TABLE public.provisioning_keys (
    id bigint NOT NULL,
    hash bytea NOT NULL,
    fleet text,
    created_at timestamp with time zone NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    labels jsonb DEFAULT '{}'::jsonb NOT NULL,
    max_uses integer,
    uses integer DEFAULT 0 NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    needs_acceptance boolean DEFAULT false NOT NULL,
    created_by text DEFAULT ''::text NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT provisioning_keys_max_uses_check CHECK ((max_uses > 0))
);

ALTER TABLE public.provisioning_keys ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.provisioning_keys_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.pushes (
    id bigint NOT NULL,
    delivery_id bigint,
    source text NOT NULL,
    repository text NOT NULL,
    image text NOT NULL,
    resolved text,
    resolved_round integer,
    first_at timestamp with time zone NOT NULL,
    heard_at timestamp with time zone NOT NULL,
    round integer DEFAULT 1 NOT NULL,
    due_at timestamp with time zone,
    leased_until timestamp with time zone,
    attempts integer DEFAULT 0 NOT NULL,
    waits_for text
);

ALTER TABLE public.pushes ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.pushes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE SEQUENCE public.registry_versions
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE public.registries (
    host text NOT NULL,
    username text,
    password bytea,
    plain_http boolean NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    version integer DEFAULT nextval('public.registry_versions'::regclass) NOT NULL
);

CREATE TABLE public.releases (
    id bigint NOT NULL,
    policy_id bigint NOT NULL,
    repository text NOT NULL,
    identity text NOT NULL,
    first_seen_at timestamp with time zone NOT NULL,
    blocked_at timestamp with time zone,
    blocked_reason text,
    blocked_by text
);

ALTER TABLE public.releases ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.releases_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE public.rollouts ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.rollouts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE VIEW public.settled_events AS
 SELECT e.xid,
    e.seq,
    e.at,
    e.type,
    e.rollout_id,
    e.revision,
    e.device_uuid,
    e.data,
    e.delivery_id,
    e.entry_id,
    r.policy_id,
    r.fleet,
    m.status
   FROM ((public.events e
     LEFT JOIN public.rollouts r ON ((r.id = e.rollout_id)))
     LEFT JOIN public.moves m ON (((m.rollout_id = e.rollout_id) AND (m.revision = e.revision))))
  WHERE (e.xid < pg_snapshot_xmin(pg_current_snapshot()));

CREATE TABLE public.tokens (
    id bigint NOT NULL,
    name text NOT NULL,
    hash bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    role text NOT NULL,
    created_by text DEFAULT ''::text NOT NULL,
    last_used_at timestamp with time zone,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT tokens_role_check CHECK ((role = ANY (ARRAY['reader'::text, 'operator'::text, 'administrator'::text])))
);

ALTER TABLE public.tokens ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.tokens_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.webhook_endpoints (
    id bigint NOT NULL,
    name text NOT NULL,
    sender text NOT NULL,
    scheme text NOT NULL,
    default_host text,
    repositories text[] NOT NULL,
    audience text,
    service_account text,
    secret bytea,
    old_secret bytea,
    old_until timestamp with time zone,
    enabled boolean DEFAULT true NOT NULL,
    created_at timestamp with time zone NOT NULL,
    rotated_at timestamp with time zone NOT NULL,
    deleted_at timestamp with time zone,
    version integer DEFAULT 1 NOT NULL
);

ALTER TABLE public.webhook_endpoints ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.webhook_endpoints_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.current_states
    ADD CONSTRAINT current_states_pkey PRIMARY KEY (device_id);

ALTER TABLE ONLY public.decisions
    ADD CONSTRAINT decisions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT deliveries_endpoint_id_sender_key_key UNIQUE NULLS NOT DISTINCT (endpoint_id, sender, key);

ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT deliveries_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.devices
    ADD CONSTRAINT devices_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.devices
    ADD CONSTRAINT devices_uuid_key UNIQUE (uuid);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (xid, seq);

ALTER TABLE ONLY public.forgotten_events
    ADD CONSTRAINT forgotten_events_pkey PRIMARY KEY (is_one);

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (caller, key);

ALTER TABLE ONLY public.known_images
    ADD CONSTRAINT known_images_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.known_images
    ADD CONSTRAINT known_images_repository_image_key UNIQUE NULLS NOT DISTINCT (repository, image);

ALTER TABLE ONLY public.measurements
    ADD CONSTRAINT measurements_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.measuring
    ADD CONSTRAINT measuring_pkey PRIMARY KEY (rollout_id);

ALTER TABLE ONLY public.members
    ADD CONSTRAINT members_pkey PRIMARY KEY (rollout_id, rank, part);

ALTER TABLE ONLY public.moves
    ADD CONSTRAINT moves_pkey PRIMARY KEY (rollout_id, revision);

ALTER TABLE ONLY public.policies
    ADD CONSTRAINT policies_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.polled_repositories
    ADD CONSTRAINT polled_repositories_pkey PRIMARY KEY (repository);

ALTER TABLE ONLY public.provisioning_keys
    ADD CONSTRAINT provisioning_keys_hash_key UNIQUE (hash);

ALTER TABLE ONLY public.provisioning_keys
    ADD CONSTRAINT provisioning_keys_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.pushes
    ADD CONSTRAINT pushes_delivery_id_image_key UNIQUE (delivery_id, image);

ALTER TABLE ONLY public.pushes
    ADD CONSTRAINT pushes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.registries
    ADD CONSTRAINT registries_pkey PRIMARY KEY (host);

ALTER TABLE ONLY public.releases
    ADD CONSTRAINT releases_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.releases
    ADD CONSTRAINT releases_policy_id_repository_identity_key UNIQUE (policy_id, repository, identity);

ALTER TABLE ONLY public.rollouts
    ADD CONSTRAINT rollouts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.services
    ADD CONSTRAINT services_pkey PRIMARY KEY (device_id, app, service);

ALTER TABLE ONLY public.targets
    ADD CONSTRAINT targets_pkey PRIMARY KEY (device_id);

ALTER TABLE ONLY public.tokens
    ADD CONSTRAINT tokens_hash_key UNIQUE (hash);

ALTER TABLE ONLY public.tokens
    ADD CONSTRAINT tokens_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.webhook_endpoints
    ADD CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (id);

CREATE INDEX audit_by_age ON public.audit USING btree (at);

CREATE INDEX audit_of_action ON public.audit USING btree (action, id);

CREATE INDEX audit_of_actor ON public.audit USING btree (actor, id);

CREATE INDEX audit_of_subject ON public.audit USING btree (subject_type, subject_key, id);

CREATE INDEX changes_by_xid ON public.changes USING btree (xid);

CREATE INDEX decisions_of_push ON public.decisions USING btree (push_id, id);

CREATE INDEX decisions_of_rollout ON public.decisions USING btree (rollout_id, push_id) WHERE (rollout_id IS NOT NULL);

CREATE INDEX decisions_that_started ON public.decisions USING btree (rollout_id) WHERE started;

CREATE INDEX deliveries_by_age ON public.deliveries USING btree (received_at);

CREATE INDEX deliveries_of_endpoint ON public.deliveries USING btree (endpoint_id, id);

CREATE INDEX devices_by_fleet ON public.devices USING btree (fleet, id);

CREATE INDEX devices_by_labels ON public.devices USING gin (labels jsonb_path_ops);

CREATE INDEX devices_by_name ON public.devices USING btree (lower(name), id);

CREATE INDEX devices_of_provisioning_key ON public.devices USING btree (provisioning_key_id, id);

CREATE INDEX events_of_rollout ON public.events USING btree (rollout_id, xid, seq);

CREATE INDEX idempotency_keys_by_age ON public.idempotency_keys USING btree (at);

CREATE INDEX known_images_by_status ON public.known_images USING btree (status, id);

CREATE INDEX measurements_of_batch ON public.measurements USING btree (rollout_id, stage, device_id, name, id);

CREATE INDEX members_to_fold ON public.members USING btree (rollout_id) WHERE live;

CREATE INDEX members_to_retry ON public.members USING btree (retry_at) WHERE ((retry_at IS NOT NULL) AND live);

CREATE INDEX members_to_wake ON public.members USING btree (rollout_id) WHERE ((deferred_at IS NOT NULL) AND live);

CREATE UNIQUE INDEX one_active_rollout ON public.rollouts USING btree (policy_id, repository) WHERE (status = ANY (ARRAY['enrolling'::text, 'pending'::text, 'in_progress'::text, 'paused'::text]));

CREATE UNIQUE INDEX one_live_rollout_per_image ON public.members USING btree (device_id, repository) WHERE live;

CREATE UNIQUE INDEX one_place_per_rollout ON public.members USING btree (device_id, rollout_id, part);

CREATE INDEX policies_of_fleet ON public.policies USING btree (((settings ->> 'fleet'::text)), id) WHERE (deleted_at IS NULL);

CREATE INDEX provisioning_keys_of_fleet ON public.provisioning_keys USING btree (fleet, id);

CREATE INDEX pushes_due ON public.pushes USING btree (due_at, id) WHERE (due_at IS NOT NULL);

CREATE INDEX pushes_of_repository ON public.pushes USING btree (repository, id);

CREATE INDEX pushes_undecided ON public.pushes USING btree (repository) WHERE (due_at IS NOT NULL);

CREATE INDEX rollouts_of_fleet ON public.rollouts USING btree (fleet, id);

CREATE INDEX rollouts_of_policy ON public.rollouts USING btree (policy_id, id);

CREATE INDEX rollouts_of_release ON public.rollouts USING btree (release_id, id);

CREATE INDEX rollouts_that_move ON public.rollouts USING btree (id) WHERE ((status = ANY (ARRAY['enrolling'::text, 'pending'::text, 'in_progress'::text, 'rolling_back'::text])) OR ((zones <> '[]'::jsonb) AND (frontier > 0)));

CREATE INDEX services_by_image ON public.services USING btree (repository, image, device_id);

CREATE TRIGGER note_end AFTER DELETE ON public.devices FOR EACH ROW EXECUTE FUNCTION public.note_device();

CREATE TRIGGER note_key AFTER UPDATE OF key_hash, old_key_hash, old_key_until, revoked_at, is_waiting ON public.devices FOR EACH ROW WHEN ((((((old.key_hash IS DISTINCT FROM new.key_hash) OR (old.old_key_hash IS DISTINCT FROM new.old_key_hash)) OR (old.old_key_until IS DISTINCT FROM new.old_key_until)) OR (old.revoked_at IS DISTINCT FROM new.revoked_at)) OR (old.is_waiting IS DISTINCT FROM new.is_waiting))) EXECUTE FUNCTION public.note_device();

CREATE TRIGGER note_member AFTER UPDATE OF skipped_at, withdrawn_at, deferred_at, retries ON public.members FOR EACH ROW WHEN (((new.part = 0) AND ((((old.skipped_at IS DISTINCT FROM new.skipped_at) OR (old.withdrawn_at IS DISTINCT FROM new.withdrawn_at)) OR (old.deferred_at IS DISTINCT FROM new.deferred_at)) OR (old.retries IS DISTINCT FROM new.retries)))) EXECUTE FUNCTION public.note_device_of();

CREATE TRIGGER note_move AFTER UPDATE OF status, frontier, reached, revision, zones ON public.rollouts FOR EACH ROW EXECUTE FUNCTION public.note_rollout();

CREATE TRIGGER note_target AFTER UPDATE OF apps, config ON public.targets FOR EACH ROW EXECUTE FUNCTION public.note_device_of();

CREATE TRIGGER raise_version BEFORE UPDATE OF name, type, fleet, labels, aside, aside_until, aside_at, aside_by, aside_reason, is_waiting, revoked_at, key_hash ON public.devices FOR EACH ROW WHEN (((((((((((((old.name IS DISTINCT FROM new.name) OR (old.type IS DISTINCT FROM new.type)) OR (old.fleet IS DISTINCT FROM new.fleet)) OR (old.labels IS DISTINCT FROM new.labels)) OR (old.aside IS DISTINCT FROM new.aside)) OR (old.aside_until IS DISTINCT FROM new.aside_until)) OR (old.aside_at IS DISTINCT FROM new.aside_at)) OR (old.aside_by IS DISTINCT FROM new.aside_by)) OR (old.aside_reason IS DISTINCT FROM new.aside_reason)) OR (old.is_waiting IS DISTINCT FROM new.is_waiting)) OR (old.revoked_at IS DISTINCT FROM new.revoked_at)) OR ((old.key_hash IS NULL) IS DISTINCT FROM (new.key_hash IS NULL)))) EXECUTE FUNCTION public.raise_version();

CREATE TRIGGER raise_version BEFORE UPDATE ON public.known_images FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.raise_version();

CREATE TRIGGER raise_version BEFORE UPDATE ON public.policies FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.raise_version();

CREATE TRIGGER raise_version BEFORE UPDATE OF revoked_at ON public.provisioning_keys FOR EACH ROW WHEN ((old.revoked_at IS DISTINCT FROM new.revoked_at)) EXECUTE FUNCTION public.raise_version();

CREATE TRIGGER raise_version BEFORE UPDATE OF revoked_at ON public.tokens FOR EACH ROW WHEN ((old.revoked_at IS DISTINCT FROM new.revoked_at)) EXECUTE FUNCTION public.raise_version();

CREATE TRIGGER raise_version BEFORE UPDATE ON public.webhook_endpoints FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.raise_version();

ALTER TABLE ONLY public.current_states
    ADD CONSTRAINT current_states_device_id_fkey FOREIGN KEY (device_id) REFERENCES public.devices(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.decisions
    ADD CONSTRAINT decisions_policy_id_fkey FOREIGN KEY (policy_id) REFERENCES public.policies(id);

ALTER TABLE ONLY public.decisions
    ADD CONSTRAINT decisions_push_id_fkey FOREIGN KEY (push_id) REFERENCES public.pushes(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.decisions
    ADD CONSTRAINT decisions_rollout_id_fkey FOREIGN KEY (rollout_id) REFERENCES public.rollouts(id);

ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT deliveries_endpoint_id_fkey FOREIGN KEY (endpoint_id) REFERENCES public.webhook_endpoints(id);

ALTER TABLE ONLY public.devices
    ADD CONSTRAINT devices_provisioning_key_id_fkey FOREIGN KEY (provisioning_key_id) REFERENCES public.provisioning_keys(id);

ALTER TABLE ONLY public.measurements
    ADD CONSTRAINT measurements_device_id_fkey FOREIGN KEY (device_id) REFERENCES public.devices(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.measurements
    ADD CONSTRAINT measurements_rollout_id_fkey FOREIGN KEY (rollout_id) REFERENCES public.rollouts(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.measuring
    ADD CONSTRAINT measuring_rollout_id_fkey FOREIGN KEY (rollout_id) REFERENCES public.rollouts(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.members
    ADD CONSTRAINT members_device_id_fkey FOREIGN KEY (device_id) REFERENCES public.devices(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.members
    ADD CONSTRAINT members_rollout_id_fkey FOREIGN KEY (rollout_id) REFERENCES public.rollouts(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.moves
    ADD CONSTRAINT moves_rollout_id_fkey FOREIGN KEY (rollout_id) REFERENCES public.rollouts(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.pushes
    ADD CONSTRAINT pushes_delivery_id_fkey FOREIGN KEY (delivery_id) REFERENCES public.deliveries(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.releases
    ADD CONSTRAINT releases_policy_id_fkey FOREIGN KEY (policy_id) REFERENCES public.policies(id);

ALTER TABLE ONLY public.rollouts
    ADD CONSTRAINT rollouts_policy_id_fkey FOREIGN KEY (policy_id) REFERENCES public.policies(id);

ALTER TABLE ONLY public.rollouts
    ADD CONSTRAINT rollouts_release_id_fkey FOREIGN KEY (release_id) REFERENCES public.releases(id);

ALTER TABLE ONLY public.services
    ADD CONSTRAINT services_device_id_fkey FOREIGN KEY (device_id) REFERENCES public.devices(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.targets
    ADD CONSTRAINT targets_device_id_fkey FOREIGN KEY (device_id) REFERENCES public.devices(id) ON DELETE CASCADE;
