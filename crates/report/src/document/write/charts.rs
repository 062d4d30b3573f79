//! Charts as inline SVG: no script, no colour alone, a text alternative in each.

use std::fmt::Write as _;
use std::ops::Range;

use crate::snapshot::labels::label as word;
use atalaya_format::catalogue::{Language, term};
use atalaya_format::{escape, numbers};
use atalaya_model::{Severity, Span, Time, Value};

use super::{counted, shown};
use crate::document::{Lane, Point, Series, Table};
use atalaya_format::escape::html as escaped;

/// Width of every chart; its text is 12 units high.
const WIDTH: f64 = 960.0;
/// Where the drawing begins: labels are to the left of it.
const LEFT: f64 = 72.0;
/// Height of a row of bars or of a lane.
const ROW: f64 = 22.0;
/// Bars of one chart.
const BARS: usize = 12;
/// Lanes of one chart.
const LANES: usize = 20;

/// Opens a drawing that a screen reader reads as `title` and `description`.
fn open(out: &mut String, height: f64, title: &str, description: &str) {
    let (title, description) = (escaped(title), escaped(description));
    put(
        out,
        format_args!(
            "<figure><svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{title}. {description}\">\
             <title>{title}</title><desc>{description}</desc>\n"
        ),
    );
}

/// Writing to memory does not fail.
fn put(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments).unwrap_or_default();
}

/// A stretch of time along the width.
struct Axis<'a> {
    range: &'a Range<Time>,
    /// Where it begins.
    left: f64,
    /// How far from the right edge it ends.
    right: f64,
}

impl Axis<'_> {
    /// The place of a time; what is outside comes to the nearest end.
    fn x(&self, time: Time) -> f64 {
        let whole = self.range.end.since(self.range.start).0.max(1) as f64;
        let part = time.since(self.range.start).0 as f64 / whole;
        self.left + part.clamp(0.0, 1.0) * (WIDTH - self.left - self.right)
    }

    /// Times with their labels, at most nine.
    fn ticks(&self) -> Vec<(Time, String)> {
        const MINUTES: [i64; 15] = [
            1, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1_440, 2_880, 10_080, 43_200, 525_600,
        ];
        let length = self.range.end.since(self.range.start).0;
        let step = MINUTES.into_iter().map(|minutes| minutes * 60_000_000);
        let step = step
            .into_iter()
            .find(|step| length / step <= 8)
            .unwrap_or(length / 8 + 1);
        let first = self.range.start.0.div_euclid(step) + 1;
        let times = (first..).map(|place| Time(place.saturating_mul(step)));
        times
            .take_while(|time| *time < self.range.end)
            .take(9)
            .map(|time| {
                let local = time.local();
                let label = match (step, length) {
                    (86_400_000_000.., _) => local.get(..10),
                    (_, 0..172_800_000_000) => local.get(11..16),
                    _ => local.get(5..16),
                };
                (time, label.unwrap_or_default().to_owned())
            })
            .collect()
    }

    fn draw(&self, out: &mut String, top: f64, bottom: f64) {
        for (time, label) in self.ticks() {
            let x = self.x(time);
            put(
                out,
                format_args!(
                    "<path class=\"axis\" d=\"M{x:.1} {top:.1}V{bottom:.1}\"/>\
                     <text class=\"faint\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>\n",
                    bottom + 16.0
                ),
            );
        }
    }
}

