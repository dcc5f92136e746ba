//! Devices that somebody has signed in with before: a cookie with 128 random bits and a tag for each of the last accounts, under our
//! key. It lets nobody in. It only keeps the owner of an account out of the penalty that strangers' guesses bring on it.

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::cookies;
use super::form::Forms;

pub(super) const COOKIE_NAME: &str = "__Host-yimen-known";
/// A year: people come to a government service now and then.
const LIFE_S: u32 = 365 * 24 * 3600;
/// Accounts of one browser, a family's.
const ACCOUNTS_MAX: usize = 4;
const DEVICE: usize = 22;

/// The device of a visitor, as its cookie says.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownDevice {
    device: String,
    tags: Vec<String>,
}

impl KnownDevice {
    /// From the cookie's value; one that we never set is no device.
    pub(super) fn of(value: Option<&str>) -> Self {
        let mut parts = value.unwrap_or_default().split('.');
        let device = parts.next().unwrap_or_default().to_owned();
        let shaped = device.len() == DEVICE && URL_SAFE_NO_PAD.decode(&device).is_ok();
        if shaped {
            Self { device, tags: parts.take(ACCOUNTS_MAX).map(str::to_owned).collect() }
        } else {
            Self::default()
        }
    }

    /// The device's name, if somebody has signed in to this account with it.
    pub(super) fn for_account(&self, forms: &Forms, login: &str) -> Option<&str> {
        self.tags.iter().any(|tag| forms.knows(tag, &self.device, login)).then_some(self.device.as_str())
    }

    /// `Set-Cookie` once somebody has signed in to this account with it; `None` when the system has no randomness.
    pub(super) fn with(&self, forms: &Forms, login: &str) -> Option<String> {
        let device = if self.device.is_empty() { random()? } else { self.device.clone() };
        let others = self.tags.iter().filter(|tag| !forms.knows(tag, &device, login)).take(ACCOUNTS_MAX - 1).cloned();
        let parts: Vec<String> = [device.clone(), forms.known_tag(&device, login)].into_iter().chain(others).collect();
        Some(cookies::set(COOKIE_NAME, &parts.join("."), Some(LIFE_S)))
    }
}

fn random() -> Option<String> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_known_for_the_accounts_it_signed_in_to_and_no_others() {
        let forms = Forms::new(&[1; 32]);
        let mut device = KnownDevice::default();
        for login in ["a", "b", "c", "d", "e"] {
            let cookie = device.with(&forms, login).unwrap();
            let value = cookie.split(['=', ';']).nth(1).unwrap().to_owned();
            device = KnownDevice::of(Some(&value));
            assert!(device.for_account(&forms, login).is_some());
        }
        assert!(device.for_account(&forms, "a").is_none(), "the oldest of five is forgotten");
        assert!(device.for_account(&forms, "b").is_some() && device.for_account(&forms, "x").is_none());
        assert!(device.for_account(&Forms::new(&[2; 32]), "b").is_none(), "another installation's");
        let stolen = KnownDevice { device: random().unwrap(), ..device };
        assert!(stolen.for_account(&forms, "b").is_none(), "a tag is for its own device");
        assert!(KnownDevice::of(Some("short.x")).for_account(&forms, "b").is_none());
    }
}
