//! What it costs to find whose subscription a PBX may have lost: each that is looked at says so
//! here, and the tests count it.

/// A subscription is looked at.
#[inline]
pub(super) fn looked_at() {
    #[cfg(test)]
    tests::count();
}

#[cfg(test)]
mod tests;
