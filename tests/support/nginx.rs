//! nginx as a platform: a second, independent server.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::process::{Running, tool};
use super::{free_port, until};

/// A running nginx.
#[derive(Debug)]
pub struct Nginx {
    pub process: Running,
    pub address: SocketAddr,
}

impl Nginx {
    /// One server on a free port; `listen` is what follows the port, `server` what stands in the server's block.
    pub async fn start(folder: &Path, listen: &str, server: &str) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let home = folder.join(format!("nginx-{}", address.port()));
        fs::create_dir_all(&home).unwrap();
        let at = home.display();
        let temporary =
            ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|of| format!("{of}_temp_path {at};")).join(" ");
        let config = format!(
            "daemon off; master_process off; worker_processes 1; pid {at}/pid; error_log {at}/error.log;\n\
             events {{ worker_connections 256; }}\n\
             http {{ access_log off; {temporary} server {{ listen {address} {listen}; {server} }} }}\n"
        );
        let file = home.join("nginx.conf");
        fs::write(&file, config).unwrap();
        let mut command = Command::new(tool("nginx", "nginx"));
        command.arg("-p").arg(&home).arg("-c").arg(&file).arg("-e").arg(home.join("error.log"));
        let process = Running::start(&format!("nginx-{}", address.port()), command, folder);
        let listens = || async { TcpStream::connect(address).is_ok().then_some(()) };
        until("nginx listens", Duration::from_secs(10), listens).await;
        Self { process, address }
    }
}
