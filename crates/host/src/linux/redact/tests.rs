//! What is replaced, and what must stay.

use proptest::prelude::*;

use super::*;

/// `|` stands between arguments, `*` for what replaces a secret.
#[track_caller]
fn check(before: &str, after: &str) {
    let words: Vec<&str> = before.split('|').collect();
    let redacted = arguments(&words);
    assert_eq!(redacted.join("|"), after.replace('*', REDACTED), "{before}");
    assert_eq!(arguments(&redacted), redacted, "again: {before}");
}

#[track_caller]
fn stays(line: &str) {
    check(line, line);
}

#[test]
fn options_of_all_programs() {
    check("app|--password=hunter2|x", "app|--password=*|x");
    check("app|--password|hunter2|x", "app|--password|*|x");
    check("app|--password=a=b c|x", "app|--password=*|x");
    check("app|-password|hunter2", "app|-password|*");
    check(
        "app|--api-key|abc|--token=def|--secret|ghi",
        "app|--api-key|*|--token=*|--secret|*",
    );
    check("app|--db-passwd=x", "app|--db-passwd=*");
    check("app|--clientSecret=x", "app|--clientSecret=*");
    check(
        "java|-Djavax.net.ssl.keyStorePassword=changeit|-jar|a.jar",
        "java|-Djavax.net.ssl.keyStorePassword=*|-jar|a.jar",
    );
    check("keytool|-storepass|changeit", "keytool|-storepass|*");
    check("tailscale|up|--authkey=x", "tailscale|up|--authkey=*");
    check("app|--password|-odd-one", "app|--password|*");
    check(
        "gpg|--batch|--passphrase|x y|-d|f",
        "gpg|--batch|--passphrase|*|-d|f",
    );
}

#[test]
fn options_that_only_look_so() {
    stays("app|--port=8080|--keyboard=es|--passive");
    stays("app|--password-file=/etc/secret|--token-ttl=60|--max-tokens|4096");
    stays("app|--password|--host|db");
    stays("app|--no-password|db|--ask-pass|host");
    stays("app|--password=|--secret=true|--token=$TOKEN|--token|${CI_TOKEN}");
    stays("psql|--password|mydb|-p|5432");
    stays("ssh|-p|8080|host");
    stays("ssh|-p8080|host");
    stays("docker|run|-p|8080:80|nginx");
    stays("docker|run|-p3306:3306|mysql");
    stays("docker|run|mysql|-p3306:3306");
    stays("ps|-p|123");
    stays("mkdir|-p|/a/b");
    stays("cp|-p|a|b");
    stays("nmap|-p22,80|10.0.0.1");
    stays("tar|-xpf|a.tar");
    stays("docker|build|--secret|id=npm,src=/x|.");
    stays("chrome|--password-store=basic");
    stays("vllm|--tokenizer=x|--tokens|5");
    stays("/usr/sbin/sshd|-D");
    stays("grep|-r|password|/etc");
    stays("vim|/etc/passwd");
    stays("");
}

#[test]
fn options_of_one_program() {
    check("mysql|-uroot|-phunter2|db", "mysql|-uroot|-p*|db");
    check(
        "/usr/bin/mysqldump|-ph|--all-databases",
        "/usr/bin/mysqldump|-p*|--all-databases",
    );
    check("mariadb|--password=x|db", "mariadb|--password=*|db");
    stays("mysql|-p|db");
    stays("mysql|--password|db");
    check("sudo|mysql|-p123456", "sudo|mysql|-p*");
    check(
        "docker|exec|db|mysql|-uroot|-psecret",
        "docker|exec|db|mysql|-uroot|-p*",
    );
    check("sshpass|-p|hunter2|ssh|-p|22|host", "sshpass|-p|*|ssh|-p|22|host");
    check("sshpass|-phunter2|ssh|-p22|host", "sshpass|-p*|ssh|-p22|host");
    check("mysql|ssh|-psecret", "mysql|ssh|-p*");
    check("ssh|host|mysql|-psecret", "ssh|host|mysql|-p*");
    check("curl|-u|ana:hunter2|http://x", "curl|-u|ana:*|http://x");
    check("curl|-uana:hunter2", "curl|-uana:*");
    check("curl|-sSu|ana:hunter2", "curl|-sSu|ana:*");
    check(
        "curl|--user=ana:x|--proxy-user|p:q",
        "curl|--user=ana:*|--proxy-user|p:*",
    );
    stays("curl|-u|ana|http://x");
    check("curl|-b|session=abc|-b|jar.txt", "curl|-b|*|-b|jar.txt");
    check("redis-cli|-a|x|-p|6379", "redis-cli|-a|*|-p|6379");
    check("mongosh|-u|a|-p|x", "mongosh|-u|a|-p|*");
    check("ldapsearch|-D|cn=x|-w|y", "ldapsearch|-D|cn=x|-w|*");
    check("smbclient|-U|ana%x|//h/s", "smbclient|-U|ana%*|//h/s");
    check("7z|a|-psecret|x.7z", "7z|a|-p*|x.7z");
    check("zip|-P|x|a.zip", "zip|-P|*|a.zip");
    check(
        "openssl|rsa|-passin|pass:x|-in|k",
        "openssl|rsa|-passin|pass:*|-in|k",
    );
    stays("openssl|rsa|-passin|file:/k|-in|k");
    check("docker|login|-u|a|-p|x|reg", "docker|login|-u|a|-p|*|reg");
    check("xfreerdp|/u:ana|/p:x|/v:h", "xfreerdp|/u:ana|/p:*|/v:h");
    check(
        "nmcli|dev|wifi|connect|net|password|x",
        "nmcli|dev|wifi|connect|net|password|*",
    );
}