/// Bytes by time: received above the line, sent below it, on one scale; where nobody watched, a hatched band.
pub(super) fn series(series: &Series, range: &Range<Time>, language: Language) -> String {
    let end = series
        .points
        .last()
        .map_or(range.end, |point| point.start.after(series.step));
    let start = series.points.first().map_or(range.start, |point| point.start);
    let shown = start..end;
    let axis = Axis {
        range: &shown,
        left: LEFT,
        right: 8.0,
    };
    let most = |bytes: fn(&Point) -> u64| series.points.iter().map(bytes).max().unwrap_or_default();
    let (received, sent) = (most(|point| point.received_bytes), most(|point| point.sent_bytes));
    let (top, height) = (18.0, 180.0);
    let whole = (received as f64 + sent as f64).max(1.0);
    let zero = top + height * (received as f64 / whole).clamp(0.12, 0.88);
    let mut out = String::new();
    let description = described(series, received, sent, language);
    open(
        &mut out,
        top + height + 24.0,
        word("Traffic by time", language),
        &description,
    );
    out.push_str(
        "<defs><pattern id=\"hatch\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\" \
         patternTransform=\"rotate(45)\"><path class=\"hatch\" d=\"M0 0V7\"/></pattern></defs>\n",
    );
    axis.draw(&mut out, top, top + height);
    let scale = |bytes: u64, most: u64, room: f64| match most {
        0 => 0.0,
        most => bytes as f64 / most as f64 * room,
    };
    let common = received.max(sent);
    // One scale for both, as far as the smaller one can be seen at all.
    let room = (zero - top).max(top + height - zero);
    let area = |bytes: fn(&Point) -> u64, up: bool| {
        let mut path = format!("M{:.1} {zero:.1}", axis.x(start));
        for point in &series.points {
            let rise =
                scale(bytes(point), common, room).min(if up { zero - top } else { top + height - zero });
            let y = if up { zero - rise } else { zero + rise };
            put(
                &mut path,
                format_args!("V{y:.1}H{:.1}", axis.x(point.start.after(series.step))),
            );
        }
        put(&mut path, format_args!("V{zero:.1}Z"));
        path
    };
    put(
        &mut out,
        format_args!(
            "<path class=\"in\" d=\"{}\"/>\n<path class=\"out\" d=\"{}\"/>\n",
            area(|point| point.received_bytes, true),
            area(|point| point.sent_bytes, false)
        ),
    );
    for band in &series.unwatched {
        let (from, until) = (axis.x(band.start), axis.x(band.end));
        put(
            &mut out,
            format_args!(
                "<rect class=\"band\" x=\"{from:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{height:.1}\"><title>{}: {} – {}</title></rect>\n",
                (until - from).max(1.0),
                escaped(word("nobody watched", language)),
                band.start.local(),
                band.end.local()
            ),
        );
    }
    for band in &series.lossy {
        let (from, until) = (axis.x(band.start), axis.x(band.end));
        put(
            &mut out,
            format_args!(
                "<rect class=\"band\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"8\"><title>{}: {}</title></rect>\n",
                top + height - 8.0,
                (until - from).max(2.0),
                escaped(word("losses", language)),
                band.start.local()
            ),
        );
    }
    // The largest of each direction, where its line ends.
    let highest = (zero - scale(received, common, room)).clamp(top + 10.0, zero - 4.0);
    let lowest = (zero + scale(sent, common, room)).clamp(zero + 14.0, top + height);
    put(
        &mut out,
        format_args!(
            "<path class=\"axis\" d=\"M{LEFT} {zero:.1}H{:.1}\"/>\
             <text x=\"{:.1}\" y=\"{highest:.1}\" text-anchor=\"end\">{}</text>\
             <text x=\"{:.1}\" y=\"{lowest:.1}\" text-anchor=\"end\">{}</text>\
             <text class=\"faint\" x=\"{LEFT}\" y=\"12\">↑ {} · ↓ {} (/ {})</text>\n",
            WIDTH - 8.0,
            LEFT - 6.0,
            numbers::bytes(received),
            LEFT - 6.0,
            numbers::bytes(sent),
            escaped(word("received", language)),
            escaped(word("sent", language)),
            series.step,
        ),
    );
    out.push_str("</svg></figure>\n");
    out
}

/// What the chart shows, in words.
fn described(series: &Series, received: u64, sent: u64, language: Language) -> String {
    let busiest = series
        .points
        .iter()
        .max_by_key(|point| point.received_bytes.saturating_add(point.sent_bytes));
    let mut text = word(
        "At most {0} received and {1} sent in {2}; the most at {3}.",
        language,
    )
    .replace("{0}", &numbers::bytes(received))
    .replace("{1}", &numbers::bytes(sent))
    .replace("{2}", &series.step.to_string())
    .replace(
        "{3}",
        &busiest.map_or_else(String::new, |point| point.start.local()),
    );
    if !series.unwatched.is_empty() {
        let length: i64 = series
            .unwatched
            .iter()
            .map(|band| band.end.since(band.start).0)
            .sum();
        text.push(' ');
        text.push_str(
            &word("Hatched: nobody watched ({0}).", language).replace("{0}", &Span(length).to_string()),
        );
    }
    if !series.lossy.is_empty() {
        text.push(' ');
        text.push_str(word("Hatched at the foot: losses were told.", language));
    }
    text
}

