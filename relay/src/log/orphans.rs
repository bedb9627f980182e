//! Objects that nothing will ever refer to: parts of transactions whose session has ended, copies
//! that were not completed, what a crash left of sealing.

use super::{
    catalog::{Catalog, Changes, Upload, UploadKind},
    closed::references,
    error::StoreError,
    objects::Objects,
    standing::Standing,
    tail::Tail,
};

/// Removes the objects of earlier sessions that nothing refers to; with `sealing_stopped` also
/// those that the relay made itself. Returns how many.
///
/// The order matters: a sealer beside may turn references from the tail into references from
/// ranges, so the tail is read first, then the notes.
pub(super) fn drop_orphans(
    catalog: &Catalog,
    tail: &dyn Tail,
    objects: &dyn Objects,
    standing: &Standing,
    sealing_stopped: bool,
) -> Result<usize, StoreError> {
    let closed = catalog.closed()?;
    let used = match &closed {
        Some(closed) => references(tail, closed.through)?,
        None => Default::default(),
    };
    let begun = closed.is_some();
    let mut removed = 0;
    let mut changes = Changes::new();
    for name in catalog.uploads()? {
        let Some(upload) = catalog.upload(name)? else { continue };
        if used.contains(&name) || !is_orphan(upload, standing.session, begun, sealing_stopped) {
            continue;
        }
        objects.remove(name)?;
        changes.forget_upload(name);
        removed += 1;
    }
    catalog.write(changes)?;
    Ok(removed)
}

fn is_orphan(upload: Upload, session: u64, begun: bool, sealing_stopped: bool) -> bool {
    match upload.kind {
        UploadKind::Transaction => upload.session < session,
        // A copy may go on in a later session once there is a log.
        UploadKind::Snapshot => upload.session < session && !begun,
        UploadKind::Log => sealing_stopped,
    }
}
