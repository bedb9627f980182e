//! A closed range as the catalogue keeps it: the header of the slice that it could be, and the
//! object of each channel.
//!
//! ```text
//! record := version u8 ‖ count u32 ‖ (object name 32 ‖ object length u64)* ‖ slice header
//! ```

use wire::{Hash, PartObject, SliceHeader};

const VERSION: u8 = 1;
const OBJECT_LEN: usize = 40;

/// Slices that were sealed into one object per channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClosedRange {
    /// Range, counts, hashes; `stored_len` is that of the object's payload.
    pub header: SliceHeader,
    /// The objects, in the order of the header's channels.
    pub objects: Vec<PartObject>,
}

impl ClosedRange {
    /// As bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&u32::try_from(self.objects.len()).unwrap_or(u32::MAX).to_be_bytes());
        for object in &self.objects {
            out.extend_from_slice(object.name.as_bytes());
            out.extend_from_slice(&object.len.to_be_bytes());
        }
        out.extend_from_slice(&self.header.encode());
        out
    }

    /// From bytes; the text says what is wrong with them.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let short = || "a record of a closed range is too short".to_owned();
        let (version, rest) = bytes.split_first().ok_or_else(short)?;
        if *version != VERSION {
            return Err(format!(
                "a closed range of version {version} is not known; update the relay"
            ));
        }
        let (count, rest) = rest.split_first_chunk().ok_or_else(short)?;
        let len = usize::try_from(u32::from_be_bytes(*count)).unwrap_or(usize::MAX);
        let (objects, header) =
            rest.split_at_checked(len.saturating_mul(OBJECT_LEN)).ok_or_else(short)?;
        let objects: Vec<PartObject> =
            objects.chunks_exact(OBJECT_LEN).filter_map(object).collect();
        let header = SliceHeader::decode(header).map_err(|error| error.to_string())?;
        if objects.len() != header.channels.len() {
            return Err("a closed range has not one object for each channel".to_owned());
        }
        Ok(Self { header, objects })
    }
}

fn object(bytes: &[u8]) -> Option<PartObject> {
    let (name, len) = bytes.split_first_chunk()?;
    let len = u64::from_be_bytes(len.try_into().ok()?);
    Some(PartObject { name: Hash::from_bytes(*name), len })
}
