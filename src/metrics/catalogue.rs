//! Every metric: name, help, labels, unit.

use prometheus::core::Collector;
use prometheus::{
    Encoder, Error, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

/// Buckets of request durations in seconds: 1 ms to 60 s, the range between a static answer and a platform's deadline.
const DURATION_BUCKETS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0];
/// Buckets of phase durations in seconds: 10 µs to 10 s; the phases are parts of a request.
const PHASE_BUCKETS: [f64; 12] = [1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 5e-3, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0];

/// The handles of all metrics, registered in a registry of their own.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// `yimen_http_requests_total{platform,method,code}`; `code` is a class such as `2xx`.
    pub requests: IntCounterVec,
    /// `yimen_http_request_duration_seconds{platform}`.
    pub request_duration: HistogramVec,
    /// `yimen_http_request_phase_seconds{phase}`: `session`, `policy`, `connect`, `first_byte`.
    pub phase_duration: HistogramVec,
    /// `yimen_http_inflight_requests`.
    pub inflight: IntGauge,
    /// `yimen_platform_inflight_requests{platform}`: the bulkhead's count; platforms without a series of their own are not in it.
    pub platform_inflight: IntGaugeVec,
    /// `yimen_platform_waiting_requests{platform}`: signed-in people's, while the platform is at its cap.
    pub platform_waiting: IntGaugeVec,
    /// `yimen_queue_wait_seconds`: of those that waited, whether they got a place or not.
    pub queue_wait: Histogram,
    /// `yimen_shed_total{priority}`: `asset`, `anonymous`, `signed_in`, `submitting`: refused because a platform, or the gateway, was at its cap.
    pub shed: IntCounterVec,
    /// `yimen_waiting_room_people{platform}`.
    pub waiting_room_people: IntGaugeVec,
    /// `yimen_waiting_room_total{platform,outcome}`: `entered`, `admitted`, `left`, `full`.
    pub waiting_room: IntCounterVec,
    /// `yimen_rate_limited_total{policy}`: refused by a policy of `[[rate]]`.
    pub rate_limited: IntCounterVec,
    /// `yimen_http_refusals_total{code}`: our own no, by reason code.
    pub refusals: IntCounterVec,
    /// `yimen_http_malformed_total`: connections that ended within a header.
    pub malformed: IntCounter,
    /// `yimen_connections`: open ones of visitors.
    pub connections: IntGauge,
    /// `yimen_connections_refused_total{reason}`: `all`, `address`: no seat.
    pub connections_refused: IntCounterVec,
    /// `yimen_connections_cut_total{reason}`: `handshake`, `head`, `body`, `answer`: too slow.
    pub connections_cut: IntCounterVec,
    /// `yimen_upstream_requests_total{platform,result}`: `ok`, `connect`, `tls`, `timeout`, `reset`,
    /// `protocol`.
    pub upstream_requests: IntCounterVec,
    /// `yimen_upstream_retries_total{platform,reason}`: `connect`, `reset`, `stale`, `no_budget`: wanted, not made.
    pub upstream_retries: IntCounterVec,
    /// `yimen_upstream_healthy{platform,address}`: 1 or 0.
    pub upstream_healthy: IntGaugeVec,
    /// `yimen_health_checks_total{platform,result}`: `ok`, `failed`.
    pub health_checks: IntCounterVec,
    /// `yimen_session_lookups_total{result}`: `hit_local`, `hit_store`, `grace`, `absent`, `unknown`.
    pub session_lookups: IntCounterVec,
    /// `yimen_sessions_begun_total`.
    pub sessions_begun: IntCounter,
    /// `yimen_sessions_ended_total{reason}`: `signed_out`, `replaced`, `provider`, and the words of why an owner or operator ended it.
    pub sessions_ended: IntCounterVec,
    /// `yimen_subject_switches_total{result}`: `ok`, `refused`.
    pub subject_switches: IntCounterVec,
    /// `yimen_session_store_duration_seconds{op}`.
    pub store_duration: HistogramVec,
    /// `yimen_session_store_errors_total{op,kind}`: kind is `timeout`, `refused`, `answer`, `breaker`.
    pub store_errors: IntCounterVec,
    /// `yimen_session_store_up`.
    pub store_up: IntGauge,
    /// `yimen_session_store_last_success_timestamp_seconds`.
    pub store_last_success: Gauge,
    /// `yimen_management_callers_total{result}`: `token`, `certificate`, `none`, `refused`, `unknown`: who knocked.
    pub management_callers: IntCounterVec,
    /// `yimen_management_requests_total{code}`; `code` is a class such as `2xx`.
    pub management_requests: IntCounterVec,
    /// `yimen_session_notice_gaps_total`: times the cache was dropped because notices may have been missed.
    pub notice_gaps: IntCounter,
    /// `yimen_sign_in_tries_refused_total{by}`: `account`, `device`, `network`, `all`: too many; nothing was checked.
    pub tries_refused: IntCounterVec,
    /// `yimen_factors_changed_total{kind,change}`: `totp`, `passkey`, `sms`, `mail`, `codes`; `set`, `removed`, `recovered`.
    pub factors_changed: IntCounterVec,
    /// `yimen_password_checks_total`: runs of Argon2id for sign-ins; one for each, whether there is such an account or not.
    pub password_checks: IntCounter,
    /// `yimen_provider_sign_ins_total{realm,result}`: `begun`, `ok`, `linked`, and why not: `away`, `untrusted`, `refused`, `too_low`,
    /// `no_transaction`, `no_realm`, `disabled`, `linked_elsewhere`, `local`, `store_away`.
    pub provider_sign_ins: IntCounterVec,
    /// `yimen_provider_logouts_total{realm,result}`: logout tokens of providers: `ok`, `untrusted`, `away`, `store_away`, `no_realm`, `local`.
    pub provider_logouts: IntCounterVec,
    /// `yimen_sign_ins_total{result}`: `ok`, `stepped_up`, `refused`, `wrong_code`, `expired_form`, `too_many`, `not_sent`, `busy`, `store_away`, `provider` (see there).
    pub sign_ins: IntCounterVec,
    /// `yimen_sign_outs_total`.
    pub sign_outs: IntCounter,
    /// `yimen_issuer_authorizations_total{result}`: `code`, `error`, `sign_in`, `consent`, `refused`.
    pub issuer_authorizations: IntCounterVec,
    /// `yimen_issuer_tokens_total{grant,result}`: grant is `code`, `refresh`, `other`, `none`; result is `ok` or the standard's word.
    pub issuer_tokens: IntCounterVec,
    /// `yimen_backchannel_logouts_total{result}`: `ok`, `refused`, `failed`, `blocked`.
    pub backchannel_logouts: IntCounterVec,
    /// `yimen_assertions_signed_total`.
    pub assertions_signed: IntCounter,
    /// `yimen_assertions_reused_total`.
    pub assertions_reused: IntCounter,
    /// `yimen_signing_keys{state}`: `next`, `signing`, `retired`.
    pub signing_keys: IntGaugeVec,
    /// `yimen_route_table_revision`.
    pub table_revision: IntGauge,
    /// `yimen_route_table_routes{kind}`: `item`, `path`.
    pub table_routes: IntGaugeVec,
    /// `yimen_route_table_build_duration_seconds`: of the last build.
    pub table_build: Gauge,
    /// `yimen_platforms{level,state}`.
    pub platforms: IntGaugeVec,
    /// `yimen_filings_rejected`: files of the last look at them that had a mistake.
    pub filings_rejected: IntGauge,
    /// `yimen_filings_quarantined`: filings whose newest version this node could not take; the last good one goes on.
    pub filings_quarantined: IntGauge,
    /// `yimen_register_up`: whether the register answered when it was last asked.
    pub register_up: IntGauge,
    /// `yimen_register_revision`: of the register, as this node serves it.
    pub register_revision: IntGauge,
    /// `yimen_register_refused`: 1 while a much smaller set waits for confirmation.
    pub register_refused: IntGauge,
    /// `yimen_region_fallbacks_total{from_level,to_level}`.
    pub region_fallbacks: IntCounterVec,
    /// `yimen_tls_certificate_expiry_timestamp_seconds`.
    pub certificate_expiry: Gauge,
    /// `yimen_tls_ocsp_staples{state}`: `shown`, `ignored`; of the public listener's certificates.
    pub ocsp_staples: IntGaugeVec,
    /// `yimen_client_certificates_total`.
    pub client_certificates: IntCounter,
    /// `yimen_certificate_reloads_total{result}`: `ok`, `refused`: some certificate had a mistake and stays as it was.
    pub certificate_reloads: IntCounterVec,
    /// `yimen_route_table_reloads_total{result}`: `ok`, `mistakes`: filings were left out, `refused`: the table stays.
    pub table_reloads: IntCounterVec,
    /// `yimen_access_log_lines_dropped_total`.
    pub log_lines_dropped: IntCounter,
    /// `yimen_panics_total`.
    pub panics: IntCounter,
    /// `yimen_build_info{version}`.
    pub build_info: GaugeVec,
}

