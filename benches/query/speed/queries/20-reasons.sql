-- In how many reviewed and declined payments was the terminal's risk a reason?
select decision, tx_fraud, count(*) as payments
from payments_scored
where reasons like '%terminal_risk_7d%'
group by decision, tx_fraud
order by decision, tx_fraud
