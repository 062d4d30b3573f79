//! The style sheet of the HTML document: one for screens, light and dark, and for black ink on A4 and Letter.

/// The style sheet. What changes here changes [`HASH`], too; a test says how it is to be.
pub(super) const SHEET: &str = "\
:root{color-scheme:light dark;--ink:#1c1f23;--paper:#fff;--faint:#5f6670;--line:#d9dde2;--accent:#0b5cad;\
--in:#2f6fb2;--out:#1f8a7a;--critical:#a3142b;--high:#c2331f;--medium:#b05a00;--low:#7a6a00;--info:#2a62a8}
@media (prefers-color-scheme:dark){:root{--ink:#e4e7eb;--paper:#15181c;--faint:#9aa3ae;--line:#343a42;--accent:#79b8ff;\
--in:#6ea8e6;--out:#4cc2b0;--critical:#ff7b8a;--high:#ff8a75;--medium:#f0a552;--low:#d8c45a;--info:#8dbcff}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:72rem;padding:24px 20px;background:var(--paper);color:var(--ink);font:14px/1.45 system-ui,sans-serif}
h1{font-size:20px;margin:0}h2{font-size:16px;margin:36px 0 4px}h3{font-size:14px;margin:20px 0 4px}
p{margin:4px 0}a{color:var(--accent)}.faint{color:var(--faint)}
.verdict{font-size:20px;line-height:1.35;margin:20px 0;padding-left:12px;border-left:4px solid var(--line);overflow-wrap:anywhere}
.verdict.critical,.verdict.high{border-color:var(--high)}.verdict.medium{border-color:var(--medium)}\
.verdict.low{border-color:var(--low)}
.numbers{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:16px;margin:20px 0;padding:0;list-style:none}
.numbers b{display:block;font-size:28px;font-weight:600;font-variant-numeric:tabular-nums;line-height:1.2}
ul{margin:4px 0;padding-left:20px}li{margin:2px 0;overflow-wrap:anywhere}
nav{margin:20px 0;font-size:12px;columns:3 12rem}nav a{display:block}
figure{margin:8px 0}svg{display:block;width:100%;height:auto}
svg text{font:12px system-ui,sans-serif;fill:var(--ink)}svg .faint{fill:var(--faint)}\
svg .code{font-family:ui-monospace,monospace;font-size:11px}
.axis{stroke:var(--line);stroke-width:1}.in{fill:var(--in)}.out{fill:var(--out)}.band{fill:url(#hatch)}\
.hatch{stroke:var(--faint);stroke-width:1.5}
svg .critical{fill:var(--critical)}svg .high{fill:var(--high)}svg .medium{fill:var(--medium)}svg .low{fill:var(--low)}\
svg .info{fill:var(--info)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;margin:8px 0;font-variant-numeric:tabular-nums}
th{font-weight:600;text-align:left;color:var(--faint);font-size:12px}
th,td{border-bottom:1px solid var(--line);padding:4px 12px 4px 0;vertical-align:top}
th:last-child,td:last-child{padding-right:0}
td.number,th.number{text-align:right;white-space:nowrap}td.time{white-space:nowrap}
td.code{font:12px/1.5 ui-monospace,monospace;overflow-wrap:anywhere;min-width:10rem}td.sentence{min-width:14rem;overflow-wrap:anywhere}
tr.above td{border-bottom:0}tr.under span{display:inline-block;max-width:100%;margin-right:16px}tr.under td{padding-top:0;font-size:12px;color:var(--faint);overflow-wrap:anywhere}
tr.group th{color:var(--ink);font-size:14px;padding-top:20px;overflow-wrap:anywhere}tr.group span{margin-right:8px}\
tr.group .code{font:12px/1.5 ui-monospace,monospace;color:var(--faint)}\
tr.group .sentence{display:block;margin:0;font-weight:400;font-size:12px;color:var(--faint)}
.severity{font-weight:600;white-space:nowrap}
.severity.critical{color:var(--critical)}.severity.high{color:var(--high)}.severity.medium{color:var(--medium)}\
.severity.low{color:var(--low)}.severity.info{color:var(--info)}
summary{cursor:pointer;color:var(--accent)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;margin:8px 0}dt{color:var(--faint)}dd{margin:0;overflow-wrap:anywhere}
@media (max-width:700px){body{padding:16px 12px}}
@page{margin:14mm}
@media print{
:root{color-scheme:light;--ink:#000;--paper:#fff;--faint:#444;--line:#bbb;--accent:#000;--in:#222;--out:#999;\
--critical:#000;--high:#000;--medium:#000;--low:#000;--info:#000}
body{max-width:none;padding:0;font-size:9.5pt}td.code{font-size:8pt;min-width:7rem}tr.under td{font-size:8pt}th,td{padding:2px 8px 2px 0}tr.group th{padding-top:10px}svg text{font-size:14px}\
svg{print-color-adjust:exact;-webkit-print-color-adjust:exact}
nav{display:none}.numbers{grid-template-columns:repeat(5,1fr);gap:8px}.numbers b{font-size:18pt}td.sentence{width:55%}.scroll{overflow:visible}.first{break-after:page}
h2,h3,section>p,thead{break-after:avoid}figure,tr{break-inside:avoid}tr.above,tr.group{break-after:avoid}a{text-decoration:none}
details.rows{display:none}}
";

/// SHA-256 of the style sheet in base64: the only style that the document allows.
pub(super) const HASH: &str = "rwJLuXVHdxhi7rzOs5yiWIPR5F9ua8BuL3o/wuZMYYk=";

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn the_hash_is_the_sheets() {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut base64 = String::new();
        for three in Sha256::digest(SHEET.as_bytes()).chunks(3) {
            let bits = three
                .iter()
                .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
                << (8 * (3 - three.len()));
            for place in 0..4 {
                let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize] as char;
                base64.push(if place > three.len() { '=' } else { letter });
            }
        }
        assert_eq!(base64, HASH);
    }
}
