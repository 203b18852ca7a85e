-- What customers spend after their first fraud, by decision.
with first_fraud as (
    select customer_id, min(tx_datetime) as first_at
    from payments_scored
    where tx_fraud = 1
    group by customer_id
)
select p.decision, count(*) as payments, sum(p.tx_amount) as amount
from payments_scored p
join first_fraud f on f.customer_id = p.customer_id
where p.tx_datetime > f.first_at
group by p.decision
order by p.decision
