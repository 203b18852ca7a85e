-- Each day: payments, money, and what was declined.
select event_date, count(*) as payments, sum(tx_amount) as amount,
    sum(case when decision = 'decline' then tx_amount else 0 end) as declined
from payments_scored
group by event_date
order by event_date
