//! The macro by which other programs run their tests on every driver: each body runs on the driver that its test is named after.

use std::io::{Error, Result};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(1);

fn driver() -> &'static str {
    annulus::Runtime::try_current().unwrap().driver()
}

annulus::on_every_driver! {
    async fn a_body_runs_on_the_driver_of_its_tests_name() {
        // The name of a test's thread; where all run on one it says nothing.
        let thread = std::thread::current();
        let name = thread.name().unwrap().rsplit("::").next();
        assert!(name == Some("main") || name == Some(driver()), "{name:?} runs on {}", driver());
    }

    #[allow(clippy::disallowed_names, reason = "attributes are passed on")]
    async fn a_body_may_fail_and_sees_what_is_beside_it() -> Result<()> {
        let foo = annulus::time::timeout(SHORT, std::future::pending::<()>()).await;
        foo.map(drop).or_else(|elapsed| match elapsed.to_string().is_empty() {
            true => Err(Error::other("it says why")),
            false => Ok(()),
        })
    }
}
