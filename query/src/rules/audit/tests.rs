use std::fs;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;

use std::path::Path;

use super::folder::file_name;
use super::*;

fn record(number: usize) -> AuditRecord {
    AuditRecord {
        time_micros: 1_700_000_000_000_000 + number as i64,
        user: "acme \"lender\"".into(),
        roles: vec!["lender".into()],
        port: "postgres".into(),
        statement: format!("select {number}\n-- ä"),
        policies: vec!["role lender: rows with lender_id in lender_id (17)".into()],
        tables: vec!["public.loans".into(), "public.lenders".into()],
        rows: number as u64,
        bytes: 100,
        duration_micros: 5,
        outcome: "00000".into(),
    }
}

/// An audit of records 1 to 30 in three files or more.
fn written() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::with(folder.path(), 5000).unwrap();
    for number in 1..=30 {
        audit.record_blocking(record(number)).unwrap();
    }
    drop(audit);
    assert!(folder.path().join(file_name(3)).exists());
    folder
}

fn edit(folder: &Path, file: u64, change: impl FnOnce(&mut Vec<String>)) {
    let path = folder.join(file_name(file));
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    change(&mut lines);
    fs::write(&path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
}

fn tampered(folder: &Path) -> Tampered {
    verify(folder).unwrap().unwrap_err()
}

#[test]
fn what_is_written_verifies_and_reads_back() {
    let folder = written();
    let verified = verify(folder.path()).unwrap().unwrap();
    assert_eq!((verified.records, verified.torn_bytes), (30, 0));
    let batches = read(folder.path(), 12).unwrap();
    assert_eq!(batches[0].num_rows(), 12);
    let sequence = batches[0].column(0).as_primitive::<Int64Type>().values().to_vec();
    assert_eq!(sequence, (19..=30).collect::<Vec<i64>>());
    let statements = batches[0].column_by_name("statement").unwrap().as_string::<i32>();
    assert_eq!(statements.value(0), "select 19\n-- ä");
    assert_eq!(
        batches[0].column_by_name("user").unwrap().as_string::<i32>().value(0),
        "acme \"lender\""
    );
    assert_eq!(batches[0].column_by_name("tables").unwrap().as_list::<i32>().value(0).len(), 2);
    assert_eq!(read(folder.path(), usize::MAX).unwrap()[0].num_rows(), 30);
    assert!(read(folder.path(), 0).unwrap().is_empty());
}

#[test]
fn the_chain_goes_on_after_a_restart() {
    let folder = written();
    for number in 31..=35 {
        let audit = Audit::with(folder.path(), 5000).unwrap();
        audit.record_blocking(record(number)).unwrap();
    }
    assert_eq!(verify(folder.path()).unwrap().unwrap().records, 35);
}

#[test]
fn an_edited_line_is_found() {
    let folder = written();
    edit(folder.path(), 2, |lines| lines[1] = lines[1].replace("select", "SELECT"));
    assert_eq!(tampered(folder.path()), Tampered::Edited { file: file_name(2), line: 2 });
    assert!(matches!(tampered_at_start(folder.path(), 2), AuditError::Tampered { .. }));
}

/// What an audit whose files behind this one are gone says at its start.
fn tampered_at_start(folder: &Path, last: u64) -> AuditError {
    for number in last + 1..20 {
        let _ = fs::remove_file(folder.join(file_name(number)));
    }
    Audit::open(folder).unwrap_err()
}

#[test]
fn spaces_and_orders_of_keys_count() {
    let folder = written();
    edit(folder.path(), 1, |lines| lines[0] = lines[0].replacen(",\"user\"", ", \"user\"", 1));
    assert_eq!(tampered(folder.path()), Tampered::Edited { file: file_name(1), line: 1 });
}

#[test]
fn a_removed_an_inserted_and_a_moved_line_are_found() {
    let changes: [fn(&mut Vec<String>); 3] = [
        |lines| drop(lines.remove(3)),
        |lines| lines.insert(3, lines[2].clone()),
        |lines| lines.swap(3, 4),
    ];
    for change in changes {
        let folder = written();
        edit(folder.path(), 2, change);
        let found = tampered(folder.path());
        assert!(matches!(found, Tampered::Broken { line: 4, .. }), "{found}");
    }
}

#[test]
fn a_removed_end_is_found() {
    let folder = written();
    let last = (1..).take_while(|n| folder.path().join(file_name(*n)).exists()).last().unwrap();
    edit(folder.path(), last, |lines| drop(lines.pop()));
    assert_eq!(tampered(folder.path()), Tampered::Truncated { last: 29, head: 30 });
    fs::remove_file(folder.path().join(file_name(last))).unwrap();
    assert!(matches!(tampered(folder.path()), Tampered::Truncated { head: 30, .. }));
    fs::remove_file(folder.path().join("head.json")).unwrap();
    assert_eq!(tampered(folder.path()), Tampered::NoHead);
}

#[test]
fn a_removed_file_is_found() {
    let folder = written();
    fs::remove_file(folder.path().join(file_name(1))).unwrap();
    assert!(matches!(tampered(folder.path()), Tampered::File { .. }));
}

#[test]
fn another_chain_in_its_place_is_found() {
    let (folder, other) = (written(), tempfile::tempdir().unwrap());
    let audit = Audit::with(other.path(), 5000).unwrap();
    for number in 1..=30 {
        audit.record_blocking(record(number + usize::from(number == 9))).unwrap();
    }
    drop(audit);
    for number in 1..=9 {
        let _ =
            fs::copy(other.path().join(file_name(number)), folder.path().join(file_name(number)));
    }
    assert_eq!(tampered(folder.path()), Tampered::OtherHead { record: 30 });
}

#[test]
fn a_torn_line_is_put_aside_and_the_chain_goes_on() {
    let folder = written();
    let last = (1..).take_while(|n| folder.path().join(file_name(*n)).exists()).last().unwrap();
    let path = folder.path().join(file_name(last));
    let mut text = fs::read(&path).unwrap();
    text.extend_from_slice(b"{\"sequence\":31,\"time\":\"20");
    fs::write(&path, text).unwrap();
    assert_eq!(verify(folder.path()).unwrap().unwrap().torn_bytes, 25);
    let audit = Audit::with(folder.path(), 5000).unwrap();
    assert_eq!(audit.torn_bytes(), 25);
    audit.record_blocking(record(31)).unwrap();
    drop(audit);
    let verified = verify(folder.path()).unwrap().unwrap();
    assert_eq!((verified.records, verified.torn_bytes), (31, 0));
    let aside = folder.path().join(format!("{}.torn-after-30", file_name(last)));
    assert_eq!(fs::read(aside).unwrap().len(), 25);
}

#[test]
fn two_writers_are_not_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Audit::open(folder.path()).unwrap();
    assert!(matches!(Audit::open(folder.path()), Err(AuditError::Taken { .. })));
}

