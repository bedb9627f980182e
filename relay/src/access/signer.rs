use std::fmt;

use subtle::ConstantTimeEq;
use wire::{Hash, SourceName};

const HOUR: u64 = 3600;
const CONTEXT: &[u8] = b"tailwater object url 1\0";

/// Signs the URLs of objects, so that an object can be fetched without a token, by whoever a
/// manifest or a snapshot was given to, and kept by any HTTP cache on the way.
#[derive(Clone)]
pub struct UrlSigner {
    secret: [u8; 32],
}

impl UrlSigner {
    /// With the source's secret: 32 random bytes that never leave the relay.
    pub const fn new(secret: [u8; 32]) -> Self {
        Self { secret }
    }

    /// The query that goes behind the object's path: `exp=SECONDS&sig=HEX`. The same for all who
    /// ask within one hour; good for one to two hours. `now_unix` in seconds since 1970.
    pub fn sign(&self, source: &SourceName, name: Hash, now_unix: u64) -> String {
        let exp = expiry(now_unix);
        format!("exp={exp}&sig={}", self.signature(source, name, exp).to_hex())
    }

    /// Whether the signature is ours and has not expired.
    pub fn verify(
        &self,
        source: &SourceName,
        name: Hash,
        exp: u64,
        sig: &str,
        now_unix: u64,
    ) -> bool {
        let mut given = [0; 32];
        let well_formed = hex::decode_to_slice(sig, &mut given).is_ok();
        let expected = self.signature(source, name, exp);
        let same = bool::from(expected.as_bytes().ct_eq(&given));
        well_formed && same && now_unix <= exp
    }

    fn signature(&self, source: &SourceName, name: Hash, exp: u64) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(CONTEXT);
        hasher.update(name.as_bytes());
        hasher.update(&exp.to_be_bytes());
        // Last, because it is the only one whose length varies.
        hasher.update(source.as_str().as_bytes());
        hasher.finalize()
    }
}

impl fmt::Debug for UrlSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UrlSigner(…)")
    }
}

/// At least one hour ahead, rounded up to a full hour.
fn expiry(now_unix: u64) -> u64 {
    now_unix.saturating_add(HOUR).div_ceil(HOUR).saturating_mul(HOUR)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn source(name: &str) -> SourceName {
        SourceName::new(name).unwrap()
    }

    fn parts(query: &str) -> (u64, &str) {
        let (exp, sig) = query.split_once('&').unwrap();
        (exp.strip_prefix("exp=").unwrap().parse().unwrap(), sig.strip_prefix("sig=").unwrap())
    }

    #[test]
    fn good_for_what_was_signed_only() {
        let signer = UrlSigner::new([7; 32]);
        let (orders, name, now) = (source("orders"), Hash::of(b"x"), 1_700_000_000);
        let query = signer.sign(&orders, name, now);
        let (exp, sig) = parts(&query);
        assert!(signer.verify(&orders, name, exp, sig, now));
        assert!(signer.verify(&orders, name, exp, &sig.to_uppercase(), now));
        assert!(signer.verify(&orders, name, exp, sig, exp));
        assert!(!signer.verify(&orders, name, exp, sig, exp + 1), "expired");
        assert!(!signer.verify(&orders, name, exp + HOUR, sig, now), "prolonged");
        assert!(!signer.verify(&source("order"), name, exp, sig, now), "other source");
        assert!(!signer.verify(&orders, Hash::of(b"y"), exp, sig, now), "other object");
        assert!(!UrlSigner::new([8; 32]).verify(&orders, name, exp, sig, now), "other secret");
        for bad in ["", "00", &sig[..62], &format!("{sig}00"), &"0".repeat(64), "zz"] {
            assert!(!signer.verify(&orders, name, exp, bad, now), "{bad}");
        }
        assert_eq!(format!("{signer:?}"), "UrlSigner(…)");
    }

    proptest! {
        #[test]
        fn expires_on_the_hour_between_one_and_two_hours_ahead(now in 0_u64..1 << 40) {
            let exp = expiry(now);
            prop_assert_eq!(exp % HOUR, 0);
            prop_assert!((HOUR..2 * HOUR).contains(&(exp - now)));
        }
    }

    #[test]
    fn all_who_ask_within_an_hour_get_the_same_url() {
        let signer = UrlSigner::new([7; 32]);
        let sign = |now| signer.sign(&source("orders"), Hash::of(b"x"), now);
        assert_eq!(sign(36_001), sign(39_600));
        assert_ne!(sign(39_600), sign(39_601));
    }
}
