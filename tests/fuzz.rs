//! Decoders of what strangers send, fed with what nobody would think of. Each target runs for a moment with the tests and replays
//! its corpus (`tests/__fuzz__`); `tests/README.md` says how to let one run for hours under a coverage-guided engine.
//! The inputs are bytes that choose pieces, so that an engine gets past the first character.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use yimen::domain::Timestamp;
use yimen::gateway::{Fate, canonical_host, canonical_path, header_fate};
use yimen::identity::{AssertionProfile, KeySet, verify};
use yimen::registry::{AddressPolicy, Filing, Form, Known, Loaded, load};
use yimen::session::{CookieRead, SessionId, cookie};
use yimen::written::{Document, Mistakes};

/// The pieces that the bytes choose, in a row.
fn chosen(bytes: &[u8], pieces: &[&str]) -> String {
    bytes.iter().map(|byte| pieces[usize::from(*byte) % pieces.len()]).collect()
}

#[test]
fn a_path_that_passes_has_one_form_and_no_second_meaning() {
    const PIECES: [&str; 25] = [
        "/",
        "a",
        "B",
        ".",
        "..",
        "%2e",
        "%2E",
        "%2f",
        "%5c",
        "\\",
        ";",
        "%3b",
        "%00",
        "%",
        "%zz",
        "%25",
        "%e6%9d%ad",
        "%c0%af",
        "杭",
        "~",
        "%7e",
        ":",
        "@",
        " ",
        "\u{7f}",
    ];
    bolero::check!(name = "path").with_max_len(12).for_each(|bytes: &[u8]| {
        let path = format!("/{}", chosen(bytes, &PIECES));
        let Ok(canonical) = canonical_path(&path) else { return };
        assert_eq!(canonical_path(&canonical).as_deref(), Ok(&*canonical), "a second look changes it");
        let decoded = percent_encoding::percent_decode_str(&canonical).decode_utf8().expect("text");
        let odd = decoded.split('/').skip(1).any(|segment| matches!(segment, "." | "..")) || decoded.contains("//");
        assert!(!odd && !decoded.contains(['\\', '\0', ';', '\u{7f}']), "{path:?} passed as {canonical:?}");
        assert!(canonical.bytes().all(|byte| byte.is_ascii_graphic()), "{canonical:?}");
    });
}

#[test]
fn a_host_that_passes_has_one_form() {
    const PIECES: [&str; 20] = [
        "a",
        "B",
        "9",
        "-",
        ".",
        ":",
        "8443",
        "[",
        "]",
        "::1",
        "2001:db8::7",
        "@",
        "/",
        "_",
        "%",
        " ",
        ",",
        "0",
        "65536",
        "\t",
    ];
    bolero::check!(name = "host").with_max_len(12).for_each(|bytes: &[u8]| {
        let value = chosen(bytes, &PIECES);
        let Some((name, port)) = canonical_host(&value) else { return };
        let whole = format!("{name}{port}");
        assert_eq!(canonical_host(&whole), Some((name.clone(), port)), "a second look changes it");
        assert!(value.eq_ignore_ascii_case(&whole), "{value:?} became {whole:?}");
        assert!(http::uri::Authority::try_from(whole.as_str()).is_ok(), "{whole:?} is no authority");
    });
}

#[test]
fn no_spelling_of_a_reserved_name_is_kept() {
    const PIECES: [&str; 20] = [
        "yimen",
        "-",
        "_",
        "x",
        "forwarded",
        "for",
        "real",
        "ip",
        "request",
        "id",
        "client",
        "cert",
        "original",
        "url",
        "http",
        "method",
        "override",
        "proxy",
        "ssl",
        "a",
    ];
    bolero::check!(name = "field-name").with_max_len(8).for_each(|bytes: &[u8]| {
        let name = chosen(bytes, &PIECES);
        assert_eq!(header_fate(&name), header_fate(&name.replace('_', "-")), "{name}");
        let plain = name.replace('_', "-");
        let ours = plain.starts_with("yimen-") || plain.starts_with("x-forwarded-") || plain == "forwarded";
        assert!(!ours || header_fate(&name) == Fate::Drop, "{name}");
    });
}

#[test]
fn a_cookie_is_read_or_refused_and_never_reaches_a_platform() {
    let id = SessionId::random().expect("randomness").encoded();
    let (ours, cut) = (format!("__Host-yimen={id}"), format!("__Host-yimen={}", &id[1..]));
    let pieces =
        ["; ", ";", " ", "=", "a=1", "__Host-yimen", &ours, &cut, "__host-YIMEN-x=1", "\"", ",", "\t", "é", &id];
    bolero::check!(name = "cookie").with_max_len(8).for_each(|bytes: &[u8]| {
        let header = chosen(bytes, &pieces);
        if let CookieRead::One(read) = cookie::read([header.as_bytes()]) {
            assert_eq!(read.encoded(), id, "an id that nobody sent");
        }
        let stripped = cookie::strip(header.as_bytes());
        assert!(matches!(cookie::read([&*stripped]), CookieRead::None), "{header:?} leaves {stripped:?}");
        assert_eq!(cookie::strip(&stripped), stripped, "a second look changes it");
    });
}

