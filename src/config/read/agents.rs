//! Reads `[agent_defaults]`, `[[agent]]` and `[[agents]]` into one roster: ascending by DN, each DN
//! and each agent once. CSV files have their own reader next door.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::csv;
use super::names::{Names, kind};
use super::settings::Settings;
use super::trunk::Prefixes;
use crate::config::agent::{
    AfterLogin, Agent, AgentDefaults, AgentSettings, Login, NoAnswerAction, WrapUp,
};
use crate::config::find::find;
use crate::config::mistake::Mistakes;
use crate::config::presence::Presence;
use crate::config::reader::{Section, Source};
use crate::config::trunk::{Selection, TrunkSet};
use crate::config::value;
use crate::config::{DnIndex, ProfileIndex, Trunk};
use crate::limits::AGENTS_MAX;

/// Where an agent is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Origin {
    /// An index into the enrolment's files.
    pub(super) file: u32,
    /// From 1.
    pub(super) line: u32,
}

/// Several DNs with the same mistake and the same origin: one mistake for all.
#[derive(Debug, Clone)]
struct Several {
    first: Box<str>,
    count: usize,
}

/// The agents while they are read.
pub(super) struct Enrolment<'a> {
    source: &'a Source<'a>,
    names: &'a Names<'a>,
    presence: &'a Presence,
    prefixes: Prefixes,
    has_trunks: bool,
    defaults: Settings,
    /// Those that agents have so far.
    settings: HashSet<Arc<AgentSettings>>,
    files: Vec<Box<str>>,
    pending: Vec<(Agent, Origin)>,
    /// Agents to which no trunk leads.
    stranded: BTreeMap<Origin, Several>,
    is_full: bool,
}

impl<'a> Enrolment<'a> {
    pub(super) fn new(
        mut section: Section<'a>,
        names: &'a Names<'a>,
        trunks: &[Trunk],
        presence: &'a Presence,
    ) -> Self {
        let source = section.source;
        let defaults = Settings::read(&mut section, names, presence.enabled);
        if defaults.presence_trunks.is_some() && presence.trunks.is_some() {
            let what = "makes `trunks` in [presence] unreachable";
            section.mistake("presence_trunks", what, "remove one of the two");
        }
        section.finish();
        Self {
            source,
            names,
            presence,
            prefixes: Prefixes::new(trunks),
            has_trunks: !trunks.is_empty(),
            defaults,
            settings: HashSet::new(),
            files: vec![source.file.into()],
            pending: Vec::new(),
            stranded: BTreeMap::new(),
            is_full: false,
        }
    }

