#![no_main]
//! cargo fuzz run -s none slice_header

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(header) = wire::SliceHeader::decode(data) {
        assert_eq!(wire::SliceHeader::decode(&header.encode()), Ok(header));
    }
});
