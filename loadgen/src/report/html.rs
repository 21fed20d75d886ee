//! One run as one page.

use std::fmt::Write as _;

use super::chart::{Across, Series, Unit, chart};
use super::outcome::{Distribution, Outcome, Point, Search};
use super::page::{amount, escape, frame, micros};

/// A text that is put together piece by piece.
pub(super) struct Body(pub(super) String);

impl Body {
    pub(super) fn add(&mut self, text: std::fmt::Arguments<'_>) {
        let written = self.0.write_fmt(text);
        debug_assert!(written.is_ok(), "a String takes everything");
    }
}

/// The page of a run.
#[must_use]
pub fn page(outcome: &Outcome) -> String {
    let mut body = Body(String::new());
    head(&mut body, outcome);
    cards(&mut body, outcome);
    if let Some(search) = &outcome.search {
        search_part(&mut body, search);
    }
    charts(&mut body, outcome);
    latencies(&mut body, outcome);
    counts(&mut body, outcome);
    generator(&mut body, outcome);
    ladders(&mut body, outcome);
    frame(&format!("{} · offhook-load", outcome.name), &body.0)
}

fn head(body: &mut Body, outcome: &Outcome) {
    let verdict = outcome.verdict.name();
    body.add(format_args!(
        "<h1>{} <span class=\"verdict {verdict}\">{verdict}</span></h1>\n",
        escape(&outcome.name)
    ));
    let load = &outcome.load;
    let remote = load.remote.as_deref().map(|remote| format!(" to {remote}"));
    body.add(format_args!(
        "<p class=\"faint\">{}, {:.1} s · {} loop: {} · {} workers, {}{} over {} · seed {}</p>\n",
        escape(&outcome.started),
        outcome.seconds,
        escape(&load.discipline),
        escape(&load.plan),
        load.workers,
        escape(&load.local.join(", ")),
        escape(&remote.unwrap_or_default()),
        escape(&load.transport),
        outcome.seed
    ));
    body.add(format_args!(
        "<p class=\"faint\">{}</p>\n<p><code>{}</code></p>\n",
        escape(&outcome.environment.line()),
        escape(&outcome.command.join(" "))
    ));
    if load.discipline == "closed" {
        body.add(format_args!(
            "<p><b>Closed loop:</b> a slow peer slows the arrivals, so these times are better than \
             what callers would see.</p>\n"
        ));
    }
    for fault in &outcome.health.faults {
        body.add(format_args!(
            "<p class=\"bad\">This run says little about the server: {}.</p>\n",
            escape(&fault.words)
        ));
    }
    for objective in &outcome.objectives {
        let (class, word) = if objective.met {
            ("good", "met")
        } else {
            ("bad", "missed")
        };
        body.add(format_args!(
            "<p>Objective <code>{}</code> <span class=\"{class}\">{word}</span>: found {}</p>\n",
            escape(&objective.text),
            escape(&objective.found)
        ));
    }
    for violation in &outcome.violations {
        body.add(format_args!("<p class=\"bad\">{}</p>\n", escape(violation)));
    }
}

fn cards(body: &mut Body, outcome: &Outcome) {
    body.add(format_args!("<div class=\"cards\">\n"));
    let mut card = |value: String, name: &str| {
        body.add(format_args!(
            "<div class=\"card\"><b>{}</b><span>{}</span></div>\n",
            escape(&value),
            escape(name)
        ));
    };
    for (name, words) in [
        ("created", "calls"),
        ("successful", "successful"),
        ("failed", "failed"),
        ("peak", "at most at a time"),
    ] {
        if outcome.totals.contains_key(name) {
            card(amount(outcome.total(name) as f64), words);
        }
    }
    let rate = outcome.total("created") as f64 / outcome.seconds.max(1e-3);
    card(amount(rate), "calls a second");
    if let Some(first) = outcome.latencies.iter().find(|one| one.response.count > 0) {
        card(micros(first.response.p50_us as f64), "median wait");
        card(micros(first.response.p99_us as f64), "99 % wait less");
    }
    card(
        micros(outcome.health.lag.p99_us as f64),
        "generator lag, p99",
    );
    body.add(format_args!("</div>\n"));
}

