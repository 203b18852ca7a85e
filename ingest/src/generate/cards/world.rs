//! Who pays where: customers and terminals on the map.

use crate::generate::cards::spec::GeneratorSpec;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The side of the map.
const SIDE: f64 = 100.0;
/// Cells per side of the terminals' grid, at most.
const CELLS_MAX: usize = 1000;

/// A customer's habits.
#[derive(Debug, Clone)]
pub(crate) struct Customer {
    x: f32,
    y: f32,
    /// Mean amount; the standard deviation is half of it.
    pub(crate) mean_amount: f64,
    /// e^-(mean number of payments per day), the threshold of Knuth's Poisson draw; 1 when no
    /// terminal is in reach, so that nothing is drawn.
    pub(crate) no_payment_probability: f64,
}

/// Customers and terminals.
#[derive(Debug)]
pub(crate) struct World {
    seed: u64,
    radius: f32,
    pub(crate) customers: Vec<Customer>,
    /// Terminals by grid cell, row by row, so that neighboring cells of a row are one range.
    terminals: Vec<Terminal>,
    cells: usize,
    /// For each cell, where its terminals begin; one more at the end.
    cell_starts: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Terminal {
    x: f32,
    y: f32,
    id: u32,
}

impl World {
    pub(crate) fn new(spec: &GeneratorSpec) -> Self {
        let mut rng = Self::stream_of(spec.seed, 0);
        let cells = ((SIDE / spec.radius) as usize).clamp(1, CELLS_MAX);
        let mut terminals: Vec<Terminal> = (0..spec.terminals)
            .map(|id| Terminal { x: place(&mut rng), y: place(&mut rng), id })
            .collect();
        terminals.sort_by_key(|t| (cell_of(t.y, cells) * cells + cell_of(t.x, cells), t.id));
        let mut cell_starts = vec![0_u32; cells * cells + 1];
        for t in &terminals {
            cell_starts[cell_of(t.y, cells) * cells + cell_of(t.x, cells) + 1] += 1;
        }
        for i in 1..cell_starts.len() {
            cell_starts[i] += cell_starts[i - 1];
        }
        let mut world = Self {
            seed: spec.seed,
            radius: spec.radius as f32,
            customers: Vec::new(),
            terminals,
            cells,
            cell_starts,
        };
        let mut rng = Self::stream_of(spec.seed, 1);
        world.customers = (0..spec.customers).map(|_| world.customer(&mut rng)).collect();
        world
    }

    fn customer(&self, rng: &mut ChaCha8Rng) -> Customer {
        let (x, y) = (place(rng), place(rng));
        let mean_amount = rng.random_range(5.0..100.0);
        let per_day: f64 = rng.random_range(0.0..4.0);
        let mut customer = Customer { x, y, mean_amount, no_payment_probability: (-per_day).exp() };
        let reachable = self
            .ranges(&customer)
            .into_iter()
            .flatten()
            .any(|(start, end)| (start..end).any(|i| self.reaches(&customer, i)));
        if !reachable {
            customer.no_payment_probability = 1.0;
        }
        customer
    }

    /// Random numbers of their own for a purpose.
    pub(crate) fn stream(&self, stream: u64) -> ChaCha8Rng {
        Self::stream_of(self.seed, stream)
    }

    fn stream_of(seed: u64, stream: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        rng
    }

    pub(crate) fn terminal_count(&self) -> usize {
        self.terminals.len()
    }

    fn reaches(&self, customer: &Customer, terminal: usize) -> bool {
        let terminal = &self.terminals[terminal];
        let (dx, dy) = (terminal.x - customer.x, terminal.y - customer.y);
        dx * dx + dy * dy < self.radius * self.radius
    }

    /// Ranges of terminals that hold all within reach of a customer: one per row of cells. More
    /// than three rows of cells are never needed, since a cell is at least as wide as the radius,
    /// unless there are [`CELLS_MAX`] or one of them.
    fn ranges(&self, customer: &Customer) -> [Option<(usize, usize)>; 3] {
        let (column, row) = (cell_of(customer.x, self.cells), cell_of(customer.y, self.cells));
        let (left, right) = (column.saturating_sub(1), (column + 1).min(self.cells - 1));
        let mut ranges = [None; 3];
        for (slot, row) in
            ranges.iter_mut().zip(row.saturating_sub(1)..=(row + 1).min(self.cells - 1))
        {
            *slot = Some((
                self.cell_starts[row * self.cells + left] as usize,
                self.cell_starts[row * self.cells + right + 1] as usize,
            ));
        }
        ranges
    }

    /// One of the terminals within reach, each as likely as the others; there is at least one.
    #[inline]
    pub(crate) fn draw_terminal(&self, customer: &Customer, rng: &mut ChaCha8Rng) -> u32 {
        let ranges = self.ranges(customer);
        let total: usize = ranges.iter().flatten().map(|(start, end)| end - start).sum();
        // About one in three of the candidates is within reach, so this ends soon; a customer
        // without any never gets here.
        loop {
            let mut pick = below(rng, total);
            for (start, end) in ranges.iter().flatten() {
                if pick < end - start {
                    if self.reaches(customer, start + pick) {
                        return self.terminals[start + pick].id;
                    }
                    break;
                }
                pick -= end - start;
            }
        }
    }
}

/// A number below `limit`, by a multiplication; the bias is below 2^-32 × limit.
#[inline]
pub(crate) fn below(rng: &mut ChaCha8Rng, limit: usize) -> usize {
    ((u128::from(rng.random::<u64>()) * limit as u128) >> 64) as usize
}

fn place(rng: &mut ChaCha8Rng) -> f32 {
    rng.random_range(0.0..SIDE) as f32
}

fn cell_of(at: f32, cells: usize) -> usize {
    ((f64::from(at) / SIDE * cells as f64) as usize).min(cells - 1)
}
