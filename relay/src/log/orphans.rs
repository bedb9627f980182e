//! Objects that nothing will ever refer to: parts of transactions whose session has ended, copies
//! that were not completed, snapshots that were dropped, what a crash left of sealing.

use super::{
    catalog::{Catalog, Changes, Upload, UploadKind},
    closed,
    error::StoreError,
    objects::Objects,
    snapshots,
    standing::Standing,
    tail::Tail,
};

/// When orphans are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// The log is opened: nothing is being sealed.
    Opening,
    /// A session begins: what older ones left will not be finished.
    Session,
    /// A snapshot was completed: a capture makes one at a time, so no other is under way.
    Snapshot,
}

/// Removes the objects that nothing refers to and that nobody will finish. Returns how many.
///
/// The order matters: a sealer beside may turn references from the tail into references from
/// ranges, so the tail is read first, then the notes.
pub(super) fn drop_orphans(
    catalog: &Catalog,
    tail: &dyn Tail,
    objects: &dyn Objects,
    standing: &Standing,
    occasion: Occasion,
) -> Result<usize, StoreError> {
    let mut used = match catalog.closed()? {
        Some(closed) => closed::references(tail, closed.through)?,
        None => Default::default(),
    };
    let uploads = catalog.uploads()?;
    if !uploads.is_empty() {
        // An upload that was sent twice may be noted again behind its snapshot.
        used.extend(snapshots::references(catalog)?);
    }
    let mut removed = 0;
    let mut changes = Changes::new();
    for name in uploads {
        let Some(upload) = catalog.upload(name)? else { continue };
        if used.contains(&name) || !is_orphan(upload, standing.session, occasion) {
            continue;
        }
        objects.remove(name)?;
        changes.forget_upload(name);
        removed += 1;
    }
    catalog.write(changes)?;
    Ok(removed)
}

fn is_orphan(upload: Upload, session: u64, occasion: Occasion) -> bool {
    match upload.kind {
        UploadKind::Transaction => upload.session < session,
        UploadKind::Snapshot => upload.session < session || occasion == Occasion::Snapshot,
        UploadKind::Log => occasion == Occasion::Opening,
    }
}
