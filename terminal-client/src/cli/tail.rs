use std::{
    io::{BufWriter, ErrorKind, Write},
    sync::Arc,
};

use tokio_util::sync::CancellationToken;
use wire::{ChannelName, TransactionHeader, change_to_json, change_to_text};

use super::{
    args::TailArgs,
    config::Configured,
    connection::{relays, source_name, spool_dir},
    failure::CliError,
    settings::ONCE_PATIENCE,
    tail_filter::TailFilter,
};
use crate::{
    fetch::{FetchError, Fetched, PrefetchRequest, Prefetcher, PullReport, Relays, Spool},
    position::Position,
    pull::{Bounds, PullError},
    range::{Event, Range, RangeReader, Relations, verify},
};

/// Runs `tail`: prints changes until told to stop, or until nobody reads them any more.
pub(super) async fn tail(args: TailArgs, stop: &CancellationToken) -> Result<(), CliError> {
    let args = args.configured()?;
    let source = source_name(&args.relay)?;
    let patience = args.relay.timeout.unwrap_or(ONCE_PATIENCE);
    let relays = relays(&args.relay, &source, Some(patience))?;
    let printing = follow(&args, source, relays);
    tokio::select! {
        result = printing => result,
        () = stop.cancelled() => Ok(()),
    }
}

async fn follow(
    args: &TailArgs,
    source: wire::SourceName,
    relays: Arc<Relays>,
) -> Result<(), CliError> {
    let lag = relays.lag().await?;
    let Some(after) = args.after.or(lag.relay.head) else {
        let relay = relays.in_use();
        return Err(PullError::NotReady { relay, source_name: source }.into());
    };
    if let Some(horizon) = lag.relay.horizon.filter(|horizon| after < *horizon) {
        return Err(CliError::Usage(format!(
            "the log of {source} at the relay {} begins at {horizon}, behind --after {after}: give --after {horizon}, or a later position",
            relays.in_use()
        )));
    }
    let spool = Arc::new(Spool::create(Some(&spool_dir(&args.relay))).map_err(FetchError::from)?);
    let (bounds, filter) = (Bounds::default(), TailFilter::of(&args.tables));
    let mut position = Position::trusting(lag.lineage, after);
    let request = PrefetchRequest {
        from: position.clone(),
        channels: args.relay.channels.clone(),
        loaded: None,
        limit_bytes: bounds.answer_bytes,
        wait: bounds.poll_wait,
        report: PullReport::default(),
    };
    let mut prefetcher = Prefetcher::start(&relays, &spool, request);
    loop {
        let ranges = match prefetcher.next().await? {
            Fetched::Slices { slices, .. } => {
                slices.iter().map(|slice| Range::from_slice(slice, |_| true)).collect()
            }
            Fetched::Closed { range, files, .. } => {
                let lineage = position.lineage;
                let range = Range::from_objects(source.clone(), lineage, &range, files);
                vec![range.map_err(PullError::from)?]
            }
            Fetched::Nothing { .. } | Fetched::Behind { .. } => continue,
        };
        let (json, source, from) = (args.json, source.clone(), position.clone());
        let filter = filter.clone();
        let printed =
            tokio::task::spawn_blocking(move || print(&source, &ranges, from, &filter, json)).await;
        match printed.map_err(|error| PullError::Internal(error.to_string()))?? {
            Some(end) => position = end,
            None => return Ok(()),
        }
    }
}

/// Prints ranges; none where the reader of standard output is gone.
fn print(
    source: &wire::SourceName,
    ranges: &[Range],
    mut position: Position,
    filter: &TailFilter,
    json: bool,
) -> Result<Option<Position>, CliError> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut relations = Relations::default();
    for range in ranges {
        verify(range, source, &position).map_err(PullError::from)?;
        let mut reader =
            RangeReader::new(range, position, &mut relations).map_err(PullError::from)?;
        let mut open = (wire::Lsn::ZERO, TransactionHeader { xid: 0, commit_time_us: 0 });
        while let Some(event) = reader.next(&mut relations).map_err(PullError::from)? {
            match event {
                Event::Begin { lsn, header, .. } => open = (lsn, header),
                Event::Change { channel, change } => {
                    if !filter.takes(&channel, &change) {
                        continue;
                    }
                    let line = line(open, &channel, &change, json);
                    if !written(writeln!(out, "{line}"))? {
                        return Ok(None);
                    }
                }
                Event::Commit { .. } => {}
            }
        }
        position = reader.position().clone();
    }
    Ok(written(out.flush())?.then_some(position))
}

type Change = wire::Change<Arc<wire::Relation>>;

fn line(
    (lsn, header): (wire::Lsn, TransactionHeader),
    channel: &ChannelName,
    change: &Change,
    json: bool,
) -> String {
    if json {
        change_to_json(lsn, header, channel, change).to_string()
    } else {
        change_to_text(lsn, header, channel, change)
    }
}

fn written(result: std::io::Result<()>) -> Result<bool, CliError> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(CliError::Io { doing: "write to standard output", error }),
    }
}
