//! Rows of slices whose checksums are right and which are not what was asked for.

use wire::{Hash, Lineage, PartObject, Slice, SourceName};

use super::{
    super::{
        check::{check_manifest, check_slices},
        standing::Standing,
    },
    samples::{lineage, lsn, manifest, object_bytes, range, row, slices, source},
};

fn standing() -> Standing {
    Standing { lineage: lineage(), head: lsn(300), through: lsn(300) }
}

/// As the answer to a pull behind 100 that claims to lead to 300.
fn checked(slices: &[Slice]) -> Result<usize, String> {
    let found = check_slices(row(slices).into(), &source(), lsn(100), &standing());
    found.map(|slices| slices.len())
}

fn progress(source: SourceName, lineage: Lineage, after: u64, through: u64) -> Slice {
    Slice::progress(source, lineage, lsn(after), lsn(through)).unwrap()
}

fn refused(slices: &[Slice], words: &str) {
    let why = checked(slices).unwrap_err();
    assert!(why.contains(words), "{why}");
}

#[test]
fn a_row_is_of_one_history() {
    let ours = |after, through| progress(source(), lineage(), after, through);
    assert_eq!(checked(&[ours(100, 200), ours(200, 300)]), Ok(2));
    let (stock, other) = (SourceName::new("stock").unwrap(), Lineage::from_bytes([8; 16]));
    refused(&[progress(stock, lineage(), 100, 300)], "it holds source stock");
    refused(&[ours(100, 200), progress(source(), other, 200, 300)], &other.to_string());
}

#[test]
fn a_manifest_never_goes_back() {
    let object = object_bytes("a", 10);
    let listed = |ends: [u64; 4]| {
        manifest(ends.windows(2).map(|ends| range(ends[0], ends[1], &object, &[], "s")).collect())
    };
    let checked = |ends| check_manifest(&listed(ends), &source(), lsn(100), &standing());
    assert_eq!(checked([100, 200, 250, 300]), Ok(()));
    assert!(checked([100, 250, 200, 300]).unwrap_err().contains("does not go on"));
}

/// What stands in part objects is only listed: it is there in whole before it is applied.
#[test]
fn a_huge_transaction_never_comes_inline() {
    let slice = slices(lsn(100), &[300]).remove(0);
    assert_eq!(checked(std::slice::from_ref(&slice)), Ok(1));
    let payload = slice.parts().next().unwrap().1;
    let mut header = slice.header().clone();
    header.channels[0].parts.push(PartObject { name: Hash::of(b"part"), len: 4 });
    refused(&[Slice::assemble(header, &[&payload]).unwrap()], "part objects");
}
