#![no_main]
//! cargo fuzz run -s none record

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for record in wire::Records::new(bytes::Bytes::copy_from_slice(data)) {
        if record.is_err() {
            return;
        }
    }
});
