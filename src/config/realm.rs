//! Provider realms: `[[realm]]` of the settings, and the same document in the register. Secrets come as files; the register,
//! which people far away write, may name files of one folder only, so that no document turns any other file of this machine
//! into something that is sent to a provider.

use std::path::{Component, Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::domain::{Assurance, RealmId, SubjectKind};
use crate::written::Fields;

/// A provider realm, as used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealmConfig {
    /// Its id, which stands in the address of its callback: `/sign-in/{id}/callback`.
    pub id: RealmId,
    /// Name for people, Chinese.
    pub name: String,
    /// Name for people, English.
    pub name_en: String,
    /// Issuer, compared byte by byte. Identities are kept under it, so it names the provider for good.
    pub issuer: String,
    /// The name under which the provider knows this gateway.
    pub client_id: String,
    /// How this gateway proves that it is that client.
    pub client: ClientProof,
    /// Asked for at sign-in, separated by spaces (`openid profile`).
    pub scopes: String,
    /// The provider's words for how sure it is, and what each is worth here; a word that is not here is L1.
    pub levels: Vec<(String, Assurance)>,
    /// Whom identities of this realm speak for (natural).
    pub subject: SubjectKind,
    /// Authorities (PEM) that the provider's certificate is verified with; the system's when absent.
    pub ca_file: Option<PathBuf>,
    /// Deadline of one call to the provider (5 s: somebody waits for the page).
    pub deadline: Duration,
    /// What the provider speaks.
    pub kind: RealmKind,
}

/// How a client proves who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientProof {
    /// `client_secret_basic`: the file of the secret.
    SecretBasic(PathBuf),
    /// `client_secret_post`: the same in the form; for platforms that know nothing else.
    SecretPost(PathBuf),
    /// `private_key_jwt`: the file of a P-256 key, PKCS#8 PEM.
    PrivateKeyJwt(PathBuf),
}

impl ClientProof {
    /// The file of the secret or key.
    pub fn file(&self) -> &Path {
        let (Self::SecretBasic(path) | Self::SecretPost(path) | Self::PrivateKeyJwt(path)) = self;
        path
    }
}

/// What a provider speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RealmKind {
    /// OpenID Connect.
    Oidc {
        /// Algorithms that may sign its tokens (ES256, RS256, PS256); the header of a token only chooses among them.
        algorithms: Vec<TokenAlgorithm>,
        /// Whether requests are pushed (RFC 9126) even where its metadata does not demand it.
        par: bool,
    },
    /// A code for user information, without a signed token.
    CodeUserinfo(Box<CodeUserinfo>),
}

/// A platform that trades a code for user information.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeUserinfo {
    /// Where people are sent.
    pub authorize_url: String,
    /// Where the code is traded for a token.
    pub token_url: String,
    /// Where the token is traded for user information.
    pub userinfo_url: String,
    /// How the token is shown there.
    pub userinfo_token: UserinfoToken,
    /// JSON pointer (RFC 6901) of the token in the answer of `token_url` (`/access_token`).
    pub token_pointer: String,
    /// JSON pointer of the person's stable id in the user information.
    pub subject_pointer: String,
    /// JSON pointer of the name to greet with.
    pub name_pointer: Option<String>,
    /// JSON pointer of the word that `levels` maps.
    pub level_pointer: Option<String>,
    /// Whether it asks for proof at each sign-in (no: how long ago that was is unknown).
    pub reauthenticates: bool,
}

/// How an access token is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserinfoToken {
    /// `Authorization: Bearer`.
    Bearer,
    /// `access_token` in a form. Never in the address, which ends up in logs.
    Form,
}

/// An algorithm that signs tokens with a key nobody else has: `none` and the HMACs are not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenAlgorithm {
    /// ECDSA, P-256.
    Es256,
    /// ECDSA, P-384.
    Es384,
    /// Ed25519.
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
}

impl FromStr for TokenAlgorithm {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        Ok(match text {
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" => Self::EdDsa,
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            _ => return Err("`none` and HMACs prove nothing of a provider"),
        })
    }
}

impl FromStr for UserinfoToken {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "bearer" => Ok(Self::Bearer),
            "form" => Ok(Self::Form),
            _ => Err("a token in the address would end up in logs"),
        }
    }
}

