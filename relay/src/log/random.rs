use super::error::StoreError;

/// From the system's generator.
pub(super) fn random_bytes<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| StoreError::Engine {
        path: "the system's random generator".into(),
        detail: error.to_string(),
    })?;
    Ok(bytes)
}
