-- What belongs to many is read in one statement, a page for each: by an index that holds the page together.
-- depends: 0008_keeping

-- migrate: apply

create index devices_of_provisioning_key on devices (provisioning_key_id, id);
create index decisions_of_rollout on decisions (rollout_id, push_id) where rollout_id is not null;
create index rollouts_of_policy on rollouts (policy_id, id);
create index rollouts_of_fleet on rollouts (fleet, id);
create index policies_of_fleet on policies ((settings ->> 'fleet'), id) where deleted_at is null;
create index provisioning_keys_of_fleet on provisioning_keys (fleet, id);

-- migrate: rollback

do $$ begin raise exception 'restore a backup from before'; end $$;
