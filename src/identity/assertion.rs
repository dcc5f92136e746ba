//! The signed identity that goes to a platform: `Yimen-Assertion`, a JWT (ES256) of at most 60 s, made once per session and
//! platform and used again for half its life, so that a platform always gets it with the other half to go.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use moka::sync::Cache;
use serde::{Deserialize, Serialize};

use super::error::IdentityError;
use super::keys::Keys;
use super::pairwise::PairwiseKey;
use crate::config::IdentityConfig;
use crate::domain::{Assurance, PlatformId, SubjectKind, Timestamp};
use crate::metrics::Metrics;

/// `typ` of an assertion (RFC 8725, 3.11): nothing else that we sign can be taken for one.
pub const TOKEN_TYPE: &str = "yimen-assertion+jwt";
/// Longest life of an assertion, whatever the settings say.
pub(super) const LIFE_MAX: Duration = Duration::from_secs(60);
/// Assertions kept, about 1.2 KiB each; the oldest unused go first and are made again when they are needed.
const CACHED_MAX: u64 = 100_000;

/// Whose identity goes where.
#[derive(Clone, Copy, Debug)]
pub struct AssertionRequest<'a> {
    /// SHA-256 of the session's id.
    pub session_key: &'a [u8; 32],
    /// Who will read it.
    pub platform: &'a PlatformId,
    /// The account's stable id; only its pairwise name leaves.
    pub subject: &'a str,
    /// Whom the session speaks for.
    pub kind: SubjectKind,
    /// How sure we are.
    pub assurance: Assurance,
    /// RFC 8176 names of the methods used.
    pub methods: &'a [String],
    /// When they were used.
    pub authenticated_at: Timestamp,
    /// The name, if the platform has filed that it needs it.
    pub name: Option<&'a str>,
}

/// What an assertion says. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssertionClaims {
    /// Who says it: the gateway's origin.
    pub iss: String,
    /// To whom: the platform's id, one and no list.
    pub aud: String,
    /// About whom: a name that only this platform knows the subject by.
    pub sub: String,
    /// When it was made.
    pub iat: u64,
    /// When it ends.
    pub exp: u64,
    /// Its own name.
    pub jti: String,
    /// Assurance, `L1` to `L4`.
    pub acr: Assurance,
    /// RFC 8176 names of the methods used.
    pub amr: Vec<String>,
    /// When they were used.
    pub auth_time: u64,
    /// The session, by a name that only this platform knows.
    pub sid: String,
    /// Whom it speaks for.
    pub subject_type: SubjectKind,
    /// Unified social credit code of the legal person that an agent acts for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub represented: Option<String>,
    /// The name, if the platform has filed that it needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Makes assertions and keeps them while they are fresh.
#[derive(Debug)]
pub struct Assertions {
    issuer: String,
    life: Duration,
    keys: Arc<Keys>,
    pairwise: PairwiseKey,
    minted: Cache<Place, Arc<Minted>>,
    metrics: Arc<Metrics>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Place {
    session_key: [u8; 32],
    platform: PlatformId,
}

#[derive(Debug)]
struct Minted {
    header: HeaderValue,
    made: Timestamp,
    assurance: Assurance,
    kind: SubjectKind,
    authenticated_at: Timestamp,
    name: Option<Box<str>>,
}

impl Minted {
    /// Whether it still says what is so, and lives for long enough. A clock that went back ends it too.
    fn serves(&self, request: &AssertionRequest<'_>, now: Timestamp, reuse: Duration) -> bool {
        let fresh = now >= self.made && now.since(self.made) < reuse;
        fresh
            && self.assurance == request.assurance
            && self.kind == request.kind
            && self.authenticated_at == request.authenticated_at
            && self.name.as_deref() == request.name
    }
}

impl Assertions {
    /// Loads the pairwise key; the first start makes it.
    pub fn new(config: &IdentityConfig, keys: Arc<Keys>, metrics: Arc<Metrics>) -> Result<Self, IdentityError> {
        let life = config.assertion_life.min(LIFE_MAX);
        Ok(Self {
            issuer: config.issuer.clone(),
            life,
            keys,
            pairwise: PairwiseKey::load_or_create(&config.pairwise_key_file)?,
            minted: Cache::builder().max_capacity(CACHED_MAX).time_to_live(life).build(),
            metrics,
        })
    }

