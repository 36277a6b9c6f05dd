//! The listening sockets of a launch: bound before any shard begins, and kept by the launch, so that a shard that is started
//! again, and a program that takes over, find the connections that wait in them.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use socket2::{Domain, Protocol, Socket, Type};

use super::balance::Balance;
use super::life::name_of;
use crate::sys::steering;

/// Whether the kernel spreads connections over sockets that share an address. Elsewhere the shards share one socket.
const SPREADS: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// How many connections may wait in each socket. The system's own limit (net.core.somaxconn) holds as well.
const BACKLOG: i32 = 1024;

/// All sockets of a launch, for each of its threads.
#[derive(Clone, Debug, Default)]
pub(super) struct Sockets {
    groups: Arc<[Group]>,
}

/// What one address is listened at by: as a rule one socket for each shard, among which the kernel spreads the connections.
#[derive(Debug)]
pub(super) struct Group {
    address: SocketAddr,
    /// A service manager has them as well, and starts this program again when somebody connects: so what waits in them is the next one's.
    is_managed: bool,
    sockets: Vec<Mutex<Kept>>,
}

/// A socket, and the shards that have let go of it: it is kept for the others as long as there is one.
#[derive(Debug)]
struct Kept {
    listener: Option<TcpListener>,
    left_by: Vec<usize>,
}

