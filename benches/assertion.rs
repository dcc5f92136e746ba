//! The identity on the way of every authenticated request: used again (a cache read) and made anew (an ES256 signature).
//! Budget of DESIGN section 9: an authenticated request costs at most a tenth more than a plain one, some 3 µs.
//! Run: `cargo bench --bench assertion`.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a bench that cannot be set up ends")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use yimen::config::IdentityConfig;
use yimen::domain::{Assurance, PlatformId, SubjectKind, Timestamp};
use yimen::identity::{AssertionProfile, AssertionRequest, Assertions, KeySet, Keys, verify};
use yimen::metrics::Metrics;

/// As many people as sign in within the life of an assertion on a busy node.
const SESSIONS: u64 = 50_000;

fn assertions(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder for keys");
    let config = IdentityConfig {
        issuer: "https://zwfw.example.gov".to_owned(),
        keys_directory: folder.path().join("keys"),
        pairwise_key_file: folder.path().join("pairwise"),
        vault_directory: folder.path().join("vault"),
        assertion_life: Duration::from_secs(60),
        key_lead: Duration::from_secs(600),
        argon2_memory_kib: 19_456,
        argon2_passes: 2,
        password_threads: 1,
        password_queue: 64,
    };
    let now = Timestamp::now();
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let keys = Arc::new(Keys::load_or_create(&config, now, metrics.clone()).expect("keys"));
    let assertions = Assertions::new(&config, keys.clone(), metrics).expect("assertions");
    let platform: PlatformId = "hangzhou".parse().expect("a platform");
    let methods = ["pwd".to_owned()];
    let header = |session: u64, now| {
        let mut session_key = [0; 32];
        session_key[..8].copy_from_slice(&session.to_le_bytes());
        let request = AssertionRequest {
            session_key: &session_key,
            platform: &platform,
            subject: "0193c1d4-0000-7000-8000-000000000000",
            kind: SubjectKind::Natural,
            assurance: Assurance::L2,
            methods: &methods,
            authenticated_at: now,
            name: None,
        };
        assertions.header_for(black_box(&request), now, |_| ()).expect("an assertion")
    };

    for session in 0..SESSIONS {
        header(session, now);
    }
    let mut session = 0;
    criterion.bench_function("assertion/reuse", |bencher| {
        bencher.iter(|| {
            session = (session + 7919) % SESSIONS; // a prime step: neighbours in time are no neighbours in memory
            header(session, now)
        });
    });
    criterion.bench_function("assertion/mint", |bencher| {
        bencher.iter(|| {
            session += 1;
            header(session + SESSIONS, now)
        });
    });
    let key_set = KeySet::from_jwks(&keys.jwks(now)).expect("a key set");
    let profile = AssertionProfile { issuer: config.issuer, audience: platform.to_string() };
    let token = header(0, now);
    criterion.bench_function("assertion/verify", |bencher| {
        bencher.iter(|| verify(&profile, token.to_str().unwrap_or_default(), &key_set, now).expect("it verifies"));
    });
}

criterion_group!(benches, assertions);
criterion_main!(benches);
