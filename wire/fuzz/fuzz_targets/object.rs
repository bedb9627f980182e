#![no_main]
//! cargo fuzz run -s none object

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(object) = wire::ObjectReader::decode(bytes::Bytes::copy_from_slice(data)) {
        let _ = object.check();
    }
});
