-- Each lender's book as of the newest day.
select distinct on (lender_id) lender_id, currency, as_of, n_loans_open,
    outstanding_balance_cents, par30, par90, arrears_rate, revision
from portfolio
order by lender_id, as_of desc, revision desc