#[test]
fn variables_and_parameters() {
    check("env|PGPASSWORD=x y|psql", "env|PGPASSWORD=*|psql");
    check(
        "docker|run|-e|DB_PASSWORD=x|-eAPI_TOKEN=y|img",
        "docker|run|-e|DB_PASSWORD=*|-eAPI_TOKEN=*|img",
    );
    check(
        "mount|-o|username=a,password=b,uid=0|//h/s",
        "mount|-o|username=a,password=*,uid=0|//h/s",
    );
    check("app|Server=h;Pwd=x,y;Db=z", "app|Server=h;Pwd=*;Db=z");
    check(
        "wget|https://h/p?a=1&token=x&b=2",
        "wget|https://h/p?a=1&token=*&b=2",
    );
    check(
        "wget|https://h/p?sig=x&key=y&keys=z",
        "wget|https://h/p?sig=*&key=*&keys=z",
    );
    check(
        "wget|https://h/?X-Amz-Credential=a&X-Amz-Signature=b",
        "wget|https://h/?X-Amz-Credential=*&X-Amz-Signature=*",
    );
    stays("env|AWS_ACCESS_KEY_ID=short|HOME=/root|KEY=value");
}

#[test]
fn headers_and_bodies() {
    check(
        "curl|-H|Authorization: Bearer abc.def",
        "curl|-H|Authorization: Bearer *",
    );
    check(
        "curl|-H|authorization:Basic YTpi",
        "curl|-H|authorization:Basic *",
    );
    check("curl|-H|Authorization: abc", "curl|-H|Authorization: *");
    check(
        "curl|-H|Authorization:|Bearer|abc|x",
        "curl|-H|Authorization:|Bearer|*|x",
    );
    check(
        "curl|-H|X-Api-Key: abc|-H|Accept: */x".replace('*', "a").as_str(),
        "curl|-H|X-Api-Key: *|-H|Accept: a/x",
    );
    check("curl|-HCookie: a=b; c=d", "curl|-HCookie: a=b; c=d");
    check("curl|-H|Cookie: a=b; c=d", "curl|-H|Cookie: *");
    check(
        r#"curl|-d|{"user":"ana","password":"a\"b","n":1}"#,
        r#"curl|-d|{"user":"ana","password":"*","n":1}"#,
    );
    check("curl|-d|user=ana&password=x", "curl|-d|user=ana&password=*");
    check("app|sent Bearer abcdefghij to h", "app|sent Bearer * to h");
    stays("docker|run|-v|secret:/run/secret|img");
    stays("curl|-H|Content-Type: application/json");
}

#[test]
fn addresses() {
    check(
        "psql|postgres://ana:x@db:5432/a",
        "psql|postgres://ana:*@db:5432/a",
    );
    check("psql|postgres://ana:p/w#?@db/a", "psql|postgres://ana:*@db/a");
    check(
        "git|clone|https://0123456789abcdef0123@h/r",
        "git|clone|https://*@h/r",
    );
    check(
        "curl|-x|http://u:p@proxy:1|https://v:q@h/",
        "curl|-x|http://u:*@proxy:1|https://v:*@h/",
    );
    stays("git|clone|ssh://git@h:22/r");
    stays("curl|http://h:8080/@scope/pkg");
    stays("curl|http://[::1]:80/a@b");
    stays("scp|ana@h:/a|b");
}

