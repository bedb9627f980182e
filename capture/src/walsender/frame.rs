use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes asked of the socket at once; frames are slices of such chunks.
const CHUNK_BYTES: usize = 256 * 1024;
/// Below this much free room a chunk is exchanged before the next read.
const LEAST_ROOM_BYTES: usize = 16 * 1024;
/// Longer frames are put together in a buffer of their own, so that they neither stretch the chunk nor
/// are copied over and over.
const LARGE_FRAME_BYTES: usize = 64 * 1024;
/// First allocation for a large frame. It doubles as bytes arrive: a length alone costs no memory.
const LARGE_FRAME_START_BYTES: usize = 1024 * 1024;
/// Tag and length.
const HEADER_BYTES: usize = 5;

/// The longest frame a server can send: its buffers end at 1 GiB (`MaxAllocSize`).
pub const LONGEST_FRAME: usize = 1 << 30;

/// The bytes are not the protocol's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A length below its own four bytes, or negative.
    #[error("message '{}' claims a length of {length} bytes: this is not a PostgreSQL server, or bytes were lost", tag.escape_ascii())]
    Length { tag: u8, length: u32 },
    /// Longer than anything expected here.
    #[error("message '{}' claims a length of {length} bytes, where at most {limit} are expected", tag.escape_ascii())]
    TooLong { tag: u8, length: u32, limit: usize },
}

/// One message of the server, with its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    bytes: Bytes,
}

impl Frame {
    /// What kind of message this is.
    pub fn tag(&self) -> u8 {
        self.bytes.first().copied().unwrap_or_default()
    }

    /// The message without its header: a slice of what was read, not a copy.
    pub fn into_body(mut self) -> Bytes {
        self.bytes.advance(HEADER_BYTES.min(self.bytes.len()));
        self.bytes
    }
}

/// Cuts what a socket gives into frames.
///
/// Every byte read stays here until its frame is taken, so a read that is given up in a `select!` loses
/// nothing. A frame of at most 64 KiB shares a chunk of 256 KiB with its neighbours and keeps it alive.
#[derive(Debug)]
pub struct FrameBuffer {
    chunk: BytesMut,
    large: Option<LargeFrame>,
    limit: usize,
}

#[derive(Debug)]
struct LargeFrame {
    bytes: Vec<u8>,
    total: usize,
}

