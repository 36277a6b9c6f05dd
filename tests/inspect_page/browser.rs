//! Debian's Chromium without a window, led by its debugging protocol over two pipes: messages of JSON with a zero byte behind each.
//!
//! It has a new profile, which is removed at the end, and is killed when it is dropped.

use std::collections::VecDeque;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// What a page may take to do something, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// One page in a browser of its own.
pub(crate) struct Browser {
    child: Child,
    orders: ChildStdin,
    answers: Receiver<Value>,
    session: Option<String>,
    number: u64,
    /// What happened and was not looked at yet.
    events: VecDeque<Value>,
    /// Where what is downloaded goes, and the profile.
    folder: TempDir,
}

/// Chromium's path; None after the reason for skipping was said, and a failure where ECOSYSTEM_REQUIRED=1.
pub(crate) fn chromium() -> Option<PathBuf> {
    let found = env::split_paths(&env::var_os("PATH").unwrap_or_default())
        .flat_map(|folder| ["chromium", "chromium-browser"].map(|name| folder.join(name)))
        .find(|path| path.is_file());
    if found.is_none() {
        let reason = "chromium is not there: apt-get install chromium";
        assert!(env::var("ECOSYSTEM_REQUIRED").as_deref() != Ok("1"), "{reason}");
        println!("skipped: {reason}");
    }
    found
}

impl Browser {
    pub(crate) fn start(chromium: &Path) -> Browser {
        let folder = TempDir::with_prefix("annulus-page-").expect("there is room for a folder");
        // It wants its pipes at 3 and 4, which a shell can arrange.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 0</dev/null 1>&2"])
            .arg(chromium)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-sync",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-dev-shm-usage",
            ])
            .args(["--remote-debugging-pipe", "--window-size=1280,900"])
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a shell");
        let orders = child.stdin.take().expect("it is a pipe");
        let mut said = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let (sender, answers) = channel();
        thread::spawn(move || {
            let mut message = Vec::new();
            while said.read_until(0, &mut message).is_ok_and(|length| length > 0) {
                message.pop();
                let Ok(value) = serde_json::from_slice(&message) else { return };
                if sender.send(value).is_err() {
                    return;
                }
                message.clear();
            }
        });
        let mut browser =
            Browser { child, orders, answers, session: None, number: 0, events: VecDeque::new(), folder };
        let target =
            browser.order("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let session = browser.order("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Runtime", "Log", "Page", "Network", "Audits"] {
            browser.order(&format!("{domain}.enable"), json!({}));
        }
        let downloads = json!({ "behavior": "allow", "downloadPath": browser.downloads() });
        browser.order("Page.setDownloadBehavior", downloads);
        browser
    }

    pub(crate) fn downloads(&self) -> PathBuf {
        self.folder.path().join("downloads")
    }

    /// Has something done, and gives the answer.
    #[track_caller]
    pub(crate) fn order(&mut self, method: &str, parameters: Value) -> Value {
        self.number += 1;
        let mut order = json!({ "id": self.number, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            order["sessionId"] = json!(session);
        }
        self.orders.write_all(format!("{order}\0").as_bytes()).expect("Chromium is there");
        loop {
            let mut answer = self
                .answers
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|_| panic!("Chromium never answered {method}"));
            if answer["id"] == self.number {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].take();
            }
            if answer["id"].is_null() {
                self.events.push_back(answer);
            }
        }
    }

    pub(crate) fn open(&mut self, url: &str) {
        self.order("Page.navigate", json!({ "url": url }));
    }

    /// What an expression of the page is. What it throws is a failure.
    #[track_caller]
    pub(crate) fn tell(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true });
        let mut answer = self.order("Runtime.evaluate", parameters);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].take()
    }

    /// Waits until an expression of the page is true, or something that is like true, and gives it.
    #[track_caller]
    pub(crate) fn until(&mut self, expression: &str) -> Value {
        let begun = Instant::now();
        loop {
            // While the page loads there may be nothing of what is asked for.
            let value = self.tell(&format!(
                "(() => {{ try {{ return ({expression}) || null }} catch {{ return null }} }})()"
            ));
            if !value.is_null() {
                return value;
            }
            if begun.elapsed() > PATIENCE {
                let page = self.tell("document.body.innerText.slice(0, 4000)");
                panic!(
                    "never came true: {expression}; the page says:\n{}",
                    page.as_str().unwrap_or_default()
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// All that happened since the last time.
    pub(crate) fn events(&mut self) -> Vec<Value> {
        // What happened before is told before this is answered.
        self.tell("1");
        self.events.drain(..).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
