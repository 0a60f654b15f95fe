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

-- As in 0002, and without devices that are let in no more, or not yet.
create or replace function choice(repository text, image text, newer text[], fleet text, except_fleets text[], superseded bigint[],
                                  at timestamptz)
returns table (device_id bigint, device_fleet text, why_not text, rollout_id bigint) language sql stable parallel safe as $$
    select d.id, d.fleet,
           case
               when d.fleet = any (choice.except_fleets) then 'own_policy'
               when d.fleet is distinct from coalesce(choice.fleet, d.fleet) then 'other_fleet'
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

-- migrate: rollback

do $$ begin raise exception 'restore a backup from before'; end $$;
