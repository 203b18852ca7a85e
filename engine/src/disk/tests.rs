//! What every disk promises, on the machine's own.

use super::*;
use bytes::Bytes;
use std::io::{ErrorKind, Write as _};
use std::sync::Arc;

fn content(texts: &[&'static str]) -> Vec<Bytes> {
    texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect()
}

fn made_of(texts: &[&'static str]) -> impl Iterator<Item = std::io::Result<Bytes>> {
    content(texts).into_iter().map(Ok)
}

fn on_disk() -> (tempfile::TempDir, Arc<dyn Disk>) {
    (tempfile::tempdir().expect("a folder"), LocalDisk::shared())
}

#[test]
fn a_name_is_given_once_and_keeps_its_content() {
    let (root, disk) = on_disk();
    let (hidden, path, spare) =
        (root.path().join("hidden"), root.path().join("name"), root.path().join("spare"));
    assert!(disk.create_durably(&hidden, &path, &content(&["a", "bc"])).expect("written"));
    assert!(!disk.create_durably(&hidden, &path, &content(&["other"])).expect("looked"));
    assert!(!disk.create_in_pieces(&hidden, &path, &mut made_of(&["other"])).expect("looked"));
    disk.create(&spare).and_then(|mut file| file.write_all(b"a longer content")).expect("written");
    assert!(!disk.create_over(&spare, &path, &content(&["other"])).expect("looked"));
    assert_eq!(disk.read(&path).expect("read"), "abc");
    let names = disk.list(root.path()).expect("listed");
    assert_eq!(names, [Entry { name: "name".into(), is_folder: false }], "nothing hidden is left");
}

#[test]
fn a_file_that_is_written_over_has_no_more_of_its_old_content() {
    let (root, disk) = on_disk();
    let (spare, path) = (root.path().join("spare"), root.path().join("name"));
    disk.create(&spare).and_then(|mut file| file.write_all(b"a longer content")).expect("written");
    assert!(disk.create_over(&spare, &path, &content(&["short"])).expect("written"));
    assert_eq!(disk.read(&path).expect("read"), "short");
    assert_eq!(disk.look(&spare).expect("looked"), None);
}

#[test]
fn a_large_file_is_written_whole() {
    let (root, disk) = on_disk();
    let path = root.path().join("large");
    let large = Bytes::from(vec![7; 2 * PIECE_BYTES + 1]);
    assert!(
        disk.create_in_pieces(
            &root.path().join("hidden"),
            &path,
            &mut [Bytes::from_static(b"head"), large.clone()].into_iter().map(Ok),
        )
        .expect("written")
    );
    assert_eq!(disk.read(&path).expect("read"), [b"head".as_slice(), &large].concat());
}

#[test]
fn a_file_whose_content_fails_gets_no_name() {
    let (root, disk) = on_disk();
    let path = root.path().join("large");
    let mut content = made_of(&["head"]).chain([Err(ErrorKind::InvalidData.into())]);
    let failed = disk.create_in_pieces(&root.path().join("hidden"), &path, &mut content);
    assert_eq!(failed.expect_err("it fails").kind(), ErrorKind::InvalidData);
    assert_eq!(disk.look(&path).expect("looked"), None);
}

#[test]
fn folders_are_made_all_the_way() {
    let (root, disk) = on_disk();
    let folder = root.path().join("a/b/c");
    disk.make_folders(&folder).expect("made");
    disk.make_folders_durably(&folder).expect("made already");
    disk.make_folders_durably(&root.path().join("d/e")).expect("made");
    assert!(disk.look(&folder).expect("looked").expect("there").is_folder);
    disk.create(&root.path().join("file")).expect("made");
    assert_eq!(
        disk.make_folders(&root.path().join("file")).expect_err("a file is in the way").kind(),
        ErrorKind::NotADirectory
    );
}

#[test]
fn a_replaced_file_has_the_new_content_and_errors_keep_their_kind() {
    let (root, disk) = on_disk();
    let path = root.path().join("marks.json");
    disk.replace_durably(&path, &content(&["one"])).expect("written");
    disk.replace_durably(&path, &content(&["two"])).expect("written");
    assert_eq!(disk.read(&path).expect("read"), "two");
    assert_eq!(
        disk.read(&root.path().join("none")).expect_err("absent").kind(),
        ErrorKind::NotFound
    );
    assert_eq!(disk.create_new(&path).expect_err("taken").kind(), ErrorKind::AlreadyExists);
    let file = disk.open(&path).expect("opened");
    assert_eq!(file.read_at(&mut [0; 2], 2).expect_err("it ends").kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn a_lock_is_held_by_one_and_says_by_whom() {
    let (root, disk) = on_disk();
    let path = root.path().join("lock");
    let lock = disk.lock(&path).expect("locked").expect("free");
    assert!(disk.lock(&path).expect("tried").is_none());
    assert_eq!(disk.holder(&path), Some(Some(std::process::id())));
    drop(lock);
    assert_eq!(disk.holder(&path), None);
    assert!(disk.lock(&path).expect("tried").is_some());
}

#[test]
fn numbers_for_names_do_not_come_again() {
    let disk = LocalDisk::default();
    let numbers: std::collections::BTreeSet<u64> = (0..1_000).map(|_| disk.unique()).collect();
    assert_eq!(numbers.len(), 1_000);
    assert!(!numbers.contains(&LocalDisk::default().unique()), "another process gets others");
}
