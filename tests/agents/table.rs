//! The state table: every state, every input, the exact events, and both votes after it. `closed`
//! and a terminated subscription are the same vote here; the watcher tells them apart. Vote pairs
//! are written `effective (presence, desktop)`.

use super::desk::{Desk, busy, closed, idle, login, logout, pause, ready};

const COLUMNS: [&str; 8] = [
    "idle",
    "activity",
    "closed",
    "terminated",
    "Login",
    "Ready",
    "NotReady",
    "Logout",
];

type Cell = (&'static [&'static str], &'static str);

const LOGGED_OUT_BY_PHONE: Cell = (&["Logout"], "LoggedOut (LoggedOut, -)");

/// A row: the name, the way there, and one cell for each column.
struct Row {
    state: &'static str,
    way: fn() -> Desk,
    cells: [Cell; 8],
}

fn input(desk: &mut Desk, column: &str) -> Vec<String> {
    match column {
        "idle" => desk.presence(idle()),
        "activity" => desk.presence(busy()),
        "closed" | "terminated" => desk.presence(closed()),
        "Login" => desk.ask(login()),
        "Ready" => desk.ask(ready()),
        "NotReady" => desk.ask(pause()),
        "Logout" => desk.ask(logout()),
        other => panic!("no column {other}"),
    }
}

fn check(row: &Row) {
    for (column, (events, after)) in COLUMNS.iter().zip(row.cells) {
        let mut desk = (row.way)();
        assert_eq!(
            input(&mut desk, column),
            events,
            "events of {} × {column}",
            row.state
        );
        assert_eq!(
            desk.standing(),
            after,
            "votes after {} × {column}",
            row.state
        );
    }
}

#[test]
fn logged_out_and_never_in() {
    check(&Row {
        state: "LO/p, never in",
        way: Desk::new,
        cells: [
            (&["Login", "Ready ManualIn"], "Ready (Ready, -)"),
            (
                &["Login", "NotReady Unknown on-the-phone"],
                "NotReady (NotReady, -)",
            ),
            (&[], "LoggedOut (LoggedOut, -)"),
            (&[], "LoggedOut (LoggedOut, -)"),
            (&["*Login", "NotReady Unknown"], "NotReady (-, NotReady)"),
            (&["*Error NotLoggedIn"], "LoggedOut (-, -)"),
            (&["*Error NotLoggedIn"], "LoggedOut (-, -)"),
            (&["*Error AlreadyInState"], "LoggedOut (-, LoggedOut)"),
        ],
    });
}

#[test]
fn logged_out_by_presence() {
    check(&Row {
        state: "LO/p, phone out",
        way: || {
            let mut desk = Desk::new();
            desk.presence(closed());
            desk
        },
        cells: [
            (&["Login", "Ready ManualIn"], "Ready (Ready, -)"),
            (
                &["Login", "NotReady Unknown on-the-phone"],
                "NotReady (NotReady, -)",
            ),
            (&[], "LoggedOut (LoggedOut, -)"),
            (&[], "LoggedOut (LoggedOut, -)"),
            (&["*Error OutOfService"], "LoggedOut (LoggedOut, -)"),
            (&["*Error NotLoggedIn"], "LoggedOut (LoggedOut, -)"),
            (&["*Error NotLoggedIn"], "LoggedOut (LoggedOut, -)"),
            (
                &["*Error AlreadyInState"],
                "LoggedOut (LoggedOut, LoggedOut)",
            ),
        ],
    });
}

#[test]
fn logged_out_by_presence_with_a_break_kept() {
    check(&Row {
        state: "LO/p, desktop NotReady kept",
        way: || {
            let mut desk = on_break();
            assert_eq!(desk.presence(closed()), ["Logout"]);
            desk
        },
        cells: [
            (&["Login", "NotReady AuxWork"], "NotReady (Ready, NotReady)"),
            (
                &["Login", "NotReady Unknown on-the-phone"],
                "NotReady (NotReady, NotReady)",
            ),
            (&[], "LoggedOut (LoggedOut, NotReady)"),
            (&[], "LoggedOut (LoggedOut, NotReady)"),
            (&["*Error OutOfService"], "LoggedOut (LoggedOut, NotReady)"),
            (&["*Error NotLoggedIn"], "LoggedOut (LoggedOut, NotReady)"),
            (&["*Error NotLoggedIn"], "LoggedOut (LoggedOut, NotReady)"),
            (
                &["*Error AlreadyInState"],
                "LoggedOut (LoggedOut, LoggedOut)",
            ),
        ],
    });
}

