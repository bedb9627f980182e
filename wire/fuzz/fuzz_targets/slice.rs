#![no_main]
//! cargo fuzz run -s none slice

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(slice) = wire::Slice::decode(bytes::Bytes::copy_from_slice(data)) {
        let _ = slice.check();
        let _ = slice.filtered(|_| false).unwrap();
    }
});