/// A bar a row of a ranking: received and sent, and the sum of both at its end.
pub(super) fn bars(table: &Table, language: Language) -> String {
    let bytes = |row: usize, name: &str| match table.value(row, name) {
        Some(Value::Bytes(bytes)) => *bytes,
        _ => 0,
    };
    let rows = table.rows.len().min(BARS);
    let sum = |row: usize| bytes(row, "received_bytes").saturating_add(bytes(row, "sent_bytes"));
    let most = (0..rows).map(sum).max().unwrap_or_default();
    if most == 0 {
        return String::new();
    }
    let left = 330.0;
    let room = WIDTH - left - 80.0;
    let label = |row: usize| {
        let text = table.columns.first().map(|column| {
            let value = table.rows.get(row).and_then(|row| row.first()?.as_ref());
            shown(column, value, language)
        });
        escape::end(&text.unwrap_or_default(), 46)
    };
    let first: Vec<String> = (0..rows.min(3))
        .map(|row| format!("{} {}", label(row), numbers::bytes(sum(row))))
        .collect();
    let mut out = String::new();
    open(
        &mut out,
        20.0 + ROW * rows as f64,
        word(table.title, language),
        &first.join("; "),
    );
    put(
        &mut out,
        format_args!(
            "<rect class=\"in\" x=\"{left}\" y=\"2\" width=\"10\" height=\"10\"/><text class=\"faint\" x=\"{}\" y=\"12\">{}</text>\
             <rect class=\"out\" x=\"{}\" y=\"2\" width=\"10\" height=\"10\"/><text class=\"faint\" x=\"{}\" y=\"12\">{}</text>\n",
            left + 14.0,
            escaped(word("received", language)),
            left + 120.0,
            left + 134.0,
            escaped(word("sent", language)),
        ),
    );
    for row in 0..rows {
        let y = 20.0 + ROW * row as f64;
        let width = |bytes: u64| bytes as f64 / most as f64 * room;
        let (received, sent) = (
            width(bytes(row, "received_bytes")),
            width(bytes(row, "sent_bytes")),
        );
        put(
            &mut out,
            format_args!(
                "<text class=\"code\" x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
                 <rect class=\"in\" x=\"{left}\" y=\"{:.1}\" width=\"{received:.1}\" height=\"14\"/>\
                 <rect class=\"out\" x=\"{:.1}\" y=\"{:.1}\" width=\"{sent:.1}\" height=\"14\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\">{}</text>\n",
                left - 8.0,
                y + 13.0,
                escaped(&label(row)),
                y + 2.0,
                left + received,
                y + 2.0,
                left + received + sent + 6.0,
                y + 13.0,
                numbers::bytes(sum(row)),
            ),
        );
    }
    out.push_str("</svg></figure>\n");
    out
}

/// Alerts by time: a lane a rule, a sign for each severity.
pub(super) fn lanes(lanes: &[Lane], range: &Range<Time>, language: Language) -> String {
    if lanes.is_empty() {
        return String::new();
    }
    let left = 200.0;
    let right = 56.0;
    let axis = Axis { range, left, right };
    let rows = lanes.len().min(LANES);
    let bottom = 22.0 + ROW * rows as f64;
    let count: u64 = lanes.iter().map(|lane| lane.count).sum();
    let description = word("Alerts: {0}; rules: {1}.", language)
        .replace("{0}", &count.to_string())
        .replace("{1}", &lanes.len().to_string());
    let mut out = String::new();
    open(
        &mut out,
        bottom + 24.0,
        word("Alerts by time", language),
        &description,
    );
    let mut x = left;
    for severity in Severity::ALL.into_iter().rev() {
        mark(&mut out, x + 6.0, 8.0, severity);
        let name = term(severity.name(), language);
        put(
            &mut out,
            format_args!(
                "<text class=\"faint\" x=\"{:.1}\" y=\"12\">{name}</text>",
                x + 16.0
            ),
        );
        x += 110.0;
    }
    out.push('\n');
    axis.draw(&mut out, 22.0, bottom);
    for (place, lane) in lanes.iter().take(LANES).enumerate() {
        let y = 22.0 + ROW * (place as f64 + 0.5);
        put(
            &mut out,
            format_args!("<path class=\"axis\" d=\"M{left} {y:.1}H{:.1}\"/>", WIDTH - right),
        );
        // The gravest last, so that it lies on top.
        let mut marks: Vec<_> = lane.marks.iter().collect();
        marks.sort_by_key(|(_, severity)| *severity);
        for (time, severity) in marks {
            mark(&mut out, axis.x(*time), y, *severity);
        }
        put(
            &mut out,
            format_args!(
                "<text class=\"code\" x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
                 <text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
                left - 8.0,
                y + 4.0,
                escaped(&escape::start(&lane.rule, 27)),
                WIDTH - 8.0,
                y + 4.0,
                counted(lane.count)
            ),
        );
    }
    out.push_str("</svg></figure>\n");
    out
}

/// The sign of a severity: its form tells it as well as its colour.
fn mark(out: &mut String, x: f64, y: f64, severity: Severity) {
    let form = match severity {
        Severity::Critical => "l6 6l-6 6l-6 -6z",
        Severity::High => "l6 11h-12z",
        Severity::Medium => "h5v10h-10v-10z",
        Severity::Low => "l5 0l-5 9l-5 -9z",
        Severity::Info => "h1v10h-2v-10z",
    };
    let top = y - 6.0;
    put(
        out,
        format_args!(
            "<path class=\"{}\" d=\"M{x:.1} {top:.1}{form}\"/>",
            severity.name()
        ),
    );
}
