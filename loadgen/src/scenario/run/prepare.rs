//! Everything that is read and checked before a run starts, so that what is wrong is said with
//! its cure and not met in the middle.

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use offhook_shards::placement::parse_cores;
use offhook_shards::{DriverChoice, Transport};

use super::super::builtin;
use super::super::floor::Files;
use super::super::injection::Injection;
use super::super::limits::{FILE_BYTES_MAX, INJECTION_BYTES_MAX};
use super::super::load;
use super::super::media::{Source, Track};
use super::super::model::{FirstCommand, Scenario, Side};
use super::super::options::{Play, pairs};
use super::super::settings::{Growth, Load, Settings, Traces};
use super::super::template::Keyword;
use super::super::twin::{self, Twins};
use super::addresses::{SIP_PORT, locals};
use super::tls::{self, Tls};
use super::{EXIT_FATAL, preflight};
use crate::files;
use crate::load::{Moments, Plan};
use crate::measure::Objective;
use crate::reach::Reach;

/// What a run needs.
pub(super) struct Prepared {
    pub(super) scenario: Arc<Scenario>,
    pub(super) settings: Arc<Settings>,
    pub(super) files: Files,
    pub(super) driver: DriverChoice,
    /// The cores of the workers; none leaves it to the scheduler.
    pub(super) cores: Vec<usize>,
    /// What is demanded.
    pub(super) objective: Option<Objective>,
    /// The plan as it was written.
    pub(super) plan_text: String,
    /// Certificates and keys, if it is about TLS.
    pub(super) tls: Option<Arc<Tls>>,
}

/// Why a run cannot start, and the exit status that says so.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u8,
    pub(super) words: String,
}

impl From<String> for Refusal {
    fn from(words: String) -> Self {
        let status = EXIT_FATAL;
        Self { status, words }
    }
}

pub(super) fn prepare(play: &Play, built_in: Option<&str>) -> Result<Prepared, Refusal> {
    let (name, text, host) = sources(play, built_in)?;
    let keys: BTreeMap<String, String> = pairs(&play.keys).into_iter().collect();
    let loaded = load::load(&text, &keys);
    for note in loaded.notes.sorted() {
        super::say(&format!("{name}:{note}"));
    }
    let Some(mut scenario) = loaded.scenario else {
        return Err(format!("offhook-load: {name} cannot be run").into());
    };
    let named = host.as_deref().map(resolve).transpose()?;
    let way = play.proxy.clone().or_else(|| host.clone());
    let remote = match (&way, scenario.side) {
        (Some(host), _) => Some(resolve(host)?),
        (None, Side::Server) => None,
        (None, Side::Client) => {
            let words = "offhook-load: name whom to call: HOST or HOST:PORT";
            return Err(words.to_owned().into());
        }
    };
    let reach = Reach::new(&play.allowed);
    remote.map_or(Ok(()), |remote| reach.check(remote.ip()))?;
    check_variables(play, &scenario)?;
    play.results.check()?;
    let objective = super::objective(play.load.objective.as_deref())?;
    if let Some(objective) = &objective {
        check_objective(objective, &scenario)?;
    }
    let cores = cores(play)?;
    let mut settings = settings(play, &scenario, remote, cores.len())?;
    check_shared(&scenario, settings.workers)?;
    for twin in settings.twins.others() {
        reach.check(twin.ip())?;
    }
    settings.reach = reach;
    settings.named = named.or(remote);
    settings.remote_host = without_port(host.or(way).as_deref().unwrap_or_default()).to_owned();
    let files = files(play, &scenario)?;
    let tls = match settings.transport {
        Transport::Udp | Transport::Tcp => None,
        Transport::Tls => Some(Arc::new(tls::load(&play.tls, scenario.side)?)),
    };
    preflight::check(play, &settings)?;
    scenario.settle(&settings);
    Ok(Prepared {
        scenario: Arc::new(scenario),
        settings: Arc::new(settings),
        files,
        driver: driver(play.driver),
        cores,
        objective,
        plan_text: play.load.plan.clone().unwrap_or_default(),
        tls,
    })
}

