//! Everything that is read and checked before a run starts, so that what is wrong is said with
//! its cure and not met in the middle.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use offhook_shards::{DriverChoice, Transport};

use super::super::builtin;
use super::super::floor::Files;
use super::super::injection::Injection;
use super::super::load;
use super::super::model::{Scenario, Side};
use super::super::options::{Play, pairs};
use super::super::settings::{Growth, Load, Settings, Traces};
use super::super::template::Keyword;

/// The port of SIP.
const SIP_PORT: u16 = 5_060;
/// Kernel buffers below this lose datagrams at high rates.
const BUFFER_BYTES_WANTED: u64 = 1 << 20;

/// What a run needs.
pub(super) struct Prepared {
    pub(super) scenario: Arc<Scenario>,
    pub(super) settings: Arc<Settings>,
    pub(super) files: Files,
}

pub(super) fn prepare(play: &Play, built_in: Option<&str>) -> Result<Prepared, String> {
    let (name, text, host) = sources(play, built_in)?;
    let keys: BTreeMap<String, String> = pairs(&play.keys).into_iter().collect();
    let loaded = load::load(&text, &keys);
    for note in loaded.notes.sorted() {
        super::say(&format!("{name}:{note}"));
    }
    let Some(scenario) = loaded.scenario else {
        return Err(format!("offhook-load: {name} cannot be run"));
    };
    let host = play.proxy.clone().or(host);
    let remote = match (&host, scenario.side) {
        (Some(host), _) => Some(resolve(host)?),
        (None, Side::Server) => None,
        (None, Side::Client) => {
            return Err("offhook-load: name whom to call: HOST or HOST:PORT".to_owned());
        }
    };
    check_target(remote, play)?;
    let settings = settings(play, &scenario, remote, host.as_deref())?;
    warn_of_small_buffers(&settings);
    let files = files(play, &scenario)?;
    Ok(Prepared {
        scenario: Arc::new(scenario),
        settings: Arc::new(settings),
        files,
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
        let text = read(file)?;
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
    Ok((file.clone(), read(Path::new(file))?, words.next().cloned()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path)
        .map_err(|error| format!("offhook-load: {} cannot be read: {error}", path.display()))
}

/// HOST or HOST:PORT, an address of IPv6 in brackets.
fn resolve(host: &str) -> Result<SocketAddr, String> {
    let cannot = |why: String| format!("offhook-load: {host} cannot be called: {why}");
    let has_port = host.rsplit_once(':').is_some_and(|(before, port)| {
        port.parse::<u16>().is_ok() && (!before.contains(':') || before.ends_with(']'))
    });
    let full = if has_port {
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

/// A load generator aimed at the wrong machine is an attack.
fn check_target(remote: Option<SocketAddr>, play: &Play) -> Result<(), String> {
    let Some(ip) = remote.map(|remote| remote.ip()) else {
        return Ok(());
    };
    if ip.is_loopback() || play.allowed.contains(&ip) {
        return Ok(());
    }
    Err(format!(
        "offhook-load: {ip} is not on this machine; if you may load it, say `--allow-target {ip}`"
    ))
}

fn settings(
    play: &Play,
    scenario: &Scenario,
    remote: Option<SocketAddr>,
    host: Option<&str>,
) -> Result<Settings, String> {
    let transport = transport(play)?;
    let ip = play.local_ip.map_or_else(|| own_ip(remote), Ok)?;
    let port = match (play.local_port, scenario.side) {
        (Some(port), _) if port > 0 => port,
        (None, Side::Server) => SIP_PORT,
        (Some(_), _) | (None, Side::Client) => free_port(ip)?,
    };
    let timers = &play.timers;
    let base = Settings::new(SocketAddr::new(ip, port));
    Ok(Settings {
        remote,
        remote_host: host.unwrap_or_default().to_owned(),
        transport,
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
        receive_timeout: timers.receive_timeout.filter(|time| !time.is_zero()),
        t2: timers.t2.unwrap_or(base.t2),
        invite_resends_max: timers
            .invite_resends_max
            .or(timers.resends_max)
            .unwrap_or(base.invite_resends_max),
        other_resends_max: timers
            .other_resends_max
            .or(timers.resends_max)
            .unwrap_or(base.other_resends_max),
        resends: !timers.no_resend,
        behaviours: play
            .behaviours()
            .map_err(|text| format!("offhook-load: {text}"))?,
        ignores_in_pause: play.ignores_in_pause,
        keeps_slashes: play.keeps_slashes,
        lost: (play.lost / 100.0).clamp(0.0, 1.0),
        dead_call_wait: timers.dead_call_wait.unwrap_or(base.dead_call_wait),
        load: load_plan(play),
        seed: play.seed,
        variables: pairs(&play.variables),
        traces: Traces {
            messages: play.traces.messages,
            logs: play.traces.logs,
            errors: play.traces.errors,
        },
        ..base
    })
}

fn transport(play: &Play) -> Result<Transport, String> {
    if !play.rate.is_finite() || play.rate < 0.0 || play.period.is_zero() {
        return Err("offhook-load: write a rate of at least 0 and a period above 0".to_owned());
    }
    match play.transport.as_str() {
        "u1" | "udp" => Ok(Transport::Udp),
        "t1" | "tcp" => Ok(Transport::Tcp),
        other => Err(format!(
            "offhook-load: -t {other} is not supported: u1 is UDP, t1 TCP, each with one socket \
             for all calls"
        )),
    }
}

fn load_plan(play: &Play) -> Load {
    let interval = play
        .rate_interval
        .unwrap_or(play.traces.statistics_interval);
    Load {
        rate: play.rate,
        period: play.period,
        calls_max: play.calls,
        limit: play.limit,
        users: play.users,
        growth: play.rate_increase.map(|step| Growth {
            step,
            interval: interval.max(Duration::from_millis(1)),
            rate_max: play.rate_max,
            ends: !play.no_rate_quit,
        }),
    }
}

/// The address from which the peer is reached; nothing is sent to find out.
fn own_ip(remote: Option<SocketAddr>) -> Result<IpAddr, String> {
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let Some(remote) = remote else {
        return Ok(loopback);
    };
    let any: SocketAddr = if remote.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let ask = || {
        let socket = UdpSocket::bind(any)?;
        socket.connect(remote)?;
        socket.local_addr()
    };
    ask()
        .map(|local| local.ip())
        .map_err(|error| format!("offhook-load: {remote} cannot be reached: {error}"))
}

fn free_port(ip: IpAddr) -> Result<u16, String> {
    const ATTEMPTS_MAX: u32 = 100;
    let cannot = |error| format!("offhook-load: no port of {ip} is free: {error}");
    for _ in 0..ATTEMPTS_MAX {
        let udp = UdpSocket::bind((ip, 0)).map_err(cannot)?;
        let address = udp.local_addr().map_err(cannot)?;
        if TcpListener::bind(address).is_ok() {
            return Ok(address.port());
        }
    }
    Err(format!(
        "offhook-load: no port of {ip} is free for both UDP and TCP"
    ))
}

fn warn_of_small_buffers(settings: &Settings) {
    let path = "/proc/sys/net/core/rmem_max";
    let granted = std::fs::read_to_string(path)
        .ok()
        .and_then(|text| text.trim().parse().ok());
    let bytes: u64 = granted.unwrap_or(BUFFER_BYTES_WANTED);
    if settings.transport == Transport::Udp && bytes < BUFFER_BYTES_WANTED {
        super::say(&format!(
            "offhook-load: the kernel grants sockets only {bytes} bytes of buffer; at high rates \
             it loses datagrams. Allow more: sysctl net.core.rmem_max=4194304"
        ));
    }
}

/// Injection files, and the files that messages quote.
fn files(play: &Play, scenario: &Scenario) -> Result<Files, String> {
    let mut files = Files::default();
    for path in &play.injections {
        let injection = Injection::new(&read(path)?)
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
    let mut uses_fields = false;
    for template in scenario.templates() {
        uses_fields |= template.uses(|keyword| matches!(keyword, Keyword::Field { .. }));
        for name in template.file_names() {
            let path = String::from_utf8_lossy(&name).into_owned();
            files.contents.insert(name, read(Path::new(&path))?);
        }
    }
    if uses_fields && files.injections.is_empty() {
        return Err("offhook-load: the scenario uses [field…]; give its file with -inf".to_owned());
    }
    Ok(files)
}

/// The wall clock, read once.
pub(super) fn epoch() -> Duration {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default()
}

pub(super) fn driver(driver: offhook::config::Driver) -> DriverChoice {
    match driver {
        offhook::config::Driver::Auto => DriverChoice::Auto,
        offhook::config::Driver::Uring => DriverChoice::Uring,
        offhook::config::Driver::Epoll => DriverChoice::Epoll,
    }
}

/// Datagrams that the kernel has dropped for want of buffer, on the whole machine.
pub(super) fn receive_buffer_errors() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/net/snmp").ok()?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = (lines.next()?, lines.next()?);
    let column = names.split(' ').position(|name| name == "RcvbufErrors")?;
    values.split(' ').nth(column)?.parse().ok()
}
