//! Few heaps for many threads.
//!
//! glibc gives each thread a heap of its own, up to eight per core, and what is freed stays with the heap it came from. Batches go from thread to
//! thread, so every heap grows to what ever passed through it: a third of a long run's memory. glibc takes the number of heaps from the environment, before
//! `main`, so the program starts itself once more with it set. See docs/decisions/0004.

/// Starts this program again in its place (same process, same arguments) with as many heaps as cores and one more; returns when that isn't
/// needed, wanted or possible.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn limit() {
    use std::os::unix::process::CommandExt as _;

    /// Read by glibc at the start of a process.
    const HEAPS: &str = "MALLOC_ARENA_MAX";
    if std::env::var_os(HEAPS).is_some() || std::env::var_os("GLIBC_TUNABLES").is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let mut command = std::process::Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // It returns only if it fails, and then everything works as well, with more memory.
    let _failed = command.args(arguments).env(HEAPS, (cores + 1).to_string()).exec();
}

/// Other systems' allocators have no such heaps.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn limit() {}
