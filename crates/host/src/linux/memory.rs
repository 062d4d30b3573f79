//! Memory that was needed for a moment.

/// Gives freed memory back to the system, where the C library would keep it for later.
pub(in crate::linux) fn give_back() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "a function of the C library")]
    // SAFETY: it takes no pointer, and may be called by any thread at any time.
    let _was_any_given = unsafe { libc::malloc_trim(0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resident_pages() -> u64 {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap();
        text.split(' ').nth(1).unwrap().parse().unwrap()
    }

    #[test]
    #[cfg(target_env = "gnu")]
    fn what_was_freed_is_given_back() {
        // Many small ones, each below the size that is mapped by itself, and the last of them kept.
        let mut many: Vec<Vec<u8>> = (0..4_000).map(|_| vec![1; 16 << 10]).collect();
        let last = many.pop();
        let full = resident_pages();
        drop(many);
        give_back();
        assert!(resident_pages() + 8_000 < full);
        drop(last);
    }
}
