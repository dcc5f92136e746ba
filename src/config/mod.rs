//! Settings as used. `file.rs` reads them as written and tells every mistake at once; only this room reads files that
//! people name, and nothing reads the environment. Secrets come as paths of files.
//! Fails: a list of mistakes with file, line, column, value, expectation, hint. Knows: `written`, `domain`.

mod addresses;
mod callers;
mod certificate;
mod certificates;
mod clients;
mod file;
mod issuer;
mod network;
mod rate;
mod realm;
mod sign_in;
mod staple;
#[cfg(test)]
mod tests;
mod used;
mod value;

pub use addresses::AddressPolicy;
pub use certificate::{CertificateError, Served, served};
pub use certificates::{Certificates, Stamp};
pub use clients::{clients_signed_by, clients_with_certificates};
pub use file::{ConfigError, load, read};
pub use issuer::IssuerConfig;
pub use network::{BadNetwork, Network};
pub use rate::{RateKey, RatePolicy, WhenAway};
pub use realm::{
    ClientProof, CodeUserinfo, RealmConfig, RealmKind, RealmPlace, TokenAlgorithm, UserinfoToken, address_is_safe,
    realm,
};
pub use staple::Staple;
pub use used::{
    AccessLog, CertificateCaller, Config, IdentityConfig, LimitsConfig, LogConfig, LogFormat, ManagementConfig,
    ManagementTls, MessengerConfig, PostgresConfig, ProvidersConfig, PublicConfig, RedisConfig, RegisterConfig,
    RegisterStoreConfig, RuntimeConfig, SessionConfig, SessionStoreConfig, SignInConfig, StoresConfig, TlsConfig,
    TlsFiles,
};
