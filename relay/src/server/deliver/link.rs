use wire::{Hash, Lsn, SourceName};

use crate::{access::UrlSigner, log::Standing};

/// Signs with the source's secret.
pub(super) fn signer(standing: &Standing) -> UrlSigner {
    UrlSigner::new(*standing.secret.as_bytes())
}

/// Makes the signed addresses of one answer.
#[derive(Debug)]
pub(super) struct Links {
    signer: UrlSigner,
    source: SourceName,
    now_unix: u64,
}

impl Links {
    pub(super) fn new(standing: &Standing, now_unix: u64) -> Self {
        Self { signer: signer(standing), source: standing.source.clone(), now_unix }
    }

    /// An object's address, relative to the relay's.
    pub(super) fn to(&self, name: Hash) -> String {
        let query = self.signer.sign(&self.source, name, self.now_unix);
        format!("/v1/{}/objects/{name}?{query}", self.source)
    }

    /// The address of an object of the snapshot at `lsn`, which it names so that whoever fetches it is seen
    /// to use that snapshot.
    pub(super) fn to_snapshot(&self, name: Hash, lsn: Lsn) -> String {
        format!("{}&snapshot={lsn}", self.to(name))
    }
}