#[test]
fn logged_out_by_presence_with_desktop_ready_kept() {
    check(&Row {
        state: "LO/p, desktop Ready kept",
        way: || {
            let mut desk = on_break();
            assert_eq!(desk.ask(ready()), ["*Ready ManualIn"]);
            assert_eq!(desk.presence(closed()), ["Logout"]);
            desk
        },
        cells: [
            (&["Login", "Ready ManualIn"], "Ready (Ready, Ready)"),
            (
                &["Login", "NotReady Unknown on-the-phone"],
                "NotReady (NotReady, Ready)",
            ),
            (&[], "LoggedOut (LoggedOut, Ready)"),
            (&[], "LoggedOut (LoggedOut, Ready)"),
            (&["*Error OutOfService"], "LoggedOut (LoggedOut, Ready)"),
            (&["*Error NotLoggedIn"], "LoggedOut (LoggedOut, Ready)"),
            (&["*Error NotLoggedIn"], "LoggedOut (LoggedOut, Ready)"),
            (
                &["*Error AlreadyInState"],
                "LoggedOut (LoggedOut, LoggedOut)",
            ),
        ],
    });
}

#[test]
fn logged_out_by_desktop() {
    check(&Row {
        state: "LO/d, phone idle",
        way: || {
            let mut desk = Desk::new().ready();
            assert_eq!(desk.ask(logout()), ["*Logout"]);
            desk
        },
        cells: [
            (&[], "LoggedOut (Ready, LoggedOut)"),
            (&[], "LoggedOut (NotReady, LoggedOut)"),
            (&[], "LoggedOut (LoggedOut, LoggedOut)"),
            (&[], "LoggedOut (LoggedOut, LoggedOut)"),
            (
                &["*Login", "NotReady Unknown"],
                "NotReady (Ready, NotReady)",
            ),
            (&["*Error NotLoggedIn"], "LoggedOut (Ready, LoggedOut)"),
            (&["*Error NotLoggedIn"], "LoggedOut (Ready, LoggedOut)"),
            (&["*Error AlreadyInState"], "LoggedOut (Ready, LoggedOut)"),
        ],
    });
}

#[test]
fn login_after_a_desktop_logout_depends_on_the_phone() {
    for (vote, events, after) in [
        (
            None,
            &["*Login", "NotReady Unknown"] as &[_],
            "NotReady (-, NotReady)",
        ),
        (
            Some(busy()),
            &["*Login", "NotReady Unknown on-the-phone"],
            "NotReady (NotReady, NotReady)",
        ),
        (
            Some(closed()),
            &["*Error OutOfService"],
            "LoggedOut (LoggedOut, -)",
        ),
    ] {
        let mut desk = Desk::new();
        assert_eq!(desk.ask(logout()), ["*Error AlreadyInState"]);
        if let Some(vote) = vote {
            assert_eq!(desk.presence(vote), [""; 0]);
        }
        assert_eq!(desk.ask(login()), events);
        assert_eq!(desk.standing(), after);
    }
}

#[test]
fn ready_state() {
    check(&Row {
        state: "RD",
        way: || Desk::new().ready(),
        cells: [
            (&[], "Ready (Ready, -)"),
            (&["NotReady Unknown on-the-phone"], "NotReady (NotReady, -)"),
            LOGGED_OUT_BY_PHONE,
            LOGGED_OUT_BY_PHONE,
            (&["*Login"], "Ready (Ready, -)"),
            (&["*Error AlreadyInState"], "Ready (Ready, Ready)"),
            (&["*NotReady AuxWork"], "NotReady (Ready, NotReady)"),
            (&["*Logout"], "LoggedOut (Ready, LoggedOut)"),
        ],
    });
}

#[test]
fn not_ready_by_presence() {
    check(&Row {
        state: "NR/p",
        way: || {
            let mut desk = Desk::new();
            desk.presence(busy());
            desk
        },
        cells: [
            (&["Ready ManualIn"], "Ready (Ready, -)"),
            (&[], "NotReady (NotReady, -)"),
            LOGGED_OUT_BY_PHONE,
            LOGGED_OUT_BY_PHONE,
            (&["*Login"], "NotReady (NotReady, -)"),
            (&["*Error WrongState"], "NotReady (NotReady, Ready)"),
            (&["*NotReady AuxWork"], "NotReady (NotReady, NotReady)"),
            (&["*Logout"], "LoggedOut (NotReady, LoggedOut)"),
        ],
    });
}