/// The scenario's name and text, and the peer.
fn sources(
    play: &Play,
    built_in: Option<&str>,
) -> Result<(String, Vec<u8>, Option<String>), String> {
    let mut words = play.words.iter();
    let wanted = play.scenario_name.as_deref().or(built_in);
    if let Some(file) = &play.scenario_file {
        let text = read(file, FILE_BYTES_MAX)?;
        return Ok((file.display().to_string(), text, words.next().cloned()));
    }
    if let Some(name) = wanted {
        let found = builtin::find(name).ok_or_else(|| {
            let known: Vec<&str> = builtin::ALL.iter().map(|scenario| scenario.name).collect();
            format!(
                "offhook-load: there is no scenario {name}; there are {}",
                known.join(", ")
            )
        })?;
        return Ok((
            name.to_owned(),
            found.text.as_bytes().to_vec(),
            words.next().cloned(),
        ));
    }
    let Some(file) = words.next() else {
        return Err("offhook-load: name a scenario: FILE.xml, -sf FILE or -sn NAME".to_owned());
    };
    Ok((
        file.clone(),
        read(Path::new(file), FILE_BYTES_MAX)?,
        words.next().cloned(),
    ))
}

fn read(path: &Path, bytes_max: usize) -> Result<Vec<u8>, String> {
    files::read(path, bytes_max).map_err(|fault| format!("offhook-load: {fault}"))
}

/// HOST of HOST:PORT.
fn without_port(host: &str) -> &str {
    let parts = host.rsplit_once(':').filter(|(before, port)| {
        port.parse::<u16>().is_ok() && (!before.contains(':') || before.ends_with(']'))
    });
    parts.map_or(host, |(before, _)| before)
}

/// HOST or HOST:PORT, an address of IPv6 in brackets.
fn resolve(host: &str) -> Result<SocketAddr, String> {
    let cannot = |why: String| format!("offhook-load: {host} cannot be called: {why}");
    let full = if without_port(host).len() < host.len() {
        host.to_owned()
    } else {
        format!("{host}:{SIP_PORT}")
    };
    let found: Vec<SocketAddr> = full
        .to_socket_addrs()
        .map_err(|error| cannot(error.to_string()))?
        .collect();
    let first = found
        .iter()
        .find(|address| address.is_ipv4())
        .or(found.first());
    first
        .copied()
        .ok_or_else(|| cannot("it has no address".to_owned()))
}

/// Variables that the command line sets must be the scenario's.
fn check_variables(play: &Play, scenario: &Scenario) -> Result<(), String> {
    for (name, _) in pairs(&play.variables) {
        if scenario.names.find(&name).is_none() {
            return Err(format!(
                "offhook-load: -set {name}: the scenario has no such variable"
            ));
        }
    }
    Ok(())
}

/// Workers have files of their own and global variables of their own: what one writes, the others
/// do not see.
fn check_shared(scenario: &Scenario, workers: u64) -> Result<(), String> {
    match scenario.writes_shared() {
        Some(what) if workers > 1 => Err(format!(
            "offhook-load: the scenario {what}, which workers do not share: use a single worker"
        )),
        Some(_) | None => Ok(()),
    }
}

fn settings(
    play: &Play,
    scenario: &Scenario,
    remote: Option<SocketAddr>,
    cores: usize,
) -> Result<Settings, Refusal> {
    let (transport, connects_each) = transport(play)?;
    let workers = match (usize::from(play.load.workers), cores) {
        (1, cores) if cores > 1 => cores,
        (workers, _) => workers,
    };
    let locals = locals(play, scenario.side, remote, workers)?;
    let local = locals[0];
    let ip = local.ip();
    let base = resending(play, Settings::new(local));
    Ok(Settings {
        workers: workers as u64,
        locals,
        recent_bytes: if play.results.no_ladders {
            0
        } else {
            base.recent_bytes
        },
        socket_buffer_bytes: play
            .socket_buffer_bytes
            .map_or(base.socket_buffer_bytes, |bytes| bytes as usize),
        remote,
        transport,
        connects_each: connects_each && scenario.side == Side::Client,
        connections_max: play.connections(),
        media_ip: play.media_ip.unwrap_or(ip),
        media_port: play.media_port,
        service: play.service.clone(),
        process_id: std::process::id(),
        call_id_format: play.call_id.clone(),
        base_cseq: play.base_cseq.saturating_sub(1),
        username: play
            .username
            .clone()
            .unwrap_or_else(|| play.service.clone()),
        password: play.password.clone(),
        digest_uri: play.digest_uri.clone(),
        pause: play.pause,
        behaviours: play
            .behaviours()
            .map_err(|text| format!("offhook-load: {text}"))?,
        ignores_in_pause: play.ignores_in_pause,
        keeps_slashes: play.keeps_slashes,
        lost: (play.lost / 100.0).clamp(0.0, 1.0),
        load: load_plan(play)?,
        tick: tick(play, scenario, transport)?,
        joins_datagrams: !play.load.separate,
        has_media: !scenario.media.is_empty() || scenario.echoes() || play.echoes,
        echoes: play.echoes,
        allows_commands: play.allows_commands,
        twins: twins(play, scenario, workers)?,
        seed: play.seed,
        variables: pairs(&play.variables),
        traces: Traces {
            messages: play.traces.messages,
            logs: play.traces.logs,
            errors: play.traces.errors,
            response_times: play.traces.response_times,
            short: play.traces.short,
            calls: play.traces.failed_calls,
        },
        ..base
    })
}

