-- The three largest payments of each day of a quarter.
select event_date, place, transaction_id, tx_amount
from (
    select event_date, transaction_id, tx_amount,
        row_number() over (partition by event_date order by tx_amount desc, transaction_id) as place
    from payments_scored
    where event_date >= date '2018-07-01'
) ranked
where place <= 3
order by event_date, place