    /// The value of `Yimen-Assertion` for this request: one cache read, or one signature when there is none that serves.
    /// The value shares its bytes with the cache. `met` is told of each signature, by the name that the platform knows the
    /// subject by. `Err`: no key, or the library refused; the request must not go on.
    pub fn header_for(
        &self,
        request: &AssertionRequest<'_>,
        now: Timestamp,
        met: impl FnOnce(&str),
    ) -> Result<HeaderValue, IdentityError> {
        let place = Place { session_key: *request.session_key, platform: request.platform.clone() };
        if let Some(minted) = self.minted.get(&place)
            && minted.serves(request, now, self.life / 2)
        {
            self.metrics.assertions_reused.inc();
            return Ok(minted.header.clone());
        }
        let claims = self.claims(request, now)?;
        met(&claims.sub);
        let minted = Arc::new(self.mint(request, &claims, now)?);
        let header = minted.header.clone();
        self.minted.insert(place, minted);
        Ok(header)
    }

    fn mint(
        &self,
        request: &AssertionRequest<'_>,
        claims: &AssertionClaims,
        now: Timestamp,
    ) -> Result<Minted, IdentityError> {
        let token = self.keys.signing(now)?.sign(claims)?;
        let mut header = HeaderValue::try_from(token).map_err(|_| IdentityError::Crypto("writing a token"))?;
        header.set_sensitive(true); // HTTP/2 keeps it out of its tables, and `Debug` out of logs
        self.metrics.assertions_signed.inc();
        Ok(Minted {
            header,
            made: now,
            assurance: request.assurance,
            kind: request.kind,
            authenticated_at: request.authenticated_at,
            name: request.name.map(Box::from),
        })
    }

