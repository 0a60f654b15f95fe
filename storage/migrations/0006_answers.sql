-- What each process has to know to answer polls from memory: which devices and rollouts changed, in whichever transaction.
-- depends: 0005_identity

-- migrate: apply

-- Read by “visible now and not visible then”, so nothing is skipped and nothing waits for transactions that are still open.
create table changes (
    xid         xid8 not null default pg_current_xact_id(),
    at          timestamptz not null default now(),
    device      uuid,
    rollout_id  bigint,
    is_enrolled boolean not null default false -- the rollout's members have just been ranked
);

create index changes_by_xid on changes (xid);

-- Triggers, so that no statement, not even one typed by hand, can change what a device is told behind the backs of the others.
create function note_device() returns trigger language plpgsql as $$
begin
    insert into changes (device) values (coalesce(new.uuid, old.uuid));
    return null;
end $$;

create function note_device_of() returns trigger language plpgsql as $$
begin
    insert into changes (device) select uuid from devices where id = new.device_id;
    return null;
end $$;

create function note_rollout() returns trigger language plpgsql as $$
begin
    insert into changes (rollout_id, is_enrolled) values (new.id, old.status = 'enrolling' and new.status <> 'enrolling');
    return null;
end $$;

create trigger note_key after update of key_hash, old_key_hash, old_key_until, revoked_at, is_waiting on devices
    for each row when ((old.key_hash, old.old_key_hash, old.old_key_until, old.revoked_at, old.is_waiting)
           is distinct from (new.key_hash, new.old_key_hash, new.old_key_until, new.revoked_at, new.is_waiting))
    execute function note_device();

create trigger note_end after delete on devices for each row execute function note_device();

-- Not its version alone, which rises when a rollout is folded: that changes nothing a device sees.
create trigger note_target after update of apps, config on targets for each row execute function note_device_of();

-- Nor who is ranked: a million at once, whom each process reads by rank.
create trigger note_member after update of skipped_at, withdrawn_at, deferred_at, retries on members
    for each row when (new.part = 0 and (old.skipped_at, old.withdrawn_at, old.deferred_at, old.retries)
                       is distinct from (new.skipped_at, new.withdrawn_at, new.deferred_at, new.retries))
    execute function note_device_of();

create trigger note_move after update of status, frontier, reached, revision, zones on rollouts
    for each row execute function note_rollout();

-- migrate: rollback

do $$ begin raise exception 'restore a backup from before'; end $$;
