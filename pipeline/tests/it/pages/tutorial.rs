//! docs/tutorial.md.

use super::clone::{after_the_default_run, tutorial};

#[test]
fn every_block_of_the_tutorial_prints_what_the_page_shows() {
    let (first, rest) = tutorial();
    assert!(first.len() + rest.len() > 10, "{rest:?}");
    // Which has checked the first ones.
    let clone = after_the_default_run();
    clone.run("tutorial.md", &rest).check();
}