    fn claims(&self, request: &AssertionRequest<'_>, now: Timestamp) -> Result<AssertionClaims, IdentityError> {
        let mut id = [0; 16];
        rand::fill(&mut id).map_err(|_| IdentityError::Crypto("drawing random numbers"))?;
        Ok(AssertionClaims {
            iss: self.issuer.clone(),
            aud: request.platform.to_string(),
            sub: self.pairwise.subject(request.platform, request.subject),
            iat: now.seconds(),
            exp: now.seconds() + self.life.as_secs(),
            jti: URL_SAFE_NO_PAD.encode(id),
            acr: request.assurance,
            amr: request.methods.to_vec(),
            auth_time: request.authenticated_at.seconds(),
            sid: self.pairwise.session(request.platform, request.session_key),
            subject_type: request.kind,
            represented: None, // agents come with their roles
            name: request.name.map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::super::verify::{AssertionProfile, KeySet, VerifyError, verify};
    use super::*;

    struct Desk {
        assertions: Assertions,
        folder: TempDir,
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis((1_795_428_900 + seconds) * 1000)
    }

    fn config(folder: &TempDir) -> IdentityConfig {
        IdentityConfig {
            issuer: "https://one.example".to_owned(),
            keys_directory: folder.path().join("keys"),
            pairwise_key_file: folder.path().join("pairwise"),
            vault_directory: folder.path().join("vault"),
            assertion_life: Duration::from_secs(60),
            key_lead: Duration::from_secs(600),
            argon2_memory_kib: 64,
            argon2_passes: 1,
            password_threads: 1,
            password_queue: 1,
        }
    }

    impl Desk {
        fn open() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let metrics = Arc::new(Metrics::new().unwrap());
            let keys = Arc::new(Keys::load_or_create(&config(&folder), at(0), metrics.clone()).unwrap());
            Self { assertions: Assertions::new(&config(&folder), keys, metrics).unwrap(), folder }
        }

        fn ask(&self, request: &AssertionRequest<'_>, now: Timestamp) -> String {
            self.assertions.header_for(request, now, |_| ()).unwrap().to_str().unwrap().to_owned()
        }

        fn verify(&self, audience: &str, token: &str, now: Timestamp) -> Result<AssertionClaims, VerifyError> {
            let keys = KeySet::from_jwks(&self.assertions.keys.jwks(now)).unwrap();
            let profile = AssertionProfile { issuer: "https://one.example".to_owned(), audience: audience.to_owned() };
            verify(&profile, token, &keys, now)
        }
    }

    fn request<'a>(platform: &'a PlatformId, methods: &'a [String]) -> AssertionRequest<'a> {
        AssertionRequest {
            session_key: &[9; 32],
            platform,
            subject: "0193-wang",
            kind: SubjectKind::Natural,
            assurance: Assurance::L2,
            methods,
            authenticated_at: at(0),
            name: None,
        }
    }

    #[test]
    fn a_platform_learns_what_it_may_and_nothing_more() {
        let desk = Desk::open();
        let platform: PlatformId = "hangzhou".parse().unwrap();
        let methods = ["pwd".to_owned()];
        let token = desk.ask(&request(&platform, &methods), at(10));
        let claims = desk.verify("hangzhou", &token, at(12)).unwrap();
        assert_eq!(
            (claims.acr, claims.amr, claims.auth_time),
            (Assurance::L2, vec!["pwd".to_owned()], at(0).seconds())
        );
        assert_eq!((claims.iat, claims.exp), (at(10).seconds(), at(70).seconds()));
        assert_eq!((claims.name, claims.represented), (None, None));
        assert_ne!(claims.sub, "0193-wang");
        assert_ne!(claims.sid, URL_SAFE_NO_PAD.encode([9; 32]));
        let named = AssertionRequest { name: Some("王小明"), ..request(&platform, &methods) };
        let claims = desk.verify("hangzhou", &desk.ask(&named, at(10)), at(12)).unwrap();
        assert_eq!(claims.name.as_deref(), Some("王小明"));
    }

    #[test]
    fn it_is_used_again_for_half_its_life() {
        let desk = Desk::open();
        let platform: PlatformId = "hangzhou".parse().unwrap();
        let first = desk.ask(&request(&platform, &[]), at(10));
        assert_eq!(desk.ask(&request(&platform, &[]), at(39)), first);
        assert_ne!(desk.ask(&request(&platform, &[]), at(40)), first);
        let metrics = &desk.assertions.metrics;
        assert_eq!((metrics.assertions_signed.get(), metrics.assertions_reused.get()), (2, 1));
    }

    #[test]
    fn another_platform_session_or_assurance_gets_another() {
        let desk = Desk::open();
        let (here, there): (PlatformId, PlatformId) = ("hangzhou".parse().unwrap(), "zhejiang".parse().unwrap());
        let plain = request(&here, &[]);
        let first = desk.ask(&plain, at(0));
        assert_ne!(desk.ask(&AssertionRequest { platform: &there, ..plain }, at(0)), first);
        assert_ne!(desk.ask(&AssertionRequest { session_key: &[8; 32], ..plain }, at(0)), first);
        let raised = desk.ask(&AssertionRequest { assurance: Assurance::L3, ..plain }, at(0));
        assert_eq!(desk.verify("hangzhou", &raised, at(0)).unwrap().acr, Assurance::L3);
        let lowered = desk.ask(&plain, at(0));
        assert_eq!(desk.verify("hangzhou", &lowered, at(0)).unwrap().acr, Assurance::L2);
    }

    #[test]
    fn a_clock_that_goes_back_ends_reuse() {
        let desk = Desk::open();
        let platform: PlatformId = "hangzhou".parse().unwrap();
        let first = desk.ask(&request(&platform, &[]), at(100));
        let second = desk.ask(&request(&platform, &[]), at(50));
        assert_ne!(first, second);
        assert!(desk.verify("hangzhou", &second, at(50)).is_ok());
    }

    #[test]
    fn what_an_old_key_signed_verifies_after_a_rotation() {
        let desk = Desk::open();
        let platform: PlatformId = "hangzhou".parse().unwrap();
        let config = config(&desk.folder);
        Keys::rotate(&config.keys_directory, at(100)).unwrap();
        desk.assertions.keys.reload(at(101)).unwrap();
        let old = desk.ask(&request(&platform, &[]), at(699));
        let new = desk.ask(&AssertionRequest { session_key: &[8; 32], ..request(&platform, &[]) }, at(701));
        assert!(desk.verify("hangzhou", &old, at(702)).is_ok());
        assert!(desk.verify("hangzhou", &new, at(702)).is_ok());
        let header = |token: &str| token.split('.').next().unwrap().to_owned();
        assert_ne!(header(&old), header(&new), "both were signed by one key");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn whatever_is_handed_out_verifies_with_half_its_life_to_go(steps in prop::collection::vec(0_u64..50, 1..20)) {
            let desk = Desk::open();
            let platform: PlatformId = "hangzhou".parse().unwrap();
            let mut seconds = 0;
            for step in steps {
                seconds += step;
                let claims = desk.verify("hangzhou", &desk.ask(&request(&platform, &[]), at(seconds)), at(seconds));
                prop_assert!(claims.unwrap().exp >= at(seconds).seconds() + 30);
            }
        }
    }
}
