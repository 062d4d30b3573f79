use std::collections::BTreeSet;

use super::*;

fn placeholders(text: &str) -> BTreeSet<&str> {
    text.split('{')
        .skip(1)
        .filter_map(|rest| rest.split('}').next())
        .collect()
}

#[test]
fn every_language_says_everything_with_the_same_values() {
    for english in messages(Language::English) {
        let spanish = message(english.rule, Language::Spanish)
            .unwrap_or_else(|| panic!("{} has no Spanish", english.rule));
        for (en, es) in [
            (english.title, spanish.title),
            (english.sentence, spanish.sentence),
            (english.recommendation, spanish.recommendation),
            (english.silence, spanish.silence),
        ] {
            assert!(!en.is_empty() && !es.is_empty(), "{}", english.rule);
            assert_eq!(placeholders(en), placeholders(es), "{}", english.rule);
        }
        assert!(placeholders(english.title).is_empty(), "{}", english.rule);
    }
    assert_eq!(
        messages(Language::English).len(),
        messages(Language::Spanish).len()
    );
}

#[test]
fn a_variant_has_its_own_words_and_an_unknown_one_those_of_its_rule() {
    let english = Language::English;
    assert_ne!(message("dns_rate", english), message("dns_rate.user", english));
    for rule in messages(english) {
        let base = rule.rule.split('.').next().unwrap();
        assert!(message(base, english).is_some(), "{} has no base", rule.rule);
    }
    assert_eq!(message("no_such_rule", english), None);
}

#[test]
fn languages_are_found_in_the_environments_spelling() {
    assert_eq!(Language::from_code("es_MX.UTF-8"), Some(Language::Spanish));
    assert_eq!(Language::from_code("C.UTF-8"), Some(Language::English));
    assert_eq!(Language::from_code("en-GB"), Some(Language::English));
    assert_eq!(Language::from_code("de_DE"), None);
}

#[test]
fn terms_are_unique_and_foreign_text_passes() {
    let keys: BTreeSet<_> = terms::SPANISH.iter().map(|(english, _)| english).collect();
    assert_eq!(keys.len(), terms::SPANISH.len());
    assert_eq!(term("Severity", Language::Spanish), "Gravedad");
    assert_eq!(term("/usr/bin/nc", Language::Spanish), "/usr/bin/nc");
}