impl Metrics {
    /// All metrics at zero. `Err` only for a name twice in this file, which the test of this file finds.
    pub fn new() -> Result<Self, Error> {
        let r = Registry::new();
        let metrics = Self {
            requests: counters(&r, "yimen_http_requests_total", "Requests answered.", &["platform", "method", "code"])?,
            request_duration: histograms(
                &r,
                "yimen_http_request_duration_seconds",
                "Time from request to last byte of the answer.",
                &["platform"],
                &DURATION_BUCKETS,
            )?,
            phase_duration: histograms(
                &r,
                "yimen_http_request_phase_seconds",
                "Time spent in one phase of a request.",
                &["phase"],
                &PHASE_BUCKETS,
            )?,
            inflight: gauge(&r, "yimen_http_inflight_requests", "Requests being worked on.")?,
            platform_inflight: gauges(
                &r,
                "yimen_platform_inflight_requests",
                "Requests a platform has under way.",
                &["platform"],
            )?,
            platform_waiting: gauges(
                &r,
                "yimen_platform_waiting_requests",
                "Requests that wait for a place at a platform.",
                &["platform"],
            )?,
            queue_wait: histogram(
                &r,
                "yimen_queue_wait_seconds",
                "Time that requests waited for a place at a platform.",
                &DURATION_BUCKETS,
            )?,
            shed: counters(
                &r,
                "yimen_shed_total",
                "Requests refused because a platform, or the gateway, had as many as it takes, by priority.",
                &["priority"],
            )?,
            waiting_room_people: gauges(
                &r,
                "yimen_waiting_room_people",
                "People who wait before a page of a platform that is full.",
                &["platform"],
            )?,
            waiting_room: counters(
                &r,
                "yimen_waiting_room_total",
                "People who came to a waiting room, by what became of them.",
                &["platform", "outcome"],
            )?,
            rate_limited: counters(&r, "yimen_rate_limited_total", "Requests refused by a rate policy.", &["policy"])?,
            refusals: counters(
                &r,
                "yimen_http_refusals_total",
                "Requests the gateway itself refused or failed, by reason code.",
                &["code"],
            )?,
            malformed: counter(
                &r,
                "yimen_http_malformed_total",
                "Requests that could not be read as HTTP, or not to their end.",
            )?,
            connections: gauge(&r, "yimen_connections", "Open connections of visitors.")?,
            connections_refused: counters(
                &r,
                "yimen_connections_refused_total",
                "Connections closed at once because there were too many.",
                &["reason"],
            )?,
            connections_cut: counters(
                &r,
                "yimen_connections_cut_total",
                "Connections cut because the visitor was too slow, by what was slow.",
                &["reason"],
            )?,
            upstream_requests: counters(
                &r,
                "yimen_upstream_requests_total",
                "Requests sent to platforms, by outcome.",
                &["platform", "result"],
            )?,
            upstream_retries: counters(
                &r,
                "yimen_upstream_retries_total",
                "Requests tried again, by what went wrong before; no_budget: that would have been.",
                &["platform", "reason"],
            )?,
            upstream_healthy: gauges(
                &r,
                "yimen_upstream_healthy",
                "Whether an instance of a platform answers.",
                &["platform", "address"],
            )?,
            health_checks: counters(
                &r,
                "yimen_health_checks_total",
                "Health checks of instances, by result.",
                &["platform", "result"],
            )?,
            session_lookups: counters(&r, "yimen_session_lookups_total", "Session look-ups, by result.", &["result"])?,
            sessions_begun: counter(&r, "yimen_sessions_begun_total", "Sessions begun.")?,
            sessions_ended: counters(
                &r,
                "yimen_sessions_ended_total",
                "Sessions ended before their time, by reason.",
                &["reason"],
            )?,
            subject_switches: counters(
                &r,
                "yimen_subject_switches_total",
                "Switches to a legal person and back, by result.",
                &["result"],
            )?,
            store_duration: histograms(
                &r,
                "yimen_session_store_duration_seconds",
                "Duration of session store calls.",
                &["op"],
                &PHASE_BUCKETS,
            )?,
            store_errors: counters(
                &r,
                "yimen_session_store_errors_total",
                "Session store calls that failed.",
                &["op", "kind"],
            )?,
            store_up: gauge(&r, "yimen_session_store_up", "Whether the session store answered last time.")?,
            store_last_success: float(
                &r,
                "yimen_session_store_last_success_timestamp_seconds",
                "When the session store last answered.",
            )?,
            notice_gaps: counter(
                &r,
                "yimen_session_notice_gaps_total",
                "Times the session cache was dropped because notices may have been missed.",
            )?,
            management_callers: counters(
                &r,
                "yimen_management_callers_total",
                "Calls of the management API, by what the caller showed.",
                &["result"],
            )?,
            management_requests: counters(
                &r,
                "yimen_management_requests_total",
                "Calls of the management API, by class of answer.",
                &["code"],
            )?,
            tries_refused: counters(
                &r,
                "yimen_sign_in_tries_refused_total",
                "Tries at passwords and codes that were not checked because there were too many, by what was counted.",
                &["by"],
            )?,
            factors_changed: counters(
                &r,
                "yimen_factors_changed_total",
                "Second factors and recovery codes that were set or removed, by kind and change.",
                &["kind", "change"],
            )?,
            password_checks: counter(&r, "yimen_password_checks_total", "Password checks.")?,
            provider_sign_ins: counters(
                &r,
                "yimen_provider_sign_ins_total",
                "Sign-ins by a provider, by realm and result.",
                &["realm", "result"],
            )?,
            provider_logouts: counters(
                &r,
                "yimen_provider_logouts_total",
                "Logout tokens of providers, by realm and result.",
                &["realm", "result"],
            )?,
            sign_ins: counters(&r, "yimen_sign_ins_total", "Sign-in attempts, by result.", &["result"])?,
            sign_outs: counter(&r, "yimen_sign_outs_total", "Sign-outs.")?,
            issuer_authorizations: counters(
                &r,
                "yimen_issuer_authorizations_total",
                "Authorization requests to the OpenID Provider, by what became of them.",
                &["result"],
            )?,
            issuer_tokens: counters(
                &r,
                "yimen_issuer_tokens_total",
                "Calls of clients for tokens, by result.",
                &["grant", "result"],
            )?,
            backchannel_logouts: counters(
                &r,
                "yimen_backchannel_logouts_total",
                "Clients to be told that a session was ended, by result.",
                &["result"],
            )?,
            assertions_signed: counter(&r, "yimen_assertions_signed_total", "Assertions signed.")?,
            assertions_reused: counter(&r, "yimen_assertions_reused_total", "Assertions used again.")?,
            signing_keys: gauges(&r, "yimen_signing_keys", "Assertion keys, by state.", &["state"])?,
            table_revision: gauge(&r, "yimen_route_table_revision", "Revision of the route table in force.")?,
            table_routes: gauges(&r, "yimen_route_table_routes", "Routes in force, by kind.", &["kind"])?,
            table_build: float(
                &r,
                "yimen_route_table_build_duration_seconds",
                "Time the last build of the route table took.",
            )?,
            platforms: gauges(&r, "yimen_platforms", "Platforms in the route table.", &["level", "state"])?,
            filings_quarantined: gauge(
                &r,
                "yimen_filings_quarantined",
                "Filings whose newest version this node could not take.",
            )?,
            register_up: gauge(&r, "yimen_register_up", "Whether the register answered when it was last asked.")?,
            register_revision: gauge(&r, "yimen_register_revision", "Revision of the register that this node serves.")?,
            register_refused: gauge(
                &r,
                "yimen_register_refused",
                "Whether a much smaller set of filings waits for confirmation.",
            )?,
            filings_rejected: gauge(
                &r,
                "yimen_filings_rejected",
                "Files left out of the last look at them because of a mistake.",
            )?,
            region_fallbacks: counters(
                &r,
                "yimen_region_fallbacks_total",
                "Requests answered by a higher level than asked for.",
                &["from_level", "to_level"],
            )?,
            certificate_expiry: float(
                &r,
                "yimen_tls_certificate_expiry_timestamp_seconds",
                "End of validity of the served certificate; of several, the first to end.",
            )?,
            ocsp_staples: gauges(
                &r,
                "yimen_tls_ocsp_staples",
                "OCSP responses beside the served certificates: shown with them, or ignored because of a mistake.",
                &["state"],
            )?,
            client_certificates: counter(
                &r,
                "yimen_client_certificates_total",
                "TLS handshakes in which a visitor showed a certificate of an authority that we asked for.",
            )?,
            certificate_reloads: counters(
                &r,
                "yimen_certificate_reloads_total",
                "Times the certificates were loaded anew, by result.",
                &["result"],
            )?,
            table_reloads: counters(
                &r,
                "yimen_route_table_reloads_total",
                "Times the filings were loaded anew, by result.",
                &["result"],
            )?,
            log_lines_dropped: counter(
                &r,
                "yimen_access_log_lines_dropped_total",
                "Access log lines dropped because the disk was too slow.",
            )?,
            panics: counter(&r, "yimen_panics_total", "Panics caught while a request was worked on.")?,
            build_info: floats(&r, "yimen_build_info", "Version of the running binary, always 1.", &["version"])?,
            registry: r,
        };
        metrics.build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
        Ok(metrics)
    }