/// What a document of a realm may name.
#[derive(Clone, Debug)]
pub struct RealmPlace {
    /// Folder from which files count.
    pub folder: PathBuf,
    /// Whether files are plain names in that folder, and no paths.
    pub names_only: bool,
    /// Whether a provider may be on this machine without TLS.
    pub loopback: bool,
}

const URL: &str = "an https address";
const FILE: &str = "a file";
const LINE: &str = "a name of 1 to 64 characters";
const POINTER: &str = "a JSON pointer such as /data/name";

/// Reads one realm; what is wrong is noted.
pub fn realm(fields: Fields<'_>, place: &RealmPlace) -> Option<RealmConfig> {
    let id = fields.required::<RealmId>("id", "an id of 2 to 32 small letters, digits and hyphens");
    let name = fields.required::<Line>("name", LINE);
    let name_en = fields.required::<Line>("name_en", LINE);
    let issuer = fields.required::<Address>("issuer", URL).filter(|issuer| safe(&fields, "issuer", issuer, place));
    let client_id = fields.required::<Token>("client_id", "what the provider calls this gateway");
    let is_oidc = fields.parsed::<Kind>("kind", "oidc or code-userinfo").unwrap_or(Kind::Oidc) == Kind::Oidc;
    let client = proof(&fields, place, is_oidc);
    let scopes: Vec<Token> = fields.list("scopes", "scopes").into_iter().map(|(scope, _)| scope).collect();
    let levels = fields.entries::<Assurance>("levels", "L1, L2, L3 or L4");
    let subject = fields.parsed("subject", "natural or legal").unwrap_or(SubjectKind::Natural);
    if subject == SubjectKind::Agent {
        fields.mistake(&fields.spot("subject"), "natural or legal", Some("who acts for whom is known here".into()));
    }
    let ca_file = file(&fields, "ca_file", place);
    let deadline = Duration::from_millis(fields.number("deadline_ms", 5000, 100..=30_000));
    let algorithms: Vec<_> =
        fields.list("algorithms", "ES256, RS256, PS256 …").into_iter().map(|(one, _)| one).collect();
    let par = fields.flag("par", false);
    let adapter = adapter(&fields, place, is_oidc);
    fields.finish();
    let kind = if is_oidc {
        let usual = vec![TokenAlgorithm::Es256, TokenAlgorithm::Rs256, TokenAlgorithm::Ps256];
        RealmKind::Oidc { algorithms: if algorithms.is_empty() { usual } else { algorithms }, par }
    } else {
        RealmKind::CodeUserinfo(Box::new(adapter?))
    };
    let scopes = if scopes.is_empty() && is_oidc { "openid profile".to_owned() } else { joined(&scopes) };
    Some(RealmConfig {
        id: id?,
        name: name?.0,
        name_en: name_en?.0,
        issuer: issuer?.0,
        client_id: client_id?.0,
        client: client?,
        scopes,
        levels,
        subject,
        ca_file,
        deadline,
        kind,
    })
}

fn joined(scopes: &[Token]) -> String {
    scopes.iter().map(|scope| scope.0.as_str()).collect::<Vec<_>>().join(" ")
}

fn proof(fields: &Fields<'_>, place: &RealmPlace, is_oidc: bool) -> Option<ClientProof> {
    let expected = "client_secret_basic, client_secret_post or private_key_jwt";
    let way = fields.parsed::<Way>("client_auth", expected).unwrap_or(Way::Basic);
    if is_oidc && way == Way::Post {
        let hint = "client_secret_post is for code-userinfo platforms that know nothing else".to_owned();
        fields.mistake(&fields.spot("client_auth"), "client_secret_basic or private_key_jwt", Some(hint));
    }
    let (secret, key) = (file(fields, "client_secret_file", place), file(fields, "client_key_file", place));
    let (needed, found) = match way {
        Way::Basic => ("client_secret_file", secret.map(ClientProof::SecretBasic)),
        Way::Post => ("client_secret_file", secret.map(ClientProof::SecretPost)),
        Way::Key => ("client_key_file", key.map(ClientProof::PrivateKeyJwt)),
    };
    if found.is_none() && !fields.has(needed) {
        fields.mistake(&fields.spot(needed), FILE, Some("a secret never stands in a document itself".to_owned()));
    }
    found
}

