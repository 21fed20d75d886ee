//! What stands in `<exec>`: stops, media, and commands for the shell.

use super::super::media::{Kind, Order, Source, stream_source};
use super::super::model::{Action, Stop};
use super::super::note::Notes;
use super::super::template::Template;
use super::super::xml::Element;
use super::Loader;
use super::attributes::Attributes;

impl Loader {
    pub(super) fn execute(
        &mut self,
        element: &Element,
        attributes: &mut Attributes<'_>,
        notes: &mut Notes,
    ) -> Option<Action> {
        let line = element.line;
        if let Some(word) = attributes.text("int_cmd") {
            return match word.as_str() {
                "stop_call" => Some(Action::Stop(Stop::Call)),
                "stop_gracefully" => Some(Action::Stop(Stop::Gracefully)),
                "stop_now" => Some(Action::Stop(Stop::Now)),
                other => {
                    notes.error(line, format!("int_cmd=\"{other}\" is not known"));
                    None
                }
            };
        }
        if let Some(text) = attributes.bytes("command") {
            notes.warning(line, "the command runs only with --allow-exec");
            let text = Template::new(&text, line, &mut self.names, notes);
            return Some(Action::Execute(text));
        }
        for (name, kind) in [
            ("play_pcap_audio", Kind::Audio),
            ("play_pcap_video", Kind::Video),
            ("play_pcap_image", Kind::Image),
        ] {
            if let Some(file) = attributes.text(name) {
                return self.play(Source::Recording(file), kind, line, notes);
            }
        }
        if let Some(digits) = attributes.text("play_dtmf") {
            if let Err(fault) = Source::Digits(digits.clone()).track(b"") {
                notes.error(line, format!("play_dtmf: {fault}"));
                return None;
            }
            return self.play(Source::Digits(digits), Kind::Audio, line, notes);
        }
        if let Some(text) = attributes.text("rtp_stream") {
            return self.stream(&text, line, notes);
        }
        if let Some(word) = attributes.text("rtp_echo") {
            return Some(Action::Media(Order::Echo(!word.starts_with("stop"))));
        }
        notes.error(line, "this exec says nothing that is known");
        None
    }

    fn stream(&mut self, text: &str, line: u32, notes: &mut Notes) -> Option<Action> {
        match text.trim() {
            "pause" => return Some(Action::Media(Order::Pause)),
            "resume" => return Some(Action::Media(Order::Resume)),
            word if word.contains("pattern") => {
                notes.warning(
                    line,
                    "patterns of rtp_stream are ignored: nothing checks them",
                );
                return None;
            }
            _ => {}
        }
        match stream_source(text) {
            Ok(source) => self.play(source, Kind::Audio, line, notes),
            Err(fault) => {
                notes.error(line, format!("rtp_stream: {fault}"));
                None
            }
        }
    }

    fn play(&mut self, source: Source, kind: Kind, line: u32, notes: &mut Notes) -> Option<Action> {
        if source.file().is_some_and(|file| file.contains('[')) {
            notes.warning(
                line,
                "it is ignored: a file of media may not be named by keywords",
            );
            return None;
        }
        let known = self.media.iter().position(|known| *known == source);
        let track = known.unwrap_or_else(|| {
            self.media.push(source);
            self.media.len() - 1
        });
        Some(Action::Media(Order::Play { track, kind }))
    }
}
