//! A pool of buffers that the ring knows.

use std::fmt;
use std::io;
use std::rc::{Rc, Weak};

use crate::buf::{Keeper, Region, Registered, Registration};
use crate::driver::Port;
use crate::engine::current_port;
use crate::sync::Notify;

/// What the kernel registers as one.
const REGION_MAX: usize = 1 << 30;

/// Buffers that are registered with the ring once, so that a transfer of a [`File`](crate::fs::File) need not find and hold
/// their pages. That pays past the page cache (O_DIRECT): random reads of 4 KiB took 0.85 of the processor time.
///
/// [`get`](Self::get) gives a buffer, which comes back when it is dropped; meanwhile it goes through reads and writes like
/// any other. They stay registered until the pool and all of its buffers are gone. A clone is another handle of the same.
///
/// Where there is no ring, on kernels before Linux 5.19 and beyond the limit of locked memory (`ulimit -l`) the pool
/// works all the same, with ordinary buffers; [`refusal`](Self::refusal) says why. So does a buffer that is used under
/// another runtime than its own, and in transfers of several buffers.
///
/// The kernel's side: io_uring_register_buffers(3).
///
/// # Examples
/// ```
/// use annulus::fs::{File, OpenOptions, RegisteredBuffers};
///
/// # fn main() -> std::io::Result<()> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("blocks");
/// annulus::run(async move {
///     let pool = RegisteredBuffers::new(2, 64 * 1024)?;
///     let file = OpenOptions::new().read(true).write(true).create(true).open(path).await?;
///     let mut buffer = pool.get().await;
///     buffer.set_len(5);
///     buffer.copy_from_slice(b"hello");
///     let (result, buffer) = file.write_all_at(buffer, 0).await;
///     result?;
///     assert_eq!((pool.available(), pool.out()), (1, 1));
///     drop(buffer);
///     assert_eq!(pool.available(), 2);
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Clone)]
pub struct RegisteredBuffers {
    region: Rc<Region>,
    count: usize,
    returned: Rc<Notify>,
    refusal: Option<Rc<io::Error>>,
}

impl RegisteredBuffers {
    /// `count` buffers of `bytes` each, in one piece of memory: 1 GiB together at most, each taking whole pages of 4 KiB. A pool can be made of what the
    /// ring refuses; [`refusal`](Self::refusal) tells.
    ///
    /// # Errors
    /// `InvalidInput` if there would be no buffers, or buffers of no bytes, or more than 1 GiB.
    ///
    /// # Panics
    /// Outside of a running loop.
    #[track_caller]
    pub fn new(count: usize, bytes: usize) -> io::Result<RegisteredBuffers> {
        let region = region(count, bytes)?;
        let port = current_port();
        let (memory, length) = region.place();
        let known = port.register(memory, length);
        let ring = port.runtime().number();
        let registration = known.as_ref().ok().map(|place| Registration { ring, place: *place });
        let refusal = known.err().map(Rc::new);
        Ok(RegisteredBuffers {
            refusal,
            ..RegisteredBuffers::of(region, count, registration, Rc::downgrade(&port))
        })
    }

    /// The same, but ordinary: no ring is told of them.
    pub(super) fn ordinary(count: usize, bytes: usize) -> io::Result<RegisteredBuffers> {
        Ok(RegisteredBuffers::of(region(count, bytes)?, count, None, Weak::new()))
    }

    fn of(
        region: Rc<Region>,
        count: usize,
        known: Option<Registration>,
        port: Weak<Port>,
    ) -> RegisteredBuffers {
        let returned = Rc::new(Notify::new());
        region.settle(known, Box::new(PoolKeeper { port, returned: Rc::clone(&returned) }));
        RegisteredBuffers { region, count, returned, refusal: None }
    }

    /// A buffer. Where none is left, waits until one comes back.
    ///
    /// # Cancel safety
    /// Dropped, nothing is taken.
    pub async fn get(&self) -> Registered {
        loop {
            if let Some(buffer) = self.try_get() {
                return buffer;
            }
            self.returned.notified().await;
        }
    }

    /// A buffer, if one is left.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::fs::RegisteredBuffers;
    ///
    /// annulus::run(async {
    ///     let pool = RegisteredBuffers::new(2, 4096)?;
    ///     let (one, other) = (pool.try_get().unwrap(), pool.try_get().unwrap());
    ///     assert!(pool.try_get().is_none(), "all are out");
    ///     drop((one, other));
    ///     println!("{} bytes each, refused because of {:?}", pool.bytes(), pool.refusal());
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn try_get(&self) -> Option<Registered> {
        self.region.take()
    }

    /// How many bytes each has room for.
    ///
    /// # Examples
    /// As [`try_get`](Self::try_get).
    pub fn bytes(&self) -> usize {
        self.region.bytes()
    }

    /// How many can be had at once.
    pub fn available(&self) -> usize {
        self.region.free()
    }

    /// How many somebody has.
    pub fn out(&self) -> usize {
        self.count - self.available()
    }

    /// Why the ring does not know them. None if it does.
    ///
    /// # Examples
    /// As [`try_get`](Self::try_get).
    pub fn refusal(&self) -> Option<&io::Error> {
        self.refusal.as_deref()
    }
}

impl fmt::Debug for RegisteredBuffers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RegisteredBuffers")
            .field("available", &self.available())
            .field("out", &self.out())
            .field("refusal", &self.refusal)
            .finish()
    }
}

/// The memory, if there may be so much.
fn region(count: usize, bytes: usize) -> io::Result<Rc<Region>> {
    let refused = |text: &str| io::Error::new(io::ErrorKind::InvalidInput, text);
    if count == 0 || bytes == 0 {
        return Err(refused("a pool has at least one buffer, of at least one byte"));
    }
    let region = u32::try_from(count).ok().and_then(|count| Region::new(count, bytes, REGION_MAX));
    region.ok_or_else(|| {
        refused("more than 1 GiB of buffers, in whole pages, is not made as one: make several pools, or fewer and shorter blocks")
    })
}

/// Wakes who waits for a buffer, and tells the ring when all is over.
struct PoolKeeper {
    port: Weak<Port>,
    returned: Rc<Notify>,
}

impl Keeper for PoolKeeper {
    fn returned(&self) {
        self.returned.notify_one();
    }

    fn ended(&self, place: u16) {
        self.port.upgrade().inspect(|port| port.unregister(place));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::Operation;
    use crate::fs::File;
    use crate::op;

    #[test]
    fn a_transfer_says_by_which_number_the_ring_knows_its_buffer() {
        let runtime = crate::runtime::Runtime::builder().build().unwrap();
        let body = async {
            let first = RegisteredBuffers::new(1, 1).unwrap();
            let second = RegisteredBuffers::new(1, 1).unwrap();
            let file = File::open("/dev/null").await.unwrap();
            let flags = |buffer| op::Read::new(file.file.hold(), buffer, 0).request().flags;
            let known = [first.get().await, second.get().await].map(flags);
            let expected = if first.refusal().is_none() { [1, 2] } else { [0, 0] };
            println!("{known:?}");
            assert_eq!(known, expected);
            assert_eq!(op::Read::new(file.file.hold(), vec![0; 9], 0).request().flags, 0);
        };
        runtime.run(body).unwrap();
    }
}
