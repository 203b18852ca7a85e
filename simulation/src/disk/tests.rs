//! What the simulated disk promises, and what it does not.

use super::*;
use bytes::Bytes;
use riskstream_engine::disk::Disk;
use std::collections::BTreeSet;
use std::io::{ErrorKind, Result, Write};
use std::path::Path;
use std::sync::Arc;

fn worlds(see: impl Fn(&Arc<SimDisk>, &Arc<dyn Disk>)) {
    for seed in 0..200 {
        let disk = SimDisk::new(seed, None);
        see(&disk, &disk.process());
    }
}

/// Reads a file after a loss of power.
fn after_loss(disk: &Arc<SimDisk>, path: &str) -> Option<Bytes> {
    disk.restart(true);
    disk.process().read(Path::new(path)).ok()
}

fn put(disk: &Arc<dyn Disk>, path: &str, content: &'static [u8]) -> Result<bool> {
    disk.create_durably(Path::new("/hidden"), Path::new(path), &[Bytes::from_static(content)])
}

#[test]
fn what_is_made_durably_survives() {
    worlds(|disk, process| {
        process.make_folders_durably(Path::new("/a/b")).expect("made");
        assert!(put(process, "/a/b/c", b"content").expect("written"));
        assert!(!put(process, "/a/b/c", b"other").expect("looked"));
        assert_eq!(after_loss(disk, "/a/b/c").expect("there"), "content");
    });
}

#[test]
fn folders_that_a_dead_process_made_are_durable_after_the_next_has_asked_for_them() {
    worlds(|disk, _| {
        let folder = Path::new("/a/b/c");
        for dies_at in 1..12 {
            disk.lose_power_at(dies_at);
            let _dead = disk.process().make_folders_durably(folder);
            disk.restart(false);
        }
        disk.process().make_folders_durably(folder).expect("made");
        disk.restart(true);
        assert!(disk.process().look(folder).expect("looked").is_some());
    });
}

#[test]
fn what_is_not_synced_may_be_lost_kept_or_torn() {
    let seen = std::cell::RefCell::new(BTreeSet::new());
    worlds(|disk, process| {
        let mut file = process.create(Path::new("/a")).expect("made");
        file.write_all(b"1234").and_then(|()| file.write_all(b"5678")).expect("written");
        assert_eq!(process.read(Path::new("/a")).expect("visible"), "12345678");
        seen.borrow_mut().insert(after_loss(disk, "/a"));
    });
    let seen = seen.into_inner();
    for kept in [
        None,
        Some(Bytes::new()),
        Some(Bytes::from_static(b"1234")),
        Some(Bytes::from_static(b"12345678")),
    ] {
        assert!(seen.contains(&kept), "{kept:?} is not among {seen:?}");
    }
    assert!(seen.contains(&Some(Bytes::from_static(b"\0\0\0\x005678"))), "a later write alone");
}

#[test]
fn a_kill_loses_nothing_but_the_process() {
    worlds(|disk, process| {
        let mut file = process.create(Path::new("/a")).expect("made");
        file.write_all(b"1234").expect("written");
        disk.restart(false);
        assert!(file.write_all(b"5678").is_err(), "its process is dead");
        assert!(process.read(Path::new("/a")).is_err());
        assert_eq!(disk.process().read(Path::new("/a")).expect("visible"), "1234");
    });
}

#[test]
fn a_file_whose_sync_failed_is_not_saved_by_a_later_one() {
    let lost = std::cell::Cell::new(0);
    worlds(|disk, process| {
        process.create(Path::new("/a")).expect("made");
        process.sync(Path::new("/")).expect("synced");
        let mut file = process.create(Path::new("/a")).expect("emptied");
        file.write_all(b"1234").expect("written");
        disk.set_faults(Faults { sync: 1.0, ..Faults::default() });
        assert!(file.sync().is_err());
        disk.set_faults(Faults::default());
        file.sync().expect("says that it is");
        if after_loss(disk, "/a").expect("there") != "1234" {
            lost.set(lost.get() + 1);
        }
    });
    assert!(lost.get() > 20, "{} of 200", lost.get());
}

#[test]
fn it_dies_at_the_change_that_it_was_told_to() {
    worlds(|disk, process| {
        disk.lose_power_at(2);
        let mut file = process.create(Path::new("/a")).expect("made");
        assert!(file.write_all(b"1").is_err());
        assert!(disk.is_dead() && process.list(Path::new("/")).is_err());
        disk.restart(false);
        assert!(disk.process().list(Path::new("/")).is_ok_and(|names| names.len() == 1));
    });
}

#[test]
fn errors_have_the_kinds_of_a_real_disk() {
    worlds(|disk, process| {
        disk.set_faults(Faults { full: 1.0, ..Faults::default() });
        assert_eq!(
            process.create(Path::new("/a")).expect_err("full").kind(),
            ErrorKind::StorageFull
        );
        assert_eq!(disk.failed().len(), 1);
        disk.set_faults(Faults::default());
        assert_eq!(
            process.create(Path::new("/no/a")).expect_err("no folder").kind(),
            ErrorKind::NotFound
        );
        assert_eq!(
            process
                .create_new(Path::new("/a"))
                .and_then(|_| process.create_new(Path::new("/a")))
                .expect_err("taken")
                .kind(),
            ErrorKind::AlreadyExists
        );
        let lock = process.lock(Path::new("/lock")).expect("locked");
        assert!(lock.is_some() && process.lock(Path::new("/lock")).expect("tried").is_none());
    });
}

#[test]
fn the_same_seed_is_the_same_disk() {
    let live = |seed| {
        let disk = SimDisk::new(seed, None);
        disk.set_faults(Faults { write: 0.2, short: 0.5, ..Faults::default() });
        let process = disk.process();
        for n in 0..20 {
            let _failed = put(&process, &format!("/{n}"), b"content");
        }
        disk.restart(true);
        (disk.trace(), disk.process().list(Path::new("/")).expect("listed"))
    };
    assert_eq!(live(1), live(1));
    assert_ne!(live(1).1, live(2).1);
}
