//! The book in virtual time.

use super::*;

const LIFETIMES: Lifetimes = Lifetimes {
    floor: Duration::from_secs(5),
    ceiling: Duration::from_secs(600),
};

fn question(host: &str) -> Question {
    Question::new(host, None, None)
}

fn place(last: u8) -> Place {
    Place {
        priority: 1,
        transport: offhook_shards::Transport::Udp,
        address: ([192, 0, 2, last], 5060).into(),
        weight: 1,
    }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

struct Lab {
    now: Instant,
    book: Book,
}

impl Lab {
    fn new(configured: &[&str]) -> Self {
        let now = Instant::now();
        let book = Book::new(now, LIFETIMES, configured.iter().map(|host| question(host)));
        Self { now, book }
    }

    /// Goes to the next look and gives it this outcome.
    fn look(&mut self, found: Found) -> (Duration, Option<(Readers, Resolved)>) {
        let at = self.book.poll_timeout().expect("a look is due");
        let waited = at.saturating_duration_since(self.now);
        self.now = self.now.max(at);
        let next = self.book.next_lookup(self.now).expect("it is due");
        (waited, self.book.handle(self.now, &next, found))
    }
}

#[test]
fn lifetimes_are_held_to_floor_and_ceiling() {
    let mut lab = Lab::new(&["pbx.example.com"]);
    let (waited, _) = lab.look(Ok((vec![place(1)], secs(0))));
    assert_eq!(waited, secs(0), "configured names are looked up at once");
    assert_eq!(lab.look(Ok((vec![place(1)], secs(60)))).0, secs(5));
    assert_eq!(lab.look(Ok((vec![place(1)], secs(86_400)))).0, secs(60));
    assert_eq!(lab.look(Ok((vec![place(1)], secs(60)))).0, secs(600));
}

#[test]
fn only_changes_are_told_and_the_order_of_records_is_none() {
    let mut lab = Lab::new(&["pbx.example.com"]);
    let (_, news) = lab.look(Ok((vec![place(2), place(1)], secs(60))));
    let (readers, resolved) = news.expect("the first answer is news");
    assert_eq!(readers, Readers::All);
    assert_eq!(*resolved.places, [place(1), place(2)]);
    let (_, news) = lab.look(Ok((vec![place(1), place(2)], secs(60))));
    assert_eq!(news, None);
    let (_, news) = lab.look(Ok((vec![place(1)], secs(60))));
    assert_eq!(*news.expect("an address is gone").1.places, [place(1)]);
}

#[test]
fn the_last_good_answer_outlives_failures_which_are_retried_ever_less_often() {
    let mut lab = Lab::new(&["pbx.example.com"]);
    lab.look(Ok((vec![place(1)], secs(60))));
    let (_, news) = lab.look(Err(Problem::NoAnswer));
    let stale = news.expect("that it is old is news").1;
    assert_eq!(
        (&*stale.places, stale.problem),
        (&[place(1)][..], Some(Problem::NoAnswer))
    );
    assert_eq!(lab.book.census().stale, 1);
    let mut waits = Vec::new();
    for _ in 0..6 {
        let (waited, news) = lab.look(Err(Problem::NoAnswer));
        assert_eq!(news, None, "nothing new");
        waits.push(waited.as_secs());
    }
    assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
    let (_, news) = lab.look(Err(Problem::NoSuchName));
    let stale = news.expect("another problem is news").1;
    assert_eq!(
        *stale.places,
        [place(1)],
        "a negative answer keeps the last good one"
    );
    let (_, news) = lab.look(Ok((vec![place(9)], secs(60))));
    assert_eq!(news.expect("DNS is back").1.problem, None);
    assert_eq!(lab.book.census().fresh, 1);
}

#[test]
fn a_name_that_leads_nowhere_says_so() {
    let mut lab = Lab::new(&["nowhere.example.com"]);
    let news = lab.look(Err(Problem::NoSuchName)).1.expect("news");
    assert!(news.1.places.is_empty());
    assert_eq!(news.1.problem, Some(Problem::NoSuchName));
    assert_eq!(lab.book.census().unresolved, 1);
}

#[test]
fn far_ends_are_asked_for_once_answered_to_those_who_asked_and_forgotten() {
    let mut lab = Lab::new(&[]);
    assert_eq!(lab.book.poll_timeout(), None);
    let phone = question("phone.example.com");
    assert!(lab.book.ask(lab.now, ShardId(2), phone.clone()));
    assert!(lab.book.ask(lab.now, ShardId(0), phone.clone()));
    let (readers, _) = lab.look(Ok((vec![place(1)], secs(60)))).1.expect("news");
    assert_eq!(
        readers,
        Readers::Those(BTreeSet::from([ShardId(0), ShardId(2)]))
    );
    // Somebody asks again before it is due: the same answer would be as old as the shard's.
    assert!(lab.book.ask(lab.now, ShardId(1), phone));
    assert_eq!(lab.look(Ok((vec![place(1)], secs(60)))).0, secs(0));
    lab.now += secs(61);
    assert_eq!(lab.book.next_lookup(lab.now), None, "nobody asks any more");
    assert_eq!(lab.book.census(), Census::default());
}

#[test]
fn a_flood_of_names_is_bounded_in_number_and_in_looks_at_a_time() {
    let mut lab = Lab::new(&["pbx.example.com"]);
    let asked = (0..2 * DNS_QUESTIONS_MAX)
        .filter(|number| {
            let name = question(&format!("n{number}.example.com"));
            lab.book.ask(lab.now, ShardId(0), name)
        })
        .count();
    assert_eq!(asked, DNS_QUESTIONS_MAX - 1);
    let mut looks = Vec::new();
    while let Some(look) = lab.book.next_lookup(lab.now) {
        looks.push(look);
    }
    assert_eq!(looks.len(), DNS_LOOKUPS_MAX);
    assert_eq!(lab.book.poll_timeout(), None, "no more at a time");
    lab.book.handle(lab.now, &looks[0], Err(Problem::NoAnswer));
    assert!(lab.book.next_lookup(lab.now).is_some());
}
