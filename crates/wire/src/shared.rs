//! Texts that many conversations say alike — who a browser calls itself, what it can encrypt — are kept once.

use std::cell::RefCell;
use std::hash::BuildHasher;

use atalaya_model::Text;
use foldhash::fast::RandomState;

use crate::text::text_as;

/// Texts that are remembered, each thread's own; a new one takes the place of another.
const TEXTS: usize = 1_024;
/// Bytes of the longest.
const LONGEST: usize = 512;

#[derive(Default)]
struct Texts {
    hasher: RandomState,
    places: Vec<Option<Text>>,
}

thread_local! {
    static TEXTS_SEEN: RefCell<Texts> = RefCell::default();
}

impl Texts {
    fn share(&mut self, text: &str) -> Text {
        self.places.resize(TEXTS, None);
        let place = self.hasher.hash_one(text) as usize % TEXTS;
        match self.places.get_mut(place) {
            Some(Some(seen)) if **seen == *text => seen.clone(),
            Some(place) => place.insert(text.into()).clone(),
            None => text.into(),
        }
    }
}

/// The text, as it was said before if it was.
pub(crate) fn shared(text: &str) -> Text {
    if text.len() > LONGEST {
        return text.into();
    }
    TEXTS_SEEN.with_borrow_mut(|texts| texts.share(text))
}

/// As [`text_as`], for what is said again and again.
pub(crate) fn shared_text(bytes: &[u8], limit: usize) -> Text {
    match std::str::from_utf8(bytes.get(..limit).unwrap_or(bytes)) {
        Ok(text) => shared(text),
        Err(_) => text_as(bytes, limit),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn the_same_is_kept_once_and_the_table_is_bounded() {
        let first = shared_text(b"curl/8.0", 32);
        assert!(Arc::ptr_eq(&first, &shared("curl/8.0")));
        assert_eq!(&*shared_text(b"curl/8.0", 4), "curl");
        assert_eq!(&*shared_text(b"a\xff", 4), "a\\xff");
        let long = "x".repeat(LONGEST + 1);
        assert!(!Arc::ptr_eq(&shared(&long), &shared(&long)));
        for number in 0..4 * TEXTS {
            let text = number.to_string();
            assert_eq!(*shared(&text), *text);
        }
        TEXTS_SEEN.with_borrow(|texts| assert_eq!(texts.places.len(), TEXTS));
    }
}
