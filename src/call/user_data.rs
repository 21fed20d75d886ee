//! Attached data: the four ways to change it, within its limits.

use crate::cti::{ErrorCode, KeyValueList, UserDataChange};
use crate::limits::{USER_DATA_BYTES_MAX, USER_DATA_KEYS_MAX};

/// Applies `change`; on an error nothing has changed.
///
/// # Errors
/// `InvalidAttribute` when a pair to delete does not exist, `TooBusy` when the data would exceed
/// its limits.
pub(super) fn apply(data: &mut KeyValueList, change: UserDataChange) -> Result<(), ErrorCode> {
    let mut changed = data.clone();
    match change {
        UserDataChange::Attach(pairs) => {
            for (key, value) in pairs.iter() {
                if changed.value(key).is_none() {
                    changed.set(key.to_owned(), value.clone());
                }
            }
        }
        UserDataChange::Update(pairs) => {
            for (key, value) in pairs.iter() {
                changed.set(key.to_owned(), value.clone());
            }
        }
        UserDataChange::DeletePair(key) => {
            changed.remove(&key).ok_or(ErrorCode::InvalidAttribute)?;
        }
        UserDataChange::DeleteAll => changed = KeyValueList::new(),
    }
    if changed.len() > USER_DATA_KEYS_MAX || changed.bytes() > USER_DATA_BYTES_MAX {
        return Err(ErrorCode::TooBusy);
    }
    *data = changed;
    Ok(())
}
