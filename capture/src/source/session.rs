/// Session settings that decide how a value is printed. They are the same for the stream and for the
/// first copy, whatever the role, the database or the server is configured to, so that one value has one
/// text. An empty `search_path` makes names inside values (`regclass`) complete; the time-outs are off
/// because a role's `statement_timeout` would cut a copy. What capture itself writes (heartbeats, the
/// publication) waits for no standby: one that is away would stop it. Compiling a query of the catalogue
/// takes seconds, running it milliseconds.
pub const PINNED_SETTINGS: &[(&str, &str)] = &[
    ("DateStyle", "ISO,MDY"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
    ("lc_monetary", "C"),
    ("xmloption", "content"),
    ("search_path", ""),
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("synchronous_commit", "local"),
    ("jit", "off"),
];

/// The startup parameter `options` with the pinned settings after whatever the URL asked for: the last
/// word wins (PostgreSQL manual, 55.2.1 "Start-up").
pub(super) fn startup_options(from_url: Option<&str>) -> String {
    let mut options = from_url.map(str::to_owned).unwrap_or_default();
    for (name, value) in PINNED_SETTINGS {
        if !options.is_empty() {
            options.push(' ');
        }
        options.push_str("-c ");
        options.push_str(name);
        options.push('=');
        options.push_str(value);
    }
    options
}
