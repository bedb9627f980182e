#![no_main]
//! cargo fuzz run -s none transaction
//!
//! Both readers of a run, in memory and as a stream, must agree.

use std::{collections::HashMap, sync::Arc};

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // A relation of one column under a name that the fuzzer can find: its id is fixed.
    let relation = wire::Relation {
        oid: 1,
        schema: "s".into(),
        name: "t".into(),
        identity: wire::ReplicaIdentity::Default,
        columns: Vec::new(),
    };
    let known = HashMap::from([(relation.id(), Arc::new(relation))]);
    let run = bytes::Bytes::copy_from_slice(data);
    let Ok((header, mut entries)) = wire::TransactionDecoder::header(&run) else { return };
    let mut decoder = wire::TransactionDecoder::new();
    let mut in_memory = Vec::new();
    let complete = loop {
        match decoder.next(&mut entries, &known) {
            Ok(Some(entry)) => in_memory.push(entry),
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    let (streamed_header, mut reader) = wire::EntryReader::new(data, data.len() as u64).unwrap();
    assert_eq!(header, streamed_header);
    let mut decoder = wire::TransactionDecoder::new();
    let mut streamed = Vec::new();
    let streamed_complete = loop {
        match reader.next_entry() {
            Ok(Some(entry)) => match decoder.entry(&entry, &known) {
                Ok(entry) => streamed.push(entry),
                Err(_) => break false,
            },
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    assert_eq!((complete, in_memory), (streamed_complete, streamed));
});
