#![no_main]
//! cargo fuzz run -s none relation

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(relation) = wire::Relation::decode(data) {
        assert_eq!(relation.encode(), data);
    }
});
