-- Who may do what, who did what, what is not done twice, and what is not overwritten unread.
-- depends: 0007_fleet

-- migrate: apply

alter table tokens
    add column role         text not null default 'administrator' check (role in ('reader', 'operator', 'administrator')),
    add column created_by   text not null default '',
    add column last_used_at timestamptz,                          -- to the minute
    add column expires_at   timestamptz,                          -- null: never
    add column revoked_at   timestamptz;
alter table tokens alter column role drop default;               -- those from before were made by whoever has the machine

-- What an operator asked for and got, as it was then: nothing that it names need still be there.
create table audit (
    id           bigint generated always as identity primary key,
    at           timestamptz not null,
    actor        text not null,
    token_id     bigint,
    action       text not null,
    subject_type text not null,
    subject_key  text not null,
    details      jsonb not null,                                  -- never a secret
    request_id   text
);

create index audit_of_subject on audit (subject_type, subject_key, id);
create index audit_of_actor on audit (actor, id);
create index audit_of_action on audit (action, id);
create index audit_by_age on audit (at);

-- What was made for a key, so that whoever asks again, not having heard the answer, gets the same and not a second one.
create table idempotency_keys (
    caller      text not null,
    key         text not null,
    action      text not null,
    fingerprint bytea not null,                                   -- of the request: another one under the same key is refused
    subject     text,                                             -- null only within the transaction that makes it
    at          timestamptz not null,
    primary key (caller, key)
);

create index idempotency_keys_by_age on idempotency_keys (at);

alter table policies          add column version integer not null default 1;
alter table devices           add column version integer not null default 1;
alter table webhook_endpoints add column version integer not null default 1;
alter table provisioning_keys add column version integer not null default 1;
alter table known_images      add column version integer not null default 1;
alter table tokens            add column version integer not null default 1;

-- A registry that is removed and named again must not have a version that somebody read before.
create sequence registry_versions as integer;
alter table registries add column version integer not null default nextval('registry_versions');

-- Triggers, so that no statement, not even one typed by hand, can change what somebody has read and leave its version.
create function raise_version() returns trigger language plpgsql as $$
begin
    new.version := old.version + 1;
    return new;
end $$;

create trigger raise_version before update on policies
    for each row when (old.* is distinct from new.*) execute function raise_version();

create trigger raise_version before update on webhook_endpoints
    for each row when (old.* is distinct from new.*) execute function raise_version();

create trigger raise_version before update on known_images
    for each row when (old.* is distinct from new.*) execute function raise_version();

-- Not for how often a key, or when a token was used.
create trigger raise_version before update of revoked_at on provisioning_keys
    for each row when (old.revoked_at is distinct from new.revoked_at) execute function raise_version();

create trigger raise_version before update of revoked_at on tokens
    for each row when (old.revoked_at is distinct from new.revoked_at) execute function raise_version();

-- Nor for what devices say, poll or prove: of their keys, only that an operator took them away and that there is one again.
create trigger raise_version
    before update of name, type, fleet, labels, aside, aside_until, aside_at, aside_by, aside_reason, is_waiting, revoked_at, key_hash
    on devices
    for each row when ((old.name, old.type, old.fleet, old.labels, old.aside, old.aside_until, old.aside_at, old.aside_by,
                        old.aside_reason, old.is_waiting, old.revoked_at, old.key_hash is null)
           is distinct from (new.name, new.type, new.fleet, new.labels, new.aside, new.aside_until, new.aside_at, new.aside_by,
                             new.aside_reason, new.is_waiting, new.revoked_at, new.key_hash is null))
    execute function raise_version();

-- migrate: rollback

do $$ begin raise exception 'restore a backup from before'; end $$;
