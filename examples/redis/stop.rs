//! Ctrl-C and SIGTERM: the first asks the server to end, the second ends it.

use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

/// Set by the signal handler's thread, awaited by the loop. Wakers may be woken from any thread.
#[derive(Default)]
pub struct Stop {
    state: Mutex<(bool, Option<Waker>)>,
}

impl Stop {
    /// Listens for the signals.
    pub fn on_signal() -> io::Result<Arc<Stop>> {
        let stop = Arc::new(Stop::default());
        let on_signal = Arc::clone(&stop);
        ctrlc::set_handler(move || {
            let mut state = on_signal.state.lock().expect("nothing panics while it is held");
            if state.0 {
                std::process::exit(130);
            }
            state.0 = true;
            if let Some(waker) = state.1.take() {
                waker.wake();
            }
        })
        .map_err(io::Error::other)?;
        Ok(stop)
    }

    /// Waits for the first signal.
    pub async fn asked(&self) {
        poll_fn(|cx| {
            let mut state = self.state.lock().expect("nothing panics while it is held");
            if state.0 {
                return Poll::Ready(());
            }
            state.1 = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
