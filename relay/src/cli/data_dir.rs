use std::path::PathBuf;

use clap::Args;

/// Where a relay keeps everything: for `serve`, and for `token`, which works beside it.
#[derive(Debug, Args)]
pub(super) struct DataDir {
    /// The relay's data directory; made if it is not there
    #[arg(long, env = "TAILWATER_DATA_DIR", value_name = "DIR")]
    pub(super) data_dir: PathBuf,
}
