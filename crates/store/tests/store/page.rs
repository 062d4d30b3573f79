//! `docs/schema.md` is made from what `query --schema` tells; the statements of `docs/query.md` are asked.

use std::fmt::Write as _;

use atalaya_model::fields;
use atalaya_store::console::{FUNCTIONS, Question, SavedQuestion};
use atalaya_store::views;

use crate::console::{console, question, story};

const HEAD: &str = "\
# The views and functions of `atalaya query`

Made from `crates/store/src/schema.rs`, the list of fields in `crates/model/src/fields` and `crates/store/src/console`; a test
fails where this page is stale. `atalaya query --schema` prints the same. Views stay as they are when the tables below them
change.

| type | in SQL |
|---|---|
| text, integer | as it is |
| blob | bytes; shown in hexadecimal |
| bytes | a number |
| time | microseconds since the epoch, UTC |
| microseconds | a span |
| boolean | 0, 1, or NULL where it is not known |
| texts | a JSON array, for `json_each` |

Field names are those of JSON and filters; see [fields.md](fields.md), also for what *personal* and *sensitive* mean. How to ask
is in [query.md](query.md).
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    for view in views() {
        writeln!(page, "\n## `{}`\n\n{}\n", view.name, view.doc).unwrap();
        page.push_str("| column | type | meaning | field |\n|---|---|---|---|\n");
        for column in view.columns {
            let field = fields::all().find(|field| field.column == column.name);
            let field = field.map(|field| format!("`{}`, {}", field.name, field.privacy.name()));
            writeln!(
                page,
                "| `{}` | {} | {} | {} |",
                column.name,
                column.kind,
                column.doc.replace('|', "\\|"),
                field.unwrap_or_default(),
            )
            .unwrap();
        }
    }
    page.push_str("\n## Functions, beside those of SQLite\n\n| function | meaning |\n|---|---|\n");
    for function in FUNCTIONS {
        writeln!(
            page,
            "| `{}({})` | {} |",
            function.name, function.arguments, function.about
        )
        .unwrap();
    }
    page.push_str(
        "\n## Questions that come with the program\n\n| name | parameters | answers |\n|---|---|---|\n",
    );
    for saved in SavedQuestion::built_in() {
        let parameters = saved.parameters.iter().map(|parameter| match &parameter.default {
            Some(default) => format!("`{}={default}`", parameter.name),
            None => format!("`{}=…`", parameter.name),
        });
        let parameters = parameters.collect::<Vec<_>>().join(" ");
        writeln!(page, "| `{}` | {parameters} | {} |", saved.name, saved.about).unwrap();
    }
    page
}

#[test]
fn the_page_of_the_schema_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/schema.md");
    let made = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept == made,
        "docs/schema.md is stale: run `UPDATE_DOCS=1 cargo test -p atalaya-store --test store page`"
    );
}

#[test]
fn the_statements_of_the_page_are_answered() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/query.md");
    let text = std::fs::read_to_string(path).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut console = console(&story(folder.path()));
    let mut asked = 0;
    for block in text.split("```sql\n").skip(1) {
        let saved = SavedQuestion::read("page", block.split("```").next().unwrap());
        let values = saved.values(&[]);
        let question = Question {
            values: &values,
            ..question(&saved.sql)
        };
        let answer = console.ask(&question, || false);
        let answer = answer.unwrap_or_else(|refusal| panic!("{}\n{refusal}", saved.sql));
        assert_eq!(answer.cut, None, "{}", saved.sql);
        asked += 1;
    }
    assert!(asked >= 8, "{asked}");
}
