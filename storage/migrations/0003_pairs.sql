-- Of devices that share a label's value, one that failed for good keeps the others from being updated until it is mended.
-- depends: 0002_engine

-- migrate: apply

-- Without any time to poll nobody would get a turn.
update policies set settings = settings || '{"pickup_minutes": 15}' where (settings ->> 'pickup_minutes')::float <= 0;

drop function is_on_its_way;

-- Nothing more is expected of it by itself, and it may not be working.
create function is_stuck(m members, r rollouts, at timestamptz) returns boolean language sql stable parallel safe as $$
    select case member_status(m, r, at)
        when 'rolling_back' then coalesce(m.withdrawn_at, r.frontier_at) + r.deadline <= at
        else member_status(m, r, at) in ('failed', 'unhealthy', 'timed_out')
    end
$$;

create function may_be_down(m members, r rollouts, at timestamptz) returns boolean language sql stable parallel safe as $$
    select is_stuck(m, r, at) or case member_status(m, r, at)
        when 'updated' then r.health_check_enabled
        else member_status(m, r, at) in ('scheduled', 'updating', 'retrying', 'rolling_back')
    end
$$;

-- migrate: rollback

do $$ begin raise exception 'restore a backup from before'; end $$;
