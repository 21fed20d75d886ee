//! Offer and answer without any SIP. `phone` plays a far end with its dialog, and checks that what
//! it is told keeps the rules; `world` lets two of them take part in a negotiation.

mod descriptions;
mod flows;
mod holds;
mod phone;
mod properties;
mod world;
