//! Media under way: which packet of which track goes when, and where to. The station's wheel wakes
//! it; calls that end take their media with them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_shards::{Transmit, Transport};

use super::super::floor::Floor;
use super::super::media::Track;
use super::super::settings::Settings;
use super::{Slot, Station};

/// Marks a player's number among those that the wheel keeps.
pub(super) const MEDIA: u32 = 1 << 31;

/// One track for one call.
#[derive(Debug)]
struct Player {
    /// The call's place and number: the place may be another call's by now.
    slot: usize,
    number: u64,
    track: Arc<Track>,
    /// The next packet.
    next: usize,
    /// When the present passage began.
    began: Instant,
    passages: u32,
    to: Transmit,
}

/// All media of a station.
#[derive(Debug, Default)]
pub(super) struct Players {
    all: Vec<Option<Player>>,
    free: Vec<u32>,
}

/// What a call is to media.
struct Listener {
    slot: usize,
    number: u64,
    from: SocketAddr,
    to: SocketAddr,
}

impl Players {
    /// Begins to play; when to wake it, and by which number.
    fn play(&mut self, now: Instant, who: &Listener, track: Arc<Track>) -> (Instant, u32) {
        let player = Player {
            slot: who.slot,
            number: who.number,
            track,
            next: 0,
            began: now,
            passages: 0,
            to: Transmit {
                transport: Transport::Udp,
                local: Some(who.from),
                remote: who.to,
                connection: None,
            },
        };
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.all.push(None);
                u32::try_from(self.all.len() - 1).expect("fewer players than 32 bits count")
            }
        };
        self.all[index as usize] = Some(player);
        (now, index)
    }

    /// Sends what is due of a player; when to wake it again. `is_live` says whether a call still
    /// is, and `pause` whether it is to send nothing now.
    fn wake(
        &mut self,
        now: Instant,
        index: u32,
        is_live: impl Fn(usize, u64) -> bool,
        is_paused: impl Fn(usize) -> bool,
        floor: &mut Floor,
    ) -> Option<Instant> {
        /// How long a paused player sleeps.
        const NAP: Duration = Duration::from_millis(20);
        let player = self.all.get_mut(index as usize)?.as_mut()?;
        if !is_live(player.slot, player.number) {
            return self.end(index);
        }
        if is_paused(player.slot) {
            player.began += NAP;
            return Some(now + NAP);
        }
        while let Some((at, bytes)) = player.track.packets.get(player.next) {
            let due = player.began + *at;
            if due > now {
                return Some(due);
            }
            floor.send_media(player.to, bytes);
            player.next += 1;
        }
        player.passages += 1;
        if player
            .track
            .times
            .is_some_and(|times| player.passages >= times)
        {
            return self.end(index);
        }
        player.next = 0;
        // A track without a length would be sent without an end at one moment.
        player.began += player.track.length.max(NAP);
        Some(player.began)
    }

    fn end(&mut self, index: u32) -> Option<Instant> {
        self.all[index as usize] = None;
        self.free.push(index);
        None
    }
}

impl Station {
    /// Plays what a call has asked for.
    pub(super) fn begin_media(&mut self, now: Instant, slot: usize) {
        let from = media_address(&self.floor.settings);
        for (track, to) in std::mem::take(&mut self.floor.media_orders) {
            let Some(track) = self.floor.files.tracks.get(track).cloned() else {
                continue;
            };
            let number = self.slots[slot].call.number();
            let who = Listener {
                slot,
                number,
                from,
                to,
            };
            let (at, player) = self.players.play(now, &who, track);
            self.wheel.arm(at, player | MEDIA);
        }
    }

    pub(super) fn play_on(&mut self, now: Instant, player: u32) {
        let slots = &self.slots;
        let is_live = |slot: usize, number| {
            let slot: &Slot = &slots[slot];
            slot.is_live && slot.call.number() == number
        };
        let is_paused = |slot: usize| slots[slot].call.is_silent;
        let next = self
            .players
            .wake(now, player, is_live, is_paused, &mut self.floor);
        if let Some(at) = next {
            self.wheel.arm(at, player | MEDIA);
        }
    }
}

/// Where media come from and to.
pub(super) fn media_address(settings: &Settings) -> SocketAddr {
    SocketAddr::new(settings.media_ip, settings.media_port)
}
