//! Texts that many conversations say alike — who a browser calls itself, what it can encrypt — are kept once.

use std::cell::RefCell;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use atalaya_model::Text;
use foldhash::fast::RandomState;

use crate::text::text_as;

/// What is remembered of each kind, each thread's own; a new one takes the place of another.
const PLACES: usize = 1_024;
/// Bytes of the longest text.
const LONGEST: usize = 512;

struct Seen<T: ?Sized> {
    hasher: RandomState,
    places: Vec<Option<Arc<T>>>,
}

impl<T: ?Sized> Default for Seen<T> {
    fn default() -> Self {
        Self {
            hasher: RandomState::default(),
            places: vec![None; PLACES],
        }
    }
}

thread_local! {
    static TEXTS: RefCell<Seen<str>> = RefCell::default();
    static LISTS: RefCell<Seen<[Text]>> = RefCell::default();
}

impl<T: ?Sized + Hash + PartialEq> Seen<T>
where
    Arc<T>: for<'a> From<&'a T>,
{
    fn share(&mut self, said: &T) -> Arc<T> {
        let place = self.hasher.hash_one(said) as usize % PLACES;
        match self.places.get_mut(place) {
            Some(Some(seen)) if **seen == *said => seen.clone(),
            Some(place) => place.insert(said.into()).clone(),
            None => said.into(),
        }
    }
}

/// The text, as it was said before if it was.
pub(crate) fn shared(text: &str) -> Text {
    if text.len() > LONGEST {
        return text.into();
    }
    TEXTS.with_borrow_mut(|texts| texts.share(text))
}

/// The list, as it was said before if it was.
pub(crate) fn shared_list(list: &[Text]) -> Arc<[Text]> {
    LISTS.with_borrow_mut(|lists| lists.share(list))
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
    use super::*;

    #[test]
    fn the_same_is_kept_once_and_the_table_is_bounded() {
        let first = shared_text(b"curl/8.0", 32);
        assert!(Arc::ptr_eq(&first, &shared("curl/8.0")));
        assert_eq!(&*shared_text(b"curl/8.0", 4), "curl");
        assert_eq!(&*shared_text(b"a\xff", 4), "a\\xff");
        let long = "x".repeat(LONGEST + 1);
        assert!(!Arc::ptr_eq(&shared(&long), &shared(&long)));
        for number in 0..4 * PLACES {
            let text = number.to_string();
            assert_eq!(*shared(&text), *text);
        }
        TEXTS.with_borrow(|texts| assert_eq!(texts.places.len(), PLACES));
        let list = || shared_list(&["h2".into(), "http/1.1".into()]);
        assert!(Arc::ptr_eq(&list(), &list()));
    }
}
