-- The terminals with the most frauds, with the highest risk that was seen there.
select terminal_id, count(*) as payments, sum(tx_fraud) as frauds,
    max(terminal_risk_7d) as risk
from payments_scored
group by terminal_id
having sum(tx_fraud) >= 5
order by frauds desc, terminal_id
limit 20