/// The addresses and the field mapping of a platform that is not quite OpenID Connect.
fn adapter(fields: &Fields<'_>, place: &RealmPlace, is_oidc: bool) -> Option<CodeUserinfo> {
    let url = |key: &'static str| {
        let url = if is_oidc { fields.parsed::<Address>(key, URL) } else { fields.required::<Address>(key, URL) };
        url.filter(|url| safe(fields, key, url, place)).map(|url| url.0)
    };
    let (authorize_url, token_url, userinfo_url) = (url("authorize_url"), url("token_url"), url("userinfo_url"));
    let pointer = |key: &'static str| fields.parsed::<Pointer>(key, POINTER).map(|pointer| pointer.0);
    let (token_pointer, subject_pointer) = (pointer("token_pointer"), pointer("subject_pointer"));
    let (name_pointer, level_pointer) = (pointer("name_pointer"), pointer("level_pointer"));
    let userinfo_token = fields.parsed("userinfo_token", "bearer or form").unwrap_or(UserinfoToken::Bearer);
    let reauthenticates = fields.flag("reauthenticates", false);
    if is_oidc {
        for key in ["authorize_url", "token_url", "userinfo_url", "subject_pointer", "name_pointer", "level_pointer"] {
            if fields.has(key) {
                let hint = "an oidc provider says so itself, by discovery".to_owned();
                fields.mistake(&fields.spot(key), "nothing, unless kind is code-userinfo", Some(hint));
            }
        }
        return None;
    }
    if subject_pointer.is_none() && !fields.has("subject_pointer") {
        fields.mistake(&fields.spot("subject_pointer"), POINTER, Some("it finds the person's stable id".to_owned()));
    }
    Some(CodeUserinfo {
        authorize_url: authorize_url?,
        token_url: token_url?,
        userinfo_url: userinfo_url?,
        userinfo_token,
        token_pointer: token_pointer.unwrap_or_else(|| "/access_token".to_owned()),
        subject_pointer: subject_pointer?,
        name_pointer,
        level_pointer,
        reauthenticates,
    })
}

fn file(fields: &Fields<'_>, key: &'static str, place: &RealmPlace) -> Option<PathBuf> {
    let path: PathBuf = fields.parsed(key, FILE)?;
    if place.names_only && !is_name(&path) {
        let hint = "put it into providers.secrets_directory of every node".to_owned();
        fields.mistake(&fields.spot(key), "the plain name of a file", Some(hint));
        return None;
    }
    Some(if path.is_absolute() { path } else { place.folder.join(path) })
}

fn is_name(path: &Path) -> bool {
    let mut parts = path.components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) && !path.to_string_lossy().contains('\0')
}

/// Notes an address without TLS, unless it is on this machine and that is allowed.
fn safe(fields: &Fields<'_>, key: &'static str, address: &Address, place: &RealmPlace) -> bool {
    let fits = address_is_safe(&address.0, place.loopback);
    if !fits {
        let hint = "without TLS anybody on the way could be the provider".to_owned();
        fields.mistake(&fields.spot(key), URL, Some(hint));
    }
    fits
}

/// Whether a provider may be called at this address: by https, or, where `loopback` allows it, on this machine by http.
pub fn address_is_safe(address: &str, loopback: bool) -> bool {
    let Ok(uri) = address.parse::<http::Uri>() else { return false };
    let named = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    let here = matches!(uri.host(), Some("127.0.0.1" | "[::1]" | "localhost"));
    named
        && !address.contains('#')
        && match uri.scheme_str() {
            Some("https") => true,
            Some("http") => loopback && here,
            _ => false,
        }
}

/// An address with scheme and host.
struct Address(String);

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let uri: http::Uri = text.parse().map_err(|_| "it is no URL")?;
        let whole = uri.scheme().is_some() && uri.host().is_some() && text.len() <= 2000;
        if whole && !text.contains('#') {
            Ok(Self(text.to_owned()))
        } else {
            Err("write scheme and host, and no fragment")
        }
    }
}

/// One line for people.
struct Line(String);

impl FromStr for Line {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let fits = (1..=64).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if fits { Ok(Self(text.to_owned())) } else { Err("write 1 to 64 characters in one line") }
    }
}

/// Visible ASCII: a client id or a scope.
struct Token(String);

