//! The allocator, set for batches that go from thread to thread.
//!
//! jemalloc gives what is free back to the system after some seconds, so that a peak (a backlog
//! that is read, a destination that comes back, a snapshot) does not stay. It has so many heaps as
//! there are cores, and one, where it would have four a core: batches are made by one thread and
//! freed by another, and every heap grows to what ever passed through it. It takes this from the
//! environment, before `main`, so the program starts itself once more with it set. See
//! docs/decisions/0004.

/// Every allocation of the program, and of the libraries in C that are linked into it.
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
    // It returns only if it fails, and then everything works as well, with more memory.
    let _failed = command.exec();
}

/// Other systems' allocators are as they are.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn set_up() {}
