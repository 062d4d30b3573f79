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
    let mut keys = BTreeSet::new();
    for (english, spanish) in spanish_terms() {
        assert!(keys.insert(english), "{english} stands twice");
        assert_eq!(placeholders(english), placeholders(spanish), "{english}");
    }
    assert_eq!(term("Severity", Language::Spanish), "Gravedad");
    assert_eq!(term("/usr/bin/nc", Language::Spanish), "/usr/bin/nc");
}

/// A rule, its values, its variants.
type Documented = (String, BTreeSet<String>, Vec<String>);

/// The list of detectors as its documentation states it, and the remarks about ports.
fn documented() -> (Vec<Documented>, Vec<String>) {
    let text = include_str!("../../../../docs/detectors.md");
    let mut rules: Vec<Documented> = Vec::new();
    let mut remarks = Vec::new();
    let names = |list: &str| {
        list.split(", ")
            .map(|name| name.trim_matches('`').to_owned())
            .collect::<Vec<_>>()
    };
    for line in text.lines() {
        if let Some(rule) = line.strip_prefix("## ").filter(|rule| !rule.contains(' ')) {
            rules.push((rule.to_owned(), BTreeSet::new(), Vec::new()));
        } else if let (Some(list), Some(rule)) = (line.strip_prefix("- values: "), rules.last_mut()) {
            rule.1 = names(list).into_iter().collect();
        } else if let (Some(list), Some(rule)) = (line.strip_prefix("- variants: "), rules.last_mut()) {
            rule.2 = names(list);
        } else if line.starts_with("| another port")
            || line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit()
        {
            remarks.push(line.split('|').nth(2).unwrap().trim().to_owned());
        }
    }
    (rules, remarks)
}

#[test]
fn every_detector_has_words_that_it_can_fill() {
    let (rules, remarks) = documented();
    assert!(rules.len() >= 12 && remarks.len() > 30);
    for (rule, values, variants) in &rules {
        let spoken =
            |rule: &str| message(rule, Language::English).unwrap_or_else(|| panic!("no words for {rule}"));
        let variants = variants
            .iter()
            .map(|variant| spoken(&format!("{rule}.{variant}")));
        for words in std::iter::once(spoken(rule)).chain(variants) {
            for text in [words.sentence, words.recommendation, words.silence] {
                for name in placeholders(text) {
                    assert!(
                        name == "who" || values.contains(name),
                        "{} cannot fill {name}",
                        words.rule
                    );
                }
            }
        }
    }
    let known: BTreeSet<_> = rules.iter().map(|(rule, ..)| rule.as_str()).collect();
    for words in messages(Language::English) {
        let rule = words.rule.split('.').next().unwrap();
        assert!(known.contains(rule), "{} belongs to no detector", words.rule);
    }
    for remark in remarks {
        assert_ne!(term(&remark, Language::Spanish), remark, "no Spanish for this");
    }
}