#[test]
fn well_known_shapes() {
    let github = format!("app|ghp_{}|x", "a1".repeat(18));
    check(&github, "app|*|x");
    check("app|--id=AKIAIOSFODNN7EXAMPLE", "app|--id=*");
    check("app|eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "app|*");
    check(
        "curl|https://hooks.slack.com/services/T0000/B0000/xyz",
        "curl|https://hooks.slack.com/services/*",
    );
    let key = "app|a -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- b";
    check(key, "app|a * b");
    check("app|-----BEGIN PRIVATE KEY-----MII", "app|*");
    stays("app|-----BEGIN CERTIFICATE-----MII");
    stays("app|sk-short|eyJx|AKIA");
}

#[test]
fn command_lines_within_arguments() {
    check(
        "sh|-c|mysql -uroot -phunter2 db; ls -p x",
        "sh|-c|mysql -uroot -p* db; ls -p x",
    );
    check(
        "bash|-lc|PASSWORD=x exec app --token 'a b' c",
        "bash|-lc|PASSWORD=* exec app --token '*' c",
    );
    check(
        "sh|-c|export DB_PASSWORD='a b c' && run",
        "sh|-c|export DB_PASSWORD='*' && run",
    );
    check(
        "ssh|h|sshpass -p 'x y' ssh -p 22 g",
        "ssh|h|sshpass -p '*' ssh -p 22 g",
    );
    check(
        r#"sh|-c|curl -H "Authorization: Bearer abc" http://h"#,
        r#"sh|-c|curl -H "Authorization: Bearer *" http://h"#,
    );
    check(r#"su|-c|sh -c "mysql -psecret""#, r#"su|-c|sh -c "mysql -p*""#);
    stays("sh|-c|for i in 1 2; do mkdir -p /a/$i; done");
    stays("nginx: master process /usr/sbin/nginx -g daemon off;");
}

#[test]
fn the_published_keyed_hash() {
    // RFC 4231, test case 1, its key of 20 bytes padded with zeros as the algorithm does.
    let mut key = [0; 32];
    key[..20].fill(0x0b);
    let expected = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
    assert_eq!(&*keyed_hash(&key, b"Hi There"), expected);
}

/// Pieces that the rules look for, so that random lines meet them.
fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "mysql",
        "-p",
        "--password",
        "password",
        "=",
        ":",
        "://",
        "@",
        " ",
        "'",
        "\"",
        "\\",
        ";",
        "&",
        ",",
        "?",
        "token",
        "Authorization: ",
        "Bearer ",
        "eyJ",
        "-----BEGIN PRIVATE KEY-----",
        "-----END ",
        "curl",
        "-u",
        "a",
        "[redacted]",
        "AKIA",
        "sh",
        "-c",
        "é",
        "$",
        "/",
        "login",
        "docker",
        "openssl",
        "-pass",
        "pass:",
    ]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => ".{0,3}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_line_is_bounded(words in prop::collection::vec(prop::collection::vec(piece(), 0..8), 0..6)) {
        let words: Vec<String> = words.into_iter().map(|pieces| pieces.concat()).collect();
        let redacted = arguments(&words);
        let (before, after): (usize, usize) = (words.iter().map(String::len).sum(), redacted.iter().map(String::len).sum());
        prop_assert!(after <= (before + 1) * (REDACTED.len() + 1));
        prop_assert_eq!(redacted.len(), words.len());
    }

    #[test]
    fn twice_is_once(words in prop::collection::vec(prop::collection::vec(piece(), 0..5), 0..5)) {
        let words: Vec<String> = words.into_iter().map(|pieces| pieces.concat()).collect();
        let once = arguments(&words);
        prop_assert_eq!(&arguments(&once), &once);
    }

    #[test]
    fn no_password_survives(secret in "[A-Za-z0-9!#%+/]{4,20}") {
        let secret = format!("Zq9{secret}");
        let lines = [
            vec!["mysql".to_owned(), format!("-p{secret}")],
            vec!["app".to_owned(), format!("--password={secret}")],
            vec!["app".to_owned(), "--token".to_owned(), secret.clone()],
            vec!["curl".to_owned(), format!("https://ana:{secret}@host/")],
            vec!["sh".to_owned(), "-c".to_owned(), format!("mysql '-p{secret}' db")],
            vec!["curl".to_owned(), "-H".to_owned(), format!("Authorization: Bearer {secret}")],
        ];
        for line in lines {
            let redacted = arguments(&line).join(" ");
            prop_assert!(!redacted.contains(&secret), "{}", redacted);
        }
    }
}

#[test]
fn long_lines_take_no_long_time() {
    for piece in [
        "://",
        "a:b",
        "password=",
        ",a",
        "-----BEGIN PRIVATE KEY",
        "'",
        "\\\"",
        "Bearer ",
    ] {
        let line = piece.repeat(200_000 / piece.len());
        assert!(arguments(&["app", &line]).len() == 2);
    }
}
