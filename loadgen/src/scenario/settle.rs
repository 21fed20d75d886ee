//! Puts into the texts of a scenario what no call can change: a message is then a few long pieces
//! and what is the call's own between them.

use super::model::{Action, Message, Scenario, Side, StepKind};
use super::settings::Settings;
use super::template::{Keyword, Segment, Template};
use super::value::{write_ip, write_number};

impl Scenario {
    /// Puts in what the settings say. Texts of actions are left as they are.
    pub(crate) fn settle(&mut self, settings: &Settings) {
        let actions = self.steps.iter().flat_map(|step| &step.actions);
        let is_redirect = |action: &Action| matches!(action, Action::SetDestination { .. });
        let known = Known {
            settings,
            is_client: self.side == Side::Client,
            is_redirected: actions.into_iter().any(is_redirect),
        };
        let sent = self
            .steps
            .iter_mut()
            .filter_map(|step| match &mut step.kind {
                StepKind::Send(send) => Some(&mut send.message),
                StepKind::Receive(_)
                | StepKind::SendCommand(_)
                | StepKind::ReceiveCommand { .. }
                | StepKind::Pause(_)
                | StepKind::Nop
                | StepKind::TimeWait(_) => None,
            });
        let defaults = &mut self.defaults;
        let own = [
            &mut defaults.ack,
            &mut defaults.bye,
            &mut defaults.cancel,
            &mut defaults.ok,
        ];
        for Message { text, .. } in sent.chain(own) {
            text.settle(|keyword| known.text(keyword));
        }
    }
}

/// What is known before the first call.
struct Known<'a> {
    settings: &'a Settings,
    is_client: bool,
    is_redirected: bool,
}

impl Known<'_> {
    /// What a keyword always is, if that is known.
    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "all others are a call's own, or change with time"
    )]
    fn text(&self, keyword: &Keyword) -> Option<Vec<u8>> {
        let settings = self.settings;
        let mut text = Vec::new();
        match keyword {
            Keyword::Service => text.extend_from_slice(settings.service.as_bytes()),
            Keyword::RemoteHost => text.extend_from_slice(settings.remote_host.as_bytes()),
            Keyword::Version => text.extend_from_slice(env!("CARGO_PKG_VERSION").as_bytes()),
            Keyword::ProcessId => write_number(&mut text, settings.process_id.into()),
            Keyword::MediaIp => write_ip(&mut text, settings.media_ip),
            Keyword::MediaIpType => text.push(version(settings.media_ip.is_ipv4())),
            Keyword::RemotePort(offset) => {
                let port = i64::from(settings.named?.port());
                write_number(&mut text, port.saturating_add(*offset));
            }
            Keyword::RemoteIp => {
                let ip = settings.named?.ip();
                ip.is_ipv4().then(|| write_ip(&mut text, ip))?;
            }
            Keyword::LocalIp | Keyword::ServerIp => {
                let ip = settings.local.ip();
                let all_same = settings.locals.iter().all(|local| local.ip() == ip);
                let is_sure = all_same && ip.is_ipv4() && !ip.is_unspecified();
                is_sure.then(|| write_ip(&mut text, ip))?;
            }
            Keyword::LocalIpType => {
                let is_ipv4 = settings.local.is_ipv4();
                let all_same = settings.locals.iter().all(|it| it.is_ipv4() == is_ipv4);
                all_same.then(|| text.push(version(is_ipv4)))?;
            }
            Keyword::LocalPort(offset) => {
                let port = i64::from(settings.local.port());
                let is_only = settings.locals == [settings.local] && settings.workers < 2;
                let port = is_only.then(|| port.saturating_add(*offset))?;
                write_number(&mut text, port);
            }
            Keyword::Transport => {
                // Whoever is called is called over anything.
                let name = super::floor::transport_name(settings.transport);
                let is_sure = self.is_client && !self.is_redirected;
                is_sure.then(|| text.extend_from_slice(name.as_bytes()))?;
            }
            _ => return None,
        }
        Some(text)
    }
}

fn version(is_ipv4: bool) -> u8 {
    if is_ipv4 { b'4' } else { b'6' }
}

impl Template {
    /// Makes text of the keywords that are known.
    fn settle(&mut self, known: impl Fn(&Keyword) -> Option<Vec<u8>>) {
        let mut settled = Self::default();
        let mut literal = Vec::new();
        for segment in std::mem::take(&mut self.segments) {
            let keyword = match segment {
                Segment::Literal(text) => {
                    literal.extend_from_slice(&text);
                    continue;
                }
                Segment::Keyword(keyword) => keyword,
            };
            // Behind a header that vanishes, the blanks that a text begins with go as well.
            let is_solid =
                |text: &Vec<u8>| text.first().is_some_and(|it| !it.is_ascii_whitespace());
            if let Some(text) = known(&keyword).filter(is_solid) {
                literal.extend_from_slice(&text);
            } else {
                settled.push_literal(&mut literal);
                settled.segments.push(Segment::Keyword(keyword));
            }
        }
        settled.push_literal(&mut literal);
        *self = settled;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::names::Names;
    use crate::scenario::note::Notes;

    fn settled(text: &str, change: impl FnOnce(&mut Settings)) -> Vec<Segment> {
        let mut settings = Settings::new("127.0.0.1:5060".parse().expect("an address"));
        settings.service = "bob".to_owned();
        change(&mut settings);
        let (mut names, mut notes) = (Names::default(), Notes::default());
        let mut template = Template::new(text.as_bytes(), 1, &mut names, &mut notes);
        let known = Known {
            settings: &settings,
            is_client: true,
            is_redirected: false,
        };
        template.settle(|keyword| known.text(keyword));
        template.segments
    }

    #[test]
    fn what_no_call_changes_is_text() {
        let text = "[service]@[local_ip]:[local_port+1]/[transport] [call_id]\n[last_Via:]\n[pid]";
        let segments = settled(text, |settings| settings.process_id = 9);
        let literal = |text: &str| Segment::Literal(text.as_bytes().into());
        assert_eq!(
            segments,
            [
                literal("bob@127.0.0.1:5061/UDP "),
                Segment::Keyword(Keyword::CallId),
                literal("\n"),
                Segment::Keyword(Keyword::LastHeader(b"Via".to_vec())),
                literal("\n9"),
            ]
        );
    }

    #[test]
    fn what_may_be_different_for_another_call_stays() {
        let two = settled("[local_ip][local_port][remote_ip]", |settings| {
            let other = "127.0.0.2:5060".parse().expect("an address");
            settings.locals = vec![settings.local, other];
        });
        assert_eq!(two.len(), 3);
        let blank = settled("[last_To:]\n[service]", |settings| {
            settings.service = " x".to_owned();
        });
        assert_eq!(blank.len(), 3);
    }
}
