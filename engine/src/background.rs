//! Threads whose work nobody waits for.

/// The niceness of background threads.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Lowers the calling thread's priority below that of the threads that carry rows. Where the system
/// does not allow or support this, the thread keeps its priority.
pub fn lower_priority() {
    #[cfg(target_os = "linux")]
    let _lowered = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
}
