-- How many payments are there?
select count(*) as payments from payments_scored