/// A line of the timeline, by what is picked of each point.
fn over_time(name: &str, points: &[Point], pick: impl Fn(&Point) -> f64) -> Series {
    Series::new(name, points.iter().map(|point| (point.second, pick(point))))
}

/// The same, of the seconds in which something was measured.
fn measured(name: &str, points: &[Point], pick: impl Fn(&Point) -> u64) -> Series {
    let some = points.iter().filter(|point| point.measured > 0);
    Series::new(name, some.map(|point| (point.second, pick(point) as f64)))
}

fn charts(body: &mut Body, outcome: &Outcome) {
    let points = &outcome.timeline;
    if points.is_empty() {
        return;
    }
    body.add(format_args!("<h2>Over time</h2>\n<div class=\"charts\">\n"));
    let rates = [
        over_time("offered", points, |point| point.offered),
        over_time("begun", points, |point| point.created),
        over_time("successful", points, |point| point.successful),
        over_time("failed", points, |point| point.failed),
    ];
    let caption = "Calls a second";
    body.0
        .push_str(&chart(caption, Unit::Amount, Across::Seconds, &rates));
    let live = [over_time("live", points, |point| point.live as f64)];
    let caption = "Calls at a time";
    body.0
        .push_str(&chart(caption, Unit::Amount, Across::Seconds, &live));
    let waits = [
        measured("median", points, |point| point.p50_us),
        measured("99 %", points, |point| point.p99_us),
        measured("longest", points, |point| point.max_us),
        measured("99 % from the real sending", points, |point| {
            point.service_p99_us
        }),
    ];
    let caption = "Response time from the intended moment";
    body.0
        .push_str(&chart(caption, Unit::Micros, Across::Seconds, &waits));
    let own = [
        over_time("lag, 99 %", points, |point| point.lag_p99_us as f64),
        over_time("longest hold-up", points, |point| point.stall_max_us as f64),
    ];
    let caption = "The generator itself";
    body.0
        .push_str(&chart(caption, Unit::Micros, Across::Seconds, &own));
    body.add(format_args!("</div>\n"));
}

/// A distribution as a line over percentiles.
pub(super) fn percentiles(name: &str, distribution: &Distribution) -> Series {
    let curve = distribution.times().curve();
    Series::new(
        name,
        curve.into_iter().map(|(part, value)| (part, value as f64)),
    )
}

/// The cells of a distribution.
pub(super) fn cells(distribution: &Distribution) -> String {
    let mut cells = format!("<td>{}</td>", distribution.count);
    let Distribution {
        p50_us,
        p90_us,
        p99_us,
        p999_us,
        p9999_us,
        max_us,
        ..
    } = *distribution;
    for value in [p50_us, p90_us, p99_us, p999_us, p9999_us, max_us] {
        cells.push_str(&format!("<td>{}</td>", micros(value as f64)));
    }
    cells
}

/// The head of a table of distributions.
pub(super) const DISTRIBUTION_HEAD: &str = "<th>measured</th><th>50 %</th><th>90 %</th>\
    <th>99 %</th><th>99.9 %</th><th>99.99 %</th><th>longest</th>";

fn latencies(body: &mut Body, outcome: &Outcome) {
    let some: Vec<_> = outcome
        .latencies
        .iter()
        .filter(|latency| latency.response.count > 0)
        .collect();
    if some.is_empty() {
        return;
    }
    body.add(format_args!(
        "<h2>Latencies</h2>\n<div class=\"scroll\"><table><tr><th></th>{DISTRIBUTION_HEAD}</tr>\n"
    ));
    for latency in &some {
        let name = escape(&latency.name);
        for (words, distribution) in [
            ("from the intended moment", &latency.response),
            ("from the real sending", &latency.service),
        ] {
            body.add(format_args!(
                "<tr><td>{name} <span class=\"faint\">{words}</span></td>{}</tr>\n",
                cells(distribution)
            ));
        }
    }
    body.add(format_args!("</table></div>\n<div class=\"charts\">\n"));
    for latency in &some {
        let series = [
            percentiles("from the intended moment", &latency.response),
            percentiles("from the real sending", &latency.service),
        ];
        let caption = format!("{} by percentile", latency.name);
        body.0
            .push_str(&chart(&caption, Unit::Micros, Across::Percentile, &series));
    }
    body.add(format_args!("</div>\n"));
}