/// Settings with the times and counts of resends that the options give.
fn resending(play: &Play, base: Settings) -> Settings {
    let timers = &play.timers;
    let most = timers.resends_max;
    Settings {
        receive_timeout: timers.receive_timeout.filter(|time| !time.is_zero()),
        t2: timers.t2.unwrap_or(base.t2),
        invite_resends_max: timers
            .invite_resends_max
            .or(most)
            .unwrap_or(base.invite_resends_max),
        other_resends_max: timers
            .other_resends_max
            .or(most)
            .unwrap_or(base.other_resends_max),
        resends: !timers.no_resend,
        dead_call_wait: timers.dead_call_wait.unwrap_or(base.dead_call_wait),
        ..base
    }
}

/// How often a worker acts. Whoever answers does so at once, because the peer measures it; streams
/// have no stamps that would say when something came; media have a clock of their own.
fn tick(play: &Play, scenario: &Scenario, transport: Transport) -> Result<Duration, String> {
    /// Longer ticks would be seen in every answer.
    const TICK_MAX: Duration = Duration::from_millis(10);
    const TICK: Duration = Duration::from_millis(1);
    let is_plain = transport == Transport::Udp
        && scenario.side == Side::Client
        && scenario.media.is_empty()
        && scenario.first_command.is_none()
        && !play.echoes
        && !scenario.echoes();
    let default = if is_plain { TICK } else { Duration::ZERO };
    match play.load.tick {
        Some(tick) if tick > TICK_MAX => Err(format!(
            "offhook-load: --tick {tick:?} is too long: write at most {TICK_MAX:?}"
        )),
        given => Ok(given.unwrap_or(default)),
    }
}

/// Over what, and whether each call has a connection of its own.
fn transport(play: &Play) -> Result<(Transport, bool), String> {
    if !play.rate.is_finite() || play.rate < 0.0 || play.period.is_zero() {
        return Err("offhook-load: write a rate of at least 0 and a period above 0".to_owned());
    }
    match play.transport.as_str() {
        "u1" | "un" | "ui" | "udp" => Ok((Transport::Udp, false)),
        "t1" | "tcp" => Ok((Transport::Tcp, false)),
        "tn" => Ok((Transport::Tcp, true)),
        "l1" | "tls" => Ok((Transport::Tls, false)),
        "ln" => Ok((Transport::Tls, true)),
        other => Err(format!(
            "offhook-load: -t {other} is not supported: u1 is UDP, un UDP over several ports, ui \
             UDP over several addresses, t1 TCP with one connection, tn with a connection a call, \
             l1 and ln the same over TLS"
        )),
    }
}

fn load_plan(play: &Play) -> Result<Load, String> {
    let interval = play
        .rate_interval
        .unwrap_or(play.traces.statistics_interval);
    let spacing = play.load.spacing;
    let plan = match &play.load.plan {
        None => None,
        Some(text) => Some(match text.parse() {
            Ok(Moments::Shape(shape)) => Plan::Shaped { shape, spacing },
            Ok(Moments::File(path)) => {
                let text = read(&path, INJECTION_BYTES_MAX)?;
                Plan::listed(&String::from_utf8_lossy(&text))
                    .map_err(|fault| format!("offhook-load: {}: {fault}", path.display()))?
            }
            Err(fault) => return Err(format!("offhook-load: --load: {fault}")),
        }),
    };
    Ok(Load {
        rate: play.rate,
        period: play.period,
        spacing,
        plan,
        calls_max: play.calls,
        limit: play.limit,
        users: play.users,
        think: play.load.think,
        growth: play.rate_increase.map(|step| Growth {
            step,
            interval: interval.max(Duration::from_millis(1)),
            rate_max: play.rate_max,
            ends: !play.no_rate_quit,
        }),
    })
}