    pub(super) fn mistakes(&self) -> &'a Mistakes {
        self.source.mistakes
    }

    pub(super) fn names(&self) -> &'a Names<'a> {
        self.names
    }

    pub(super) fn defaults(&self) -> AgentDefaults {
        AgentDefaults {
            wrap_up: self.defaults.wrap_up.unwrap_or(WrapUp::Off),
            no_answer: self.defaults.no_answer.unwrap_or(Duration::from_secs(20)),
            no_answer_action: self
                .defaults
                .no_answer_action
                .unwrap_or(NoAnswerAction::NotReady),
        }
    }

    pub(super) fn add_file(&mut self, file: &str) -> u32 {
        self.files.push(file.into());
        u32::try_from(self.files.len() - 1).expect("each file takes a section of bounded text")
    }

    /// Reads every `[[agent]]`.
    pub(super) fn read_single(&mut self, sections: Vec<Section<'a>>) {
        for mut section in sections {
            let settings = Settings::read(&mut section, self.names, self.presence.enabled);
            let dn = section.required("dn", "\"2001\"", value::name);
            let agent_id = section.optional("agent_id", value::name);
            if let Some(dn) = dn {
                let origin = Origin {
                    file: 0,
                    line: dn.line,
                };
                self.enrol(dn.value, agent_id.unwrap_or(dn.value), settings, origin);
            }
            section.finish();
        }
    }

    /// Reads every `[[agents]]`; `files` gives the text of a CSV file.
    pub(super) fn read_many(
        &mut self,
        sections: Vec<Section<'a>>,
        files: &dyn Fn(&str) -> Result<String, String>,
    ) {
        for mut section in sections {
            let settings = Settings::read(&mut section, self.names, self.presence.enabled);
            if section.has("range") == section.has("csv") {
                self.source.mistake(
                    section.line,
                    "[[agents]] needs either `range` or `csv`",
                    "write one of range = \"2000-2999\" and csv = \"agents.csv\"",
                );
            }
            let origin = Origin {
                file: 0,
                line: section.line_of("range"),
            };
            for dn in section
                .optional("range", |scalar| range(value::text(scalar)?))
                .into_iter()
                .flatten()
            {
                self.enrol(&dn, &dn, settings.clone(), origin);
            }
            if let Some(file) = section.optional("csv", value::file) {
                match files(file) {
                    Ok(text) => csv::read(self, file, &text, &settings),
                    Err(why) => section.mistake(
                        "csv",
                        &format!("names a file that cannot be read ({why})"),
                        "write a path that starts at the directory of this file",
                    ),
                }
            }
            section.finish();
        }
    }

    /// Adds one agent with what its section says; the defaults are added here.
    pub(super) fn enrol(&mut self, dn: &str, agent_id: &str, own: Settings, origin: Origin) {
        if self.pending.len() == AGENTS_MAX {
            if !self.is_full {
                let file = &self.files[origin.file as usize];
                let instead = format!("configure at most {AGENTS_MAX}");
                self.mistakes()
                    .add((file, origin.line), "there are too many agents", instead);
            }
            self.is_full = true;
            return;
        }
        let (wrap_up, no_answer) = (own.wrap_up, own.no_answer);
        let no_answer_action = own.no_answer_action;
        let settings = own.over(&self.defaults);
        let mode = settings.trunk_mode.unwrap_or(Selection::PrimaryBackup);
        let trunks = settings.trunks.or_else(|| self.prefixes.find(dn));
        if trunks.is_none() {
            let several = Several {
                first: dn.into(),
                count: 0,
            };
            self.stranded.entry(origin).or_insert(several).count += 1;
        }
        let trunks = TrunkSet {
            trunks: trunks.unwrap_or_else(|| Arc::new([])),
            mode,
        };
        let presence = (self.presence.enabled && settings.presence.unwrap_or(true)).then(|| {
            let own = settings
                .presence_trunks
                .map(|trunks| TrunkSet { trunks, mode });
            own.or_else(|| self.presence.trunks.clone())
                .unwrap_or_else(|| trunks.clone())
        });
        let settings = AgentSettings {
            queues: settings.queues.unwrap_or_else(|| Arc::new([])),
            profile: settings.skills.unwrap_or(ProfileIndex(0)),
            trunks,
            presence,
            wrap_up,
            no_answer,
            no_answer_action,
            login: settings.login.unwrap_or(Login::Auto),
            after_login: settings.after_login.unwrap_or(AfterLogin::NotReady),
            legal_guard: settings.legal_guard.flatten(),
            auto_logout: settings.auto_logout.flatten(),
        };
        let agent = Agent {
            dn: dn.into(),
            agent_id: agent_id.into(),
            settings: self.shared(settings),
        };
        self.pending.push((agent, origin));
    }

    /// One copy for all agents for whom the same is configured.
    fn shared(&mut self, settings: AgentSettings) -> Arc<AgentSettings> {
        if let Some(known) = self.settings.get(&settings) {
            return Arc::clone(known);
        }
        let settings = Arc::new(settings);
        self.settings.insert(Arc::clone(&settings));
        settings
    }

    /// Ends the reading: sorts, and reports what is there twice or cannot be reached.
    pub(super) fn finish(mut self) -> Roster {
        // Stable: of two agents with one DN, the one that was read first stays.
        self.pending
            .sort_by(|(left, _), (right, _)| left.dn.cmp(&right.dn));
        self.report_stranded();
        self.report_repeated(|agent| &agent.dn, "DN", "give it another dn, or remove one");
        self.pending
            .dedup_by(|(later, _), (earlier, _)| later.dn == earlier.dn);
        for (name, address, line) in self.names.iter() {
            let found = self
                .pending
                .binary_search_by(|(agent, _)| (*agent.dn).cmp(name));
            if let Ok(index) = found {
                let origin = self.pending[index].1;
                let file = &self.files[origin.file as usize];
                let place = place((self.source.file, line), file);
                let what = format!(
                    "agent \"{name}\" has the name of the {} on {place}",
                    kind(address)
                );
                let instead = "give one of them another number";
                self.mistakes().add((file, origin.line), what, instead);
            }
        }
        self.report_repeated(
            |agent| &agent.agent_id,
            "agent_id",
            "give each agent its own",
        );
        let mut agents: Vec<Agent> = self.pending.into_iter().map(|(agent, _)| agent).collect();
        agents.shrink_to_fit();
        Roster { agents }
    }

    fn report_stranded(&self) {
        let instead = if self.has_trunks {
            "set trunks = [\"…\"] for it, or give a trunk a prefix of its number"
        } else {
            "add a [[trunk]]"
        };
        // Without any trunk, one mistake says it for everyone.
        let shown = if self.has_trunks { usize::MAX } else { 1 };
        for (origin, Several { first, count }) in self.stranded.iter().take(shown) {
            let more = if *count > 1 {
                format!(" and {} more", count - 1)
            } else {
                String::new()
            };
            let file = &self.files[origin.file as usize];
            let what = format!("no trunk leads to agent \"{first}\"{more}");
            self.mistakes().add((file, origin.line), what, instead);
        }
    }

    /// Reports agents that share what `of` names, once for each pair of places.
    fn report_repeated(&self, of: fn(&Agent) -> &str, name: &str, instead: &str) {
        let mut order: Vec<&(Agent, Origin)> = self.pending.iter().collect();
        order.sort_by_key(|(agent, _)| of(agent));
        let mut repeated: BTreeMap<(Origin, Origin), Several> = BTreeMap::new();
        for pair in order.windows(2) {
            let [(earlier, first), (later, second)] = pair else {
                continue;
            };
            if of(earlier) == of(later) {
                let several = Several {
                    first: of(later).into(),
                    count: 0,
                };
                repeated.entry((*second, *first)).or_insert(several).count += 1;
            }
        }
        for ((second, first), Several { first: text, count }) in repeated {
            let file = &self.files[second.file as usize];
            let place = place((&self.files[first.file as usize], first.line), file);
            let more = if count > 1 {
                format!(" and {} more", count - 1)
            } else {
                String::new()
            };
            let what = format!("{name} \"{text}\"{more} is already on {place}");
            self.mistakes().add((file, second.line), what, instead);
        }
    }
}

