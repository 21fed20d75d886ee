//! What a section of agents or a line of a CSV file says about its agents. What it leaves open is
//! for whoever stands wider: the section for its CSV file, then `[agent_defaults]`.

use std::sync::Arc;
use std::time::Duration;

use super::names::Names;
use super::trunk::MODES;
use crate::config::agent::{AfterLogin, Login, NoAnswerAction, WrapUp};
use crate::config::reader::{Located, Section};
use crate::config::trunk::Selection;
use crate::config::value::{self, Converted, Scalar};
use crate::config::{ProfileIndex, QueueIndex, TrunkIndex};
use crate::limits::{AGENT_QUEUES_MAX, AGENT_SKILLS_MAX, TRUNKS_MAX};

pub(super) const ACTIONS: [(&str, NoAnswerAction); 3] = [
    ("none", NoAnswerAction::None),
    ("notready", NoAnswerAction::NotReady),
    ("logout", NoAnswerAction::Logout),
];
const LOGINS: [(&str, Login); 2] = [("auto", Login::Auto), ("desktop", Login::Desktop)];
const AFTER_LOGINS: [(&str, AfterLogin); 2] = [
    ("notready", AfterLogin::NotReady),
    ("ready", AfterLogin::Ready),
];

#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    pub(super) queues: Option<Arc<[QueueIndex]>>,
    pub(super) skills: Option<ProfileIndex>,
    pub(super) trunks: Option<Arc<[TrunkIndex]>>,
    pub(super) trunk_mode: Option<Selection>,
    pub(super) presence: Option<bool>,
    pub(super) presence_trunks: Option<Arc<[TrunkIndex]>>,
    pub(super) wrap_up: Option<WrapUp>,
    pub(super) no_answer: Option<Duration>,
    pub(super) no_answer_action: Option<NoAnswerAction>,
    pub(super) login: Option<Login>,
    pub(super) after_login: Option<AfterLogin>,
    pub(super) legal_guard: Option<Option<Duration>>,
    pub(super) auto_logout: Option<Option<Duration>>,
}

impl Settings {
    /// These, and where they say nothing those that stand wider.
    pub(super) fn over(self, wider: &Self) -> Self {
        Self {
            queues: self.queues.or_else(|| wider.queues.clone()),
            skills: self.skills.or(wider.skills),
            trunks: self.trunks.or_else(|| wider.trunks.clone()),
            trunk_mode: self.trunk_mode.or(wider.trunk_mode),
            presence: self.presence.or(wider.presence),
            presence_trunks: self
                .presence_trunks
                .or_else(|| wider.presence_trunks.clone()),
            wrap_up: self.wrap_up.or(wider.wrap_up),
            no_answer: self.no_answer.or(wider.no_answer),
            no_answer_action: self.no_answer_action.or(wider.no_answer_action),
            login: self.login.or(wider.login),
            after_login: self.after_login.or(wider.after_login),
            legal_guard: self.legal_guard.or(wider.legal_guard),
            auto_logout: self.auto_logout.or(wider.auto_logout),
        }
    }

    /// Reads the keys that all sections of agents share.
    pub(super) fn read(
        section: &mut Section<'_>,
        names: &Names<'_>,
        presence_enabled: bool,
    ) -> Self {
        let file = section.source.file;
        let queues = section.list("queues", AGENT_QUEUES_MAX, value::name);
        let skills = section.pairs("skills", AGENT_SKILLS_MAX, "{ english = 7 }", value::skill);
        let trunks = section.list("trunks", TRUNKS_MAX, value::name);
        let presence_trunks = section.list("presence_trunks", TRUNKS_MAX, value::name);
        let settings = Self {
            queues: queues.map(|queues| names.queues((file, "queues"), queues)),
            skills: skills.map(|skills| names.profile((file, section.line_of("skills")), &skills)),
            trunks: trunks.map(|trunks| names.trunks((file, "trunks"), trunks)),
            trunk_mode: section.optional("trunk_mode", |scalar| value::choice(scalar, &MODES)),
            presence: section.optional("presence", value::flag),
            presence_trunks: presence_trunks
                .map(|trunks| names.trunks((file, "presence_trunks"), trunks)),
            wrap_up: section.optional("wrap_up", value::wrap_up),
            no_answer: section.optional("no_answer", value::no_answer),
            no_answer_action: section
                .optional("no_answer_action", |scalar| value::choice(scalar, &ACTIONS)),
            login: section.optional("login", |scalar| value::choice(scalar, &LOGINS)),
            after_login: section
                .optional("after_login", |scalar| value::choice(scalar, &AFTER_LOGINS)),
            legal_guard: section.optional("legal_guard", value::pause),
            auto_logout: section.optional("auto_logout", value::pause),
        };
        for key in ["trunks", "presence_trunks"] {
            if section.count(key) == Some(0) {
                section.mistake(key, "is empty", "name a trunk, or remove the key");
            }
        }
        if settings.presence == Some(false) && section.has("presence_trunks") {
            let what = "has no effect when presence is false";
            section.mistake("presence_trunks", what, "remove one of the two");
        }
        if settings.presence == Some(true) && !presence_enabled {
            let what = "has no effect while [presence] is not enabled";
            section.mistake(
                "presence",
                what,
                "set enabled = true in [presence], or remove it",
            );
        }
        settings
    }

    /// Takes one cell of a CSV file; `column` is a key that `read` reads too.
    pub(super) fn read_cell(
        &mut self,
        column: &str,
        cell: &str,
        (file, line): (&str, u32),
        names: &Names<'_>,
    ) -> Converted<()> {
        let text = Scalar::Text(cell);
        let listed = || {
            cell.split('|')
                .map(|value| Located {
                    value: value.trim(),
                    line,
                })
                .collect()
        };
        match column {
            "queues" if cell.split('|').count() > AGENT_QUEUES_MAX => {
                return Err(format!("write at most {AGENT_QUEUES_MAX} queues"));
            }
            "trunks" | "presence_trunks" if cell.split('|').count() > TRUNKS_MAX => {
                return Err(format!("write at most {TRUNKS_MAX} trunks"));
            }
            "queues" => self.queues = Some(names.queues((file, "queues"), listed())),
            "skills" => {
                let skills = value::skills(cell, AGENT_SKILLS_MAX)?;
                self.skills = Some(names.profile((file, line), &skills));
            }
            "trunks" => self.trunks = Some(names.trunks((file, "trunks"), listed())),
            "presence_trunks" => {
                self.presence_trunks = Some(names.trunks((file, "presence_trunks"), listed()));
            }
            "trunk_mode" => self.trunk_mode = Some(value::choice(text, &MODES)?),
            "presence" => {
                self.presence = Some(value::choice(text, &[("true", true), ("false", false)])?);
            }
            "wrap_up" => self.wrap_up = Some(value::wrap_up(text)?),
            "no_answer" => self.no_answer = Some(value::no_answer(text)?),
            "no_answer_action" => self.no_answer_action = Some(value::choice(text, &ACTIONS)?),
            "login" => self.login = Some(value::choice(text, &LOGINS)?),
            "after_login" => self.after_login = Some(value::choice(text, &AFTER_LOGINS)?),
            "legal_guard" => self.legal_guard = Some(value::pause(text)?),
            "auto_logout" => self.auto_logout = Some(value::pause(text)?),
            _ => unreachable!("the header of a CSV file is held to the keys of [[agent]]"),
        }
        Ok(())
    }
}
