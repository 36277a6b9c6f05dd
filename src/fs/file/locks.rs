//! Locks that programs keep by agreement. flock(2)

use std::io;
use std::time::Duration;

use super::File;
use crate::op::{Flock, Submitted};
use crate::time::sleep;

/// How long to wait before asking again, at first and at most. The kernel tells nobody that a lock is free without holding a
/// thread that could not be stopped.
const SOON: Duration = Duration::from_millis(1);
const LATE: Duration = Duration::from_millis(50);

impl File {
    /// Locks the file for this handle alone, waiting until nobody else has it locked; it asks again after 1 ms, and then more
    /// seldom, up to 50 ms. What keeps others away is that they ask as well: reads and writes are not hindered.
    ///
    /// The lock goes with [`unlock`](Self::unlock), or when the file is closed.
    ///
    /// # Errors
    /// Those of flock(2).
    ///
    /// # Cancel safety
    /// After dropping it, the file may be locked, if the answer was under way. Waiting can be given up at any time.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::fs::File;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("lock");
    /// annulus::run(async {
    ///     let (one, other) = (File::create(&path).await?, File::create(&path).await?);
    ///     one.lock().await?;
    ///     assert!(!other.try_lock().await?);
    ///     one.unlock().await?;
    ///     assert!(other.try_lock().await?);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn lock(&self) -> io::Result<()> {
        self.wait_for(libc::LOCK_EX).await
    }

    /// Locks the file together with others that do so by this, waiting until nobody has it alone.
    ///
    /// # Errors
    /// Those of flock(2).
    ///
    /// # Cancel safety
    /// As [`lock`](Self::lock).
    ///
    /// # Examples
    /// As [`try_lock`](Self::try_lock).
    pub async fn lock_shared(&self) -> io::Result<()> {
        self.wait_for(libc::LOCK_SH).await
    }

    /// Locks the file for this handle alone, if nobody else has it locked. Says whether.
    ///
    /// # Errors
    /// Those of flock(2).
    ///
    /// # Cancel safety
    /// After dropping it, the file may be locked.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::fs::File;
    ///
    /// annulus::run(async {
    /// #     let path = std::env::temp_dir().join(format!("lock-{}", std::process::id()));
    ///
    ///     let (one, other) = (File::create(&path).await?, File::open(&path).await?);
    ///     assert!(one.try_lock().await?);
    ///     assert!(!other.try_lock_shared().await?, "somebody has it for himself");
    ///     one.unlock().await?;
    ///     one.lock_shared().await?;
    ///     assert!(other.try_lock_shared().await?, "two may look");
    /// #     annulus::fs::remove_file(&path).await?;
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn try_lock(&self) -> io::Result<bool> {
        self.flock(libc::LOCK_EX).await
    }

    /// Locks the file together with others, if nobody has it alone. Says whether.
    ///
    /// # Errors
    /// Those of flock(2).
    ///
    /// # Cancel safety
    /// After dropping it, the file may be locked.
    ///
    /// # Examples
    /// As [`try_lock`](Self::try_lock).
    pub async fn try_lock_shared(&self) -> io::Result<bool> {
        self.flock(libc::LOCK_SH).await
    }

    /// Gives the lock back.
    ///
    /// # Errors
    /// Those of flock(2).
    ///
    /// # Cancel safety
    /// After dropping it, it may have been done, or not.
    ///
    /// # Examples
    /// As [`try_lock`](Self::try_lock).
    pub async fn unlock(&self) -> io::Result<()> {
        self.flock(libc::LOCK_UN).await.map(drop)
    }

    async fn flock(&self, operation: i32) -> io::Result<bool> {
        Submitted::new(Flock::new(self.file.hold(), operation)).await
    }

    async fn wait_for(&self, operation: i32) -> io::Result<()> {
        let mut pause = SOON;
        while !self.flock(operation).await? {
            sleep(pause).await;
            pause = (pause * 2).min(LATE);
        }
        Ok(())
    }
}
