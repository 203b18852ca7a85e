-- How were payments decided, and how many of them were frauds, of how much money?
select decision, count(*) as payments, sum(tx_fraud) as frauds, sum(tx_amount) as amount
from payments_scored
group by decision
order by decision