    /// The page in Prometheus text format 0.0.4, and its media type.
    pub fn page(&self) -> Result<(String, Vec<u8>), Error> {
        let encoder = TextEncoder::new();
        let mut page = Vec::new();
        encoder.encode(&self.registry.gather(), &mut page)?;
        Ok((encoder.format_type().to_owned(), page))
    }
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, made: Result<C, Error>) -> Result<C, Error> {
    let collector = made?;
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

fn counter(r: &Registry, name: &str, help: &str) -> Result<IntCounter, Error> {
    registered(r, IntCounter::new(name, help))
}

fn counters(r: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, Error> {
    registered(r, IntCounterVec::new(Opts::new(name, help), labels))
}

fn gauge(r: &Registry, name: &str, help: &str) -> Result<IntGauge, Error> {
    registered(r, IntGauge::new(name, help))
}

fn gauges(r: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, Error> {
    registered(r, IntGaugeVec::new(Opts::new(name, help), labels))
}

fn float(r: &Registry, name: &str, help: &str) -> Result<Gauge, Error> {
    registered(r, Gauge::new(name, help))
}

fn floats(r: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, Error> {
    registered(r, GaugeVec::new(Opts::new(name, help), labels))
}

fn histogram(r: &Registry, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, Error> {
    registered(r, Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec())))
}

fn histograms(r: &Registry, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> Result<HistogramVec, Error> {
    registered(r, HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_registered_once() {
        let metrics = Metrics::new().unwrap();
        metrics.malformed.inc();
        let (media_type, page) = metrics.page().unwrap();
        assert!(media_type.starts_with("text/plain"));
        assert!(String::from_utf8(page).unwrap().contains("yimen_http_malformed_total 1"));
    }
}
