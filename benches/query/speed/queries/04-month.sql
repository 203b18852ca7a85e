-- One month by kind of fraud: days are a partition of the table.
select tx_fraud_scenario, count(*) as payments, sum(tx_amount) as amount,
    max(fraud_score) as highest
from payments_scored
where event_date between date '2018-06-01' and date '2018-06-30'
group by tx_fraud_scenario
order by tx_fraud_scenario
