use proptest::prelude::*;
use wire::{TypeDefinition, TypeKind};

use super::super::types::{FoundKind, FoundType, TypeAct, renamed, type_acts};

fn labels(labels: &[&str]) -> Vec<String> {
    labels.iter().map(|label| (*label).to_owned()).collect()
}

fn definition(schema: &str, name: &str, labels: Vec<String>) -> TypeDefinition {
    let kind = TypeKind::Enum { labels };
    TypeDefinition { oid: 7, schema: schema.into(), name: name.into(), kind }
}

fn found(of: &TypeDefinition) -> FoundType {
    let TypeKind::Enum { labels } = &of.kind else { unreachable!() };
    let kind = FoundKind::Enum { labels: labels.clone() };
    FoundType { schema: of.schema.clone(), name: of.name.clone(), kind }
}

/// The statements for a type that is here as it was.
fn sql(was: TypeDefinition, is: TypeDefinition) -> Vec<String> {
    let same = (&was.schema, &was.name) == (&is.schema, &is.name);
    let here = found(&was);
    let (old, new) = if same { (None, Some(&here)) } else { (Some(&here), None) };
    let (was, is) = ([was], [is]);
    let names = renamed(&was, &is).next().unwrap();
    type_acts(&names, old, new).iter().map(|(schema, name, act)| act.sql(schema, name)).collect()
}

#[test]
fn an_enum_follows() {
    let of = |names: &[&str]| definition("s", "t", labels(names));
    for (was, is, expected) in [
        (
            of(&["a", "b"]),
            of(&["a", "x", "b"]),
            vec![r#"ALTER TYPE "s"."t" ADD VALUE 'x' AFTER 'a'"#],
        ),
        (of(&["a"]), of(&["x'", "a"]), vec![r#"ALTER TYPE "s"."t" ADD VALUE 'x''' BEFORE 'a'"#]),
        (of(&["a", "b"]), of(&["a", "c"]), vec![r#"ALTER TYPE "s"."t" RENAME VALUE 'b' TO 'c'"#]),
        (
            of(&["a"]),
            definition("x", "y", labels(&["a", "b"])),
            vec![
                r#"ALTER TYPE "s"."t" RENAME TO "y""#,
                r#"ALTER TYPE "s"."y" SET SCHEMA "x""#,
                r#"ALTER TYPE "x"."y" ADD VALUE 'b' AFTER 'a'"#,
            ],
        ),
    ] {
        assert_eq!(sql(was, is), expected);
    }
}

#[test]
fn a_type_that_is_not_here_is_made() {
    let is = [definition("s", "t", labels(&["a"]))];
    let names = renamed(&[], &is).next().unwrap();
    let acts = type_acts(&names, None, None);
    assert!(matches!(acts.as_slice(), [(_, _, TypeAct::Create(_))]), "{acts:?}");
}

#[test]
fn a_composite_follows() {
    let of = |fields: &[(&str, &str)]| {
        let fields = fields.iter().map(|(name, of)| ((*name).into(), (*of).into())).collect();
        TypeKind::Composite { fields }
    };
    let sql = |was: TypeKind, is: TypeKind| -> Vec<String> {
        let TypeKind::Composite { fields } = was.clone() else { unreachable!() };
        let kind = FoundKind::Composite { fields };
        let here = FoundType { schema: "s".into(), name: "t".into(), kind };
        let of = |kind| [TypeDefinition { oid: 7, schema: "s".into(), name: "t".into(), kind }];
        let (was, is) = (of(was), of(is));
        let names = renamed(&was, &is).next().unwrap();
        let acts = type_acts(&names, None, Some(&here));
        acts.iter()
            .map(|(_, _, act)| act.sql("s", "t").replace("ALTER TYPE \"s\".\"t\" ", ""))
            .collect()
    };
    let was = || of(&[("a", "text"), ("b", "int")]);
    assert_eq!(sql(was(), of(&[("x", "text"), ("b", "int")])), ["RENAME ATTRIBUTE \"a\" TO \"x\""]);
    assert_eq!(sql(was(), of(&[("b", "int")])), ["DROP ATTRIBUTE \"a\""]);
    assert_eq!(
        sql(was(), of(&[("a", "text"), ("b", "int"), ("c", "date")])),
        ["ADD ATTRIBUTE \"c\" date"]
    );
    assert_eq!(
        sql(was(), of(&[("a", "text"), ("b", "bigint")])),
        ["ALTER ATTRIBUTE \"b\" TYPE bigint"]
    );
}

proptest! {
    #[test]
    fn labels_come_in_their_places(
        is in proptest::sample::subsequence((0..12).collect::<Vec<_>>(), 1..12).prop_shuffle(),
        few in proptest::collection::vec(any::<bool>(), 12),
    ) {
        let is: Vec<String> = is.iter().map(|label| format!("l{label}")).collect();
        let was: Vec<String> =
            is.iter().zip(few).filter(|(_, keep)| *keep).map(|(label, _)| label.clone()).collect();
        let (was, is) = ([definition("s", "t", was)], [definition("s", "t", is)]);
        let here = found(&was[0]);
        let FoundKind::Enum { labels: mut now } = here.kind.clone() else { unreachable!() };
        let names = renamed(&was, &is).next().unwrap();
        for (_, _, act) in type_acts(&names, None, Some(&here)) {
            let TypeAct::AddLabel { label, before, behind } = act else { unreachable!() };
            let place = |of: &String| now.iter().position(|label| label == of).unwrap();
            let at = match (&before, &behind) {
                (_, Some(behind)) => place(behind) + 1,
                (Some(before), None) => place(before),
                (None, None) => now.len(),
            };
            now.insert(at, label);
        }
        let expected = found(&is[0]);
        prop_assert_eq!(FoundKind::Enum { labels: now }, expected.kind);
    }
}
