//! Draws a snapshot.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, Paragraph, Row, Table};

use super::View;
use super::snapshot::{Moment, Snapshot};

const KEYS: &str = " + - * /  rate   p  pause   q  end with the calls   Q  end now   \
    1 2 3  steps, overview, latencies";

/// Draws a snapshot into a frame.
pub(super) fn draw(frame: &mut Frame<'_>, view: View, snapshot: &Snapshot) {
    let [top, middle, bottom] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    head(frame, top, snapshot);
    match view {
        View::Overview => overview(frame, middle, snapshot),
        View::Steps => steps(frame, middle, snapshot),
        View::Latencies => latencies(frame, middle, snapshot),
    }
    frame.render_widget(Paragraph::new(KEYS).dim(), bottom);
}

fn head(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot) {
    let seconds = snapshot.elapsed.as_secs();
    let clock = format!(
        "{:02}:{:02}:{:02}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    );
    let mut first = vec![
        Span::from(" offhook-load ").bold().reversed(),
        Span::from(format!(" {} ", snapshot.title)).bold(),
        Span::from(format!("{clock}  ")),
        Span::from(format!("planned {} calls/s", figure(snapshot.target))),
    ];
    if !snapshot.note.is_empty() {
        first.push(Span::from(format!("  {} ", snapshot.note)).bold().yellow());
    }
    let second = Line::from(format!(" {}", snapshot.subtitle)).dim();
    frame.render_widget(Paragraph::new(vec![Line::from(first), second]), area);
}

fn overview(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot) {
    let has_states = !snapshot.states.is_empty();
    let [tables, charts] =
        Layout::horizontal([Constraint::Length(38), Constraint::Min(20)]).areas(area);
    let rows = |count: usize| Constraint::Length(u16::try_from(count + 2).unwrap_or(u16::MAX));
    let [counts, states, errors, health] = Layout::vertical([
        rows(snapshot.counts.len()),
        if has_states {
            rows(snapshot.states.len().min(12))
        } else {
            Constraint::Length(0)
        },
        Constraint::Min(3),
        rows(4 + snapshot.health.faults.len().min(2)),
    ])
    .areas(tables);
    pairs(frame, counts, " Calls ", &snapshot.counts, Color::Reset);
    if has_states {
        pairs(frame, states, " States ", &snapshot.states, Color::Reset);
    }
    pairs(frame, errors, " Failures ", &snapshot.errors, Color::Red);
    health_box(frame, health, snapshot);
    let [rate, live, wait] = Layout::vertical([
        Constraint::Percentage(34),
        Constraint::Percentage(26),
        Constraint::Percentage(40),
    ])
    .areas(charts);
    rates(frame, rate, &snapshot.history);
    calls(frame, live, &snapshot.history);
    waits(frame, wait, &snapshot.history);
}

fn pairs(frame: &mut Frame<'_>, area: Rect, title: &str, list: &[(String, u64)], colour: Color) {
    let rows = list.iter().map(|(name, count)| {
        let count = Line::from(count.to_string()).right_aligned();
        let row = Row::new(vec![Line::from(name.as_str()), count]);
        let is_something = *count_of(list, name) > 0;
        row.style(if is_something {
            Style::new().fg(colour)
        } else {
            Style::new().add_modifier(Modifier::DIM)
        })
    });
    let table = Table::new(rows, [Constraint::Fill(1), Constraint::Length(12)])
        .block(Block::bordered().title(title.to_owned()));
    frame.render_widget(table, area);
}

fn count_of<'a>(list: &'a [(String, u64)], name: &str) -> &'a u64 {
    let found = list.iter().find(|(known, _)| known == name);
    found.map_or(&0, |(_, count)| count)
}

