use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{
    super::{address::TargetAddress, error::PullError, settings::Settings},
    CompareOptions, Verified,
    session::Session,
};
use crate::{postgres::PostgresTarget, progress::Progress, sqlite::SqliteTarget};

/// Compares a target that was loaded before with a snapshot, which it is taken to; none where `stop` said so before
/// the end.
pub async fn verify(
    target: &TargetAddress,
    settings: Arc<Settings>,
    options: &CompareOptions,
    progress: &Progress,
    stop: &CancellationToken,
) -> Result<Option<Verified>, PullError> {
    let run = async {
        match target {
            TargetAddress::Postgres(server) => {
                let target = PostgresTarget::open(server).await?;
                Session { target, settings, options, progress }.run().await
            }
            TargetAddress::Sqlite(file) => {
                if !file.path.exists() {
                    let source_name = settings.source.clone();
                    return Err(PullError::NeverLoaded { target: file.to_string(), source_name });
                }
                let target = SqliteTarget::open(file).await?;
                Session { target, settings, options, progress }.run().await
            }
        }
    };
    stop.run_until_cancelled(run).await.transpose()
}
