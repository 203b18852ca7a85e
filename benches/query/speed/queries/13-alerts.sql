-- What became of alerts: joined with all payments by the payment.
select a.decision, p.tx_fraud, count(*) as alerts, sum(p.tx_amount) as amount
from alerts a
join payments_scored p on p.transaction_id = a.transaction_id
group by a.decision, p.tx_fraud
order by a.decision, p.tx_fraud
