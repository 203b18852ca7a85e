-- A table of loans, and changes of every kind: examples/loans-postgres.toml reads it.
create type loan_status as enum ('current', 'late', 'default', 'paid');
create table loans (
  loan_id   bigint primary key,
  lender_id text not null,
  status    loan_status not null,
  balance   numeric(14,2) not null,
  opened    date not null,
  changed   timestamptz not null default now(),
  note      text
);
insert into loans
  select n, 'lender-' || n % 5, 'current', 1000 + n * 10.01, date '2024-01-01' + (n % 300)::int, now(), repeat('note ', n % 7)
  from generate_series(1, 1000) n;
update loans set status = 'late', changed = now() where loan_id % 10 = 0;
update loans set lender_id = 'lender-9' where loan_id % 50 = 0;
delete from loans where loan_id % 100 = 99;
begin;
update loans set balance = 0;
rollback;
update loans set loan_id = 100000 + loan_id where loan_id <= 3;
