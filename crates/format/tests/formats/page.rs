//! `docs/fields.md` is made from the list of fields. `UPDATE_DOCS=1 cargo test -p atalaya-format` writes it anew.

use std::fmt::Write;

use atalaya_model::fields::{self, Kind};

const HEAD: &str = "\
# Fields

Made from the list of fields in `crates/model/src/fields`; a test fails where this page is stale.
Names are those of the Elastic Common Schema where it has one. The name is the key in JSON (dots nest) and in the
[filter grammar](filter.md), which knows the short names, too; the column is that of CSV and of the SQL views.

| type | in JSON | in CSV and SQL |
|---|---|---|
| text | string | text |
| texts | array of strings | joined by `; ` in CSV |
| address | string | text in CSV |
| integer | number (`event.id`: string) | number |
| bytes | number | number |
| time | RFC 3339, UTC, microseconds | RFC 3339 in CSV, microseconds since the epoch in SQL |
| span | nanoseconds | microseconds |
| truth | `true`, `false` | `true`, `false` in CSV |

Privacy: *plain* says nothing about a person, *personal* may tell who did what, *sensitive* may hold a secret in spite of
redaction. A field that is unset is left out of JSON and empty in CSV.

In the filter grammar `time` stands for `event.created` or `event.start`, `ip` and `port` for those of either end or of a
listener, and `any` for the texts that a bare word is looked for in.
";

fn codes(names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n## Which record has which field\n\n| field | connections | processes | listeners | alerts | gaps | said |\n|---|---|---|---|---|---|---|\n");
    for field in fields::all() {
        let kinds = Kind::KEPT.into_iter().chain([Kind::Protocol]);
        let marks: Vec<_> = kinds
            .map(|kind| if field.of.contains(&kind) { "x" } else { "" })
            .collect();
        writeln!(page, "| `{}` | {} |", field.name, marks.join(" | ")).unwrap();
    }
    page.push_str(
        "\nAn alert has the fields of its process, of its first example connection and of its listener.\n\n\
         What was said (`--events protocol`) has the fields of its conversation, too, for filters. Where both have one, \
         as of\nTLS, HTTP and SSH, it is what was said there, and of another protocol the conversation's: \
         `http.request.method:POST`\nfinds each such request, and the conversations whose first request was one.\n",
    );
    page.push_str("\n## The fields\n\n| field | short | column | type | privacy | meaning | in Sigma rules |\n|---|---|---|---|---|---|---|\n");
    for field in fields::all() {
        let column = Some(field.column).filter(|column| !column.is_empty());
        let column = column.as_slice();
        writeln!(
            page,
            "| `{}` | {} | {} | {} | {} | {} | {} |",
            field.name,
            codes(field.aliases),
            codes(column),
            field.kind.name(),
            field.privacy.name(),
            field.doc,
            codes(field.sigma),
        )
        .unwrap();
    }
    page
}

#[test]
fn the_page_of_fields_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/fields.md");
    let made = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept == made,
        "docs/fields.md is stale: run `UPDATE_DOCS=1 cargo test -p atalaya-format`"
    );
}
