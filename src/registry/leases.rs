//! Leases: instances that say by themselves that they are alive. One that once said so and says so no more is lost: it gets no
//! requests until it says so again, and nothing of the filing changes. Each node asks for lost leases when it looks at the
//! register; while the register is away nobody knows who is alive, so what was last known goes on.

use std::sync::Arc;
use std::time::Duration;

use super::register::RegisterError;
use crate::domain::{PlatformId, Timestamp};
use crate::store::{Durable, LeaseRow};

/// What instances have said.
#[derive(Clone, Debug)]
pub struct Leases {
    durable: Arc<Durable>,
}

/// What one instance last said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Whose.
    pub platform: PlatformId,
    /// `host:port`, as filed.
    pub address: String,
    /// When.
    pub renewed_at: Timestamp,
    /// Until when it holds.
    pub expires_at: Timestamp,
}

impl Lease {
    /// Life when nothing is said (30 s): three heartbeats of ten seconds, of which two may be lost.
    pub const LIFE: Duration = Duration::from_secs(30);

    /// Whether it holds no more.
    pub fn is_lost(&self, now: Timestamp) -> bool {
        self.expires_at <= now
    }
}

impl Leases {
    /// The leases of a durable store.
    pub fn new(durable: Arc<Durable>) -> Self {
        Self { durable }
    }

    /// The instance is alive, and will be for `life`.
    pub async fn renew(
        &self,
        platform: &PlatformId,
        address: &str,
        life: Duration,
        now: Timestamp,
    ) -> Result<Lease, RegisterError> {
        let (platform, address) = (platform.clone(), address.to_owned());
        let lease = Lease { platform, address, renewed_at: now, expires_at: now.plus(life) };
        let Lease { platform, address, renewed_at, expires_at } = lease.clone();
        self.durable.renew_lease(&LeaseRow { platform, address, renewed_at, expires_at }).await?;
        Ok(lease)
    }

    /// The instance says no more of itself. `false`: it had no lease.
    pub async fn end(&self, platform: &PlatformId, address: &str) -> Result<bool, RegisterError> {
        Ok(self.durable.end_lease(platform, address).await?)
    }

    /// All, lost ones too, by platform and address.
    pub async fn all(&self) -> Result<Vec<Lease>, RegisterError> {
        let rows = self.durable.leases().await?;
        let lease = |LeaseRow { platform, address, renewed_at, expires_at }| Lease {
            platform,
            address,
            renewed_at,
            expires_at,
        };
        Ok(rows.into_iter().map(lease).collect())
    }
}
