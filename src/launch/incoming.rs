//! The connections of a shard: those that it accepts, and those that others accepted for it.

use std::cell::Cell;
use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::Stream as _;

use super::balance::Chooser;
use super::connection::{Arrival, Connection};
use super::load::Counted;
use super::shard::Shard;
use crate::executor::AbortHandle;
use crate::net::{Incoming as Accepting, TcpListener, TcpStream};
use crate::runtime::spawn;
use crate::sync::{Notify, across, mpsc};
use crate::sys;
use crate::time::{now, timeout};

/// How many connections that others accepted may wait for a shard; who has more for it keeps them.
const WAITING_MAX: usize = 128;
/// How many that it accepted itself wait to be taken. More wait in the kernel.
const TAKEN_MAX: usize = 16;
/// How long after the last one connections that have begun have to be finished, when no more are begun: some round trips.
pub(super) const FINISHED_WITHIN: Duration = Duration::from_millis(300);

/// How long connections are accepted at most after a stop, where more may begin all the same.
const FINISHED_AT_LAST: Duration = Duration::from_secs(5);

/// The connections of a shard, as they come. Made by [`Shard::incoming`].
///
/// When the shard is told to stop, it has the kernel begin no more connections, takes those that have begun, until none has come for 0.3
/// seconds, and ends: so nobody who was let in is turned away, as long as a round trip is shorter. (Elsewhere than on Linux connections go on to
/// be begun until then.) Where another process goes on with the listeners, or a service manager that starts this program again, what waits in
/// them is left to those.
///
/// # Cancel safety
/// Dropping a [`next`](Self::next) loses nothing. Dropping this closes what was accepted and not taken.
///
/// # Examples
/// ```
/// use std::io::Read;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
///
/// let launched = annulus::launch().shards(1).listen("127.0.0.1:0").start(|shard| async move {
///     let mut incoming = shard.incoming_at(0)?; // of the first address, which is the only one
///     while let Some(connection) = incoming.next().await {
///         let connection = connection?;
///         let text = format!("hello {}", connection.peer().ip());
///         connection.into_stream().write_all(text).await.0?;
///     }
///     std::io::Result::Ok(())
/// })?;
/// let mut heard = String::new();
/// std::net::TcpStream::connect(launched.addresses()[0])?.read_to_string(&mut heard)?;
/// assert_eq!(heard, "hello 127.0.0.1");
/// assert_eq!(launched.shards().connections(0), 0);
/// launched.stop();
/// launched.join()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "connections that are not taken wait"]
pub struct Incoming {
    connections: mpsc::Receiver<io::Result<Connection>>,
    acceptor: AbortHandle,
}

impl Incoming {
    /// The next connection. None comes when the shard is to stop, and all who had connected before were given.
    ///
    /// # Errors
    /// Those of accept(2), each once; then nothing is accepted for a while, so a loop that goes on after errors does not spin. See
    /// [`net::Incoming::next`](crate::net::Incoming::next).
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    ///
    /// # Examples
    /// As [`Incoming`].
    pub async fn next(&mut self) -> Option<io::Result<Connection>> {
        self.connections.recv().await
    }

    #[cfg_attr(not(feature = "http-serve"), allow(dead_code, reason = "for servers that this crate has"))]
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Connection>>> {
        self.connections.poll_recv(cx)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("waiting", &self.connections.len()).finish_non_exhaustive()
    }
}

