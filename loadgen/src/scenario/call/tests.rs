//! The rules by which calls follow scenarios, one by one, in virtual time: a lab stands for the
//! sockets, and the test is the peer.

mod actions;
mod bounds;
mod builtin;
mod elsewhere;
mod hanging_up;
mod hostile;
mod lab;
mod load;
mod matching;
mod refreshes;
mod resends;
mod rules;
mod texts;
