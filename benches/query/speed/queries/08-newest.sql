-- The newest payments, most columns of them.
select transaction_id, tx_datetime, customer_id, terminal_id, tx_amount, customer_nb_tx_1d,
    customer_avg_amount_7d, terminal_nb_tx_30d, terminal_risk_30d, fraud_score, decision, reasons
from payments_scored
order by tx_datetime desc, transaction_id desc
limit 20
