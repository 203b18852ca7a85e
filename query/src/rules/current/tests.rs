use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

#[derive(Default)]
struct Stepped(AtomicU64);

impl Clock for Stepped {
    fn wall_micros(&self) -> i64 {
        0
    }

    fn steady_nanos(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Stepped {
    fn step(&self, millis: u64) {
        self.0.fetch_add(millis * 1_000_000, Ordering::Relaxed);
    }
}

fn has_role(rules: &Rules, role: &str) -> bool {
    rules.policy().roles.contains_key(role)
}

/// What a statement does first.
fn look(rules: &Rules) -> bool {
    let is_due = rules.may_have_changed();
    if is_due {
        rules.refresh();
    }
    is_due
}

#[test]
fn a_changed_file_is_taken_and_a_wrong_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.toml");
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    write("[roles.one]");
    let clock = Arc::new(Stepped::default());
    let rules = Rules::open_by(&file, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    let before = rules.at_this_moment();
    write("[roles.two] # and more");
    assert!(!look(&rules), "it is looked at once a second");
    assert!(has_role(&rules, "one"));
    clock.step(1_000);
    assert!(look(&rules) && !look(&rules), "one of those that ask looks");
    assert!(has_role(&rules, "two") && !has_role(&rules, "one"));
    assert!(has_role(&before, "one"), "what has begun is decided by the old rules");
    assert_eq!(rules.file_is_wrong(), Some(false));

    write("[roles.three");
    clock.step(1_000);
    look(&rules);
    assert!(has_role(&rules, "two"));
    assert_eq!(rules.file_is_wrong(), Some(true));

    // A file that comes by another name into the place of the old one is another file.
    let other = folder.path().join("other.toml");
    std::fs::write(&other, "[roles.three]").unwrap();
    std::fs::rename(&other, &file).unwrap();
    clock.step(1_000);
    look(&rules);
    assert!(has_role(&rules, "three"));
    assert_eq!(rules.file_is_wrong(), Some(false));
    std::fs::remove_file(&file).unwrap();
    clock.step(1_000);
    look(&rules);
    assert!(has_role(&rules, "three"), "without a file the last rules hold");
    assert_eq!(rules.file_is_wrong(), Some(true));
    assert_eq!(Rules::none().file_is_wrong(), None);
}

#[test]
fn a_key_of_masks_that_comes_later_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.toml");
    let key = folder.path().join("mask.key");
    std::fs::write(&file, "[roles.one]").unwrap();
    let clock = Arc::new(Stepped::default());
    let rules = Rules::open_by(&file, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    std::fs::write(&file, "mask_key = \"mask.key\"\n[roles.two]").unwrap();
    clock.step(1_000);
    look(&rules);
    assert!(has_role(&rules, "one"), "there is no key yet");
    std::fs::write(&key, [7; 32]).unwrap();
    clock.step(1_000);
    look(&rules);
    assert!(has_role(&rules, "two"));
    let policy = rules.policy();
    clock.step(1_000);
    look(&rules);
    assert!(Arc::ptr_eq(&policy, &rules.policy()), "nothing has changed");
    std::fs::write(&key, [8; 33]).unwrap();
    clock.step(1_000);
    look(&rules);
    assert!(!Arc::ptr_eq(&policy, &rules.policy()), "another key is another rule");
}
