-- Deliveries and what was changed are followed in the same order as what happens to rollouts, and old events are forgotten.
-- depends: 0009_sets

-- migrate: apply

alter table events
    add column delivery_id bigint, -- what it is about may be forgotten earlier, or later
    add column entry_id    bigint;

-- Events as readers are told them, each with what its rollout was by then: of transactions older than every one still running, so that
-- nothing is skipped, whatever order transactions commit in.
create view settled_events as
select e.*, r.policy_id, r.fleet, m.status
  from events e
  left join rollouts r on r.id = e.rollout_id
  left join moves m on m.rollout_id = e.rollout_id and m.revision = e.revision
 where e.xid < pg_snapshot_xmin(pg_current_snapshot());

-- Everything up to here is forgotten, and nothing after it: part is how many devices the last one that was forgotten stood for.
create table forgotten_events (
    xid    xid8 not null,
    seq    bigint not null,
    part   bigint not null,
    is_one boolean primary key default true check (is_one)
);
insert into forgotten_events (xid, seq, part) values ('0', 0, 0);

-- migrate: rollback

do $$ begin raise exception 'restore a backup from before'; end $$;
