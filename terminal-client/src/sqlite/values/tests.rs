use bytes::Bytes;
use proptest::prelude::{Just, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};

use crate::target::{CopyError, CopyFields, CopyLines};

use super::{
    array::array_as_json,
    cell::{Cell, cell},
    kind::{Array, Kind, Leaf},
};

type Row = Vec<Option<Vec<u8>>>;

/// A field as the server writes it (copyto.c, `CopyAttributeOutText`).
fn field(value: Option<&[u8]>) -> Vec<u8> {
    let Some(value) = value else { return b"\\N".to_vec() };
    let mut out = Vec::new();
    for byte in value {
        match byte {
            8 => out.extend(b"\\b"),
            b'\t' => out.extend(b"\\t"),
            b'\n' => out.extend(b"\\n"),
            11 => out.extend(b"\\v"),
            12 => out.extend(b"\\f"),
            b'\r' => out.extend(b"\\r"),
            b'\\' => out.extend(b"\\\\"),
            other => out.push(*other),
        }
    }
    out
}

fn copy_text(rows: &[Row]) -> Vec<u8> {
    let mut out = Vec::new();
    for row in rows {
        let fields: Vec<Vec<u8>> = row.iter().map(|value| field(value.as_deref())).collect();
        out.extend(fields.join(&b'\t'));
        out.push(b'\n');
    }
    out
}

/// Reads rows from pieces of these lengths.
fn read(text: &[u8], cuts: &[usize], columns: usize) -> Result<Vec<Row>, CopyError> {
    let mut lines = CopyLines::default();
    let mut rows = Vec::new();
    let mut rest = Bytes::copy_from_slice(text);
    let mut cuts = cuts.iter().cycle();
    while !rest.is_empty() {
        let len = cuts.next().copied().unwrap_or(usize::MAX).clamp(1, rest.len());
        lines.feed(rest.split_to(len));
        while let Some(line) = lines.next_line()? {
            rows.push(
                CopyFields::new(&line, columns)?.map(|field| field.map(Into::into)).collect(),
            );
        }
    }
    lines.end()?;
    Ok(rows)
}

fn value() -> impl Strategy<Value = Option<Vec<u8>>> {
    let plain = prop::collection::vec(any::<u8>().prop_map(|byte| byte.max(1)), 0..40);
    let awkward = prop::collection::vec(
        prop_oneof![Just(b'\\'), Just(b'\n'), Just(b'\t'), Just(b'N'), Just(b'.'), Just(b'n')],
        0..6,
    );
    prop_oneof![1 => Just(None), 3 => plain.prop_map(Some), 3 => awkward.prop_map(Some)]
}

/// A PostgreSQL array: elements or arrays of one depth.
#[derive(Clone, Debug)]
enum Tree {
    Leaf(Option<String>),
    Array(Vec<Tree>),
}

fn tree() -> impl Strategy<Value = Tree> {
    let text = prop_oneof![
        "[a-z{}\", \\\\äß\u{1F30A}]{0,8}",
        Just("NULL".to_owned()),
        Just(String::new())
    ];
    let leaf = prop::option::of(text).prop_map(Tree::Leaf);
    let array = prop::collection::vec(leaf, 0..5).prop_map(Tree::Array);
    array.prop_recursive(4, 40, 4, |inner| prop::collection::vec(inner, 1..4).prop_map(Tree::Array))
}

/// As the server prints it (arrayfuncs.c, `array_out`).
fn literal(tree: &Tree) -> String {
    match tree {
        Tree::Leaf(None) => "NULL".into(),
        Tree::Leaf(Some(text)) => {
            let quoted = text.is_empty()
                || text.eq_ignore_ascii_case("null")
                || text.contains(['{', '}', '"', ',', '\\', ' ']);
            let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
            if quoted { format!("\"{escaped}\"") } else { escaped }
        }
        Tree::Array(trees) => {
            format!("{{{}}}", trees.iter().map(literal).collect::<Vec<_>>().join(","))
        }
    }
}

fn json(tree: &Tree) -> serde_json::Value {
    match tree {
        Tree::Leaf(text) => text.clone().into(),
        Tree::Array(trees) => trees.iter().map(json).collect(),
    }
}

proptest! {
    #[test]
    fn rows_come_out_as_they_went_in(
        (columns, rows) in (1_usize..5).prop_flat_map(|columns| {
            let row = prop::collection::vec(value(), columns);
            (Just(columns), prop::collection::vec(row, 0..20))
        }),
        cuts in prop::collection::vec(1_usize..30, 1..10),
    ) {
        prop_assert_eq!(read(&copy_text(&rows), &cuts, columns), Ok(rows));
    }

    #[test]
    fn no_bytes_make_the_copy_reader_panic(
        text in prop::collection::vec(any::<u8>(), 0..200),
        cuts in prop::collection::vec(1_usize..30, 1..10),
        columns in 0_usize..4,
    ) {
        let _ = read(&text, &cuts, columns);
    }

    #[test]
    fn arrays_become_the_same_json(tree in tree()) {
        let found = array_as_json(&literal(&tree), Array { leaf: Leaf::Text, delimiter: b',' });
        let found: serde_json::Value = serde_json::from_str(&found.unwrap_or_default()).unwrap_or_default();
        prop_assert_eq!(found, json(&tree));
    }

    #[test]
    fn no_text_makes_the_array_reader_panic(text in "[{}\",;\\\\a1 ä=\\[\\]]{0,40}") {
        let found = array_as_json(&text, Array { leaf: Leaf::Text, delimiter: b',' });
        if let Some(found) = found {
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&found).is_ok(), true);
        }
    }

    #[test]
    fn numbers_keep_their_value(integer in any::<i64>(), double in any::<f64>(), single in any::<f32>()) {
        let text = integer.to_string();
        prop_assert_eq!(cell(Kind::Integer, text.as_bytes()), Ok(Cell::Integer(integer)));
        if !double.is_nan() {
            let text = format!("{double:e}");
            prop_assert_eq!(cell(Kind::Float, text.as_bytes()), Ok(Cell::Real(double)));
        }
        // A float4's shortest text read as a float8 is still nearest to the same float4.
        if let Ok(Cell::Real(found)) = cell(Kind::Float, single.to_string().as_bytes()) {
            #[expect(clippy::cast_possible_truncation, reason = "to the column's precision")]
            let back = found as f32;
            prop_assert_eq!(back.to_bits(), single.to_bits());
        }
    }

    #[test]
    fn bytes_keep_their_value(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = format!("\\x{digits}");
        prop_assert_eq!(cell(Kind::Bytes, text.as_bytes()), Ok(Cell::Blob(bytes)));
    }
}

