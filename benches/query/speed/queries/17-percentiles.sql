-- The median and the 99th percentile of the score by weekend and night.
-- polars: percentile_cont(0.5) within group (order by fraud_score) => quantile_cont(fraud_score, 0.5)
-- polars: percentile_cont(0.99) within group (order by fraud_score) => quantile_cont(fraud_score, 0.99)
select tx_during_weekend, tx_during_night,
    percentile_cont(0.5) within group (order by fraud_score) as median,
    percentile_cont(0.99) within group (order by fraud_score) as p99
from payments_scored
group by tx_during_weekend, tx_during_night
order by tx_during_weekend, tx_during_night
