-- Frauds by the hour of the day.
select extract(hour from tx_datetime) as hour, count(*) as payments, sum(tx_fraud) as frauds
from payments_scored
group by extract(hour from tx_datetime)
order by hour
