//! When a file was read and changed last.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::sys::names::Stamp;

/// Times to be set, as [`std::fs::FileTimes`]. Those that are not named stay as they are.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::fs::{self, FileTimes};
/// use std::time::{Duration, UNIX_EPOCH};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("note");
/// annulus::run(async {
///     fs::write(&path, "text").await.0?;
///     let moon = UNIX_EPOCH - Duration::from_secs(14_182_940);
///     fs::set_times(&path, FileTimes::new().set_modified(moon)).await?;
///     assert_eq!(fs::metadata(&path).await?.modified(), moon);
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct FileTimes {
    accessed: Option<SystemTime>,
    modified: Option<SystemTime>,
}

impl FileTimes {
    /// None named yet.
    pub fn new() -> FileTimes {
        FileTimes::default()
    }

    /// When it was read last.
    ///
    /// # Examples
    /// ```
    /// use std::time::SystemTime;
    /// use annulus::fs::FileTimes;
    ///
    /// let now = SystemTime::now();
    /// println!("{:?}", FileTimes::new().set_accessed(now).set_modified(now));
    /// ```
    #[must_use]
    pub fn set_accessed(mut self, time: SystemTime) -> FileTimes {
        self.accessed = Some(time);
        self
    }

    /// When its data were changed last.
    #[must_use]
    pub fn set_modified(mut self, time: SystemTime) -> FileTimes {
        self.modified = Some(time);
        self
    }

    pub(super) fn stamps(self) -> Box<[Stamp; 2]> {
        Box::new([self.accessed, self.modified].map(|time| time.map(stamp)))
    }
}

/// Seconds, rounded down, and nanoseconds.
fn stamp(time: SystemTime) -> (i64, u32) {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => (since.as_secs() as i64, since.subsec_nanos()),
        Err(error) => {
            let before = error.duration();
            let (seconds, nanoseconds) = (before.as_secs() as i64, before.subsec_nanos());
            if nanoseconds == 0 { (-seconds, 0) } else { (-seconds - 1, 1_000_000_000 - nanoseconds) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_before_1970_are_told_as_the_system_wants_them() {
        assert_eq!(stamp(UNIX_EPOCH + Duration::new(2, 3)), (2, 3));
        assert_eq!(stamp(UNIX_EPOCH - Duration::from_secs(2)), (-2, 0));
        assert_eq!(stamp(UNIX_EPOCH - Duration::new(2, 3)), (-3, 999_999_997));
    }
}
