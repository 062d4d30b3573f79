//! Does the name of an option, variable, header or parameter promise a secret?

/// A name that ends in one of these holds a secret: `PGPASSWORD`, `authtoken`.
const ENDINGS: [&str; 13] = [
    "password",
    "passwd",
    "passphrase",
    "passwort",
    "secret",
    "token",
    "pwd",
    "apikey",
    "authkey",
    "accesskey",
    "secretkey",
    "credential",
    "credentials",
];
/// A word that is one of these.
const WORDS: [&str; 7] = ["pass", "psk", "pw", "creds", "jwt", "bearer", "sas"];
/// Words that end in `pass` and are none.
const NO_PASS: [&str; 5] = ["bypass", "compass", "encompass", "surpass", "multipass"];
/// A word before `key` that makes it a secret one.
const KEYS: [&str; 11] = [
    "api",
    "access",
    "secret",
    "auth",
    "account",
    "encryption",
    "signing",
    "shared",
    "master",
    "session",
    "license",
];
/// A last word that says that the value only speaks about the secret.
const HARMLESS: [&str; 48] = [
    "file",
    "path",
    "name",
    "stdin",
    "prompt",
    "fd",
    "env",
    "url",
    "uri",
    "type",
    "ttl",
    "policy",
    "length",
    "len",
    "id",
    "ids",
    "dir",
    "directory",
    "size",
    "count",
    "limit",
    "expiry",
    "expiration",
    "expires",
    "timeout",
    "manager",
    "store",
    "provider",
    "class",
    "helper",
    "algorithm",
    "format",
    "header",
    "field",
    "ref",
    "arn",
    "version",
    "command",
    "cmd",
    "min",
    "max",
    "lifetime",
    "age",
    "endpoint",
    "user",
    "mode",
    "required",
    "rotation",
];
/// A first word of a switch that takes no value.
const SWITCHES: [&str; 16] = [
    "no", "ask", "prompt", "use", "show", "require", "disable", "enable", "skip", "allow", "without", "with",
    "change", "reset", "generate", "forget",
];
/// Query parameters that are secrets although their names are short.
const PARAMETERS: [&str; 8] = [
    "key",
    "sig",
    "signature",
    "auth",
    "code",
    "session",
    "sid",
    "x-amz-credential",
];
/// Longest name that is looked at, from its end.
const MAX_NAME: usize = 64;

/// Does a value with this name hold a secret?
pub(super) fn is_secret(name: &str) -> bool {
    let name = &name[name.ceil_char_boundary(name.len().saturating_sub(MAX_NAME))..];
    let (mut found, mut last) = (false, "");
    for word in words(name) {
        found |= is_secret_word(word) || (word.eq_ignore_ascii_case("key") && one_of(last, &KEYS));
        last = word;
    }
    found && !one_of(last, &HARMLESS)
}

/// The same for a parameter in the query of a URL.
pub(super) fn is_secret_parameter(name: &str) -> bool {
    one_of(name, &PARAMETERS) || name.to_ascii_lowercase().ends_with("signature") || is_secret(name)
}

/// Is an option of this name a switch, so that the next argument is none of its business?
pub(super) fn is_switch(name: &str) -> bool {
    words(name).next().is_some_and(|first| one_of(first, &SWITCHES))
}

/// A byte that may stand in a name.
pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn is_secret_word(word: &str) -> bool {
    let ends = |ending: &&'static str| {
        word.len()
            .checked_sub(ending.len())
            .and_then(|start| word.get(start..))
            .is_some_and(|end| end.eq_ignore_ascii_case(ending))
    };
    one_of(word, &WORDS) || ENDINGS.iter().any(ends) || (ends(&"pass") && !one_of(word, &NO_PASS))
}

fn one_of(word: &str, list: &[&str]) -> bool {
    list.iter().any(|entry| entry.eq_ignore_ascii_case(word))
}

/// The words of `db_password`, `api-key`, `clientSecret`, `APIKey`.
fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_ascii_alphanumeric())
        .flat_map(camel)
        .filter(|word| !word.is_empty())
}

fn camel(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let bytes = rest.as_bytes();
        if bytes.is_empty() {
            return None;
        }
        let border = (1..bytes.len()).find(|at| {
            let upper = bytes[*at].is_ascii_uppercase();
            let after_lower = !bytes[at - 1].is_ascii_uppercase();
            let before_lower = bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase);
            upper && (after_lower || before_lower)
        });
        let (word, left) = rest.split_at(border.unwrap_or(bytes.len()));
        rest = left;
        Some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets() {
        for name in [
            "password",
            "PGPASSWORD",
            "MYSQL_PWD",
            "db.password",
            "clientSecret",
            "APIKey",
            "apiKey",
            "api-key",
            "AWS_SECRET_ACCESS_KEY",
            "GITHUB_TOKEN",
            "auth-token",
            "Ddb.password",
            "eDB_PASS",
            "storepass",
            "authkey",
            "x-api-key",
            "pass",
            "dbpass",
            "ansible_become_pass",
            "AccountKey",
            "secret",
            "ePASSWORD",
        ] {
            assert!(is_secret(name), "{name}");
        }
        assert!(is_secret_parameter("sig") && is_secret_parameter("X-Amz-Signature"));
    }

    #[test]
    fn names_of_other_things() {
        for name in [
            "",
            "port",
            "key",
            "tokens",
            "max-tokens",
            "tokenizer",
            "password-file",
            "token-ttl",
            "AWS_ACCESS_KEY_ID",
            "secret-name",
            "bypass",
            "secrets",
            "keyboard",
            "passive",
            "user",
            "passenger",
            "password-stdin",
            "compass",
            "monkey",
            "pid",
            "secretary",
        ] {
            assert!(!is_secret(name), "{name}");
        }
        assert!(is_switch("no-password") && is_switch("ask-pass") && !is_switch("password"));
    }
}
