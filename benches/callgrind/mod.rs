//! Runs cases under callgrind, each in a process of its own.

use std::iter;
use std::num::NonZero;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::{Case, offers};

/// Counts so many cases at a time as there are cores: what another one does changes no count.
pub(super) fn count_all<'a>(
    cases: impl Iterator<Item = &'a Case>,
) -> impl Iterator<Item = (&'a Case, Result<u64, String>)> {
    let cases: Vec<&Case> = cases.collect();
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut counted: Vec<(usize, Result<u64, String>)> = thread::scope(|scope| {
        let work = || {
            let mine = iter::from_fn(|| {
                let place = next.fetch_add(1, Ordering::Relaxed);
                cases.get(place).map(|case| (place, count(case)))
            });
            mine.collect::<Vec<_>>()
        };
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let counted = workers.into_iter().map(thread::ScopedJoinHandle::join);
        counted
            .flat_map(|counted| counted.expect("counting does not panic"))
            .collect()
    });
    counted.sort_unstable_by_key(|(place, _)| *place);
    let counted = counted.into_iter();
    counted.map(move |(place, counted)| (cases[place], counted))
}

/// Runs one case in a process of its own under callgrind.
fn count(case: &Case) -> Result<u64, String> {
    if case.spread {
        return count_each(case);
    }
    let (mut valgrind, program) = (callgrind(case), this_program()?);
    valgrind.arg("--callgrind-out-file=/dev/null");
    let report = run(valgrind.arg(program).args(["--run", case.name]))?;
    let collected = report
        .lines()
        .filter_map(|line| line.split_once("Collected : "))
        .find_map(|(_, count)| count.trim().parse::<u64>().ok());
    match collected {
        Some(count) if count > 0 => Ok(count / case.units),
        Some(_) | None => Err(report),
    }
}

/// The same, step by step: what 99 of 100 take at most. Beside it what they take without callgrind,
/// by the clock.
#[allow(clippy::print_stdout, reason = "the figures belong to the table")]
fn count_each(case: &Case) -> Result<u64, String> {
    let (mut valgrind, program) = (callgrind(case), this_program()?);
    let folder = std::env::temp_dir().join(format!(
        "callgrind-{}-{}",
        std::process::id(),
        case.name.replace('/', "-")
    ));
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let file = folder.join("step").display().to_string();
    valgrind.arg(format!("--callgrind-out-file={file}"));
    let counted = run(valgrind.arg(&program).args(["--run", case.name]));
    let steps = counted.and_then(|_| summaries(&folder));
    std::fs::remove_dir_all(&folder).map_err(|error| error.to_string())?;
    let mut steps = steps?;
    steps.sort_unstable();
    let [half, most] = [50, 99].map(|percent| offers::share(&steps, percent));
    let times = run(Command::new(program).args(["--time", case.name]))?;
    println!(
        "  {} steps: half take {half}, 99 of 100 {most} instructions",
        steps.len()
    );
    println!("  and in nanoseconds, without callgrind: {}", times.trim());
    Ok(most)
}

/// What each dump of a folder has counted.
fn summaries(folder: &std::path::Path) -> Result<Vec<u64>, String> {
    let files = std::fs::read_dir(folder).map_err(|error| error.to_string())?;
    let mut steps = Vec::new();
    for file in files {
        let file = file.map_err(|error| error.to_string())?;
        let text = std::fs::read_to_string(file.path()).map_err(|error| error.to_string())?;
        let summary = text.lines().find_map(|line| line.strip_prefix("summary: "));
        steps.extend(summary.and_then(|count| count.trim().parse::<u64>().ok()));
    }
    // The last dump is of the end of the program and has nothing.
    steps.retain(|step| *step > 0);
    if steps.is_empty() {
        return Err("callgrind has counted nothing".to_owned());
    }
    Ok(steps)
}

fn this_program() -> Result<std::path::PathBuf, String> {
    std::env::current_exe().map_err(|error| error.to_string())
}

fn callgrind(case: &Case) -> Command {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--toggle-collect=*under_callgrind*"]);
    if case.slow {
        valgrind.arg("--instr-atstart=no");
    }
    valgrind
}

/// What a program says, of its report and of itself.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command
        .output()
        .map_err(|error| format!("it cannot be started ({error}); apt install valgrind"))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if output.status.success() {
        Ok(said)
    } else {
        Err(said)
    }
}