impl Shard {
    /// The listeners that this shard has of the `address`th address that [`Launch::listen`](super::Launch::listen) was given, to accept from by
    /// oneself. As a rule it is one; of sockets that another program made it may be several, or one that the shards share.
    ///
    /// # Errors
    /// `InvalidInput` if there is no such address; those of dup(2): EMFILE means that descriptors are used up.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// annulus::launch().shards(1).listen("127.0.0.1:0").run(|shard| async move {
    ///     // To accept by hand. A shard has one socket of each address; of the manager's it may have several.
    ///     let listeners = shard.listeners(0)?;
    ///     println!("at {}", listeners[0].local_addr()?);
    ///     std::io::Result::Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn listeners(&self, address: usize) -> io::Result<Vec<TcpListener>> {
        let sockets = self.local().sockets.of(address, self.index(), self.count())?;
        sockets.into_iter().map(TcpListener::from_std).collect()
    }

    /// The connections of this shard at the first address that [`Launch::listen`](super::Launch::listen) was given, as they come: those that the kernel
    /// gives it, and those that other shards accepted for it, as [`Launch::balance`](super::Launch::balance) says. Says that the shard is
    /// [`ready`](Self::ready).
    ///
    /// # Errors
    /// As [`listeners`](Self::listeners).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::io::Read;
    ///
    /// let launched = annulus::launch().shards(2).listen("127.0.0.1:0").start(|shard| async move {
    ///     let mut incoming = shard.incoming()?;
    ///     while let Some(connection) = incoming.next().await {
    ///         let connection = connection?;
    ///         annulus::spawn(async move { connection.write_all("hello").await.0 }).await??;
    ///     }
    ///     std::io::Result::Ok(())
    /// })?;
    /// let mut heard = String::new();
    /// std::net::TcpStream::connect(launched.addresses()[0])?.read_to_string(&mut heard)?;
    /// assert_eq!(heard, "hello");
    /// launched.stop();
    /// launched.join()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn incoming(&self) -> io::Result<Incoming> {
        self.incoming_at(0)
    }

    /// As [`incoming`](Self::incoming), of another address.
    ///
    /// # Errors
    /// As [`listeners`](Self::listeners).
    ///
    /// # Examples
    /// As [`Incoming`].
    pub fn incoming_at(&self, address: usize) -> io::Result<Incoming> {
        let listeners = self.listeners(address)?;
        let (sender, connections) = mpsc::channel(TAKEN_MAX);
        let (door, arrivals) = across::mpsc::channel(WAITING_MAX);
        self.shards().seats()[self.index()].set_door(address, Some(door));
        let acceptor = Acceptor { shard: self.clone(), group: address, sender, leaving: Rc::default() };
        let task = spawn(acceptor.run(listeners, arrivals));
        self.ready();
        Ok(Incoming { connections, acceptor: task.abort_handle() })
    }
}

/// Accepts for a shard, and hands on what is for others.
#[derive(Clone)]
struct Acceptor {
    shard: Shard,
    group: usize,
    sender: mpsc::Sender<io::Result<Connection>>,
    leaving: Rc<Leaving>,
}

/// Connections that are on their way to others.
#[derive(Default)]
struct Leaving {
    count: Cell<usize>,
    gone: Notify,
}

enum Next {
    Accepted(TcpStream, SocketAddr),
    Arrived(Arrival),
    Failed(io::Error),
    End,
}

impl Acceptor {
    async fn run(self, listeners: Vec<TcpListener>, mut arrivals: across::mpsc::Receiver<Arrival>) {
        let stopping = self.shard.stopping().clone();
        let mut accepting: Vec<_> = listeners.iter().map(TcpListener::incoming).collect();
        self.take_until(pin!(stopping.cancelled()), &mut accepting, &mut arrivals).await;
        if !self.is_succeeded() {
            // Whether those who wait have an end: then they are taken to the last, however long whoever takes them needs.
            let mut have_end = cfg!(target_os = "linux");
            for listener in &listeners {
                // Where that is not permitted, who connects at the last moment is turned away.
                let told = listener.with_fd(|socket| sys::steering::begin_no_more(&socket));
                have_end &= matches!(told, Ok(Ok(())));
            }
            let end = (!have_end).then(|| now() + FINISHED_AT_LAST);
            self.take_rest(end, &mut accepting, &mut arrivals).await;
        }
        drop(accepting);
        for listener in listeners {
            self.take_rest_of(listener).await;
        }
        if !self.is_succeeded() {
            self.shard.local().sockets.close_at(self.group, self.shard.index(), self.shard.count());
        }
        // What is on its way to another may come back.
        while self.leaving.count.get() > 0 {
            self.leaving.gone.notified().await;
        }
        self.shard.shards().seats()[self.shard.index()].set_door(self.group, None);
        arrivals.close();
        while let Some(arrival) = arrivals.recv().await {
            self.receive(arrival).await;
        }
    }

    /// Whether somebody else goes on with the sockets: what waits in them is theirs.
    fn is_succeeded(&self) -> bool {
        let local = self.shard.local();
        local.is_succeeded.get() || local.sockets.is_managed(self.group)
    }

    /// Takes what comes, and hands on what is for others, until it is to end, or nothing can come. What was taken is placed before.
    async fn take_until(
        &self,
        mut end: Pin<&mut impl Future>,
        accepting: &mut Vec<Accepting>,
        arrivals: &mut across::mpsc::Receiver<Arrival>,
    ) {
        loop {
            match next(end.as_mut(), accepting, arrivals).await {
                Next::End => return,
                next => self.take(next, true).await,
            }
        }
    }

