//! One day of payments.

use crate::generate::cards::spec::GeneratorSpec;
use crate::generate::cards::world::{World, below};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

const DAY_SECONDS: f64 = 86_400.0;
/// Amounts above 220.00 are fraud (scenario 1).
const LARGE_CENTS: u32 = 22_000;
const TERMINALS_COMPROMISED_PER_DAY: usize = 2;
const TERMINAL_COMPROMISED_DAYS: u32 = 28;
const CUSTOMERS_COMPROMISED_PER_DAY: usize = 3;
const CUSTOMER_COMPROMISED_DAYS: u32 = 14;
const COMPROMISED_AMOUNT_FACTOR: u32 = 5;

/// A payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Payment {
    /// Position in the day by time; the transaction id is this plus the rows of the days before.
    pub(crate) number: u32,
    /// Seconds since midnight.
    pub(crate) second: u32,
    pub(crate) customer: u32,
    pub(crate) terminal: u32,
    pub(crate) cents: u32,
    /// 0: genuine.
    pub(crate) scenario: u8,
}

/// What a purpose's random numbers are drawn from; three streams per day, after those of the world.
fn stream(day: u32, purpose: u64) -> u64 {
    2 + u64::from(day) * 3 + purpose
}

/// The payments of a day (counted from 0) in their order of arrival.
pub(crate) fn generate_day(world: &World, spec: &GeneratorSpec, day: u32) -> Vec<Payment> {
    let mut payments = draw_payments(world, day);
    let mut keys: Vec<u64> =
        payments.iter().enumerate().map(|(i, p)| u64::from(p.second) << 32 | i as u64).collect();
    keys.sort_unstable();
    payments = keys.iter().map(|key| payments[(key & 0xFFFF_FFFF) as usize]).collect();
    for (number, payment) in payments.iter_mut().enumerate() {
        payment.number = number as u32;
    }
    if spec.jitter_seconds > 0 {
        let mut rng = world.stream(stream(day, 2));
        let mut arrivals: Vec<u64> = payments
            .iter()
            .map(|p| {
                (u64::from(p.second) + below(&mut rng, spec.jitter_seconds as usize + 1) as u64)
                    << 32
                    | u64::from(p.number)
            })
            .collect();
        arrivals.sort_unstable();
        payments = arrivals.iter().map(|key| payments[(key & 0xFFFF_FFFF) as usize]).collect();
    }
    payments
}

/// Payments in no order of time, frauds included.
fn draw_payments(world: &World, day: u32) -> Vec<Payment> {
    let compromised_terminals =
        compromised(world, day, TERMINAL_COMPROMISED_DAYS, 0, world.terminal_count());
    let compromised_customers =
        compromised(world, day, CUSTOMER_COMPROMISED_DAYS, 1, world.customers.len());
    let mut rng = world.stream(stream(day, 0));
    let mut payments = Vec::with_capacity(world.customers.len() * 2);
    let mut next_compromised = compromised_customers.iter().copied().peekable();
    for (id, customer) in world.customers.iter().enumerate() {
        let id = id as u32;
        let is_compromised = next_compromised.next_if_eq(&id).is_some();
        // Knuth: the number of uniform draws whose product stays above e^-mean.
        let mut product = rng.random::<f64>();
        while product > customer.no_payment_probability {
            product *= rng.random::<f64>();
            let second = DAY_SECONDS / 2.0 + 20_000.0 * rng.sample::<f64, _>(StandardNormal);
            if !(0.0..DAY_SECONDS).contains(&second) {
                continue;
            }
            let mut cents = draw_cents(customer.mean_amount, &mut rng);
            let terminal = world.draw_terminal(customer, &mut rng);
            let mut scenario = u8::from(cents > LARGE_CENTS);
            if compromised_terminals.binary_search(&terminal).is_ok() {
                scenario = 2;
            }
            if is_compromised && below(&mut rng, 3) == 0 {
                cents = cents.saturating_mul(COMPROMISED_AMOUNT_FACTOR);
                scenario = 3;
            }
            payments.push(Payment {
                number: 0,
                second: second as u32,
                customer: id,
                terminal,
                cents,
                scenario,
            });
        }
    }
    payments
}

