//! The operations, one entry each.

use utoipa::openapi::HttpMethod;
use wire::{MANIFEST_TYPE, SLICES_TYPE, headers};

/// What a body is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content {
    /// JSON of the schema of that name.
    Json(&'static str),
    /// JSON of the schema of that name under a media type of its own.
    JsonAs(&'static str, &'static str),
    /// Bytes of that media type.
    Bytes(&'static str),
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    Query,
    QueryRequired,
    Header,
    HeaderRequired,
}

/// A parameter: its place, its name, what it is.
pub(super) type Parameter = (Place, &'static str, &'static str);

/// An answer: its status, what it says, its content.
pub(super) type Answer = (u16, &'static str, &'static [Content]);

/// One operation.
pub(super) struct Operation {
    pub(super) method: HttpMethod,
    pub(super) path: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    /// The roles whose tokens may do it; none for everyone.
    pub(super) roles: &'static [&'static str],
    pub(super) parameters: &'static [Parameter],
    pub(super) body: Option<Content>,
    pub(super) answers: &'static [Answer],
    /// The statuses of the problems that it may be answered with.
    pub(super) problems: &'static [u16],
}

const SESSION: Parameter =
    (Place::HeaderRequired, headers::SESSION, "The capture session's number");
const CHANNELS: Parameter = (
    Place::Query,
    "channels",
    "Channels, separated by commas; by default all that the token allows",
);
const WAIT: Parameter = (Place::Query, "wait", "Seconds to wait for something to come, at most 60");
const OCTETS: &str = "application/octet-stream";
const TEXT: &str = "text/plain";
const CAPTURE: &[&str] = &["capture"];
const READERS: &[&str] = &["terminal", "ops"];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        method: HttpMethod::Post,
        path: "/v1/{source}/session",
        tag: "capture",
        summary: "Open a capture session; older ones are fenced",
        roles: CAPTURE,
        parameters: &[],
        body: Some(Content::Json("SessionRequest")),
        answers: &[(200, "What the relay has of the source", &[Content::Json("SessionAnswer")])],
        problems: &[400, 401, 403, 409, 500, 503, 507],
    },
    Operation {
        method: HttpMethod::Post,
        path: "/v1/{source}/log",
        tag: "capture",
        summary: "Append one slice; idempotent by position; answered once it is on disk",
        roles: CAPTURE,
        parameters: &[SESSION],
        body: Some(Content::Bytes(SLICES_TYPE)),
        answers: &[(200, "The newest durable position", &[Content::Json("AppendAnswer")])],
        problems: &[400, 401, 403, 404, 409, 413, 422, 500, 503, 507],
    },
    Operation {
        method: HttpMethod::Post,
        path: "/v1/{source}/objects",
        tag: "capture",
        summary: "Upload one object: rows of a snapshot, or a part of a huge transaction",
        roles: CAPTURE,
        parameters: &[SESSION],
        body: Some(Content::Bytes(OCTETS)),
        answers: &[(200, "The object's name and length", &[Content::Json("UploadAnswer")])],
        problems: &[400, 401, 403, 404, 409, 413, 422, 500, 503, 507],
    },
    Operation {
        method: HttpMethod::Post,
        path: "/v1/{source}/snapshot",
        tag: "capture",
        summary: "Publish a snapshot whose objects are here; the first begins the log",
        roles: CAPTURE,
        parameters: &[SESSION],
        body: Some(Content::Json("Snapshot")),
        answers: &[(200, "It is durable", &[])],
        problems: &[400, 401, 403, 404, 409, 413, 422, 500, 503, 507],
    },
    Operation {
        method: HttpMethod::Get,
        path: "/v1/{source}/requests",
        tag: "capture",
        summary: "Long poll for what the relay needs of capture",
        roles: CAPTURE,
        parameters: &[WAIT],
        body: None,
        answers: &[
            (200, "What is wanted, until it is there", &[Content::Json("RequestList")]),
            (204, "Nothing was needed in that time", &[]),
        ],
        problems: &[400, 401, 403, 404, 500],
    },
    Operation {
        method: HttpMethod::Post,
        path: "/v1/{source}/requests",
        tag: "ops",
        summary: "Ask capture for a new snapshot; asking twice is asking once. With `from`, terminals may too",
        roles: &["capture", "terminal", "ops"],
        parameters: &[(
            Place::Query,
            "from",
            "A snapshot at this position or behind it does, also one that is there or coming; without it, one at the head or behind it",
        )],
        body: Some(Content::Json("Request")),
        answers: &[(202, "It is noted", &[Content::Json("RequestAnswer")])],
        problems: &[400, 401, 403, 404, 413, 500, 503],
    },
    Operation {
        method: HttpMethod::Get,
        path: "/v1/{source}/log",
        tag: "terminal",
        summary: "Pull what follows a position; takes the terminal's report in its headers",
        roles: READERS,
        parameters: &[
            (Place::QueryRequired, "after", "The position applied last, e.g. 16/B374D848"),
            CHANNELS,
            (Place::Query, "limit", "Bytes, uncompressed; default 16 MiB, at most 64 MiB"),
            WAIT,
            (Place::Header, headers::TERMINAL, "The terminal's name"),
            (Place::Header, headers::LINEAGE, "The history that it follows"),
            (Place::Header, headers::APPLIED, "The position that its database has flushed"),
            (Place::Header, headers::STATE, "Its state"),
            (Place::Header, headers::ERROR, "Its last error, percent-encoded UTF-8"),
            (
                Place::Header,
                headers::HASHES,
                "Its running hashes: channel=hex, separated by commas",
            ),
        ],
        body: None,
        answers: &[
            (
                200,
                "Slices; or, for closed ranges, a manifest of the objects to fetch. The header Tailwater-Channels says what the token allows",
                &[Content::Bytes(SLICES_TYPE), Content::JsonAs(MANIFEST_TYPE, "Manifest")],
            ),
            (204, "Nothing came in that time", &[]),
        ],
        problems: &[400, 401, 403, 404, 409, 410, 500, 503],
    },
    Operation {
        method: HttpMethod::Get,
        path: "/v1/{source}/behind",
        tag: "terminal",
        summary: "How far a position is behind the head; refused as a pull from there would be, and reports nothing",
        roles: READERS,
        parameters: &[
            (Place::QueryRequired, "after", "The position applied last, e.g. 16/B374D848"),
            CHANNELS,
            (Place::Header, headers::LINEAGE, "The history that it is of"),
            (
                Place::Header,
                headers::HASHES,
                "The running hashes there: channel=hex, separated by commas",
            ),
        ],
        body: None,
        answers: &[(
            200,
            "What lies between. The header Tailwater-Channels says what the token allows",
            &[Content::Json("Behind")],
        )],
        problems: &[400, 401, 403, 404, 409, 410, 500, 503],
    },
    Operation {
        method: HttpMethod::Get,
        path: "/v1/{source}/objects/{name}",
        tag: "terminal",
        summary: "One object, by its signed address; ranges and caches welcome",
        roles: &[],
        parameters: &[
            (Place::QueryRequired, "exp", "When the address expires, seconds since 1970"),
            (Place::QueryRequired, "sig", "The signature"),
            (Place::Query, "snapshot", "The snapshot that it belongs to, as the address has it"),
            (Place::Header, "range", "bytes=from-to (RFC 9110, 14.1.2)"),
        ],
        body: None,
        answers: &[
            (200, "The object", &[Content::Bytes(OCTETS)]),
            (206, "A part of it", &[Content::Bytes(OCTETS)]),
            (304, "As known to the cache", &[]),
            (416, "The range is behind its end", &[]),
        ],
        problems: &[400, 403, 404, 500],
    },
    Operation {
        method: HttpMethod::Get,
        path: "/v1/{source}/snapshot",
        tag: "terminal",
        summary: "The snapshots that a terminal may start from, newest first",
        roles: &["capture", "terminal", "ops"],
        parameters: &[CHANNELS],
        body: None,
        answers: &[(
            200,
            "The snapshots, with addresses. The header Tailwater-Channels says what the token allows, Tailwater-Capture what capture is doing",
            &[Content::Json("SnapshotList")],
        )],
        problems: &[400, 401, 403, 404, 500],
    },
    Operation {
        method: HttpMethod::Post,
        path: "/v1/{source}/report",
        tag: "everyone",
        summary: "A terminal's or a capture's last word",
        roles: &["terminal", "capture"],
        parameters: &[],
        body: Some(Content::Json("Report")),
        answers: &[(204, "Noted", &[])],
        problems: &[400, 401, 403, 404, 409, 413, 500, 503],
    },
    Operation {
        method: HttpMethod::Get,
        path: "/v1/{source}/lag",
        tag: "everyone",
        summary: "Who is how far behind",
        roles: READERS,
        parameters: &[],
        body: None,
        answers: &[(200, "The lag table", &[Content::Json("Lag")])],
        problems: &[400, 401, 403, 404, 500],
    },
    Operation {
        method: HttpMethod::Delete,
        path: "/v1/{source}/terminals/{name}",
        tag: "ops",
        summary: "Forget a terminal",
        roles: &["ops"],
        parameters: &[],
        body: None,
        answers: &[(204, "Forgotten", &[])],
        problems: &[400, 401, 403, 404, 500],
    },
    Operation {
        method: HttpMethod::Get,
        path: "/v1/sources",
        tag: "everyone",
        summary: "The sources of this relay",
        roles: READERS,
        parameters: &[],
        body: None,
        answers: &[(200, "Their names", &[Content::Json("SourceList")])],
        problems: &[401, 403, 500],
    },
    open("/healthz", "Whether the process is alive", &[(200, "Alive", &[Content::Bytes(TEXT)])]),
    open(
        "/readyz",
        "Whether everything is served",
        &[
            (200, "Ready", &[Content::Bytes(TEXT)]),
            (503, "Stopping, or a source is damaged", &[Content::Bytes(TEXT)]),
        ],
    ),
    open("/metrics", "Metrics for Prometheus", &[(200, "Text format", &[Content::Bytes(TEXT)])]),
    open("/openapi.json", "This document", &[(200, "OpenAPI 3.1", &[])]),
    open("/", "A page that shows the lag", &[(200, "The page", &[Content::Bytes("text/html")])]),
];

const fn open(path: &'static str, summary: &'static str, answers: &'static [Answer]) -> Operation {
    Operation {
        method: HttpMethod::Get,
        path,
        tag: "ops",
        summary,
        roles: &[],
        parameters: &[],
        body: None,
        answers,
        problems: &[],
    }
}