    /// Takes what has connected, until nothing more has come for a while, or more goes on to come when it is to end.
    async fn take_rest(
        &self,
        end: Option<Instant>,
        accepting: &mut Vec<Accepting>,
        arrivals: &mut across::mpsc::Receiver<Arrival>,
    ) {
        while end.is_none_or(|end| now() < end) {
            let next = timeout(FINISHED_WITHIN, next(pin!(pending::<()>()), accepting, arrivals)).await;
            match next {
                Err(_) | Ok(Next::End) => return,
                Ok(next) => self.take(next, false).await,
            }
        }
    }

    async fn take(&self, next: Next, hands_on: bool) {
        match next {
            Next::Accepted(stream, peer) => self.place(stream, peer, hands_on).await,
            Next::Arrived(arrival) => self.receive(arrival).await,
            Next::Failed(error) => drop(self.sender.send(Err(error)).await),
            Next::End => {}
        }
    }

    /// Takes what was accepted for accepts that nobody waits for any more.
    async fn take_rest_of(&self, listener: TcpListener) {
        let Ok((_, streams)) = listener.into_std().await else { return };
        for stream in streams {
            // One that is broken already has nothing to ask.
            let Ok(peer) = stream.peer_addr() else { continue };
            if let Ok(stream) = TcpStream::from_std(stream) {
                self.place(stream, peer, false).await;
            }
        }
    }

    /// Keeps a connection, or hands it on.
    async fn place(&self, stream: TcpStream, peer: SocketAddr, hands_on: bool) {
        let local = self.shard.local();
        let (seats, here) = (self.shard.shards().seats(), local.index);
        let policy = local.balance;
        let there = match hands_on && Chooser::chooses(policy) {
            true => local.chooser.choose(policy, self.shard.shards(), self.group, here),
            false => here,
        };
        let door = if there == here { None } else { seats[there].door(self.group) };
        match door {
            Some(door) => self.hand_on(stream, peer, seats[there].load.count(), door),
            None => self.keep(stream, peer).await,
        }
    }

    /// A task of its own, so that it goes on when the acceptor is stopped meanwhile.
    fn hand_on(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        counted: Counted,
        door: across::mpsc::Sender<Arrival>,
    ) {
        let acceptor = self.clone();
        self.leaving.count.set(self.leaving.count.get() + 1);
        drop(spawn(async move {
            let kept = match stream.detach().await {
                Err(not) => Some(not.socket),
                Ok(stream) => match door.try_send(Arrival { stream, peer, counted }) {
                    Ok(()) => None,
                    // It is full, or was closed meanwhile.
                    Err(back) => back.into_inner().stream.attach().ok(),
                },
            };
            if let Some(stream) = kept {
                acceptor.keep(stream, peer).await;
            }
            acceptor.leaving.count.set(acceptor.leaving.count.get() - 1);
            acceptor.leaving.gone.notify_one();
        }));
    }

    /// It is one of this shard's.
    async fn keep(&self, stream: TcpStream, peer: SocketAddr) {
        let counted = self.shard.shards().seats()[self.shard.index()].load.count();
        self.give(Connection { stream, peer, _counted: counted }).await;
    }

    async fn receive(&self, arrival: Arrival) {
        let Arrival { stream, peer, counted } = arrival;
        match stream.attach() {
            Ok(stream) => self.give(Connection { stream, peer, _counted: counted }).await,
            Err(not) => drop(self.sender.send(Err(not.error)).await),
        }
    }

    async fn give(&self, connection: Connection) {
        // Nobody takes it any more: it is closed.
        drop(self.sender.send(Ok(connection)).await);
    }
}

/// What comes first. Whoever was asked first is asked last the next time.
async fn next(
    mut end: Pin<&mut impl Future>,
    accepting: &mut Vec<Accepting>,
    arrivals: &mut across::mpsc::Receiver<Arrival>,
) -> Next {
    poll_fn(|cx| {
        if end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Next::End);
        }
        if let Poll::Ready(Some(arrival)) = arrivals.poll_recv(cx) {
            return Poll::Ready(Next::Arrived(arrival));
        }
        let mut place = 0;
        while place < accepting.len() {
            match Pin::new(&mut accepting[place]).poll_next(cx) {
                Poll::Ready(Some(accepted)) => {
                    accepting[place..].rotate_left(1);
                    return Poll::Ready(match accepted {
                        Ok((stream, peer)) => Next::Accepted(stream, peer),
                        Err(error) => Next::Failed(error),
                    });
                }
                Poll::Ready(None) => drop(accepting.remove(place)),
                Poll::Pending => place += 1,
            }
        }
        if accepting.is_empty() { Poll::Ready(Next::End) } else { Poll::Pending }
    })
    .await
}
