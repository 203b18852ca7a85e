//! glibc's heaps, set for batches that go from thread to thread.
//!
//! glibc gives each thread a heap of its own, up to eight per core, and what is freed stays with the heap it came from: every heap grows to what ever
//! passed through it, a third of a long run's memory. And it gives the top of a heap back to the system and takes large blocks straight from it, so that
//! each epoch faults in again what the one before had. It takes these settings from the environment, before `main`, so the program starts itself
//! once more with them set. See docs/decisions/0004.

/// Starts this program again in its place (same process, same arguments) with the settings; returns when that isn't needed, wanted or possible.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn settle() {
    use std::os::unix::process::CommandExt as _;

    /// How many heaps there may be.
    const HEAPS: &str = "MALLOC_ARENA_MAX";
    /// What a heap keeps at its top, how much it grows by at least, and from what size on a block is mapped on its own; bytes.
    const KEPT: [(&str, u64); 3] =
        [("MALLOC_TRIM_THRESHOLD_", 256 << 20), ("MALLOC_TOP_PAD_", 4 << 20), ("MALLOC_MMAP_THRESHOLD_", 32 << 20)];
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
    command.args(arguments).env(HEAPS, (cores + 1).to_string());
    command.envs(KEPT.iter().filter(|(name, _)| std::env::var_os(name).is_none()).map(|(name, bytes)| (name, bytes.to_string())));
    // It returns only if it fails, and then everything works as well, with more memory and slower.
    let _failed = command.exec();
}

/// Other systems' allocators have no such heaps.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn settle() {}
