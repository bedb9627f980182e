use std::collections::BTreeMap;

use utoipa::openapi::{
    Components, ComponentsBuilder, ContentBuilder, InfoBuilder, Object, OpenApi, OpenApiBuilder,
    PathItem, PathsBuilder, Ref, RefOr, Required, ResponseBuilder, Schema, Tag,
    path::{
        Operation as Described, OperationBuilder, Parameter as Given, ParameterBuilder, ParameterIn,
    },
    request_body::RequestBodyBuilder,
    schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type},
    security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
};
use wire::PROBLEM_TYPE;

use super::operations::{Content, OPERATIONS, Operation, Parameter, Place};

/// The schemas of the JSON bodies; a test compares them with what the types write.
pub(super) const SCHEMAS: &str = include_str!("schemas.json");

/// The whole document.
pub(super) fn document() -> Result<OpenApi, serde_json::Error> {
    let mut paths = PathsBuilder::new();
    for operation in OPERATIONS {
        let item = PathItem::new(operation.method.clone(), described(operation));
        paths = paths.path(operation.path, item);
    }
    let info = InfoBuilder::new()
        .title("Tailwater relay")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Keeps the log of captured changes and serves it to terminals. Errors are application/problem+json (RFC 9457)."))
        .build();
    let tags = ["capture", "terminal", "everyone", "ops"].map(Tag::new);
    Ok(OpenApiBuilder::new()
        .info(info)
        .paths(paths.build())
        .components(Some(components()?))
        .tags(Some(tags))
        .build())
}

fn components() -> Result<Components, serde_json::Error> {
    let schemas: BTreeMap<String, RefOr<Schema>> = serde_json::from_str(SCHEMAS)?;
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token of the relay's, once it has any"))
        .build();
    Ok(ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme("token", SecurityScheme::Http(bearer))
        .build())
}

fn described(operation: &Operation) -> Described {
    let mut built = OperationBuilder::new().tag(operation.tag).summary(Some(operation.summary));
    if !operation.roles.is_empty() {
        let roles = format!("Token of the role {}.", operation.roles.join(" or "));
        let token = SecurityRequirement::new("token", Vec::<String>::new());
        built = built.description(Some(roles)).security(token);
    }
    for name in operation.path.split(['{', '}']).skip(1).step_by(2) {
        built = built.parameter(in_path(name));
    }
    for parameter in operation.parameters {
        built = built.parameter(given(parameter));
    }
    if let Some(body) = operation.body {
        let (media, content) = content(body);
        let body = RequestBodyBuilder::new().content(media, content).required(Some(Required::True));
        built = built.request_body(Some(body.build()));
    }
    for (status, what, contents) in operation.answers {
        let mut response = ResponseBuilder::new().description(*what);
        for (media, content) in contents.iter().map(|found| self::content(*found)) {
            response = response.content(media, content);
        }
        built = built.response(status.to_string(), response.build());
    }
    for status in operation.problems {
        let (media, content) = content(Content::JsonAs(PROBLEM_TYPE, "Problem"));
        let problem = ResponseBuilder::new().description("A problem").content(media, content);
        built = built.response(status.to_string(), problem.build());
    }
    built.build()
}

fn text() -> Object {
    ObjectBuilder::new().schema_type(Type::String).build()
}

fn in_path(name: &str) -> Given {
    let built = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path);
    built.required(Required::True).schema(Some(text())).build()
}

fn given((place, name, what): &Parameter) -> Given {
    let (place, required) = match place {
        Place::Query => (ParameterIn::Query, Required::False),
        Place::QueryRequired => (ParameterIn::Query, Required::True),
        Place::Header => (ParameterIn::Header, Required::False),
        Place::HeaderRequired => (ParameterIn::Header, Required::True),
    };
    ParameterBuilder::new()
        .name(*name)
        .parameter_in(place)
        .required(required)
        .description(Some(*what))
        .schema(Some(text()))
        .build()
}

fn content(of: Content) -> (&'static str, utoipa::openapi::Content) {
    let json = |name: &str| ContentBuilder::new().schema(Some(Ref::from_schema_name(name))).build();
    match of {
        Content::Json(name) => ("application/json", json(name)),
        Content::JsonAs(media, name) => (media, json(name)),
        Content::Bytes(media) => {
            let mut bytes = text();
            bytes.format = Some(SchemaFormat::KnownFormat(KnownFormat::Binary));
            (media, ContentBuilder::new().schema(Some(bytes)).build())
        }
    }
}