fn lock(socket: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    // Nothing panics while it is held.
    socket.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sockets {
    pub(super) fn new(groups: Vec<Group>) -> Sockets {
        Sockets { groups: groups.into() }
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.groups.iter().map(|group| group.address)
    }

    /// Duplicates of what a shard is to accept from. Each socket has a shard; where there are fewer sockets than shards, some
    /// share one.
    pub(super) fn of(&self, group: usize, shard: usize, shards: usize) -> io::Result<Vec<TcpListener>> {
        let Some(group) = self.groups.get(group) else {
            let text = "this launch listens at fewer addresses: Launch::listen says where, once for each";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        };
        let mut mine = group.of(shard, shards);
        mine.try_fold(Vec::new(), |mut all, socket| {
            all.extend(lock(socket).listener.as_ref().map(TcpListener::try_clone).transpose()?);
            Ok(all)
        })
    }

    /// How many addresses are listened at.
    pub(super) fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Whether a service manager keeps the sockets of that address when this process ends.
    pub(super) fn is_managed(&self, group: usize) -> bool {
        self.groups[group].is_managed
    }

    /// Duplicates of the sockets that nobody but that shard accepts from.
    pub(super) fn alone_of(&self, group: usize, shard: usize, shards: usize) -> Vec<TcpListener> {
        match self.is_managed(group) || self.groups[group].sockets.len() < shards {
            true => Vec::new(),
            // Without descriptors nobody is let in anyway.
            false => self.of(group, shard, shards).unwrap_or_default(),
        }
    }

    /// A shard accepts no more: the launch lets go of its sockets as well, lest connections wait there for nobody. What others
    /// accept from is theirs, when they are started again, too, and a successor's.
    pub(super) fn close(&self, shard: usize, shards: usize) {
        (0..self.groups.len()).for_each(|group| self.close_at(group, shard, shards));
    }

    /// As `close`, of one address.
    pub(super) fn close_at(&self, group: usize, shard: usize, shards: usize) {
        let group = &self.groups[group];
        let sharers = group.sharers(shard, shards);
        for socket in group.of(shard, shards) {
            let mut socket = lock(socket);
            if !socket.left_by.contains(&shard) {
                socket.left_by.push(shard);
            }
            if socket.left_by.len() == sharers {
                socket.listener = None;
            }
        }
    }

    /// Duplicates of all, with the name that each has on its way to another process.
    pub(super) fn all(&self) -> io::Result<Vec<(String, TcpListener)>> {
        let each = self.groups.iter().enumerate().flat_map(|(number, group)| {
            group.sockets.iter().filter_map(move |socket| {
                let copy = lock(socket).listener.as_ref().map(TcpListener::try_clone)?;
                Some(copy.map(|copy| (name_of(number, group.is_managed), copy)))
            })
        });
        each.collect()
    }
}

impl Group {
    /// Of sockets that the process was started with.
    pub(super) fn inherited(
        (listeners, is_managed): (Vec<TcpListener>, bool),
        shards: usize,
        balance: Balance,
        cpus: &[usize],
    ) -> io::Result<Group> {
        for listener in &listeners {
            // What another process, with other settings, may have left: it is the socket's, and not the descriptor's.
            steering::begin_again(listener);
            steering::as_the_kernel_likes(listener);
        }
        if balance == Balance::Cpu && shards > 1 && listeners.len() == shards {
            steering::by_processor(&listeners[0], &turns(shards, cpus))?;
        }
        Ok(Group { is_managed, ..Group::of_listeners(listeners)? })
    }

    /// Of sockets that listen already.
    fn of_listeners(listeners: Vec<TcpListener>) -> io::Result<Group> {
        let address = match listeners.first() {
            Some(first) => first.local_addr()?,
            None => return Err(io::Error::new(io::ErrorKind::InvalidInput, "a group of no sockets")),
        };
        listeners.iter().try_for_each(|listener| listener.set_nonblocking(true))?;
        let kept = |one| Mutex::new(Kept { listener: Some(one), left_by: Vec::new() });
        Ok(Group { address, is_managed: false, sockets: listeners.into_iter().map(kept).collect() })
    }

    /// Binds as many sockets as there are shards to the first of the addresses that can be had.
    pub(super) fn bind(
        addresses: Vec<SocketAddr>,
        shards: usize,
        balance: Balance,
        cpus: &[usize],
    ) -> io::Result<Group> {
        let mut last = io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
        for address in addresses {
            match bind_all(address, shards) {
                Ok(listeners) => {
                    if balance == Balance::Cpu && shards > 1 {
                        steering::by_processor(&listeners[0], &turns(shards, cpus))?;
                    }
                    return Group::of_listeners(listeners);
                }
                // Another address would hide that somebody is there already.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(told(address, error)),
                Err(error) => last = told(address, error),
            }
        }
        Err(last)
    }

    fn of(&self, shard: usize, shards: usize) -> impl Iterator<Item = &Mutex<Kept>> {
        let shared = (self.sockets.len() < shards).then(|| shard % self.sockets.len());
        let first = shared.unwrap_or(shard);
        self.sockets.iter().skip(first).step_by(shards)
    }

    /// How many accept from the sockets of that shard, itself among them.
    fn sharers(&self, shard: usize, shards: usize) -> usize {
        let count = self.sockets.len();
        (0..shards).filter(|other| other % count == shard % count).count()
    }
}

/// Which shard has the connections that come in on which processor.
fn turns(shards: usize, cpus: &[usize]) -> Vec<(u32, u32)> {
    cpus.iter().take(shards).enumerate().map(|(shard, cpu)| (*cpu as u32, shard as u32)).collect()
}

fn bind_all(address: SocketAddr, shards: usize) -> io::Result<Vec<TcpListener>> {
    if shards == 1 || !SPREADS {
        let socket = bound(address, false)?;
        socket.listen(BACKLOG)?;
        return Ok(vec![socket.into()]);
    }
    // Sockets that share an address let in whoever says so as well: a second server, started by mistake, would silently take half of
    // the connections. So the first one is bound as one that does not share, which finds it, and shares from then on.
    let first = bound(address, false)?;
    first.set_reuse_port(true)?;
    let address = first.local_addr()?.as_socket().unwrap_or(address);
    let others = (1..shards).map(|_| bound(address, true));
    let sockets: Vec<Socket> = [Ok(first)].into_iter().chain(others).collect::<io::Result<_>>()?;
    // The kernel counts them in the order in which they begin to listen.
    sockets.iter().try_for_each(|socket| socket.listen(BACKLOG))?;
    Ok(sockets.into_iter().map(TcpListener::from).collect())
}

fn bound(address: SocketAddr, shares: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if shares {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

fn told(address: SocketAddr, error: io::Error) -> io::Error {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program, or another start of this one, listens there, or this one at [::], which takes IPv4 as well"
        }
        io::ErrorKind::PermissionDenied => "; ports below 1024 are for root, or need CAP_NET_BIND_SERVICE",
        _ => "",
    };
    io::Error::new(error.kind(), format!("cannot listen at {address}: {error}{remedy}"))
}

#[cfg(all(test, not(annulus_loom)))]
mod tests {
    use super::*;

    /// So many sockets, each at an address of its own by which it is known.
    fn sockets(count: usize) -> (Sockets, Vec<SocketAddr>) {
        let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let addresses = addresses(&listeners);
        (Sockets::new(vec![Group::of_listeners(listeners).unwrap()]), addresses)
    }

    fn addresses(listeners: &[TcpListener]) -> Vec<SocketAddr> {
        listeners.iter().map(|listener| listener.local_addr().unwrap()).collect()
    }

    #[test]
    fn each_socket_has_a_shard_and_each_shard_a_socket() {
        for (count, shards) in [(1, 1), (1, 3), (2, 3), (2, 5), (3, 3), (5, 2), (7, 3)] {
            let (sockets, all) = sockets(count);
            let each: Vec<_> =
                (0..shards).map(|shard| addresses(&sockets.of(0, shard, shards).unwrap())).collect();
            for socket in &all {
                let its = each.iter().filter(|mine| mine.contains(socket)).count();
                let fair = if count < shards { shards / count..=shards.div_ceil(count) } else { 1..=1 };
                assert!(fair.contains(&its), "{its} of {shards} shards accept from one of {count} sockets");
            }
            for mine in &each {
                let fair = if count < shards { 1..=1 } else { count / shards..=count.div_ceil(shards) };
                assert!(fair.contains(&mine.len()), "one of {shards} shards has {} of {count}", mine.len());
            }
        }
    }

    #[test]
    fn what_shards_share_is_nobodys_alone() {
        let (shared, _) = sockets(2);
        assert!((0..3).all(|shard| shared.alone_of(0, shard, 3).is_empty()));
        let (own, all) = sockets(3);
        assert_eq!(addresses(&own.alone_of(0, 1, 2)), [all[1]]);
        assert_eq!(addresses(&own.alone_of(0, 0, 2)), [all[0], all[2]]);
    }

    #[test]
    fn a_socket_that_shards_share_is_kept_until_the_last_lets_go() {
        let (sockets, all) = sockets(1);
        let left = || (addresses(&sockets.of(0, 1, 3).unwrap()), sockets.all().unwrap().len());
        // A shard may say so of one address and of all.
        for shard in [0, 0, 2] {
            sockets.close(shard, 3);
            assert_eq!(left(), (all.clone(), 1), "the second may be started again");
        }
        sockets.close(1, 3);
        assert_eq!(left(), (Vec::new(), 0));
    }

    #[test]
    fn a_shards_own_sockets_are_closed_with_it_and_no_others() {
        let (sockets, all) = sockets(3);
        sockets.close(0, 2);
        assert!(sockets.of(0, 0, 2).unwrap().is_empty());
        assert_eq!(addresses(&sockets.of(0, 1, 2).unwrap()), [all[1]]);
    }
}

/// What std says of text that is no address does not say what one is.
pub(super) fn no_address(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::InvalidInput => io::Error::new(
            error.kind(),
            format!("{error}: Launch::listen wants HOST:PORT, as in 127.0.0.1:8080 or [::1]:8080"),
        ),
        _ => error,
    }
}
