//! A minimal WebDriver client: JSON over HTTP, with chromedriver on this machine. The existing libraries depend on
//! whole network stacks, which this project bans.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// The longest that anything may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The interval between two polls.
const LOOK: Duration = Duration::from_millis(50);
/// WebDriver's key for an element's id.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window; dropping it closes the browser.
pub struct Browser {
    port: u16,
    session: String,
}

impl Browser {
    /// Opens a browser that stores its downloads and its profile in `folder`.
    pub fn open(port: u16, folder: &Path) -> Result<Self> {
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--mute-audio",
            "--window-size=1280,860",
        ];
        let profile = format!("--user-data-dir={}", folder.join("profile").display());
        let arguments: Vec<&str> = arguments.into_iter().chain([profile.as_str()]).collect();
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": {
                "args": arguments,
                "prefs": { "download.default_directory": folder, "download.prompt_for_download": false },
            },
        } } });
        let mut browser = Self { port, session: String::new() };
        let answer = browser.send("POST", "/session", &capabilities)?;
        browser.session = answer["sessionId"].as_str().context("chromedriver returned no session")?.to_owned();
        Ok(browser)
    }

    /// Sends a command for this session.
    pub fn call(&self, path: &str, body: &Value) -> Result<Value> {
        self.send("POST", &format!("/session/{}/{path}", self.session), body)
    }

    /// Runs a function body in the page and returns its result; promises are awaited.
    pub fn run(&self, script: &str) -> Result<Value> {
        self.call("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Waits until a JavaScript expression is true.
    pub fn wait(&self, expression: &str) -> Result<()> {
        let began = Instant::now();
        while self.run(&format!("return Boolean({expression})"))? != Value::Bool(true) {
            ensure!(
                began.elapsed() < TIMEOUT,
                "not true within a minute: {expression}; the page says `{}`",
                self.status()?
            );
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// The page's status text.
    pub fn status(&self) -> Result<String> {
        let status = self.run("return document.getElementById('status').textContent")?;
        Ok(status.as_str().unwrap_or_default().to_owned())
    }

    /// Clicks an element.
    pub fn click(&self, selector: &str) -> Result<()> {
        let element = self.element(selector)?;
        self.call(&format!("element/{element}/click"), &json!({})).map(drop)
    }

    /// Replaces an input's text.
    pub fn fill(&self, selector: &str, text: &str) -> Result<()> {
        let element = self.element(selector)?;
        self.call(&format!("element/{element}/clear"), &json!({}))?;
        self.call(&format!("element/{element}/value"), &json!({ "text": text })).map(drop)
    }

    fn element(&self, selector: &str) -> Result<String> {
        let found = self.call("element", &json!({ "using": "css selector", "value": selector }))?;
        Ok(found[ELEMENT].as_str().with_context(|| format!("there is no {selector}"))?.to_owned())
    }

    /// Types on the computer keyboard. Each entry: the key, how long it is held, and the pause after it, in
    /// milliseconds.
    pub fn keys(&self, keys: &[(char, u32, u32)]) -> Result<()> {
        let action = |(key, held, pause): &(char, u32, u32)| {
            [
                json!({ "type": "keyDown", "value": key.to_string() }),
                json!({ "type": "pause", "duration": held }),
                json!({ "type": "keyUp", "value": key.to_string() }),
                json!({ "type": "pause", "duration": pause }),
            ]
        };
        let actions: Vec<Value> = keys.iter().flat_map(action).collect();
        self.call("actions", &json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] })).map(drop)
    }

    /// Saves a screenshot of the page as a PNG file.
    pub fn picture(&self, file: &Path) -> Result<()> {
        let picture = self.send("GET", &format!("/session/{}/screenshot", self.session), &Value::Null)?;
        std::fs::write(file, base64(picture.as_str().context("no picture")?))?;
        Ok(())
    }

    /// Errors in the page's console.
    pub fn logged_errors(&self) -> Result<Vec<String>> {
        let entries = self.call("se/log", &json!({ "type": "browser" }))?;
        let entries = entries.as_array().context("no log")?.iter();
        let severe = entries.filter(|entry| entry["level"] == "SEVERE");
        Ok(severe.map(|entry| entry["message"].to_string()).collect())
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let mut stream =
            TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).context("cannot connect to chromedriver")?;
        stream.set_read_timeout(Some(2 * TIMEOUT))?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        let mut answer = BufReader::new(stream);
        let (mut line, mut length) = (String::new(), 0);
        while answer.read_line(&mut line)? > 2 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            line.clear();
        }
        let mut text = vec![0; length];
        answer.read_exact(&mut text)?;
        let value = serde_json::from_slice::<Value>(&text)?["value"].take();
        let error = value.get("error").and_then(Value::as_str);
        ensure!(error.is_none(), "{path}: {}: {}", error.unwrap_or_default(), value["message"]);
        Ok(value)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser ends with its driver in any case.
        let _ = self.send("DELETE", &format!("/session/{}", self.session), &Value::Null);
    }
}

fn base64(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => Some(c - b'A'),
        b'a'..=b'z' => Some(c - b'a' + 26),
        b'0'..=b'9' => Some(c - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for digit in text.bytes().filter_map(digit) {
        (bits, count) = (bits << 6 | u32::from(digit), count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}
