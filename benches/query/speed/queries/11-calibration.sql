-- How many payments of each tenth of the score were frauds?
select floor(fraud_score * 10) as tenth, count(*) as payments, sum(tx_fraud) as frauds,
    avg(fraud_score) as score
from payments_scored
group by floor(fraud_score * 10)
order by tenth