impl FrameBuffer {
    /// An empty buffer that refuses frames longer than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { chunk: BytesMut::new(), large: None, limit }
    }

    /// Sets the longest frame accepted from now on.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Takes the next frame, if all of it is here.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        if let Some(large) = self.large.take_if(|large| large.bytes.len() >= large.total) {
            return Ok(Some(Frame { bytes: large.bytes.into() }));
        }
        let Some(&[tag, a, b, c, d]) = self.chunk.first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([a, b, c, d]);
        let total = usize::try_from(length).map_or(usize::MAX, |length| length.saturating_add(1));
        if length < 4 || length > i32::MAX.unsigned_abs() {
            return Err(FrameError::Length { tag, length });
        }
        if total > self.limit {
            return Err(FrameError::TooLong { tag, length, limit: self.limit });
        }
        if self.chunk.len() >= total {
            return Ok(Some(Frame { bytes: self.chunk.split_to(total).freeze() }));
        }
        if total > LARGE_FRAME_BYTES {
            let mut bytes = Vec::with_capacity(total.min(LARGE_FRAME_START_BYTES));
            bytes.extend_from_slice(&self.chunk);
            self.chunk.clear();
            self.large = Some(LargeFrame { bytes, total });
        }
        Ok(None)
    }

    /// Reads once from `reader`; the number of bytes, 0 at the end. Cancellation-safe.
    pub async fn fill<R: AsyncRead + Unpin>(&mut self, reader: &mut R) -> std::io::Result<usize> {
        match &mut self.large {
            Some(large) => {
                let missing = large.total.saturating_sub(large.bytes.len());
                if large.bytes.capacity() == large.bytes.len() {
                    large
                        .bytes
                        .reserve_exact(missing.min(large.bytes.len().max(LARGE_FRAME_START_BYTES)));
                }
                reader.read_buf(&mut (&mut large.bytes).limit(missing)).await
            }
            None => {
                self.make_room();
                reader.read_buf(&mut self.chunk).await
            }
        }
    }

    fn make_room(&mut self) {
        let held = self.chunk.len();
        if self.chunk.capacity() - held >= LEAST_ROOM_BYTES
            || self.chunk.try_reclaim(CHUNK_BYTES.saturating_sub(held))
        {
            return;
        }
        let mut fresh =
            BytesMut::with_capacity(CHUNK_BYTES.max(held.saturating_add(LEAST_ROOM_BYTES)));
        fresh.extend_from_slice(&self.chunk);
        self.chunk = fresh;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![tag];
        bytes.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
        bytes.extend(body);
        bytes
    }

    /// A reader that gives its bytes in pieces of the sizes named, then ends.
    async fn frames_of(bytes: &[u8], pieces: &[usize]) -> Result<Vec<(u8, Bytes)>, FrameError> {
        let mut buffer = FrameBuffer::new(LONGEST_FRAME);
        let (mut rest, mut pieces, mut frames) = (bytes, pieces.iter().cycle(), Vec::new());
        loop {
            while let Some(frame) = buffer.next_frame()? {
                frames.push((frame.tag(), frame.into_body()));
            }
            if rest.is_empty() {
                return Ok(frames);
            }
            let (mut piece, after) = rest.split_at((*pieces.next().unwrap()).min(rest.len()));
            let given = piece.len();
            let mut taken = 0;
            loop {
                taken += buffer.fill(&mut piece).await.unwrap();
                if taken == given {
                    break;
                }
                // A large frame takes no more than its own bytes, a chunk no more than its room.
                while let Some(frame) = buffer.next_frame()? {
                    frames.push((frame.tag(), frame.into_body()));
                }
            }
            rest = after;
        }
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_however_they_are_cut(
            bodies in prop::collection::vec((any::<u8>(), prop_oneof![0usize..2000, 60_000usize..70_000, 200_000usize..300_000]), 0..12),
            pieces in prop::collection::vec(1usize..100_000, 1..8),
        ) {
            let bodies: Vec<(u8, Vec<u8>)> =
                bodies.into_iter().map(|(tag, len)| (tag, (0..=250u8).cycle().take(len).collect())).collect();
            let bytes: Vec<u8> = bodies.iter().flat_map(|(tag, body)| encoded(*tag, body)).collect();
            let frames = block_on(frames_of(&bytes, &pieces)).unwrap();
            prop_assert_eq!(frames.len(), bodies.len());
            for ((tag, body), (expected_tag, expected)) in frames.iter().zip(&bodies) {
                prop_assert_eq!(tag, expected_tag);
                prop_assert_eq!(&body[..], &expected[..]);
            }
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..4000), piece in 1usize..500) {
            let _ = block_on(frames_of(&bytes, &[piece]));
        }
    }

    #[test]
    fn a_lying_length_costs_no_memory() {
        block_on(async {
            let mut buffer = FrameBuffer::new(LONGEST_FRAME);
            let mut bytes: &[u8] = &[b'd', 0x3f, 0xff, 0xff, 0xff, 1, 2, 3];
            buffer.fill(&mut bytes).await.unwrap();
            assert_eq!(buffer.next_frame(), Ok(None));
            let large = buffer.large.as_ref().unwrap();
            assert!(
                large.bytes.capacity() <= LARGE_FRAME_START_BYTES,
                "{}",
                large.bytes.capacity()
            );
        });
    }

    #[test]
    fn impossible_lengths_are_refused() {
        for (length, limit) in
            [(0u32, 100), (3, 100), (u32::MAX, 100), (0x8000_0000, LONGEST_FRAME), (200, 100)]
        {
            let mut buffer = FrameBuffer::new(limit);
            let mut bytes = vec![b'R'];
            bytes.extend(length.to_be_bytes());
            block_on(buffer.fill(&mut &bytes[..])).unwrap();
            assert!(buffer.next_frame().is_err(), "{length}");
        }
    }

    #[test]
    fn chunks_are_used_again_once_their_frames_are_gone() {
        block_on(async {
            let mut buffer = FrameBuffer::new(LONGEST_FRAME);
            let bytes = encoded(b'd', &[7; 1000]);
            let mut places = std::collections::HashSet::new();
            for _ in 0..2000 {
                buffer.fill(&mut &bytes[..]).await.unwrap();
                let body = buffer.next_frame().unwrap().unwrap().into_body();
                places.insert(body.as_ptr() as usize / CHUNK_BYTES);
            }
            assert!(places.len() <= 4, "{} chunks for one message at a time", places.len());
        });
    }

    #[test]
    fn a_read_given_up_loses_nothing() {
        block_on(async {
            let (mut near, mut far) = tokio::io::duplex(64);
            let bytes = encoded(b'd', &[9; 3000]);
            let mut buffer = FrameBuffer::new(LONGEST_FRAME);
            let writer = async {
                for piece in bytes.chunks(11) {
                    tokio::io::AsyncWriteExt::write_all(&mut far, piece).await.unwrap();
                    tokio::task::yield_now().await;
                }
            };
            let reader = async {
                loop {
                    tokio::select! {
                        biased;
                        () = tokio::task::yield_now() => {}
                        read = buffer.fill(&mut near) => { read.unwrap(); }
                    }
                    tokio::select! {
                        biased;
                        read = buffer.fill(&mut near) => { read.unwrap(); }
                        () = tokio::task::yield_now() => {}
                    }
                    if let Some(frame) = buffer.next_frame().unwrap() {
                        return frame.into_body();
                    }
                }
            };
            let ((), body) = tokio::join!(writer, reader);
            assert_eq!(body, vec![9; 3000]);
        });
    }
}