fn health_box(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot) {
    let health = &snapshot.health;
    let busy: Vec<String> = health
        .busy
        .iter()
        .map(|part| format!("{:.0} %", part * 100.0))
        .collect();
    let mut lines = vec![
        Line::from(format!(
            "late, 99 %   {}   held up {}",
            time(health.lag_p99_us),
            time(health.stall_max_us)
        )),
        Line::from(format!("dropped      {} at its sockets", health.own_drops)),
        Line::from(format!("unsent       {}", health.unsent)),
        Line::from(format!("cores        {}", busy.join(" "))),
    ];
    for fault in health.faults.iter().take(2) {
        lines.push(Line::from(fault.as_str()).red());
    }
    let (title, colour) = if health.faults.is_empty() {
        (" Generator: fine ", Color::Green)
    } else {
        (" Generator: INVALID ", Color::Red)
    };
    let block = Block::bordered()
        .title(title)
        .border_style(Style::new().fg(colour));
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// A chart over the seconds of the history.
fn lines(frame: &mut Frame<'_>, area: Rect, title: &str, bounds: Bounds, all: &[Curve<'_>]) {
    let datasets: Vec<Dataset<'_>> = all
        .iter()
        .map(|curve| {
            Dataset::default()
                .name(curve.name)
                .marker(Marker::Braille)
                .graph_type(GraphType::Line)
                .style(Style::new().fg(curve.colour))
                .data(&curve.points)
        })
        .collect();
    let (begin, end) = bounds.across;
    let across = Axis::default()
        .bounds([begin, end])
        .labels([format!("{begin:.0} s"), format!("{end:.0} s")]);
    let up = Axis::default()
        .bounds([bounds.low, bounds.high])
        .labels(bounds.labels);
    let chart = Chart::new(datasets)
        .block(Block::bordered().title(title.to_owned()))
        .x_axis(across)
        .y_axis(up);
    frame.render_widget(chart, area);
}

struct Curve<'a> {
    name: &'a str,
    colour: Color,
    points: Vec<(f64, f64)>,
}

struct Bounds {
    across: (f64, f64),
    low: f64,
    high: f64,
    labels: Vec<String>,
}

fn across(history: &[Moment]) -> (f64, f64) {
    let begin = history.first().map_or(0.0, |moment| moment.second);
    let end = history.last().map_or(1.0, |moment| moment.second);
    (begin, end.max(begin + 1.0))
}

/// From zero to a little above the highest.
fn from_zero(history: &[Moment], pick: impl Fn(&Moment) -> f64) -> Bounds {
    let highest = history.iter().map(pick).fold(1.0, f64::max) * 1.1;
    Bounds {
        across: across(history),
        low: 0.0,
        high: highest,
        labels: vec!["0".to_owned(), figure(highest / 2.0), figure(highest)],
    }
}

fn curve<'a>(
    name: &'a str,
    colour: Color,
    history: &[Moment],
    pick: impl Fn(&Moment) -> f64,
) -> Curve<'a> {
    let points = history.iter().map(|moment| (moment.second, pick(moment)));
    Curve {
        name,
        colour,
        points: points.collect(),
    }
}

fn rates(frame: &mut Frame<'_>, area: Rect, history: &[Moment]) {
    let bounds = from_zero(history, |moment| moment.created.max(moment.target));
    let all = [
        curve("planned", Color::DarkGray, history, |moment| moment.target),
        curve("begun", Color::Cyan, history, |moment| moment.created),
        curve("failed", Color::Red, history, |moment| moment.failed),
    ];
    lines(frame, area, " Calls a second ", bounds, &all);
}

fn calls(frame: &mut Frame<'_>, area: Rect, history: &[Moment]) {
    let bounds = from_zero(history, |moment| moment.live as f64);
    let all = [curve("live", Color::Green, history, |moment| {
        moment.live as f64
    })];
    lines(frame, area, " Calls at a time ", bounds, &all);
}

/// Each tenfold time stands as far above the one before.
fn waits(frame: &mut Frame<'_>, area: Rect, history: &[Moment]) {
    let some: Vec<Moment> = history
        .iter()
        .copied()
        .filter(|moment| moment.p99_us > 0)
        .collect();
    let height = |micros: u64| (micros.max(1) as f64).log10();
    let low = some
        .iter()
        .map(|moment| height(moment.p50_us))
        .fold(6.0, f64::min)
        .floor();
    let high = some
        .iter()
        .map(|moment| height(moment.p99_us))
        .fold(low + 1.0, f64::max)
        .ceil();
    let label = |level: f64| time(10_f64.powf(level) as u64);
    let bounds = Bounds {
        across: across(history),
        low,
        high,
        labels: vec![label(low), label((low + high) / 2.0), label(high)],
    };
    let all = [
        curve("50 %", Color::Cyan, &some, |moment| height(moment.p50_us)),
        curve("99 %", Color::Yellow, &some, |moment| height(moment.p99_us)),
    ];
    lines(
        frame,
        area,
        " Response time from the intended moment ",
        bounds,
        &all,
    );
}

