//! Serves a folder to browsers on this machine only: for looking at the page, and for its test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};

/// Longest request that is read, in bytes.
const LONGEST: u64 = 4_096;

/// A server; it runs until the program ends.
pub struct Server {
    port: u16,
    thread: JoinHandle<()>,
}

impl Server {
    /// Starts listening on `port` of the loopback interface; 0 chooses a free port.
    pub fn start(folder: &Path, port: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .with_context(|| format!("cannot listen on port {port}; choose another one"))?;
        let port = listener.local_addr()?.port();
        let folder = folder.to_owned();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let folder = folder.clone();
                // Errors mean that the browser closed the connection; they do not matter.
                std::thread::spawn(move || drop(answer(stream, &folder)));
            }
        });
        Ok(Self { port, thread })
    }

    /// The URL to open in a browser.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Serves until the program ends.
    pub fn wait(self) {
        let _ = self.thread.join();
    }
}

fn answer(mut stream: TcpStream, folder: &Path) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut request = BufReader::new(stream.try_clone()?.take(LONGEST));
    let mut line = String::new();
    request.read_line(&mut line)?;
    // The headers do not matter, but left unread they would make closing the connection look like an error to the
    // browser.
    let mut rest = String::new();
    while request.read_line(&mut rest)? > 2 {
        rest.clear();
    }
    let path = line.strip_prefix("GET /").and_then(|path| path.split([' ', '?']).next());
    let found =
        path.and_then(|path| find(folder, path)).and_then(|path| Some((kind(&path), std::fs::read(path).ok()?)));
    let (status, kind, body) = match found {
        Some((kind, body)) => ("200 OK", kind, body),
        None => ("404 Not Found", "text/plain", b"not here\n".to_vec()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)?;
    Ok(())
}

/// The path of a file below `folder`; `None` if the path leads out of it.
fn find(folder: &Path, path: &str) -> Option<PathBuf> {
    let path = Path::new(if path.is_empty() { "index.html" } else { path });
    path.components().all(|part| matches!(part, Component::Normal(_))).then(|| folder.join(path))
}

fn kind(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("md") => "text/markdown; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_in_the_folder_is_handed_out() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("page")).unwrap();
        std::fs::write(folder.path().join("page/index.html"), "here").unwrap();
        std::fs::write(folder.path().join("secret"), "there").unwrap();
        let server = Server::start(&folder.path().join("page"), 0).unwrap();
        let get = |path: &str| {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).unwrap();
            write!(stream, "GET {path} HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        };
        assert!(get("/").ends_with("here"));
        assert!(get("/index.html?1").starts_with("HTTP/1.1 200"));
        for path in ["/../secret", "/%2e%2e/secret", "//secret", "/none", "secret"] {
            assert!(get(path).starts_with("HTTP/1.1 404"), "{path}");
        }
    }
}
