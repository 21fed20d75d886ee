//! New calls get their names here.

use offhook_shards::ShardId;

use compact_str::CompactString;

use crate::cti::{CallInfo, CallType, CallUuid, ConnId, KeyValueList};

/// Gives names to the calls of one shard.
#[derive(Debug)]
pub struct Mint {
    shard: ShardId,
    /// How many shards there are.
    shards: u16,
    /// The last call's number.
    serial: u64,
}

impl Mint {
    /// The next call is number `serial + 1`.
    #[must_use]
    pub fn new(shard: ShardId, shards: u16, serial: u64) -> Self {
        Self {
            shard,
            shards,
            serial,
        }
    }

    /// What will be reported of a new call.
    pub fn call(
        &mut self,
        call_type: CallType,
        ani: Option<CompactString>,
        dnis: Option<CompactString>,
        user_data: KeyValueList,
    ) -> CallInfo {
        self.serial += 1;
        let conn_id = ConnId::new(self.shard, self.serial);
        // Each shard counts in steps of the number of shards, so that the numbers differ.
        let steps = self.serial.wrapping_mul(u64::from(self.shards));
        let call_id = steps.wrapping_add(u64::from(self.shard.0)) & 0x7fff_ffff;
        CallInfo {
            conn_id,
            call_id: u32::try_from(call_id).expect("31 bits fit in 32").max(1),
            call_uuid: CallUuid((u128::from(conn_id.0) << 64) | u128::from(self.serial)),
            call_type,
            ani,
            dnis,
            user_data,
        }
    }
}