fn draw_cents(mean: f64, rng: &mut ChaCha8Rng) -> u32 {
    let amount = mean + mean / 2.0 * rng.sample::<f64, _>(StandardNormal);
    let amount = if amount < 0.0 { rng.random_range(0.0..mean * 2.0) } else { amount };
    (amount * 100.0).round() as u32
}

/// Ids compromised on `day`, sorted: those drawn on it and on the `days - 1` days before.
fn compromised(world: &World, day: u32, days: u32, purpose: usize, count: usize) -> Vec<u32> {
    let mut ids = Vec::new();
    for drawn in day.saturating_sub(days - 1)..=day {
        let mut rng = world.stream(stream(drawn, 1));
        let terminals =
            draw_distinct(&mut rng, world.terminal_count(), TERMINALS_COMPROMISED_PER_DAY);
        let customers =
            draw_distinct(&mut rng, world.customers.len(), CUSTOMERS_COMPROMISED_PER_DAY);
        ids.extend(if purpose == 0 { terminals } else { customers });
    }
    ids.sort_unstable();
    ids.dedup();
    debug_assert!(ids.iter().all(|id| (*id as usize) < count));
    ids
}

fn draw_distinct(rng: &mut ChaCha8Rng, count: usize, wanted: usize) -> Vec<u32> {
    let mut ids: Vec<u32> = Vec::with_capacity(wanted);
    while ids.len() < wanted.min(count) {
        let id = below(rng, count) as u32;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> GeneratorSpec {
        GeneratorSpec { customers: 1000, terminals: 2000, ..GeneratorSpec::new("g", 7) }
    }

    #[test]
    fn a_day_is_sorted_and_always_the_same() {
        let spec = small();
        let (a, b) = (
            generate_day(&World::new(&spec), &spec, 40),
            generate_day(&World::new(&spec), &spec, 40),
        );
        assert_eq!(a, b);
        assert!(a.windows(2).all(|w| w[0].second <= w[1].second && w[0].number + 1 == w[1].number));
        assert_ne!(a, generate_day(&World::new(&spec), &spec, 41));
    }

    #[test]
    fn jitter_changes_the_order_and_nothing_else() {
        let spec = small();
        let world = World::new(&spec);
        let jittered = GeneratorSpec { jitter_seconds: 600, ..spec.clone() };
        let mut late = generate_day(&world, &jittered, 3);
        assert!(late.windows(2).any(|w| w[0].second > w[1].second));
        let mut newest = 0;
        for payment in &late {
            assert!(newest <= payment.second + 600);
            newest = newest.max(payment.second);
        }
        late.sort_by_key(|p| p.number);
        assert_eq!(late, generate_day(&world, &spec, 3));
    }

    #[test]
    fn the_population_is_as_published() {
        let spec = GeneratorSpec::new("g", 1);
        let world = World::new(&spec);
        let days: Vec<Vec<Payment>> = (28..58).map(|d| generate_day(&world, &spec, d)).collect();
        let all: Vec<&Payment> = days.iter().flatten().collect();
        let per_day = all.len() as f64 / days.len() as f64;
        // 5,000 customers with 2 a day on average, of which 3.1 % fall outside the day: the
        // published set has 1,754,155 in 183 days = 9,586.
        assert!((9_300.0..10_000.0).contains(&per_day), "{per_day}");
        let mean = all.iter().map(|p| f64::from(p.cents)).sum::<f64>() / all.len() as f64 / 100.0;
        assert!((51.0..56.5).contains(&mean), "{mean}");
        let share = |scenario: u8| {
            all.iter().filter(|p| p.scenario == scenario).count() as f64 / all.len() as f64
        };
        // Published: 0.055 %, 0.517 % and 0.264 %.
        assert!(
            (0.0002..0.0012).contains(&share(1))
                && (0.003..0.008).contains(&share(2))
                && (0.0015..0.004).contains(&share(3))
        );
        assert!(all.iter().filter(|p| p.scenario == 0).all(|p| p.cents <= LARGE_CENTS));
    }

    #[test]
    fn a_map_of_one_customer_and_one_terminal_works() {
        for radius in [0.01, 150.0] {
            let spec =
                GeneratorSpec { customers: 1, terminals: 1, radius, ..GeneratorSpec::new("g", 1) };
            let world = World::new(&spec);
            let rows: usize = (0..50).map(|d| generate_day(&world, &spec, d).len()).sum();
            assert_eq!(rows > 0, radius > 100.0);
        }
    }
}