fn steps(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot) {
    let rows = snapshot.steps.iter().map(|step| {
        let mut cells = vec![Line::from(step.name.as_str())];
        let count = |count: &u64| Line::from(count.to_string()).right_aligned();
        cells.extend(step.counts.iter().map(count));
        Row::new(cells)
    });
    let head = ["", "Messages", "Repeats", "Timeouts", "Unexpected"];
    let head = head.map(|word| Line::from(word).right_aligned());
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(12),
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Length(12),
    ];
    let table = Table::new(rows, widths)
        .header(Row::new(head).bold())
        .block(Block::bordered().title(" Steps "));
    frame.render_widget(table, area);
}

fn latencies(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot) {
    let mut rows = Vec::new();
    for latency in &snapshot.latencies {
        for (words, values) in [
            ("from the intended moment", latency.response_us),
            ("from the real sending", latency.service_us),
        ] {
            let mut cells = vec![
                Line::from(format!("{}, {words}", latency.name)),
                Line::from(latency.count.to_string()).right_aligned(),
            ];
            cells.extend(values.map(|value| Line::from(time(value)).right_aligned()));
            rows.push(Row::new(cells));
        }
    }
    let head = ["", "measured", "50 %", "90 %", "99 %", "99.9 %", "longest"];
    let head = head.map(|word| Line::from(word).right_aligned());
    let mut widths = vec![Constraint::Fill(1)];
    widths.extend([Constraint::Length(10); 6]);
    let table = Table::new(rows, widths)
        .header(Row::new(head).bold())
        .block(Block::bordered().title(" Latencies "));
    frame.render_widget(table, area);
}

/// Microseconds in a few letters.
fn time(micros: u64) -> String {
    let value = micros as f64;
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{:.1} ms", value / 1e3),
        10_000..1_000_000 => format!("{:.0} ms", value / 1e3),
        _ => format!("{:.1} s", value / 1e6),
    }
}

/// A rate or a count in a few letters.
fn figure(value: f64) -> String {
    match value {
        value if value >= 10_000.0 => format!("{:.1}k", value / 1_000.0),
        value if value >= 10.0 || value.fract() == 0.0 => format!("{value:.0}"),
        _ => format!("{value:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::snapshot::{HealthLine, LatencyLine, StepLine};
    use super::*;

    fn snapshot() -> Snapshot {
        let moment = |second: u32| Moment {
            second: f64::from(second),
            target: 100.0,
            created: 99.0,
            failed: 1.0,
            live: 50,
            p50_us: 800,
            p99_us: 12_000,
        };
        Snapshot {
            title: "uac".to_owned(),
            subtitle: "from here to there".to_owned(),
            elapsed: Duration::from_secs(3_725),
            note: "paused".to_owned(),
            target: 100.0,
            counts: vec![("created".to_owned(), 12_345)],
            latencies: vec![LatencyLine {
                name: "setup".to_owned(),
                count: 5,
                response_us: [800, 1_500, 12_000, 2_000_000, 0],
                ..LatencyLine::default()
            }],
            history: (0..60).map(moment).collect(),
            errors: vec![("unexpected message".to_owned(), 7)],
            states: vec![("ready".to_owned(), 42)],
            health: HealthLine {
                busy: vec![0.25],
                faults: vec!["the generator sent late".to_owned()],
                ..HealthLine::default()
            },
            steps: vec![StepLine {
                name: "--> INVITE".to_owned(),
                counts: [10, 1, 0, 0],
            }],
        }
    }

    fn shown(view: View, width: u16, height: u16) -> String {
        let backend = TestBackend::new(width, height);
        let mut terminal = Terminal::new(backend).expect("a terminal in memory");
        let drawn = terminal.draw(|frame| draw(frame, view, &snapshot()));
        drawn.expect("it can be drawn to");
        terminal.backend().to_string()
    }

    #[test]
    fn the_overview_shows_everything_that_matters() {
        let text = shown(View::Overview, 120, 36);
        for wanted in [
            "01:02:05",
            "paused",
            "12345",
            "unexpected message",
            "ready",
            "Generator: INVALID",
            "25 %",
            "Calls a second",
            "Response time from the intended moment",
        ] {
            assert!(text.contains(wanted), "{wanted}:\n{text}");
        }
    }

    #[test]
    fn other_views_show_steps_and_latencies() {
        assert!(shown(View::Steps, 100, 20).contains("--> INVITE"));
        let text = shown(View::Latencies, 100, 20);
        assert!(text.contains("12 ms") && text.contains("2.0 s"), "{text}");
    }

    #[test]
    fn a_tiny_terminal_is_no_reason_to_fail() {
        for (width, height) in [(1, 1), (20, 5), (40, 3), (300, 100)] {
            for view in [View::Overview, View::Steps, View::Latencies] {
                shown(view, width, height);
            }
        }
    }
}
