#![no_main]
//! cargo fuzz run -s none chunk
//!
//! The checksum is made right first, so that the fuzzer gets behind it.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((raw_len, frame)) = data.split_at_checked(4) else { return };
    let mut chunk = raw_len.to_vec();
    chunk.extend_from_slice(&(frame.len() as u32).to_be_bytes());
    let crc = wire_crc(&chunk, frame);
    chunk.extend_from_slice(&crc.to_be_bytes());
    chunk.extend_from_slice(frame);
    let mut reader = wire::ChunkReader::new(chunk.into()).unwrap();
    if let Ok(Some(raw)) = reader.next_chunk() {
        assert!(raw.len() <= wire::MAX_CHUNK_RAW);
    }
});

fn wire_crc(lengths: &[u8], frame: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(lengths), frame)
}
