-- Who devices are, and who lets them in.
-- depends: 0004_registries

-- migrate: apply

alter table provisioning_keys
    add column name             text not null default '',
    add column labels           jsonb not null default '{}',      -- written on whoever registers with it
    add column max_uses         integer check (max_uses > 0),     -- null: no limit
    add column uses             integer not null default 0,
    add column expires_at       timestamptz,                      -- null: never
    add column revoked_at       timestamptz,
    add column needs_acceptance boolean not null default false,   -- its devices get nothing until an operator accepts them
    add column created_by       text not null default '';

alter table devices
    alter column key_hash drop not null,                          -- null: an operator let it register anew, with another key
    add column old_key_hash       bytea,
    add column old_key_until      timestamptz,                    -- until then the key it had before opens too
    add column public_key         bytea,                          -- Ed25519, of agents that sign
    add column challenge          bytea,                          -- what such an agent has to sign
    add column is_waiting         boolean not null default false, -- for an operator to accept it
    add column revoked_at         timestamptz,
    add column provisioning_key_id bigint references provisioning_keys (id);

-- migrate: rollback

do $$ begin raise exception 'restore a backup from before'; end $$;
