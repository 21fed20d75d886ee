//! What is due when. Appointments at one moment come in the order in which they were made.

use std::collections::BTreeMap;
use std::time::Instant;

/// One entry of an agenda, for taking it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Appointment {
    at: Instant,
    number: u64,
}

/// Values with their moments.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    entries: BTreeMap<Appointment, T>,
    made: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            made: 0,
        }
    }
}

impl<T> Agenda<T> {
    pub(crate) fn add(&mut self, at: Instant, value: T) -> Appointment {
        self.made += 1;
        let appointment = Appointment {
            at,
            number: self.made,
        };
        self.entries.insert(appointment, value);
        appointment
    }

    /// Takes an entry back, if it is still there.
    pub(crate) fn cancel(&mut self, appointment: Option<Appointment>) {
        if let Some(appointment) = appointment {
            self.entries.remove(&appointment);
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.entries.keys().next().map(|appointment| appointment.at)
    }

    /// The first entry that is due, with the moment it was meant for.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<(Instant, T)> {
        let entry = self
            .entries
            .first_entry()
            .filter(|entry| entry.key().at <= now)?;
        let (appointment, value) = entry.remove_entry();
        Some((appointment.at, value))
    }

    /// Drops every entry that is not to be kept.
    pub(crate) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.entries.retain(|_, value| keep(value));
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn entries_come_in_order_and_can_be_taken_back() {
        let now = Instant::now();
        let mut agenda = Agenda::default();
        let later = agenda.add(now + Duration::from_secs(2), "later");
        agenda.add(now + Duration::from_secs(1), "first");
        agenda.add(now + Duration::from_secs(1), "second");
        assert_eq!(agenda.take_due(now), None);
        let due = now + Duration::from_secs(1);
        assert_eq!(agenda.take_due(due), Some((due, "first")));
        assert_eq!(agenda.take_due(due), Some((due, "second")));
        assert_eq!(agenda.take_due(due), None);
        agenda.cancel(Some(later));
        agenda.cancel(Some(later));
        assert_eq!(agenda.next(), None);
    }
}
