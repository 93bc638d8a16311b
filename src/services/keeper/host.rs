//! Which host and which boot this is.

use crate::sys::clock;

/// This host's id: the same after every boot. Its hostname where it has no `/etc/machine-id`; empty where it has neither.
pub fn id() -> String {
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let machine = machine.trim();
    // What systemd writes into an image that was never booted.
    if !machine.is_empty() && machine != "uninitialized" {
        return machine.to_owned();
    }
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// This boot, as a number that another boot does not have; 0: nobody can tell.
pub(super) fn boot() -> u64 {
    let id = clock::boot_id().unwrap_or_default();
    let digits: String = id.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    u64::from_str_radix(&digits, 16).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_has_a_number_and_the_host_an_id() {
        assert_ne!(boot(), 0);
        assert_eq!(boot(), boot());
        assert!(!id().is_empty());
    }
}
