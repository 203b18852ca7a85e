-- The customers who spend the most.
select customer_id, count(*) as payments, sum(tx_amount) as amount
from payments_scored
group by customer_id
order by amount desc, customer_id
limit 20
