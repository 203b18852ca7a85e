//! docs/query.md, over the tables of the default run.

use super::clone::{after_the_default_run, page};

/// Blocks that are not run here: Python's, which `benches/query/clients/docs.py` runs, and what is
/// typed into a terminal.
const ELSEWHERE: [&str; 3] = ["python adbc", "python with users", "text in a terminal"];

#[test]
fn every_block_of_the_page_on_queries_prints_what_it_shows() {
    let blocks = page("query.md", &ELSEWHERE);
    assert!(blocks.len() > 5, "{blocks:?}");
    after_the_default_run().run("query.md", &blocks).check();
}