/// A key set of one key, whose other half nobody has.
fn keys() -> KeySet {
    let algorithm: &EcdsaSigningAlgorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pair = EcdsaKeyPair::generate(algorithm).expect("a key");
    let point = pair.public_key().as_ref();
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let (x, y) = (part(&point[1..33]), part(&point[33..]));
    let set =
        format!(r#"{{"keys":[{{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":"k","x":"{x}","y":"{y}"}}]}}"#);
    KeySet::from_jwks(set.as_bytes()).expect("a key set")
}

#[test]
fn no_token_holds_that_we_have_not_signed() {
    let keys = keys();
    let profile = AssertionProfile { issuer: "https://zwfw.example.gov".to_owned(), audience: "a".to_owned() };
    let claims = r#"{"iss":"https://zwfw.example.gov","aud":"a","sub":"s","iat":1764000000,"exp":4764000000}"#;
    let json = [
        "{",
        "}",
        ",",
        "\"alg\":\"ES256\"",
        "\"alg\":\"none\"",
        "\"alg\":\"HS256\"",
        "\"typ\":\"yimen-assertion+jwt\"",
        "\"kid\":\"k\"",
        "\"jwk\":{}",
        claims,
        "[",
        "null",
    ];
    bolero::check!(name = "token").with_max_len(24).for_each(|bytes: &[u8]| {
        let mut parts = bytes.splitn(3, |byte| *byte == 0);
        let mut part = || URL_SAFE_NO_PAD.encode(chosen(parts.next().unwrap_or_default(), &json));
        let token = format!("{}.{}.{}", part(), part(), part());
        assert!(verify(&profile, &token, &keys, Timestamp::from_millis(1_764_000_001_000)).is_err(), "{token}");
        let _ = KeySet::from_jwks(bytes); // must come back, whatever it says
    });
}

fn known() -> &'static Loaded {
    static KNOWN: OnceLock<Loaded> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let routes = Path::new(env!("CARGO_MANIFEST_DIR")).join("routes");
        fs::create_dir(folder.path().join("platforms")).expect("a folder");
        for name in ["divisions.csv", "streets.csv.gz", "items.csv"] {
            fs::copy(routes.join(name), folder.path().join(name)).expect("a copy");
        }
        load(folder.path(), &["localhost".to_owned()], Timestamp::now()).expect("divisions and items")
    })
}

#[test]
fn a_filing_is_read_or_every_mistake_has_its_place() {
    let loaded = known();
    let hosts = ["localhost".to_owned()];
    let known = Known {
        divisions: &loaded.divisions,
        items: &loaded.items,
        portal_hosts: &hosts,
        tls_directory: Path::new("/nowhere"),
        platform_domain: None,
        addresses: &AddressPolicy::everything(),
    };
    let sample = include_str!("../benches/side-by-side/filing.toml").replace("ORIGIN", "127.0.0.1:9108");
    let lines: Vec<&str> =
        sample.lines().chain(["[[upstream]]", "[[route]]", "items = [\"002099029000\", 7]", "weight = -1"]).collect();
    const VALUES: [&str; 14] = [
        "\"\"",
        "\"x\"",
        "0",
        "-1",
        "1e9",
        "true",
        "[]",
        "{}",
        "[\"L9\"]",
        "2026-13-40",
        "99999999999999999999",
        "\"\\u0000\"",
        "\"杭州\"",
        "\"/../\"",
    ];
    bolero::check!(name = "filing").with_max_len(40).for_each(|bytes: &[u8]| {
        let edited = lines.iter().enumerate().map(|(number, line)| match bytes.get(number) {
            Some(0..24) => String::new(),
            Some(24..48) => format!("{line}\n{line}\n"),
            Some(choice @ 48..120) => {
                let key = line.split('=').next().unwrap_or_default();
                format!("{key}={}\n", VALUES[usize::from(*choice) % VALUES.len()])
            }
            _ => format!("{line}\n"),
        });
        let text: String = edited.collect();
        let Ok(document) = Document::parse("fuzzed.toml", text.clone()) else { return };
        let mistakes = Mistakes::default();
        let read = Filing::read(&document, &mistakes, &known, Form::File);
        assert_eq!(read.is_some(), mistakes.errors() == 0, "{text}");
        let height = text.lines().count().max(1);
        for mistake in mistakes.into_sorted() {
            assert!((1..=height).contains(&mistake.line) && mistake.column >= 1, "{mistake} is outside of {text}");
        }
    });
}
