//! How people with built-in accounts sign in, as written: `[sign_in]`.

use std::path::PathBuf;

use super::used::{MessengerConfig, SignInConfig};
use crate::written::Fields;

const FILE: &str = "a file";

/// Reads it; `at` makes a path count from the settings' folder.
pub(super) fn sign_in(fields: Fields<'_>, at: impl Fn(PathBuf) -> PathBuf) -> SignInConfig {
    let file = |key| fields.parsed::<PathBuf>(key, FILE).map(&at);
    let messenger = MessengerConfig {
        url: fields.parsed::<String>("code_hook", "an address such as https://sms.example.gov/codes"),
        secret_file: file("code_hook_secret_file"),
        ca_file: file("code_hook_ca_file"),
        file: file("code_file"),
    };
    if messenger.url.is_some() != messenger.secret_file.is_some() {
        let hint =
            "the hook is told by its signature that it is us; make one with `openssl rand -base64 32`".to_owned();
        fields.mistake(&fields.spot("code_hook"), "code_hook and code_hook_secret_file together", Some(hint));
    }
    let local =
        |url: &str| ["http://127.0.0.1", "http://localhost", "http://[::1]"].iter().any(|host| url.starts_with(host));
    if messenger.url.as_deref().is_some_and(|url| !url.starts_with("https://") && !local(url)) {
        fields.mistake(&fields.spot("code_hook"), "https, but on this machine", None);
    }
    if messenger.url.is_some() && messenger.file.is_some() {
        fields.mistake(&fields.spot("code_file"), "code_hook or code_file, not both", None);
    }
    let config = SignInConfig {
        breached_passwords: file("breached_passwords_file"),
        account_tries: fields.number("account_tries", 20, 3..=100),
        network_tries_per_minute: fields.number("network_tries_per_minute", 300, 10..=1_000_000),
        all_tries_per_second: fields.number("all_tries_per_second", 50, 1..=100_000),
        messenger,
    };
    fields.finish();
    config
}
