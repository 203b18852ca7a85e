//! Files are held as long as what needs them is there.

use std::sync::Arc;

use super::*;

struct Needs(&'static str, &'static str);

impl HoldsFiles for Needs {
    fn add_files(&self, location: &Path, to: &mut HashSet<String>) -> Result<(), QueryError> {
        if location == Path::new(self.0) {
            to.insert(self.1.to_owned());
        }
        Ok(())
    }
}

/// Holds, as a statement does.
fn holds(location: &'static str, file: &'static str) -> Arc<Needs> {
    let needs = Arc::new(Needs(location, file));
    let holder: Weak<Needs> = Arc::downgrade(&needs);
    hold(holder);
    needs
}

#[test]
fn files_of_a_table_are_held_until_the_last_statement_is_over() {
    let location = Path::new("held/tables/t");
    let names = || {
        let mut names: Vec<String> = held_files(location).unwrap().into_iter().collect();
        names.sort();
        names
    };
    let (first, second) = (holds("held/tables/t", "a"), holds("held/tables/t", "a"));
    let (third, _other) = (holds("held/tables/t", "b"), holds("held/tables/u", "c"));
    assert_eq!(names(), ["a", "b"]);
    drop((first, third));
    assert_eq!(names(), ["a"]);
    drop(second);
    assert!(names().is_empty());
    // Many statements that are over take no room.
    (0..10_000).for_each(|_| drop(holds("held/tables/v", "d")));
    let known = HOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(known.0.len() <= 10 * HOLDERS_MIN, "{}", known.0.len());
}
