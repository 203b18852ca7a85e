//! The allocator, set for batches that go from thread to thread.
//!
//! jemalloc returns free memory to the system after some seconds, so that the memory of a peak (a
//! backlog that is read, a destination that comes back, a snapshot) does not stay. It gets one heap
//! (arena) per core and one more, instead of its default of four per core: batches are made by one
//! thread and freed by another, and every heap keeps the size of what has passed through it.
//! jemalloc reads its settings from the environment before `main`, so the program starts itself
//! once more with them set. See docs/decisions/0004.

/// The allocator of the program, and of the C libraries that are linked into it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Starts this program again in its place (same process, same arguments) with the settings; returns
/// when that isn't needed, wanted or possible.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn set_up() {
    use std::os::unix::process::CommandExt as _;

    /// Where jemalloc looks for settings.
    const SETTINGS: &str = "MALLOC_CONF";
    if std::env::var_os(SETTINGS).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let mut command = std::process::Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let settings = format!("narenas:{},background_thread:true", cores + 1);
    command.args(arguments).env(SETTINGS, settings);
    // `exec` returns only if it fails; the program then runs with jemalloc's defaults and more
    // memory.
    let _failed = command.exec();
}

/// On other systems the allocator has no settings.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn set_up() {}
