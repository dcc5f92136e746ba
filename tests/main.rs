//! Behaviour of the real program: one test binary, a file for each behaviour, the kit in `support`.
#![allow(unreachable_pub, reason = "one binary: `pub` here means to the other files of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "in a test and its kit a panic is the answer"
)]

mod support;

mod accounts_last;
mod authority;
mod authority_calls;
mod authority_random;
mod black_hole;
mod browser;
mod bulkhead;
mod canary;
mod certificates;
mod demo;
mod factors;
mod factors_browser;
mod framing;
mod framing_http2;
mod front_door;
mod fuzz;
mod garbled;
mod guide;
mod health;
mod hostile_page;
mod http2_floods;
mod identity_platform;
mod issuer;
mod issuer_clients;
mod issuer_logout;
mod issuer_pages;
mod issuer_subjects;
mod layers;
mod malformed;
mod management;
mod mounted;
mod overload;
mod people;
mod platform_origins;
mod platform_tls;
mod provider_realms;
mod proxy_protocol;
mod queue;
mod random_calls;
mod rate_limits;
mod readme;
mod redirect;
mod register;
mod reload;
mod retries;
mod sample_platform;
mod scan;
mod session_cache;
mod session_ended;
mod session_rules;
mod session_store_away;
mod short_way;
mod sign_in;
mod slow_visitors;
mod store_contract;
mod store_outage;
mod streams;
mod subjects;
mod two_nodes;
mod upgrade;
mod usage;
mod waiting_room;
