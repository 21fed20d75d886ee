//! Engines without sockets.
