-- Each month: different customers and terminals.
select date_trunc('month', tx_datetime) as month, count(distinct customer_id) as customers,
    count(distinct terminal_id) as terminals
from payments_scored
group by date_trunc('month', tx_datetime)
order by month
