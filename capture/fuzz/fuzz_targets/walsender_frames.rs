//! Any bytes from a server, in pieces: the frames hold exactly the bytes that came, or are refused.
#![no_main]

use capture::walsender::{CopyData, FrameBuffer, LONGEST_FRAME};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, bytes) = input;
    let piece = usize::from(piece).max(1);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let mut frames = FrameBuffer::new(LONGEST_FRAME);
        let mut taken = Vec::new();
        for mut piece in bytes.chunks(piece) {
            while !piece.is_empty() {
                frames.fill(&mut piece).await.expect("memory gives all it has");
                loop {
                    match frames.next_frame() {
                        Ok(Some(frame)) => {
                            let tag = frame.tag();
                            let body = frame.into_body();
                            taken.push(tag);
                            taken.extend((body.len() as u32 + 4).to_be_bytes());
                            taken.extend_from_slice(&body);
                            assert!(bytes.starts_with(&taken));
                            let _ = CopyData::parse(body);
                        }
                        Ok(None) => break,
                        Err(_) => return,
                    }
                }
            }
        }
    });
});
