//! What every request pays before anybody is asked: path and host made canonical, header names looked at.
//! Run: cargo bench --bench admission

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use yimen::gateway::{canonical_host, canonical_path, header_fate};

/// What a browser sends.
const FIELDS: [&str; 14] = [
    "host",
    "user-agent",
    "accept",
    "accept-language",
    "accept-encoding",
    "cookie",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-ch-ua",
    "sec-ch-ua-mobile",
    "upgrade-insecure-requests",
    "referer",
    "connection",
];

fn admission(bench: &mut Criterion) {
    bench.bench_function("path/canonical already", |b| {
        b.iter(|| canonical_path(black_box("/s/330106/002099001000/apply/step2")).is_ok());
    });
    bench.bench_function("path/with escapes", |b| {
        b.iter(|| canonical_path(black_box("/s/330106/002099001000/%e5%85%ac%e8%af%81/%41")).is_ok());
    });
    bench.bench_function("path/refused", |b| {
        b.iter(|| canonical_path(black_box("/s/330106/..%2f..%2fadmin")).is_err());
    });
    bench.bench_function("host/canonical already", |b| {
        b.iter(|| canonical_host(black_box("zwfw.example.gov:8443")).is_some());
    });
    bench.bench_function("header policy/14 fields of a browser", |b| {
        b.iter(|| FIELDS.iter().map(|name| header_fate(black_box(name))).collect::<Vec<_>>().len());
    });
}

criterion_group!(benches, admission);
criterion_main!(benches);