fn on_break() -> Desk {
    let mut desk = Desk::new().ready();
    assert_eq!(desk.ask(pause()), ["*NotReady AuxWork"]);
    desk
}

#[test]
fn not_ready_by_desktop() {
    check(&Row {
        state: "NR/d",
        way: on_break,
        cells: [
            (&[], "NotReady (Ready, NotReady)"),
            (&[], "NotReady (NotReady, NotReady)"),
            (&["Logout"], "LoggedOut (LoggedOut, NotReady)"),
            (&["Logout"], "LoggedOut (LoggedOut, NotReady)"),
            (&["*Login"], "NotReady (Ready, NotReady)"),
            (&["*Ready ManualIn"], "Ready (Ready, Ready)"),
            (&["*NotReady AuxWork"], "NotReady (Ready, NotReady)"),
            (&["*Logout"], "LoggedOut (Ready, LoggedOut)"),
        ],
    });
}

#[test]
fn not_ready_by_both() {
    check(&Row {
        state: "NR/b",
        way: || {
            let mut desk = on_break();
            assert_eq!(desk.presence(busy()), [""; 0]);
            desk
        },
        cells: [
            (&[], "NotReady (Ready, NotReady)"),
            (&[], "NotReady (NotReady, NotReady)"),
            (&["Logout"], "LoggedOut (LoggedOut, NotReady)"),
            (&["Logout"], "LoggedOut (LoggedOut, NotReady)"),
            (&["*Login"], "NotReady (NotReady, NotReady)"),
            (&["*Error WrongState"], "NotReady (NotReady, Ready)"),
            (&["*NotReady AuxWork"], "NotReady (NotReady, NotReady)"),
            (&["*Logout"], "LoggedOut (NotReady, LoggedOut)"),
        ],
    });
}

#[test]
fn after_call_work() {
    check(&Row {
        state: "ACW",
        way: || Desk::new().ready().wrapping_up(),
        cells: [
            (&[], "NotReady (Ready, ACW)"),
            (&[], "NotReady (NotReady, ACW)"),
            LOGGED_OUT_BY_PHONE,
            LOGGED_OUT_BY_PHONE,
            (&["*Login"], "NotReady (Ready, ACW)"),
            (&["*Ready ManualIn"], "Ready (Ready, Ready)"),
            (&["*NotReady AuxWork"], "NotReady (Ready, NotReady)"),
            (&["*Logout"], "LoggedOut (Ready, LoggedOut)"),
        ],
    });
}

fn wrapping_up_on_the_phone() -> Desk {
    let mut desk = Desk::new().ready().wrapping_up();
    assert_eq!(desk.presence(busy()), [""; 0]);
    desk
}

#[test]
fn after_call_work_with_a_busy_phone() {
    check(&Row {
        state: "ACW, phone busy",
        way: wrapping_up_on_the_phone,
        cells: [
            (&[], "NotReady (Ready, ACW)"),
            (&[], "NotReady (NotReady, ACW)"),
            LOGGED_OUT_BY_PHONE,
            LOGGED_OUT_BY_PHONE,
            (&["*Login"], "NotReady (NotReady, ACW)"),
            (
                &["NotReady Unknown on-the-phone", "*Error WrongState"],
                "NotReady (NotReady, Ready)",
            ),
            (&["*NotReady AuxWork"], "NotReady (NotReady, NotReady)"),
            (&["*Logout"], "LoggedOut (NotReady, LoggedOut)"),
        ],
    });
}

#[test]
fn the_timer_of_wrap_up_gives_presence_its_say() {
    let half_a_minute = std::time::Duration::from_secs(30);
    let mut desk = Desk::new().ready().wrapping_up();
    assert_eq!(desk.after(half_a_minute), ["Ready ManualIn"]);
    assert_eq!(desk.standing(), "Ready (Ready, -)");

    let mut desk = wrapping_up_on_the_phone();
    assert_eq!(desk.after(half_a_minute), ["NotReady Unknown on-the-phone"]);
    assert_eq!(desk.standing(), "NotReady (NotReady, -)");
    assert_eq!(desk.presence(idle()), ["Ready ManualIn"]);
}