fn counts(body: &mut Body, outcome: &Outcome) {
    if !outcome.failures.is_empty() {
        body.add(format_args!(
            "<h2>Failures</h2>\n<table><tr><th>cause</th><th>calls</th></tr>\n"
        ));
        for cause in &outcome.failures {
            let words = escape(&cause.in_full());
            body.add(format_args!(
                "<tr><td>{words}</td><td>{}</td></tr>\n",
                cause.count
            ));
        }
        body.add(format_args!("</table>\n"));
    }
    if !outcome.steps.is_empty() {
        body.add(format_args!(
            "<h2>Steps</h2>\n<div class=\"scroll\"><table><tr><th>step</th><th>messages</th>\
             <th>repeats</th><th>time-outs</th><th>unexpected</th><th>lost on purpose</th></tr>\n"
        ));
        for step in &outcome.steps {
            let arrow = match step.kind.as_str() {
                "send" => "→",
                "receive" => "←",
                _ => "·",
            };
            body.add(format_args!(
                "<tr><td>{arrow} {}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
                 </tr>\n",
                escape(&step.display),
                step.messages,
                step.repeats,
                step.timeouts,
                step.unexpected,
                step.lost
            ));
        }
        body.add(format_args!("</table></div>\n"));
    }
    body.add(format_args!("<h2>Counts</h2>\n<table>\n"));
    for (name, count) in &outcome.totals {
        let name = escape(name).replace('_', " ");
        body.add(format_args!("<tr><td>{name}</td><td>{count}</td></tr>\n"));
    }
    body.add(format_args!("</table>\n"));
}

fn generator(body: &mut Body, outcome: &Outcome) {
    let health = &outcome.health;
    body.add(format_args!(
        "<h2>The generator</h2>\n<div class=\"scroll\"><table>\
         <tr><th></th>{DISTRIBUTION_HEAD}</tr>\n\
         <tr><td>sent late by</td>{}</tr>\n<tr><td>held up for</td>{}</tr>\n</table></div>\n",
        cells(&health.lag),
        cells(&health.stalls)
    ));
    body.add(format_args!(
        "<p>Datagrams dropped at its sockets: {}; at the peer's: {}; on the whole machine: {}. \
         Messages that the kernel refused: {}. Connections for which no descriptor or port was \
         left: {}.</p>\n",
        health.own_drops, health.peer_drops, health.machine_drops, health.unsent, health.exhausted
    ));
    for (index, worker) in health.workers.iter().enumerate() {
        body.add(format_args!(
            "<p>Worker {index} used {:.1} % of a core, and waited {:.3} s for one.</p>\n",
            worker.busy_part * 100.0,
            worker.waited_seconds
        ));
    }
}

fn search_part(body: &mut Body, search: &Search) {
    body.add(format_args!(
        "<h2>The highest load</h2>\n<p><code>{}</code> is met up to <b>{} calls/s</b>{}.</p>\n",
        escape(&search.objective),
        amount(search.knee),
        match search.broken_at {
            Some(rate) => format!(
                "; at {} calls/s it is not: {}",
                amount(rate),
                escape(&search.broke)
            ),
            None => "; nothing broke".to_owned(),
        }
    ));
    if let Some(overload) = &search.overload {
        let recovery = search.recovery_seconds.map_or_else(
            || "it did not recover while it was watched".to_owned(),
            |seconds| format!("{seconds:.0} s later all was well again"),
        );
        body.add(format_args!(
            "<p>Offered {} calls/s, {} calls/s ended well; {recovery}.</p>\n",
            amount(overload.rate),
            amount(overload.goodput)
        ));
    }
    search_charts(body, search);
    search_tries(body, search);
}