impl FromStr for Token {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let fits = (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(text.to_owned())) } else { Err("write 1 to 255 visible ASCII characters") }
    }
}

/// RFC 6901.
struct Pointer(String);

impl FromStr for Pointer {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        if text.starts_with('/') && text.len() <= 200 {
            Ok(Self(text.to_owned()))
        } else {
            Err("it begins with a slash")
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Oidc,
    CodeUserinfo,
}

impl FromStr for Kind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "oidc" => Ok(Self::Oidc),
            "code-userinfo" => Ok(Self::CodeUserinfo),
            _ => Err("no such word"),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Basic,
    Post,
    Key,
}

impl FromStr for Way {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "client_secret_basic" => Ok(Self::Basic),
            "client_secret_post" => Ok(Self::Post),
            "private_key_jwt" => Ok(Self::Key),
            _ => Err("no such word"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::written::{Document, Mistakes};

    fn read(text: &str, names_only: bool) -> (Option<RealmConfig>, Vec<String>) {
        let document = Document::parse("r.toml", text.to_owned()).unwrap();
        let mistakes = Mistakes::default();
        let place = RealmPlace { folder: "/etc/yimen".into(), names_only, loopback: false };
        let realm = realm(document.fields(&mistakes), &place);
        (realm, mistakes.into_sorted().iter().map(|mistake| mistake.key.clone()).collect())
    }

    const GOOD: &str = "id = \"nation\"\nname = \"国家平台\"\nname_en = \"Nation\"\nissuer = \"https://id.example.gov\"\n\
                        client_id = \"yimen\"\nclient_secret_file = \"nation.secret\"\n";

    #[test]
    fn a_short_document_has_safe_defaults() {
        let (realm, mistakes) = read(&format!("{GOOD}levels = {{ \"urn:x:high\" = \"L3\" }}\n"), true);
        assert_eq!(mistakes, Vec::<String>::new());
        let realm = realm.unwrap();
        assert_eq!(realm.levels, [("urn:x:high".to_owned(), Assurance::L3)]);
        assert_eq!(realm.client, ClientProof::SecretBasic("/etc/yimen/nation.secret".into()));
        let RealmKind::Oidc { algorithms, par: false } = realm.kind else { panic!("not oidc") };
        assert_eq!(algorithms, [TokenAlgorithm::Es256, TokenAlgorithm::Rs256, TokenAlgorithm::Ps256]);
    }

    #[test]
    fn what_a_document_may_not_say_is_told_with_its_place() {
        for (change, key) in [
            ("algorithms = [\"none\"]", "algorithms[0]"),
            ("algorithms = [\"HS256\"]", "algorithms[0]"),
            ("levels = { a = \"L9\" }", "levels.a"),
            ("subject = \"agent\"", "subject"),
            ("client_auth = \"client_secret_post\"", "client_auth"),
            ("token_url = \"https://id.example.gov/t\"", "token_url"),
            ("client_key_file = \"../session.key\"", "client_key_file"),
            ("ca_file = \"/etc/passwd\"", "ca_file"),
            ("clientid = \"x\"", "clientid"),
        ] {
            let (_, mistakes) = read(&format!("{GOOD}{change}\n"), true);
            assert_eq!(mistakes, [key], "{change}");
        }
        let (realm, mistakes) = read(&GOOD.replace("https:", "http:"), true);
        assert_eq!((realm, mistakes), (None, vec!["issuer".to_owned()]), "no TLS");
        let (realm, _) = read(&GOOD.replace("client_secret_file", "#"), true);
        assert_eq!(realm, None, "no secret");
    }

    #[test]
    fn only_this_machine_is_ever_called_without_tls() {
        for (address, loopback, safe) in [
            ("https://id.example.gov/x", false, true),
            ("http://127.0.0.1:3000", false, false),
            ("http://127.0.0.1:3000", true, true),
            ("http://[::1]:3000/x", true, true),
            ("http://127.0.0.1.example.com", true, false),
            ("http://127.0.0.1@example.com", true, false),
            ("https://a@example.com", true, false),
            ("http://id.example.gov", true, false),
            ("ftp://127.0.0.1", true, false),
            ("/path", true, false),
        ] {
            assert_eq!(address_is_safe(address, loopback), safe, "{address}");
        }
    }
}
