-- Large declined payments, all columns.
select *
from payments_scored
where decision = 'decline' and tx_amount > 500
order by tx_amount desc, transaction_id
limit 100
