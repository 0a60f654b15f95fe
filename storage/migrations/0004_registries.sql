-- Who tells us of pushes, what they told, and what came of it; registries that may be asked; images that were approved.
-- depends: 0003_pairs

-- migrate: apply

create table webhook_endpoints (
    id              bigint generated always as identity primary key,
    name            text not null,
    sender          text not null,
    scheme          text not null,
    default_host    text,
    repositories    text[] not null,
    audience        text,
    service_account text,
    secret          bytea, -- encrypted: whoever checks a signature must know the secret itself
    old_secret      bytea, -- the one before, which counts until then
    old_until       timestamptz,
    enabled         boolean not null default true,
    created_at      timestamptz not null,
    rotated_at      timestamptz not null,
    deleted_at      timestamptz -- a deleted endpoint keeps its row, for the history of its deliveries
);

-- What a sender posted, once however often it posted it.
create table deliveries (
    id          bigint generated always as identity primary key,
    endpoint_id bigint references webhook_endpoints, -- null: the address that all senders share
    sender      text not null,
    key         text not null, -- the sender's own id for it, else a hash of the body
    headers     jsonb not null,
    body        bytea not null,
    received_at timestamptz not null,
    last_at     timestamptz not null,
    times       integer not null default 1,
    unique nulls not distinct (endpoint_id, sender, key)
);
create index deliveries_of_endpoint on deliveries (endpoint_id, id);
create index deliveries_by_age on deliveries (received_at);

-- An image that somebody says was pushed: a queue for as long as due_at says when to look at it.
create table pushes (
    id             bigint generated always as identity primary key,
    delivery_id    bigint references deliveries on delete cascade, -- null: found by asking the registry
    source         text not null, -- the sender, or "polling"
    repository     text not null,
    image          text not null, -- as it was told
    resolved       text,          -- the same with the digest that its registry gave
    resolved_round integer,       -- in which round it gave that; in another it is out of date
    first_at       timestamptz not null,
    heard_at       timestamptz not null, -- when it was told last; what a registry said before that is out of date
    round          integer not null default 1, -- rises with every time it is to be decided anew
    due_at         timestamptz,
    leased_until   timestamptz,   -- somebody looks at it until then
    attempts       integer not null default 0,
    waits_for      text,
    unique (delivery_id, image)
);
create index pushes_due on pushes (due_at, id) where due_at is not null;
create index pushes_undecided on pushes (repository) where due_at is not null;
create index pushes_of_repository on pushes (repository, id);

-- What came of a push, policy by policy; those of the round before last stay, unless they said the same.
create table decisions (
    id         bigint generated always as identity primary key,
    push_id    bigint not null references pushes on delete cascade,
    policy_id  bigint references policies, -- null: no policy matched
    round      integer not null,
    image      text not null,
    rollout_id bigint references rollouts,
    started    boolean not null,
    decision   text not null,
    at         timestamptz not null
);
create index decisions_of_push on decisions (push_id, id);
create index decisions_that_started on decisions (rollout_id) where started;

-- The registries that may be asked.
create table registries (
    host       text primary key,
    username   text,
    password   bytea, -- encrypted
    plain_http boolean not null,
    updated_at timestamptz not null
);

-- What operators said of images: of a whole repository, or of a release of it.
create table known_images (
    id           bigint generated always as identity primary key,
    repository   text not null,
    image        text,  -- null: the repository
    status       text not null check (status in ('pending', 'approved', 'rejected', 'deprecated')),
    requested_at timestamptz not null,
    decided_at   timestamptz,
    decided_by   text,
    remark       text,
    unique nulls not distinct (repository, image)
);
create index known_images_by_status on known_images (status, id);

-- What asking a registry again and again has shown; whoever holds the lease asks.
create table polled_repositories (
    repository   text primary key,
    due_at       timestamptz not null,
    leased_until timestamptz,
    failures     integer not null default 0,
    problem      text,
    asked_at     timestamptz, -- when it last answered
    seen         jsonb not null default '{}' -- the digest of each tag, as it was last time
);

-- migrate: rollback

drop table polled_repositories, known_images, registries, decisions, pushes, deliveries, webhook_endpoints;