#[test]
fn values_by_the_types_of_their_columns() {
    let text = |text: &'static str| Cell::Text(text.as_bytes().into());
    for (kind, given, expected) in [
        (Kind::Integer, "-9223372036854775808", Cell::Integer(i64::MIN)),
        (Kind::WholeNumeric, "999999999999999999", Cell::Integer(999_999_999_999_999_999)),
        (Kind::WholeNumeric, "NaN", text("NaN")),
        (Kind::Boolean, "t", Cell::Integer(1)),
        (Kind::Boolean, "f", Cell::Integer(0)),
        (Kind::Float, "1.1", Cell::Real(1.1)),
        (Kind::Float, "1e+20", Cell::Real(1e20)),
        (Kind::Float, "-Infinity", Cell::Real(f64::NEG_INFINITY)),
        (Kind::Float, "NaN", text("NaN")),
        (Kind::TimestampTz, "2024-01-01 10:00:00.123456+00", text("2024-01-01T10:00:00.123456Z")),
        (Kind::TimestampTz, "0044-03-15 10:00:00+00 BC", text("0044-03-15T10:00:00Z BC")),
        (Kind::TimestampTz, "294276-12-31 23:59:59+00", text("294276-12-31T23:59:59Z")),
        (Kind::TimestampTz, "-infinity", text("-infinity")),
        (Kind::Timestamp, "2024-01-01 10:00:00", text("2024-01-01T10:00:00")),
        (Kind::Timestamp, "4713-01-01 00:00:00 BC", text("4713-01-01T00:00:00 BC")),
        (Kind::Timestamp, "infinity", text("infinity")),
        (Kind::Bytes, "\\x", Cell::Blob(Vec::new())),
        (Kind::Bytes, "\\x00fF", Cell::Blob(vec![0, 255])),
        (Kind::Text, "1.50", text("1.50")),
        (Kind::Text, "", text("")),
    ] {
        assert_eq!(cell(kind, given.as_bytes()), Ok(expected), "{given}");
    }
}

#[test]
fn what_a_type_never_prints_is_refused_by_name() {
    for (kind, given, shown) in [
        (Kind::Integer, "1.5", "'1.5' is not an integer"),
        (Kind::Integer, "9223372036854775808", "'9223372036854775808' is not an integer"),
        (Kind::Boolean, "true", "'true' is not t or f"),
        (Kind::Float, "x", "'x' is not a number"),
        (
            Kind::TimestampTz,
            "2024-01-01 10:00:00+02",
            "'2024-01-01 10:00:00+02' is not a timestamp with +00",
        ),
        (Kind::Timestamp, "2024-01-01", "'2024-01-01' is not a timestamp"),
        (Kind::Bytes, "\\x0", "'\\x0' is not a bytea in hex"),
        (Kind::Bytes, "abc", "'abc' is not a bytea in hex"),
        (Kind::Array(Array { leaf: Leaf::Text, delimiter: b',' }), "{", "'{' is not an array"),
    ] {
        assert_eq!(cell(kind, given.as_bytes()).map_err(|e| e.to_string()), Err(shown.to_owned()));
    }
}

#[test]
fn escapes_of_copy() {
    let one = |raw: &str| -> Option<Vec<u8>> {
        CopyFields::new(raw.as_bytes(), 1).unwrap().next().unwrap().map(Into::into)
    };
    for (raw, value) in [
        ("\\\\N", "\\N"),
        ("a\\tb\\nc\\rd\\be\\ff\\vg\\\\", "a\tb\nc\rd\u{8}e\u{c}f\u{b}g\\"),
        ("\\101\\60\\7x", "A0\u{7}x"),
        ("\\x41\\x7\\xg", "A\u{7}xg"),
        ("\\.\\q", ".q"),
        ("", ""),
        ("a\\", "a\\"),
    ] {
        assert_eq!(one(raw).as_deref(), Some(value.as_bytes()), "{raw}");
    }
    assert_eq!(one("\\N"), None);
}

#[test]
fn rows_that_are_none() {
    assert_eq!(read(b"a\tb\n", &[1], 1), Err(CopyError::Fields { found: 2, expected: 1 }));
    assert_eq!(read(b"\n", &[1], 2), Err(CopyError::Fields { found: 1, expected: 2 }));
    assert_eq!(read(b"a\nb", &[1], 1), Err(CopyError::Cut(1)));
    assert_eq!(read(b"a\n\\.\n", &[1], 1), Err(CopyError::EndMark));
    assert_eq!(read(b"\n\n", &[9], 0), Ok(vec![vec![], vec![]]));
    assert_eq!(read(b"a\\\nb\n", &[1], 1), Ok(vec![vec![Some(b"a\nb".to_vec())]]));
}
