//! Stop 2: an operation is made and dropped, and debug mode says so.

use std::io;

use annulus::Builder;
use annulus::net::UnixStream;

use crate::heard::Heard;
use crate::page::{annulus, code, prints, so, tell};

#[allow(clippy::let_underscore_future, reason = "it is the mistake")]
pub(crate) fn stop(builder: Builder) -> io::Result<()> {
    let heard = Heard::default();
    tell(
        "The first mistake: a future is a plan, and making a plan does nothing. Only `.await` carries it out. The compiler \
         warns of a future that is not used; `let _`, as here, silences it.",
    );
    code(file!(), include_str!("never_awaited.rs"));
    // shown
    let runtime = builder.debug(true).on_warning(heard.listener()).build()?;
    let received = runtime.run(async {
        let (here, there) = UnixStream::pair()?;
        let _ = here.write_all("lost"); // no `.await`: nothing is sent
        here.write_all("sent").await.0?;
        let (result, bytes) = there.read(Vec::with_capacity(100)).await;
        result.map(|_| String::from_utf8_lossy(&bytes).into_owned())
    })??;
    // until here
    prints(format_args!("what came: {received:?}"));
    drop(runtime); // It has said all by then.
    heard.all().iter().for_each(annulus);
    so("Debug mode (Builder::debug, or ANNULUS_DEBUG=1) costs nothing as long as it is off.");
    Ok(())
}
