//! Threads whose work nobody waits for.

/// Their niceness.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Lets whoever carries rows go before the calling thread. Where that is not allowed or not known,
/// it works as everybody does.
pub(crate) fn lower_priority() {
    #[cfg(target_os = "linux")]
    let _lowered = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
}
