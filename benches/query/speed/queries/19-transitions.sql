-- Moves between statuses in days that are over, newest revisions only.
select old_status, new_status, sum(n_events) as moves, sum(sum_balance_cents) as cents
from (
    select old_status, new_status, n_events, sum_balance_cents,
        row_number() over (partition by lender_id, currency, old_status, new_status, "window",
            window_end order by revision desc) as newest
    from loan_transitions
    where "window" = '1d'
) revisions
where newest = 1
group by old_status, new_status
order by old_status, new_status
