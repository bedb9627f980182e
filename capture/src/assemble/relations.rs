use std::{collections::HashMap, sync::Arc};

use wire::{
    ChannelName, Lsn, Relation, RelationColumn, RelationId, ReplicaIdentity, SCHEMA, SCHEMA_CHANGES,
};

use super::{error::AssembleError, mapping::Mapping, type_names::TypeNames};
use crate::pgoutput;

/// A table as the stream described it last.
#[derive(Debug, Clone)]
pub(super) struct KnownRelation {
    pub(super) id: RelationId,
    pub(super) relation: Arc<Relation>,
    pub(super) channel: ChannelName,
}

/// The tables described since the connection was made: the server describes each again on a new one.
#[derive(Debug, Default)]
pub(super) struct Relations {
    types: TypeNames,
    known: HashMap<u32, KnownRelation>,
}

impl Relations {
    pub(super) fn learn_type(&mut self, of: pgoutput::TypeName) {
        self.types.learn(of.oid, wire::TypeName { schema: of.schema, name: of.name });
    }

    /// Takes a description; returns the definition and its channel.
    pub(super) fn learn(&mut self, message: pgoutput::Relation, mapping: &Mapping) {
        let relation = Relation {
            oid: message.oid,
            schema: message.schema,
            name: message.name,
            identity: identity(message.replica_identity),
            columns: message
                .columns
                .into_iter()
                .map(|column| RelationColumn {
                    key: column.is_key,
                    name: column.name,
                    type_name: self.types.name(column.type_oid),
                    type_oid: column.type_oid,
                    type_modifier: column.type_modifier,
                })
                .collect(),
        };
        let channel = mapping.channel(relation.oid, &relation.schema, &relation.name);
        let known = KnownRelation { id: relation.id(), relation: Arc::new(relation), channel };
        self.known.insert(message.oid, known);
    }

    pub(super) fn get(&self, oid: u32, lsn: Lsn) -> Result<&KnownRelation, AssembleError> {
        self.known.get(&oid).ok_or(AssembleError::UnknownRelation { oid, lsn })
    }

    /// Whether it is a change of tables of our own schema, other than the one that tells of schema changes.
    pub(super) fn is_internal(&self, message: &pgoutput::Message) -> bool {
        let internal = |oid: &u32| {
            let of = self.known.get(oid).map(|known| &known.relation);
            of.is_some_and(|of| of.schema == SCHEMA && of.name != SCHEMA_CHANGES)
        };
        match message {
            pgoutput::Message::Insert(of) => internal(&of.relation_oid),
            pgoutput::Message::Update(of) => internal(&of.relation_oid),
            pgoutput::Message::Delete(of) => internal(&of.relation_oid),
            pgoutput::Message::Truncate(of) => of.relation_oids.iter().all(internal),
            _ => false,
        }
    }

    /// Looks every table's channel up again, after the map changed.
    pub(super) fn remap(&mut self, mapping: &Mapping) {
        for known in self.known.values_mut() {
            let of = &known.relation;
            known.channel = mapping.channel(of.oid, &of.schema, &of.name);
        }
    }
}

fn identity(of: pgoutput::ReplicaIdentity) -> ReplicaIdentity {
    match of {
        pgoutput::ReplicaIdentity::Default => ReplicaIdentity::Default,
        pgoutput::ReplicaIdentity::Nothing => ReplicaIdentity::Nothing,
        pgoutput::ReplicaIdentity::Full => ReplicaIdentity::Full,
        pgoutput::ReplicaIdentity::Index => ReplicaIdentity::Index,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OIDs of types differ between databases; what the stream said of one is in the definition.
    #[test]
    fn types_go_by_the_names_that_the_stream_told() {
        let mut relations = Relations::default();
        let (schema, name) = ("public".to_owned(), "mood".to_owned());
        relations.learn_type(pgoutput::TypeName { oid: 16_400, schema, name });
        let column = |name: &str, type_oid| pgoutput::Column {
            is_key: false,
            name: name.to_owned(),
            type_oid,
            type_modifier: -1,
        };
        let table = pgoutput::Relation {
            oid: 1,
            schema: "public".into(),
            name: "t".into(),
            replica_identity: pgoutput::ReplicaIdentity::Default,
            columns: vec![column("a", 16_400), column("b", 23)],
        };
        relations.learn(table, &Mapping::new(Default::default()));
        let columns = &relations.get(1, Lsn::ZERO).unwrap().relation.columns;
        let names: Vec<String> =
            columns.iter().map(|column| column.type_name.to_string()).collect();
        assert_eq!(names, ["public.mood", "pg_catalog.int4"]);
    }
}
