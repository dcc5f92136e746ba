//! How often somebody may try: by account, by network, and in all, counted before the check, so that twenty guesses at once count
//! as twenty; in the store, so that all nodes count together and a flow begun anew counts on.
//! Shape: a try ── one meter for each tier ──▶ let through, or seconds to wait. Each tier lets a number through at once and then one
//! in its interval, so the wait grows as somebody goes on: none, seconds, minutes, a quarter of an hour; never for ever.
//! Nobody can lock another out: who comes with a device that has signed in to the account before is counted for that device alone,
//! and meets neither the account's, the network's nor the common meter.
//! Source: NIST SP 800-63B-4 section 3.2.2 (100 wrong tries in a row at most), OWASP Authentication Cheat Sheet.

use std::sync::Arc;
use std::time::Duration;

use crate::config::SignInConfig;
use crate::domain::Timestamp;
use crate::metrics::Metrics;
use crate::store::{ShortLived, StoreError};

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// A password.
    Password,
    /// A code, whichever kind.
    Second,
    /// Having a code sent.
    Message,
    /// A passkey: nothing can be guessed, so only the network's and the common meter count it.
    Passkey,
}

/// Who tries what.
#[derive(Clone, Copy)]
pub struct Try<'a> {
    /// What is tried.
    pub trial: Trial,
    /// Whose account, as it was typed or found: counted alike whether it exists or not.
    pub whose: &'a str,
    /// The device, if it is known to have signed in to this account before.
    pub device: Option<&'a str>,
    /// From which network.
    pub network: &'a str,
}

/// Why a try was not let through.
#[derive(Debug, thiserror::Error)]
pub enum TryError {
    /// Too many tries; nothing was checked.
    #[error("too many tries; wait {retry_s} seconds")]
    TooMany {
        /// Until one more is let through.
        retry_s: u64,
    },
    /// Nobody knows how many there were.
    #[error("tries cannot be counted now: {0}")]
    Store(#[from] StoreError),
}

/// The meters.
#[derive(Clone, Debug)]
pub struct Tries {
    store: ShortLived,
    config: SignInConfig,
    metrics: Arc<Metrics>,
}

/// So many at once, then one in each interval.
struct Tier {
    burst: u64,
    every: Duration,
}

const fn tier(burst: u64, every_s: u64) -> Tier {
    Tier { burst, every: Duration::from_secs(every_s) }
}

/// Of codes: a code has a million values and three are right at a time, so a day of guessing finds one with 1 in 2 000.
const SECOND: [Tier; 3] = [tier(5, 20), tier(20, 180), tier(100, 900)];
/// Of messages: each costs somebody money and attention.
const MESSAGES: [Tier; 2] = [tier(3, 60), tier(10, 3600)];

impl Tries {
    /// Meters in this store.
    pub fn new(store: ShortLived, config: SignInConfig, metrics: Arc<Metrics>) -> Self {
        Self { store, config, metrics }
    }

    /// Counts a try, and lets it through or not. `Err` before anything is checked: it tells nothing of the account.
    pub async fn count(&self, tried: &Try<'_>, now: Timestamp) -> Result<(), TryError> {
        let passwords;
        let (word, tiers): (&str, &[Tier]) = match tried.trial {
            Trial::Password => {
                let burst = self.config.account_tries;
                passwords = [tier(burst, 15), tier(burst * 3, 180), tier(burst * 10, 900)];
                ("password", &passwords)
            }
            Trial::Second => ("second", &SECOND),
            Trial::Message => ("message", &MESSAGES),
            Trial::Passkey => ("passkey", &[]),
        };
        if let Some(device) = tried.device {
            return self.through(&[word, "device", device, tried.whose], "device", tiers, now).await;
        }
        let (network, all) = (self.config.network_tries_per_minute, self.config.all_tries_per_second);
        let network =
            Tier { burst: network, every: Duration::from_secs(60) / u32::try_from(network).unwrap_or(u32::MAX).max(1) };
        self.through(&["network", tried.network], "network", &[network], now).await?;
        self.through(&[word, "account", tried.whose], "account", tiers, now).await?;
        let all =
            Tier { burst: all * 60, every: Duration::from_secs(1) / u32::try_from(all).unwrap_or(u32::MAX).max(1) };
        self.through(&["all"], "all", &[all], now).await
    }

    async fn through(&self, name: &[&str], by: &str, tiers: &[Tier], now: Timestamp) -> Result<(), TryError> {
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        for (number, tier) in tiers.iter().enumerate() {
            let name = format!("tries\0{}\0{number}", name.join("\0"));
            let (interval, tolerance) = (micros(tier.every), micros(tier.every).saturating_mul(tier.burst));
            if let Err(ahead) = self.store.meter(name.as_bytes(), interval, tolerance, now).await? {
                self.metrics.tries_refused.with_label_values(&[by]).inc();
                let wait = (ahead + interval).saturating_sub(tolerance);
                return Err(TryError::TooMany { retry_s: wait.div_ceil(1_000_000).max(1) });
            }
        }
        Ok(())
    }
}
