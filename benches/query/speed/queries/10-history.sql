-- One customer's last payments.
select transaction_id, tx_datetime, terminal_id, tx_amount, fraud_score, decision
from payments_scored
where customer_id = 1234
order by tx_datetime desc, transaction_id
limit 200
