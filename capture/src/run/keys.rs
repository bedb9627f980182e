use std::collections::BTreeSet;

use crate::{
    begin::{LostKey, mend_lost_keys, publication},
    source::{SqlError, SqlSession},
};

/// Watches over the keys of published tables.
#[derive(Debug, Default)]
pub(super) struct Keys {
    told: BTreeSet<LostKey>,
}

impl Keys {
    /// Mends what can be mended, and says each case once. What could not be, for the state. A publication of
    /// the user's own is theirs.
    pub(super) async fn look(
        &mut self,
        sql: &SqlSession,
        name: &str,
    ) -> Result<Option<String>, SqlError> {
        if publication(sql, name).await?.is_none_or(|publication| !publication.ours) {
            return Ok(None);
        }
        let lost = mend_lost_keys(sql, name).await?;
        for key in &lost {
            if self.told.insert(key.clone()) {
                tracing::warn!("{}", key.text());
            }
        }
        // Said again if it comes again.
        self.told.retain(|told| lost.contains(told));
        let left: Vec<String> =
            lost.iter().filter(|key| key.mended.is_err()).map(LostKey::text).collect();
        Ok((!left.is_empty()).then(|| left.join("; ")))
    }
}
