//! The names that trunks, queues and routing points have claimed. One name stands for one thing,
//! because a CTI client registers an address by its name alone.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::reader::{Located, Source};
use crate::config::skill::{Interner, Levels};
use crate::config::value::{Scalar, instead_of_name};
use crate::config::{Address, ProfileIndex, QueueIndex, RequirementIndex, TrunkIndex};
use crate::limits::SKILLS_MAX;

pub(super) struct Names<'a> {
    source: &'a Source<'a>,
    claimed: BTreeMap<&'a str, (Address, u32)>,
    /// Skills are known by being mentioned; whether anybody has them is checked at the end.
    pub(super) skills: RefCell<Interner>,
}

impl<'a> Names<'a> {
    pub(super) fn new(source: &'a Source<'a>) -> Self {
        Self {
            source,
            claimed: BTreeMap::new(),
            skills: RefCell::new(Interner::new()),
        }
    }

    /// Gives `name` to `address`, unless something else has it.
    pub(super) fn claim(&mut self, name: Located<&'a str>, address: Address) {
        let Located { value: name, line } = name;
        if let Some((other, first)) = self.claimed.get(name) {
            let (kind, other) = (kind(address), kind(*other));
            let what = format!("{kind} \"{name}\" has the name of the {other} on line {first}");
            self.source.mistake(
                line,
                what,
                "give it a name of its own, or remove one of them",
            );
            return;
        }
        self.claimed.insert(name, (address, line));
    }

    /// What an agent with these skills can do.
    pub(super) fn profile(&self, place: (&str, u32), skills: &[(&str, u8)]) -> ProfileIndex {
        let levels = self.levels(place, skills);
        self.skills.borrow_mut().profile(levels)
    }

    /// What a caller needs who needs these skills.
    pub(super) fn requirement(&self, line: u32, skills: &[(&str, u8)]) -> RequirementIndex {
        let levels = self.levels((self.source.file, line), skills);
        let requirement = self.skills.borrow_mut().requirement(levels);
        requirement.unwrap_or_else(|| {
            let what = "callers need more different lists of skills than can be told apart";
            let instead = format!("write at most {} different ones", u16::MAX);
            self.source.mistake(line, what, instead);
            RequirementIndex::ANYONE
        })
    }

    fn levels(&self, place: (&str, u32), skills: &[(&str, u8)]) -> Levels {
        let mut interner = self.skills.borrow_mut();
        let mut levels = Vec::new();
        for (name, level) in skills {
            match interner.skill(name) {
                Some(skill) => levels.push((skill, *level)),
                None => {
                    let what = format!("skill \"{name}\" is one too many");
                    let instead = format!("use at most {SKILLS_MAX} different skills");
                    self.source.mistakes.add(place, what, instead);
                }
            }
        }
        Levels::new(levels)
    }

    /// The trunks that a key or column names, in order; what is wrong with them is reported.
    pub(super) fn trunks(
        &self,
        place: (&str, &str),
        items: Vec<Located<&str>>,
    ) -> Arc<[TrunkIndex]> {
        self.resolve(place, items, Self::trunk, "trunk").into()
    }

    /// The queues that a key or column names, ascending; what is wrong with them is reported.
    pub(super) fn queues(
        &self,
        place: (&str, &str),
        items: Vec<Located<&str>>,
    ) -> Arc<[QueueIndex]> {
        let mut queues = self.resolve(place, items, Self::queue, "queue");
        queues.sort_unstable();
        queues.into()
    }

    fn resolve<T: Copy + PartialEq>(
        &self,
        (file, key): (&str, &str),
        items: Vec<Located<&str>>,
        find: fn(&Self, &str) -> Result<T, String>,
        kind: &str,
    ) -> Vec<T> {
        let mistakes = self.source.mistakes;
        let mut found = Vec::new();
        for Located { value: name, line } in items {
            match find(self, name) {
                Ok(index) if found.contains(&index) => {
                    let what = format!("`{key}` names the {kind} \"{name}\" twice");
                    mistakes.add((file, line), what, "name it once");
                }
                Ok(index) => found.push(index),
                Err(instead) => {
                    let name = Scalar::Text(name);
                    let what = format!("`{key}` names {name}, and there is no such {kind}");
                    mistakes.add((file, line), what, instead);
                }
            }
        }
        found
    }

    /// The trunk of a name, or what to write instead.
    fn trunk(&self, name: &str) -> Result<TrunkIndex, String> {
        match self.claimed.get(name) {
            Some((Address::Trunk(index), _)) => Ok(*index),
            Some((Address::Agent(_) | Address::Queue(_) | Address::RoutingPoint(_), _)) | None => {
                Err(self.instead(name, "trunk"))
            }
        }
    }

    /// The queue of a name, or what to write instead.
    pub(super) fn queue(&self, name: &str) -> Result<QueueIndex, String> {
        match self.claimed.get(name) {
            Some((Address::Queue(index), _)) => Ok(*index),
            Some((Address::Agent(_) | Address::Trunk(_) | Address::RoutingPoint(_), _)) | None => {
                Err(self.instead(name, "queue"))
            }
        }
    }

    fn instead(&self, name: &str, wanted: &str) -> String {
        // The search for what was meant is worth its time only where it is shown.
        if self.source.mistakes.are_full() {
            return String::new();
        }
        let known = self
            .claimed
            .iter()
            .filter(|(_, (address, _))| kind(*address) == wanted);
        instead_of_name(name, wanted, known.map(|(name, _)| *name))
    }

    /// Every claimed name with what has it and its line.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a str, Address, u32)> + '_ {
        self.claimed
            .iter()
            .map(|(name, (address, line))| (*name, *address, *line))
    }
}

/// How an address is called in a sentence.
pub(super) fn kind(address: Address) -> &'static str {
    match address {
        Address::Agent(_) => "agent",
        Address::Queue(_) => "queue",
        Address::RoutingPoint(_) => "routing point",
        Address::Trunk(_) => "trunk",
    }
}
