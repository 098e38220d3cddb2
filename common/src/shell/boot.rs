//! Which boot of the machine this is, and how long it has lasted: what processes that come one after the
//! other can measure time by without believing the calendar.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The name of this boot, and the time since it, sleep included; `None` where the system does not say.
#[must_use]
pub fn now() -> Option<([u8; 16], Duration)> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let boot = u128::from_str_radix(&digits, 16).ok()?.to_be_bytes();
    since().map(|since| (boot, since))
}

#[cfg(target_os = "linux")]
fn since() -> Option<Duration> {
    let time = clock_gettime(ClockId::Boottime);
    let (seconds, nanos) = (time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?);
    Some(Duration::new(seconds, nanos))
}

#[cfg(not(target_os = "linux"))]
fn since() -> Option<Duration> {
    let _ = clock_gettime(ClockId::Monotonic);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_has_one_name_and_lasts() {
        let Some((boot, since)) = now() else { return };
        let later = now().unwrap();
        assert_eq!(later.0, boot);
        assert!(later.1 >= since);
    }
}