/// How a place is called in a mistake of `file`.
fn place((other, line): (&str, u32), file: &str) -> String {
    if other == file {
        format!("line {line}")
    } else {
        format!("{other}:{line}")
    }
}

/// Every agent, ascending by DN.
pub(super) struct Roster {
    pub(super) agents: Vec<Agent>,
}

impl Roster {
    pub(super) fn find(&self, dn: &str) -> Option<DnIndex> {
        find(&self.agents, dn)
    }
}

/// The numbers from one to another, as many digits each; or what to write instead.
pub(super) fn range(text: &str) -> value::Converted<impl Iterator<Item = String> + use<>> {
    const WRITE: &str = "write two numbers of the same length, such as \"2000-2999\"";
    let (first, last) = text.split_once('-').ok_or(WRITE)?;
    let digits = |number: &str| number.bytes().all(|byte| byte.is_ascii_digit());
    let width = first.len();
    if width != last.len() || width > 18 || !digits(first) || !digits(last) {
        return Err(WRITE.to_owned());
    }
    let first: u64 = first.parse().map_err(|_| WRITE)?;
    let last: u64 = last.parse().map_err(|_| WRITE)?;
    if last < first {
        return Err("write the lower number first".to_owned());
    }
    if last - first >= AGENTS_MAX as u64 {
        return Err(format!("write a range of at most {AGENTS_MAX} numbers"));
    }
    Ok((first..=last).map(move |number| format!("{number:0width$}")))
}
