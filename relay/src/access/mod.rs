//! Who may do what at a relay.
//!
//! ```text
//! role.rs     roles, and what each may do
//! record.rs   a token as it is kept: hash, role, channels
//! folder.rs   DATA/tokens/NAME.json: add, list, revoke, while the relay runs
//! tokens.rs   the running relay's view of that folder: a bearer token becomes an Access or a Denied
//! grant.rs    what a request may do
//! signer.rs   signed URLs of objects, for which no token is needed
//! ```

mod error;
mod folder;
mod grant;
mod name;
mod record;
mod role;
mod secret;
mod signer;
mod tokens;

pub use error::TokenError;
pub use folder::TokenFolder;
pub use grant::{Access, Denied};
pub use name::{TokenName, TokenNameError};
pub use record::TokenRecord;
pub use role::{Action, Role};
pub use secret::Secret;
pub use signer::UrlSigner;
pub use tokens::{Tokens, bearer};
