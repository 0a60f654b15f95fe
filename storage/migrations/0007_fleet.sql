-- Devices by their labels, policies for some of them, and who has gone silent.
-- depends: 0006_answers

-- migrate: apply

-- is_offline: gone silent, and told so. last_seen_at changes all the time: no index may name it, and pages leave room for that.
alter table devices add is_offline boolean not null default false, set (fillfactor = 80);
create index devices_by_labels on devices using gin (labels jsonb_path_ops);
create index devices_by_name on devices (lower(name), id);

-- Whether labels are meant by a selector as domain/selectors.py writes it; null for none. The path does it all: written as loops over
-- terms it took ten times as long, and found nothing by the index on labels.
create function selects(selector jsonb, labels jsonb) returns boolean language sql immutable parallel safe as $$
    select labels @@ (selector ->> 'path')::jsonpath
$$;

alter table rollouts add selector jsonb; -- only devices with such labels, as the policy said when it was created; null: all

drop function choice_together, choice;

-- Each device that runs an image of this repository, and why a rollout of an image to a fleet leaves it out; null: it takes part.
-- The only place this is said: members are enrolled by it, and previews counted. `superseded` are rollouts that are about to end.
create function choice(repository text, image text, newer text[], fleet text, except_fleets text[], selector jsonb, superseded bigint[],
                       at timestamptz)
returns table (device_id bigint, device_fleet text, why_not text, rollout_id bigint) language sql stable parallel safe as $$
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

-- The same for images that move together: a device takes part if it needs one of them, and none of those it runs is a reason to
-- leave it out.
create function choice_together(repositories text[], images text[], newer text[], fleet text, except_fleets text[], selector jsonb,
                                superseded bigint[], at timestamptz)
returns table (device_id bigint, device_fleet text, why_not text, rollout_id bigint) language sql stable parallel safe as $$
    select c.device_id, c.device_fleet,
           coalesce(min(c.why_not) filter (where c.why_not <> 'same_image'), case when count(*) = count(c.why_not) then 'same_image' end),
           max(c.rollout_id)
      from unnest(choice_together.repositories, choice_together.images) as brought (repository, image),
           choice(brought.repository, brought.image, choice_together.newer, choice_together.fleet, choice_together.except_fleets,
                  choice_together.selector, choice_together.superseded, choice_together.at) as c
     group by c.device_id, c.device_fleet
$$;

-- migrate: rollback

do $$ begin raise exception 'restore a backup from before'; end $$;
