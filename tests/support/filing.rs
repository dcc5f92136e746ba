//! Filings for tests: as short as a test can say them, as complete as the program wants them.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

/// A public body's published code: its check characters are right.
const OWNER: &str = "12100000400000624D";

/// A filing being written.
#[derive(Clone, Debug)]
pub struct Filing {
    pub id: String,
    division: String,
    platform: String,
    upstreams: Vec<SocketAddr>,
    canaries: Vec<SocketAddr>,
    upstream: String,
    routes: String,
    clients: String,
    trusted: bool,
    owner: String,
}

impl Filing {
    /// An approved platform of a division, without routes.
    pub fn of(id: &str, division: &str) -> Self {
        Self {
            id: id.to_owned(),
            division: division.to_owned(),
            platform: "state = \"approved\"\n".to_owned(),
            upstreams: Vec::new(),
            canaries: Vec::new(),
            upstream: String::new(),
            routes: String::new(),
            clients: String::new(),
            trusted: true,
            owner: OWNER.to_owned(),
        }
    }

    /// The same of another owner.
    pub fn owned_by(mut self, owner: &str) -> Self {
        owner.clone_into(&mut self.owner);
        self
    }

    /// The same without trust: where platforms have origins of their own, it answers at its own.
    pub fn untrusted(mut self) -> Self {
        self.trusted = false;
        self
    }

    /// The same in another state, with a notice for people.
    pub fn state(mut self, state: &str, notice: &str) -> Self {
        self.platform = format!("state = \"{state}\"\nnotice = \"{notice}\"\n");
        self
    }

    /// One more line of `[platform]`.
    pub fn with(mut self, line: &str) -> Self {
        writeln!(self.platform, "{line}").unwrap();
        self
    }

    /// One more instance.
    pub fn at(mut self, address: SocketAddr) -> Self {
        self.upstreams.push(address);
        self
    }

    /// One more instance, on trial.
    pub fn canary_at(mut self, address: SocketAddr) -> Self {
        self.canaries.push(address);
        self
    }

    /// Further TOML of each instance.
    pub fn each(mut self, more: &str) -> Self {
        more.clone_into(&mut self.upstream);
        self
    }

    /// A route for an item in the platform's whole subtree; `more` is further TOML of the route.
    pub fn item(mut self, item: &str, more: &str) -> Self {
        writeln!(self.routes, "\n[[route]]\nitems = [\"{item}\"]\ncovers = \"subtree\"\n{more}").unwrap();
        self
    }

    /// A route for everything below a path.
    pub fn path(mut self, path: &str, more: &str) -> Self {
        writeln!(self.routes, "\n[[route]]\npath = \"{path}\"\nmatch = \"prefix\"\n{more}").unwrap();
        self
    }

    /// One more client of the OpenID Provider, by its TOML.
    pub fn client(mut self, client: &str) -> Self {
        writeln!(self.clients, "\n[[client]]\n{client}").unwrap();
        self
    }

    /// Whether it must be pointed at a sample platform.
    pub fn is_unplaced(&self) -> bool {
        self.upstreams.is_empty() && (self.clients.is_empty() || !self.routes.is_empty())
    }

    /// Writes it where the gateway reads it.
    pub fn write(&self, folder: &Path) {
        let Self { id, division, platform, upstreams, canaries, upstream, routes, clients, trusted, owner } = self;
        let authority = owner.starts_with('1');
        let mut text = format!(
            "[platform]\nid = \"{id}\"\nname = \"测试平台 {id}\"\nname_en = \"Test platform {id}\"\nowner = \"{owner}\"\n\
             division = \"{division}\"\nfunction = \"answers tests\"\nscope = \"tests\"\napproving_body = \"nobody: a test\"\n\
             approved_on = \"2026-01-01\"\nfunding = \"none\"\nfiling_number = \"TEST-{id}\"\nvalid_until = \"2099-12-31\"\n\
             contact = \"test@example.gov\"\ntrusted = {trusted}\nauthority = {authority}\n{platform}"
        );
        for address in upstreams {
            writeln!(text, "\n[[upstream]]\naddress = \"{address}\"\n{upstream}").unwrap();
        }
        for address in canaries {
            writeln!(text, "\n[[upstream]]\naddress = \"{address}\"\ncanary = true\n{upstream}").unwrap();
        }
        std::fs::write(folder.join(format!("{id}.toml")), text + routes + clients).unwrap();
    }
}