fn search_charts(body: &mut Body, search: &Search) {
    let mut tries: Vec<_> = search.probes.iter().collect();
    tries.sort_by(|one, other| one.rate.total_cmp(&other.rate));
    let goodput = [
        Series::new(
            "ended well",
            tries.iter().map(|one| (one.rate, one.goodput)),
        ),
        Series::new("offered", tries.iter().map(|one| (one.rate, one.rate))),
    ];
    let times = [
        Series::new(
            "median",
            tries.iter().map(|one| (one.rate, one.p50_us as f64)),
        ),
        Series::new(
            "99 %",
            tries.iter().map(|one| (one.rate, one.p99_us as f64)),
        ),
    ];
    body.add(format_args!("<div class=\"charts\">\n"));
    let caption = "Calls a second that ended well, by what was offered";
    body.0
        .push_str(&chart(caption, Unit::Amount, Across::Rate, &goodput));
    let caption = "Response time by what was offered";
    body.0
        .push_str(&chart(caption, Unit::Micros, Across::Rate, &times));
    body.add(format_args!("</div>\n"));
}

fn search_tries(body: &mut Body, search: &Search) {
    body.add(format_args!(
        "<div class=\"scroll\"><table><tr><th>try</th><th>offered</th><th>ended well</th>\
         <th>failed</th><th>50 %</th><th>99 %</th><th>longest</th><th>objective</th></tr>\n"
    ));
    for one in &search.probes {
        let (class, word) = match (one.valid, one.met) {
            (false, _) => ("faint", "the generator was too slow"),
            (true, true) => ("good", "met"),
            (true, false) => ("bad", one.broke.as_str()),
        };
        body.add(format_args!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{:.3} %</td><td>{}</td><td>{}</td>\
             <td>{}</td><td class=\"words {class}\">{}</td></tr>\n",
            escape(&one.phase),
            amount(one.rate),
            amount(one.goodput),
            one.failed_part * 100.0,
            micros(one.p50_us as f64),
            micros(one.p99_us as f64),
            micros(one.max_us as f64),
            escape(word)
        ));
    }
    body.add(format_args!("</table></div>\n"));
}

fn ladders(body: &mut Body, outcome: &Outcome) {
    if outcome.ladders.is_empty() {
        return;
    }
    body.add(format_args!("<h2>Calls that failed</h2>\n"));
    for ladder in &outcome.ladders {
        body.add(format_args!(
            "<details><summary>call {}: {}</summary>\n<pre>{}</pre>\n",
            ladder.call,
            escape(&ladder.cause),
            escape(&ladder.text())
        ));
        for row in ladder.rows.iter().filter(|row| row.text.is_some()) {
            body.add(format_args!(
                "<details><summary>{} {} at {}</summary><pre>{}</pre></details>\n",
                if row.is_ours { "→" } else { "←" },
                escape(&row.line),
                micros(row.at_us as f64),
                escape(row.text.as_deref().unwrap_or_default())
            ));
        }
        body.add(format_args!("</details>\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::outcome::tests::sample;
    use super::*;

    #[test]
    fn a_page_needs_nothing_from_elsewhere_and_shows_everything() {
        let text = page(&sample());
        for outside in ["http://", "https://", "<script", "src=", "url(", "@import"] {
            assert!(!text.contains(outside), "{outside}");
        }
        for wanted in [
            "a &lt;b&gt; &amp; &quot;c&quot;",
            "class=\"verdict failed\"",
            "unexpected message",
            "INVITE sip:&lt;a&gt; SIP/2.0",
            "Response time from the intended moment",
            "1 by percentile",
            "seed 7",
            "offhook-load uac",
        ] {
            assert!(text.contains(wanted), "{wanted}");
        }
        assert_eq!(text.matches("<svg").count(), 5);
    }
}