/// Who plays the other side of the calls.
fn twins(play: &Play, scenario: &Scenario, workers: usize) -> Result<Twins, String> {
    let options = &play.twins;
    let Some(first) = scenario.first_command else {
        return Ok(Twins::default());
    };
    if workers > 1 {
        return Err("offhook-load: commands to twins need a single worker".to_owned());
    }
    let mut twins = Twins::default();
    if let Some(path) = &options.twins {
        let text = read(path, FILE_BYTES_MAX)?;
        twins.named = twin::named(&String::from_utf8_lossy(&text))
            .map_err(|fault| format!("offhook-load: {}: {fault}", path.display()))?;
        let own = options.master.as_ref().or(options.slave.as_ref());
        let Some(own) = own else {
            return Err("offhook-load: -slave_cfg needs -master NAME or -slave NAME".to_owned());
        };
        let found = twins.named.iter().find(|(name, _)| name == own);
        let Some((_, address)) = found else {
            return Err(format!("offhook-load: {} names no {own}", path.display()));
        };
        twins.own = Some(*address);
        return Ok(twins);
    }
    let Some(address) = options.twin else {
        return Err(
            "offhook-load: the scenario talks to a twin: give its address with -3pcc IP:PORT"
                .to_owned(),
        );
    };
    match first {
        FirstCommand::Sent => twins.only = Some(address),
        FirstCommand::Received => twins.own = Some(address),
    }
    Ok(twins)
}

/// The cores that the workers are to run on.
fn cores(play: &Play) -> Result<Vec<usize>, String> {
    let Some(text) = &play.load.cores else {
        return Ok(Vec::new());
    };
    let cores = parse_cores(text).map_err(|fault| format!("offhook-load: --cores: {fault}"))?;
    let workers = usize::from(play.load.workers);
    if workers > 1 && workers != cores.len() {
        return Err(format!(
            "offhook-load: --workers {workers} and --cores {text} do not fit: name one core a \
             worker"
        ));
    }
    Ok(cores)
}

fn check_objective(objective: &Objective, scenario: &Scenario) -> Result<(), String> {
    let known = &scenario.response_times;
    for name in objective.latencies() {
        let is_first = name == "setup" && !known.is_empty();
        if name != "call" && !is_first && !known.iter().any(|known| known == name) {
            let known = known.join(", ");
            return Err(format!(
                "offhook-load: --slo: the scenario measures no `{name}`; it has: {known}, call"
            ));
        }
    }
    Ok(())
}

/// Injection files, and the files that messages quote.
fn files(play: &Play, scenario: &Scenario) -> Result<Files, String> {
    let mut files = Files::default();
    for path in &play.injections {
        let injection = Injection::new(&read(path, INJECTION_BYTES_MAX)?)
            .map_err(|fault| format!("offhook-load: {}: {fault}", path.display()))?;
        files
            .injections
            .push((path.display().to_string(), injection));
    }
    for (name, column) in pairs(&play.indexes) {
        let found = files
            .injections
            .iter_mut()
            .find(|(known, _)| *known == name);
        match (found, column.parse()) {
            (Some((_, file)), Ok(column)) => file.index(column),
            (None, _) => return Err(format!("offhook-load: -infindex {name} needs -inf {name}")),
            (_, Err(_)) => return Err(format!("offhook-load: `{column}` is no column")),
        }
    }
    let file = play.scenario_file.as_deref();
    let file = file.or_else(|| play.words.first().map(Path::new));
    let beside = file.and_then(Path::parent);
    for source in &scenario.media {
        files.tracks.push(Arc::new(track(source, beside)?));
    }
    let mut uses_fields = false;
    for template in scenario.templates() {
        uses_fields |= template.uses(|keyword| matches!(keyword, Keyword::Field { .. }));
        for name in template.file_names() {
            let path = String::from_utf8_lossy(&name).into_owned();
            files
                .contents
                .insert(name, read(Path::new(&path), INJECTION_BYTES_MAX)?);
        }
    }
    if uses_fields && files.injections.is_empty() {
        return Err("offhook-load: the scenario uses [field…]; give its file with -inf".to_owned());
    }
    Ok(files)
}

/// What a scenario plays; its file lies where it is named, or beside the scenario.
fn track(source: &Source, beside: Option<&Path>) -> Result<Track, String> {
    let Some(name) = source.file() else {
        return source
            .track(b"")
            .map_err(|fault| format!("offhook-load: {fault}"));
    };
    let bytes = match (read(Path::new(name), INJECTION_BYTES_MAX), beside) {
        (Err(_), Some(folder)) => read(&folder.join(name), INJECTION_BYTES_MAX)?,
        (other, _) => other?,
    };
    source
        .track(&bytes)
        .map_err(|fault| format!("offhook-load: {name}: {fault}"))
}

/// The wall clock, read once.
pub(super) fn epoch() -> Duration {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default()
}

pub(super) fn driver(driver: offhook::config::Driver) -> DriverChoice {
    match driver {
        // At the rates of most runs epoll costs half of what io_uring does; see BENCHMARKING.md.
        offhook::config::Driver::Auto | offhook::config::Driver::Epoll => DriverChoice::Epoll,
        offhook::config::Driver::Uring => DriverChoice::Uring,
    }
}
