//! The frame of a page: one file, no script, nothing from elsewhere, readable in the dark.

/// Text that may stand in HTML and XML, attributes included; characters that XML does not know
/// are shown as a question mark.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(letter),
            '\r' => {}
            other if other.is_control() => escaped.push('?'),
            other => escaped.push(other),
        }
    }
    escaped
}

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1d2329; --faint: #68727d; --line: #d6dbe0;
  --ground: #ffffff; --card: #f5f7f9; --good: #1a7f37; --bad: #c3272b; --warn: #9a6700;
  --a: #1f6feb; --b: #d1492e; --c: #1a7f37; --d: #8250df; --e: #68727d; }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e8ed; --faint: #93a0ac; --line: #343c44;
  --ground: #14181c; --card: #1d2329; --good: #56d364; --bad: #ff7b72; --warn: #e3b341;
  --a: #79b8ff; --b: #ff9b83; --c: #56d364; --d: #c8a6ff; --e: #93a0ac; } }
body { margin: 0 auto; padding: 1.5rem; max-width: 68rem; background: var(--ground);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: 0 0 .3rem } h2 { font-size: 1.05rem; margin: 2rem 0 .6rem }
p { margin: .3rem 0 } .faint { color: var(--faint) }
.verdict { display: inline-block; padding: .1rem .6rem; border-radius: .3rem; font-weight: 600;
  color: var(--ground); background: var(--faint) }
.passed { background: var(--good) } .failed { background: var(--bad) }
.invalid, .stopped { background: var(--warn) }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .6rem;
  margin: 1rem 0 }
.card { background: var(--card); border-radius: .4rem; padding: .5rem .8rem }
.card b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums }
.card span { color: var(--faint); font-size: .85rem }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: .25rem .5rem; border-bottom: 1px solid var(--line) }
th { color: var(--faint); font-weight: 500 } th:first-child, td:first-child { text-align: left }
td.words { text-align: left } .scroll { overflow-x: auto }
figure { margin: 0 } figcaption { font-weight: 500; margin-bottom: .2rem }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1.4rem }
@media (max-width: 32rem) { .charts { grid-template-columns: 1fr } }
svg { width: 100%; height: auto; display: block } svg text { fill: var(--faint); font-size: 11px }
.grid { stroke: var(--line); stroke-width: 1 } .curve { fill: none; stroke-width: 1.8 }
pre { background: var(--card); padding: .7rem; border-radius: .4rem; overflow-x: auto;
  font: 12.5px/1.4 ui-monospace, monospace } summary { cursor: pointer }
.key { margin-right: 1rem; white-space: nowrap; font-size: .85rem }
.key i { display: inline-block; width: .9rem; height: .2rem; margin-right: .35rem;
  vertical-align: middle }
code { font: 13px ui-monospace, monospace; overflow-wrap: anywhere }
.good { color: var(--good) } .bad { color: var(--bad) }
";

/// A whole page.
pub(super) fn frame(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n\
         <body>\n{body}\n</body>\n</html>\n"
    )
}

/// Microseconds as people read them.
pub(super) fn micros(micros: f64) -> String {
    let (value, unit) = if micros >= 1e6 {
        (micros / 1e6, "s")
    } else if micros >= 1e3 {
        (micros / 1e3, "ms")
    } else {
        (micros, "µs")
    };
    let digits = match value {
        value if value >= 100.0 || value == 0.0 => 0,
        value if value >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$} {unit}")
}

/// A count or a rate as people read it.
pub(super) fn amount(value: f64) -> String {
    match value.abs() {
        size if size >= 1e6 => format!("{:.2} M", value / 1e6),
        size if size >= 1e4 => format!("{:.1} k", value / 1e3),
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_digits_that_matter() {
        let times = [0.0, 7.0, 1_500.0, 45_600.0, 2_500_000.0].map(micros);
        assert_eq!(times, ["0 µs", "7.00 µs", "1.50 ms", "45.6 ms", "2.50 s"]);
        let amounts = [0.0, 0.25, 12.34, 950.0, 12_345.0, 2e6].map(amount);
        assert_eq!(
            amounts,
            ["0", "0.250", "12.3", "950", "12.3 k", "2 M"]
                .map(|text| { if text == "2 M" { "2.00 M" } else { text } })
        );
    }

    #[test]
    fn nothing_in_a_text_becomes_markup() {
        assert_eq!(
            escape("<a href=\"x\">&\u{1}\r\n"),
            "&lt;a href=&quot;x&quot;&gt;&amp;?\n"
        );
    }
}
