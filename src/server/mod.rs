//! The I/O side: starts the shards and serves the control plane.