#[test]
fn a_long_statement_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::open(folder.path()).unwrap();
    let statement = "ä".repeat(1 << 20);
    audit.record_blocking(AuditRecord { statement, ..record(1) }).unwrap();
    drop(audit);
    assert!(fs::metadata(folder.path().join(file_name(1))).unwrap().len() < 40_000);
    assert_eq!(verify(folder.path()).unwrap().unwrap().records, 1);
}

#[test]
fn many_records_are_written_in_the_order_in_which_they_come() {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::with(folder.path(), 1 << 20).unwrap();
    for number in 1..=20_000 {
        audit.record_blocking(record(number)).unwrap();
    }
    drop(audit);
    assert_eq!(verify(folder.path()).unwrap().unwrap().records, 20_000);
    let last = read(folder.path(), 1).unwrap();
    assert_eq!(
        last[0].column_by_name("rows").unwrap().as_primitive::<Int64Type>().value(0),
        20_000
    );
}

#[test]
fn an_audit_whose_disk_takes_nothing_says_so_and_goes_on_later() {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::with(folder.path(), 100).unwrap();
    // The next file can't be made while a folder has its name.
    let blocked = folder.path().join(file_name(2));
    fs::create_dir(&blocked).unwrap();
    for number in 1..=2 {
        audit.record_blocking(record(number)).unwrap();
    }
    let started = std::time::Instant::now();
    while audit.check().is_ok() {
        assert!(started.elapsed().as_secs() < 20, "it has to notice");
        std::thread::yield_now();
    }
    assert!(matches!(audit.record_blocking(record(9)), Err(AuditError::Stuck { .. })));
    fs::remove_dir(&blocked).unwrap();
    drop(audit);
    assert_eq!(verify(folder.path()).unwrap().unwrap().records, 2);
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("audit");
    // One of a time when others could read it.
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(folder.join(file_name(1)), "").unwrap();
    fs::set_permissions(folder.join(file_name(1)), fs::Permissions::from_mode(0o644)).unwrap();
    let audit = Audit::with(&folder, 1000).unwrap();
    for number in 1..=10 {
        audit.record_blocking(record(number)).unwrap();
    }
    let other = Audit::open_within(&folder, "command-line-1").unwrap();
    other.record_blocking(record(1)).unwrap();
    drop((audit, other));
    let mut files = 0;
    for folder in [folder.clone(), folder.join("command-line-1")] {
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let metadata = entry.metadata().unwrap();
            if metadata.is_file() {
                files += 1;
                assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
            }
        }
    }
    assert!(files > 6, "{files}");
    assert_eq!(verify(&folder).unwrap().unwrap().records, 10);
}

#[test]
fn what_nobody_waits_for_is_recorded_too() {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::open(folder.path()).unwrap();
    audit.record_soon(record(1)).unwrap();
    drop(audit);
    assert_eq!(verify(folder.path()).unwrap().unwrap().records, 1);
}
