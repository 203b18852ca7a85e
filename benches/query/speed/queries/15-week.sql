-- The money of each day with the six days before.
-- polars: sum(tx_amount) as amount => cast(sum(tx_amount) as double) as amount
with daily as (
    select event_date, sum(tx_amount) as amount from payments_scored group by event_date
)
select event_date, amount,
    sum(amount) over (order by event_date rows between 6 preceding and current row) as week
from daily
order by event_date
